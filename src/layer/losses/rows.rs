//! The rows of the losses of single entries: names, formulas, settings and conventions.

use super::{EntryLoss, Function, POS_WEIGHT};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::layer::convention::{Convention, GradientCase};
use crate::layer::interface::AnyLayer;
use crate::layer::pointwise::rows::{number, positive, refuse};
use crate::layer::reduction::{BATCH_MEAN, EMPTY, ENTRY_REDUCTION, Reduction};
use crate::layer::settings::{Kind, Setting, Settings};
use crate::layer::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use ndarray::{ArrayD, Zip};

const SHAPE: &str = "(N×D) or any shape";

/// Returns the input x of a loss.
const fn input(gradient: &'static str, doc: &'static str) -> Slot {
    Slot::input(Name::X, SHAPE, gradient, doc)
}

/// Returns the targets of a loss.
const fn targets(doc: &'static str) -> Slot {
    Slot {
        name: Name::T,
        role: Role::Target,
        shape: "as the input",
        optional: false,
        values: Values::Numbers,
        gradient: None,
        doc,
    }
}

/// Returns a weight that broadcasts to the input.
const fn weight(name: Name, doc: &'static str) -> Slot {
    let shape = "broadcasts to the input";
    Slot { name, role: Role::Constant, shape, optional: true, values: Values::Numbers, gradient: None, doc }
}

const WEIGHT: Slot = weight(Name::WEIGHT, "weight of each entry");

fn loss(settings: &Settings, input: Name, function: Function, term: &'static str) -> Result<Box<dyn AnyLayer>, Error> {
    let by_batch = settings.choice(ENTRY_REDUCTION.name) == Some(BATCH_MEAN);
    Ok(Box::new(EntryLoss { function, reduction: Reduction::new(settings)?, by_batch, input, term }))
}

/// Returns the gradient with another function in the place of the loss: the slope is multiplied by a factor of x − t.
fn with_slope(case: &GradientCase<'_>, other: Function, own: Function) -> Option<ArrayD<f64>> {
    let (x, t) = (case.operands.get(&Name::X)?, case.operands.get(&Name::T)?);
    let changed = |dx: &f64, x: &f64, t: &f64| {
        let slope = own.slope(*x, *t, None);
        if slope == 0.0 { *dx } else { dx / slope * other.slope(*x, *t, None) }
    };
    (case.right.shape() == x.shape()).then(|| Zip::from(case.right).and(x).and(t).map_collect(changed))
}

/// Registry row of mse.
pub(in crate::layer) const MSE: LayerSpec = LayerSpec {
    name: "mse",
    about: "loss = Σ (x − t)², squared error",
    outputs: &[(Name::LOSS, "Σ (x − t)²")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[input("2·(x − t)", "predictions"), targets("target of each entry")],
    settings: &[ENTRY_REDUCTION, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "factor ½",
        explanation: "it is x − t, the gradient of ½·Σ (x − t)²; that of Σ (x − t)² is 2·(x − t)",
        gradient: |case| Some(case.right / 2.0),
    }],
    examples: &[
        Example {
            command: "nnlayer mse --x 1,2,3.5 --t 1,0,3",
            prints: "\
loss = Σ (x − t)²  (scalar)
4.25

dx = 2·(x − t)  (3)
[0 4 1]
",
        },
        Example {
            command: "nnlayer mse --x '1,2;3,5' --t '1,0;3,4' --reduction mean --json",
            prints: "{\"loss\":1.25,\"divisor\":4.0,\"dx\":[[0.0,1.0],[0.0,0.5]]}\n",
        },
    ],
    source: "PyTorch's mse_loss; its mean divides by all entries, as Keras does, some books by the batch or with ½",
    build: |settings| loss(settings, Name::X, Function::Mse, "(x − t)²"),
};

/// Registry row of l1.
pub(in crate::layer) const L1: LayerSpec = LayerSpec {
    name: "l1",
    about: "loss = Σ |x − t|, absolute error",
    outputs: &[(Name::LOSS, "Σ |x − t|")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[input("sign(x − t), 0 where x = t", "predictions"), targets("target of each entry")],
    settings: &[ENTRY_REDUCTION, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gradient of mse",
        explanation: "it is 2·(x − t), the gradient of Σ (x − t)²; that of Σ |x − t| is the sign of x − t",
        gradient: |case| with_slope(case, Function::Mse, Function::L1),
    }],
    examples: &[Example {
        command: "nnlayer l1 --x 1,2,3.5 --t 1,0,4 --json",
        prints: "{\"loss\":2.5,\"dx\":[0.0,1.0,-1.0]}\n",
    }],
    source: "PyTorch's l1_loss; the gradient at x = t is 0",
    build: |settings| loss(settings, Name::X, Function::L1, "|x − t|"),
};

