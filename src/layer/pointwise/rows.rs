//! The rows of the pointwise layers: names, formulas, settings and conventions.

use super::{Approximation, Function, Pointwise};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::convention::Convention;
use crate::layer::interface::AnyLayer;
use crate::layer::settings::{Kind, Setting, Settings};
use crate::layer::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::numeric::Scalar;

/// Returns the input of a layer with this gradient.
const fn input(gradient: &'static str) -> Slot {
    Slot::input(Name::X, "any shape", gradient, "input, element-wise")
}

fn pointwise(function: Function, jacobian: &'static str) -> Result<Box<dyn AnyLayer>, Error> {
    Ok(Box::new(Pointwise { function, jacobian }))
}

pub(in crate::layer) const fn number(name: &'static str, usual: &'static [f64], doc: &'static str) -> Setting {
    Setting { name, kind: Kind::Number(usual), doc }
}

/// Returns a positive setting.
pub(in crate::layer) fn positive(settings: &Settings, setting: &Setting, default: f64) -> Result<f64, Error> {
    let value = settings.number(setting.name).unwrap_or(default);
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(refuse(setting, "a positive number", value)) }
}

/// Returns a finite setting.
fn finite(settings: &Settings, setting: &Setting, default: f64) -> Result<f64, Error> {
    let value = settings.number(setting.name).unwrap_or(default);
    if value.is_finite() { Ok(value) } else { Err(refuse(setting, "a finite number", value)) }
}

pub(in crate::layer) fn refuse(setting: &Setting, expected: &str, value: f64) -> Error {
    Error::new(Code::Setting, format!("expected {expected}, got {value}"))
        .with_operand(&Name::new(setting.name))
        .tip(setting.doc)
}

const SLOPE: Setting = number(
    "slope",
    &[0.01, 0.2, 0.1, 0.3, 0.0],
    "slope where x < 0 (default 0.01, as in PyTorch and ONNX; 0.2 in TensorFlow)",
);
const ALPHA: Setting = number("alpha", &[1.0], "size of the negative part (default 1)");
const BETA: Setting = number("beta", &[1.0, 1.702], "factor of x in the exponent (default 1)");

/// Registry row of leaky-relu.
pub(in crate::layer) const LEAKY_RELU: LayerSpec = LayerSpec {
    name: "leaky-relu",
    about: "y = x where x > 0, else slope·x",
    outputs: &[(Name::Y, "x where x > 0, else slope·x")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout where x > 0, else slope·dout")],
    settings: &[SLOPE],
    scalar_dout: ScalarDout::Fills,
    conventions: &[],
    examples: &[Example {
        command: "nnlayer leaky-relu --x -2,0,3 --json",
        prints: "{\"y\":[-0.02,0.0,3.0],\"dx\":[0.01,0.01,1.0]}\n",
    }],
    source: "Maas, Hannun and Ng 2013; the gradient at 0 is the slope, as in PyTorch",
    build: |settings| {
        let slope = finite(settings, &SLOPE, 0.01)?;
        pointwise(Function::LeakyRelu { slope }, "diag(1 where x > 0, else slope)")
    },
};

/// Registry row of elu.
pub(in crate::layer) const ELU: LayerSpec = LayerSpec {
    name: "elu",
    about: "y = x where x > 0, else alpha·(eˣ − 1)",
    outputs: &[(Name::Y, "x where x > 0, else alpha·(eˣ − 1)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout where x > 0, else dout∘alpha·eˣ")],
    settings: &[ALPHA],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "slope of y",
        explanation: "it uses y + 1 for y + alpha, the derivative alpha·eˣ where x < 0",
        gradient: |case| case.elementwise(|x, y| if x > 0.0 { 1.0 } else { y + 1.0 }),
    }],
    examples: &[Example {
        command: "nnlayer elu --x -1,0,2 --json",
        prints: "{\"y\":[-0.6321205588285577,0.0,2.0],\"dx\":[0.36787944117144233,1.0,1.0]}\n",
    }],
    source: "Clevert, Unterthiner and Hochreiter 2016; the gradient at 0 is alpha, as in PyTorch",
    build: |settings| {
        let alpha = finite(settings, &ALPHA, 1.0)?;
        pointwise(Function::Elu { alpha }, "diag(1 where x > 0, else alpha·eˣ)")
    },
};

/// Registry row of selu.
pub(in crate::layer) const SELU: LayerSpec = LayerSpec {
    name: "selu",
    about: "y = scale·elu(x), self-normalising",
    outputs: &[(Name::Y, "scale·x where x > 0, else scale·alpha·(eˣ − 1)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout·scale where x > 0, else dout∘scale·alpha·eˣ")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "scale left out",
        explanation: "it is the gradient without the factor scale = 1.0507009873554805",
        gradient: |case| case.elementwise(|x, _| if x > 0.0 { 1.0 } else { 1.673_263_242_354_377_2 * Scalar::exp(x) }),
    }],
    examples: &[Example {
        command: "nnlayer selu --x -1,0,1 --json",
        prints: "{\"y\":[-1.1113307378125628,0.0,1.0507009873554805],\"dx\":[0.6467686030348141,1.7580993408473768,1.0507009873554805]}\n",
    }],
    source: "Klambauer et al. 2017: alpha 1.6732632423543772, scale 1.0507009873554805; the gradient at 0 is scale·alpha",
    build: |_| pointwise(Function::Selu, "diag(scale where x > 0, else scale·alpha·eˣ)"),
};

/// Registry row of celu.
pub(in crate::layer) const CELU: LayerSpec = LayerSpec {
    name: "celu",
    about: "y = x where x > 0, else alpha·(e^(x/alpha) − 1)",
    outputs: &[(Name::Y, "x where x > 0, else alpha·(e^(x/alpha) − 1)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout where x > 0, else dout∘e^(x/alpha)")],
    settings: &[ALPHA],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "elu",
        explanation: "it is the gradient of elu, alpha·eˣ where x < 0; that of celu is e^(x/alpha)",
        gradient: |case| {
            let alpha = case.settings.number(ALPHA.name)?;
            case.elementwise(|x, _| if x > 0.0 { 1.0 } else { alpha * Scalar::exp(x) })
        },
    }],
    examples: &[Example {
        command: "nnlayer celu --alpha 2 --x -2,0,3 --json",
        prints: "{\"y\":[-1.2642411176571153,0.0,3.0],\"dx\":[0.36787944117144233,1.0,1.0]}\n",
    }],
    source: "Barron 2017; smooth at 0, where the gradient is 1",
    build: |settings| {
        let alpha = positive(settings, &ALPHA, 1.0)?;
        pointwise(Function::Celu { alpha }, "diag(1 where x > 0, else e^(x/alpha))")
    },
};

const APPROXIMATE: Setting = Setting {
    name: "approximate",
    kind: Kind::Choice(&["none", "tanh", "sigmoid"]),
    doc: "none: x·Φ(x) (default); tanh: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))); sigmoid: x·σ(1.702·x)",
};

/// Registry row of gelu.
pub(in crate::layer) const GELU: LayerSpec = LayerSpec {
    name: "gelu",
    about: "y = x·Φ(x), the Gaussian error linear unit",
    outputs: &[(Name::Y, "x·Φ(x)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘(Φ(x) + x∘φ(x))")],
    settings: &[APPROXIMATE],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "density left out",
        explanation: "it is dout∘Φ(x), expected dout∘(Φ(x) + x∘φ(x))",
        gradient: |case| case.elementwise(|x, _| x.normal_cdf()),
    }],
    examples: &[Example {
        command: "nnlayer gelu --x -1,0,1 --json",
        prints: "{\"y\":[-0.15865525393145705,0.0,0.8413447460685429],\"dx\":[-0.0833154705876863,0.5,1.0833154705876864]}\n",
    }],
    source: "Hendrycks and Gimpel 2016; by erf as PyTorch's and ONNX's default",
    build: |settings| {
        let (approximation, jacobian) = match settings.choice(APPROXIMATE.name) {
            Some("tanh") => (Approximation::Tanh, "diag((1 + tanh u)/2 + x/2∘(1 − tanh² u)∘u′)"),
            Some("sigmoid") => (Approximation::Sigmoid, "diag(σ(u) + u∘σ(u)∘(1 − σ(u))), u = 1.702·x"),
            _ => (Approximation::None, "diag(Φ(x) + x∘φ(x))"),
        };
        pointwise(Function::Gelu(approximation), jacobian)
    },
};