const DELTA: Setting = number("delta", &[1.0, 1.35], "distance at which the parabola ends (default 1)");

/// Registry row of huber.
pub(in crate::layer) const HUBER: LayerSpec = LayerSpec {
    name: "huber",
    about: "loss = Σ (x − t)²/2 where |x − t| ≤ delta, else delta·(|x − t| − delta/2)",
    outputs: &[(Name::LOSS, "Σ (x − t)²/2 where |x − t| ≤ delta, else delta·(|x − t| − delta/2)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        input("x − t where |x − t| ≤ delta, else delta·sign(x − t)", "predictions"),
        targets("target of each entry"),
    ],
    settings: &[ENTRY_REDUCTION, DELTA, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "smooth-l1",
        explanation: "it is the gradient of smooth-l1 with beta = delta; that of huber is delta times as large",
        gradient: |case| Some(case.right / case.settings.number(DELTA.name)?),
    }],
    examples: &[Example {
        command: "nnlayer huber --x 1,2,3.5 --t 1,0,3 --delta 1.5 --json",
        prints: "{\"loss\":2.0,\"dx\":[0.0,1.5,0.5]}\n",
    }],
    source: "PyTorch's huber_loss: delta times smooth-l1 with beta = delta",
    build: |settings| {
        let delta = positive(settings, &DELTA, 1.0)?;
        loss(settings, Name::X, Function::Huber { delta }, "(x − t)²/2, or delta·(|x − t| − delta/2)")
    },
};

const BETA: Setting =
    number("beta", &[1.0, 0.0, 1.0 / 9.0], "distance at which the parabola ends (default 1; 0 gives l1)");

/// Registry row of smooth-l1.
pub(in crate::layer) const SMOOTH_L1: LayerSpec = LayerSpec {
    name: "smooth-l1",
    about: "loss = Σ (x − t)²/(2·beta) where |x − t| < beta, else |x − t| − beta/2",
    outputs: &[(Name::LOSS, "Σ (x − t)²/(2·beta) where |x − t| < beta, else |x − t| − beta/2")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        input("(x − t)/beta where |x − t| < beta, else sign(x − t)", "predictions"),
        targets("target of each entry"),
    ],
    settings: &[ENTRY_REDUCTION, BETA, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "huber",
        explanation: "it is the gradient of huber with delta = beta, which is beta times that of smooth-l1",
        gradient: |case| Some(case.right * case.settings.number(BETA.name)?),
    }],
    examples: &[Example {
        command: "nnlayer smooth-l1 --x 1,2,3.5 --t 1,0,3 --beta 0.5 --json",
        prints: "{\"loss\":2.0,\"dx\":[0.0,1.0,1.0]}\n",
    }],
    source: "Girshick 2015; PyTorch's smooth_l1_loss, whose beta was 1 before it was a setting",
    build: |settings| {
        let beta = settings.number(BETA.name).unwrap_or(1.0);
        if !(beta >= 0.0 && beta.is_finite()) {
            return Err(refuse(&BETA, "a number of at least 0", beta));
        }
        loss(settings, Name::X, Function::SmoothL1 { beta }, "(x − t)²/(2·beta), or |x − t| − beta/2")
    },
};

const CLAMP: Setting = number(
    "clamp",
    &[-100.0, f64::NEG_INFINITY],
    "least value of a logarithm (default -100, as in PyTorch; -inf for none)",
);