/// Registry row of silu.
pub(in crate::layer) const SILU: LayerSpec = LayerSpec {
    name: "silu",
    about: "y = x·σ(beta·x), also called swish",
    outputs: &[(Name::Y, "x·σ(beta·x)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘(σ(u) + u∘σ(u)∘(1 − σ(u))), u = beta·x")],
    settings: &[BETA],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gate alone",
        explanation: "it is dout∘σ(x): the derivative of the gate is missing",
        gradient: |case| case.elementwise(|x, y| y / x),
    }],
    examples: &[Example {
        command: "nnlayer silu --x -1,0,1 --json",
        prints: "{\"y\":[-0.2689414213699951,0.0,0.7310585786300049],\"dx\":[0.07232948812851327,0.5,0.9276705118714867]}\n",
    }],
    source: "Elfwing, Uchibe and Doya 2018; with beta Ramachandran, Zoph and Le 2017, and ONNX's Swish (its alpha)",
    build: |settings| {
        let beta = finite(settings, &BETA, 1.0)?;
        pointwise(Function::Silu { beta }, "diag(σ(u) + u∘σ(u)∘(1 − σ(u))), u = beta·x")
    },
};

/// Registry row of mish.
pub(in crate::layer) const MISH: LayerSpec = LayerSpec {
    name: "mish",
    about: "y = x·tanh(log(1 + eˣ))",
    outputs: &[(Name::Y, "x·tanh(log(1 + eˣ))")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘(tanh s + x∘σ(x)∘(1 − tanh² s)), s = log(1 + eˣ)")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gate alone",
        explanation: "it is dout∘tanh(log(1 + eˣ)): the derivative of the gate is missing",
        gradient: |case| case.elementwise(|x, y| y / x),
    }],
    examples: &[Example {
        command: "nnlayer mish --x -1,0,1 --json",
        prints: "{\"y\":[-0.3034014613741089,0.0,0.8650983882673103],\"dx\":[0.05921675587739495,0.6,1.0490362200997922]}\n",
    }],
    source: "Misra 2019",
    build: |_| pointwise(Function::Mish, "diag(tanh s + x∘σ(x)∘(1 − tanh² s)), s = log(1 + eˣ)"),
};

/// Registry row of softplus.
pub(in crate::layer) const SOFTPLUS: LayerSpec = LayerSpec {
    name: "softplus",
    about: "y = log(1 + e^(beta·x))/beta, a smooth relu",
    outputs: &[(Name::Y, "log(1 + e^(beta·x))/beta")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘σ(beta·x)")],
    settings: &[BETA],
    scalar_dout: ScalarDout::Fills,
    conventions: &[],
    examples: &[Example {
        command: "nnlayer softplus --x -40,0,40 --json",
        prints: "{\"y\":[4.248354255291589e-18,0.6931471805599453,40.0],\"dx\":[4.248354255291589e-18,0.5,1.0]}\n",
    }],
    source: "Dugas et al. 2001; the formula on all x, without PyTorch's threshold",
    build: |settings| {
        let beta = positive(settings, &BETA, 1.0)?;
        pointwise(Function::Softplus { beta }, "diag(σ(beta·x))")
    },
};

/// Registry row of softsign.
pub(in crate::layer) const SOFTSIGN: LayerSpec = LayerSpec {
    name: "softsign",
    about: "y = x/(1 + |x|)",
    outputs: &[(Name::Y, "x/(1 + |x|)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout/(1 + |x|)²")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "square left out",
        explanation: "it is dout/(1 + |x|), expected dout/(1 + |x|)²",
        gradient: |case| case.elementwise(|x, _| 1.0 / (1.0 + x.abs())),
    }],
    examples: &[Example {
        command: "nnlayer softsign --x -1,0,3 --json",
        prints: "{\"y\":[-0.5,0.0,0.75],\"dx\":[0.25,1.0,0.0625]}\n",
    }],
    source: "Bergstra et al. 2009",
    build: |_| pointwise(Function::Softsign, "diag(1/(1 + |x|)²)"),
};

/// Registry row of log-sigmoid.
pub(in crate::layer) const LOG_SIGMOID: LayerSpec = LayerSpec {
    name: "log-sigmoid",
    about: "y = log σ(x)",
    outputs: &[(Name::Y, "log σ(x)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘σ(−x)")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "sigmoid of x",
        explanation: "it is dout∘σ(x), expected dout∘σ(−x)",
        gradient: |case| case.elementwise(|_, y| Scalar::exp(y)),
    }],
    examples: &[Example {
        command: "nnlayer log-sigmoid --x -40,0,40 --json",
        prints: "{\"y\":[-40.0,-0.6931471805599453,-4.248354255291589e-18],\"dx\":[1.0,0.5,4.248354255291589e-18]}\n",
    }],
    source: "the logarithm of the logistic function, as log1p of e^-|x|",
    build: |_| pointwise(Function::LogSigmoid, "diag(σ(−x))"),
};

const HARD_SLOPE: Setting =
    number("slope", &[1.0 / 6.0, 0.2], "slope between the kinks (default 1/6, as in PyTorch; ONNX's is 0.2)");
const OFFSET: Setting = number("offset", &[0.5], "value at 0 (default 0.5)");

/// Registry row of hard-sigmoid.
pub(in crate::layer) const HARD_SIGMOID: LayerSpec = LayerSpec {
    name: "hard-sigmoid",
    about: "y = slope·x + offset, limited to 0 and 1",
    outputs: &[(Name::Y, "min(max(slope·x + offset, 0), 1)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("slope·dout where 0 < y < 1, else 0")],
    settings: &[HARD_SLOPE, OFFSET],
    scalar_dout: ScalarDout::Fills,
    conventions: &[],
    examples: &[Example {
        command: "nnlayer hard-sigmoid --x -3,0,1.5,4 --json",
        prints: "{\"y\":[0.0,0.5,0.75,1.0],\"dx\":[0.0,0.16666666666666666,0.16666666666666666,0.0]}\n",
    }],
    source: "Courbariaux, Bengio and David 2015; slope 1/6 as PyTorch; the gradient at the kinks is 0",
    build: |settings| {
        let slope = settings.number(HARD_SLOPE.name).map(|_| finite(settings, &HARD_SLOPE, 0.0)).transpose()?;
        let offset = finite(settings, &OFFSET, 0.5)?;
        pointwise(Function::HardSigmoid { slope, offset }, "diag(slope where 0 < y < 1, else 0)")
    },
};

/// Registry row of hard-swish.
pub(in crate::layer) const HARD_SWISH: LayerSpec = LayerSpec {
    name: "hard-swish",
    about: "y = x·min(max(x + 3, 0), 6)/6",
    outputs: &[(Name::Y, "x·min(max(x + 3, 0), 6)/6")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout∘(2x + 3)/6 where −3 < x < 3, 0 below, dout above")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gate alone",
        explanation: "it is dout∘min(max(x + 3, 0), 6)/6: the derivative of the gate is missing",
        gradient: |case| case.elementwise(|x, _| (x + 3.0).clamp(0.0, 6.0) / 6.0),
    }],
    examples: &[Example {
        command: "nnlayer hard-swish --x -3,0,1.5,3 --json",
        prints: "{\"y\":[0.0,0.0,1.125,3.0],\"dx\":[0.0,0.5,1.0,1.0]}\n",
    }],
    source: "Howard et al. 2019; the gradient is 0 at -3 and 1 at 3, as in PyTorch since 2.6 (before: -0.5 and 1.5)",
    build: |_| pointwise(Function::HardSwish, "diag((2x + 3)/6 where −3 < x < 3, 0 below, 1 above)"),
};

const MIN: Setting = number("min", &[-1.0, 0.0], "least value (default -1)");
const MAX: Setting = number("max", &[1.0, 6.0], "largest value (default 1)");

/// Registry row of hard-tanh.
pub(in crate::layer) const HARD_TANH: LayerSpec = LayerSpec {
    name: "hard-tanh",
    about: "y = x, limited to min and max",
    outputs: &[(Name::Y, "min(max(x, min), max)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[input("dout where min < x < max, else 0")],
    settings: &[MIN, MAX],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "slope 1 everywhere",
        explanation: "it is dout itself, also beyond the limits",
        gradient: |case| case.elementwise(|_, _| 1.0),
    }],
    examples: &[Example {
        command: "nnlayer hard-tanh --x -2,-1,0.5,3 --json",
        prints: "{\"y\":[-1.0,-1.0,0.5,1.0],\"dx\":[0.0,0.0,1.0,0.0]}\n",
    }],
    source: "Collobert 2004; the gradient at the limits is 0, as in PyTorch",
    build: |settings| {
        let (min, max) = (finite(settings, &MIN, -1.0)?, finite(settings, &MAX, 1.0)?);
        if min < max {
            pointwise(Function::HardTanh { min, max }, "diag(1 where min < x < max, else 0)")
        } else {
            Err(refuse(&MAX, &format!("a number above min ({min})"), max))
        }
    },
};