/// Registry row of bce.
pub(in crate::layer) const BCE: LayerSpec = LayerSpec {
    name: "bce",
    about: "loss = −Σ t·log y + (1 − t)·log(1 − y), binary cross-entropy of probabilities",
    outputs: &[(Name::LOSS, "−Σ t·log y + (1 − t)·log(1 − y)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::Y, SHAPE, "(y − t)/max(y·(1 − y), 1e-12)", "probabilities, such as the output of sigmoid"),
        targets("target of each entry, from 0 to 1"),
        WEIGHT,
    ],
    settings: &[ENTRY_REDUCTION, CLAMP, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gradient of the logits",
        explanation: "it is y − t, the gradient by the logits of a sigmoid; the gradient by y is (y − t)/(y·(1 − y))",
        gradient: |case| Some(case.right * &case.operands.get(&Name::Y)?.mapv(|y| y * (1.0 - y))),
    }],
    examples: &[Example {
        command: "nnlayer bce --y 0.5,0.8 --t 0,1 --json",
        prints: "{\"loss\":0.916290731874155,\"dy\":[2.0,-1.25]}\n",
    }],
    source: "PyTorch's binary_cross_entropy: logarithms of at least -100, and a gradient divided by at least 1e-12",
    build: |settings| {
        let clamp = settings.number(CLAMP.name).unwrap_or(-100.0);
        if clamp.is_nan() || clamp > 0.0 {
            return Err(refuse(&CLAMP, "a number of at most 0", clamp));
        }
        loss(settings, Name::Y, Function::Bce { clamp }, "−t·log y − (1 − t)·log(1 − y)")
    },
};

/// Registry row of bce-logits.
pub(in crate::layer) const BCE_LOGITS: LayerSpec = LayerSpec {
    name: "bce-logits",
    about: "loss = Σ (1 − t)·x + log(1 + e⁻ˣ), sigmoid and binary cross-entropy in one",
    outputs: &[(Name::LOSS, "Σ (1 − t)·x + log(1 + e⁻ˣ)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        input("σ(x) − t", "logits"),
        targets("target of each entry, from 0 to 1"),
        WEIGHT,
        weight(POS_WEIGHT, "weight of the positive class; the factor of t·log σ(x)"),
    ],
    settings: &[ENTRY_REDUCTION, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "sigmoid left out",
        explanation: "it is x − t, expected σ(x) − t; is the sigmoid missing?",
        gradient: |case| with_slope(case, Function::Mse, Function::BceLogits).map(|dx| dx / 2.0),
    }],
    examples: &[
        Example {
            command: "nnlayer bce-logits --x 0,800,-800 --t 0,0,1 --reduction none --json",
            prints: "{\"loss\":[0.6931471805599453,800.0,800.0],\"dx\":[0.5,1.0,-1.0]}\n",
        },
        Example {
            command: "nnlayer bce-logits --x 1,-2 --t 1,0 --pos-weight 3 --reduction mean --json",
            prints: "{\"loss\":0.5333565367988206,\"divisor\":2.0,\"dx\":[-0.40341213205499266,0.05960146101105877]}\n",
        },
    ],
    source: "PyTorch's binary_cross_entropy_with_logits, without a logarithm of a sigmoid",
    build: |settings| loss(settings, Name::X, Function::BceLogits, "(1 − t)·x + log(1 + e⁻ˣ)"),
};

const LOG_TARGET: Setting =
    Setting { name: "log-target", kind: Kind::Flag, doc: "t are logarithms of probabilities, as x are" };

/// Registry row of kl-div.
pub(in crate::layer) const KL_DIV: LayerSpec = LayerSpec {
    name: "kl-div",
    about: "loss = Σ t·(log t − x), Kullback-Leibler divergence of log-probabilities x from t",
    outputs: &[(Name::LOSS, "Σ t·(log t − x)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        input("−t", "log-probabilities, such as the output of softmax --log"),
        targets("probabilities, or their logarithms with --log-target"),
    ],
    settings: &[ENTRY_REDUCTION, LOG_TARGET, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[],
    examples: &[Example {
        command: "nnlayer kl-div --x -0.5,-1.5 --t 0.75,0.25 --reduction batchmean --json",
        prints: "{\"loss\":0.09383242769059584,\"divisor\":2.0,\"dx\":[-0.375,-0.125]}\n",
    }],
    source: "PyTorch's kl_div; its mean divides by all entries, the divergence of a batch is batchmean",
    build: |settings| {
        let log_target = settings.flag(LOG_TARGET.name);
        let term = if log_target { "eᵗ·(t − x)" } else { "t·(log t − x)" };
        loss(settings, Name::X, Function::KlDiv { log_target }, term)
    },
};
