//! The rows of the normalisation layers: names, formulas, settings and conventions.

use super::mistakes::{self, Family};
use super::names::{
    AXIS, BETA, EPS, EPS_OF_RMS, GAMMA, GAMMA_OFFSET, GROUPS, MEAN, MOMENTUM, RUNNING, RUNNING_MEAN, RUNNING_VAR, VAR,
};
use super::{Grouping, Norm, RowRule};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::convention::Convention;
use crate::layer::interface::AnyLayer;
use crate::layer::settings::{Setting, Settings};
use crate::layer::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};

const fn parameter(name: Name, shape: &'static str, gradient: &'static str, doc: &'static str) -> Slot {
    Slot { name, role: Role::Parameter, shape, optional: true, values: Values::Numbers, gradient: Some(gradient), doc }
}

const fn statistic(name: Name, doc: &'static str) -> Slot {
    Slot { name, role: Role::Constant, shape: "(C)", optional: true, values: Values::Numbers, gradient: None, doc }
}

const fn gamma(shape: &'static str) -> Slot {
    parameter(GAMMA, shape, "Σ dout∘xhat", "factor of each entry")
}

const fn beta(shape: &'static str) -> Slot {
    parameter(BETA, shape, "Σ dout", "addend of each entry")
}

const CENTRED_DX: &str = "(g − mean g − xhat·mean(g∘xhat)) / √(var + eps), g = dout∘gamma";
const Y: &str = "(x − mean) / √(var + eps)∘gamma + beta";
const BY_CHANNEL: &str = "(N×C×L…), (N×C) or (C)";

fn refuse(setting: &Setting, expected: &str, value: impl std::fmt::Display) -> Error {
    Error::new(Code::Setting, format!("expected {expected}, got {value}"))
        .with_operand(&Name::new(setting.name))
        .tip(setting.doc)
}

/// Returns a layer with the settings that all share.
fn norm(grouping: Grouping, is_centred: bool, settings: &Settings) -> Result<Norm, Error> {
    let eps = settings.number(EPS.name).unwrap_or(1e-5);
    if !(0.0..f64::INFINITY).contains(&eps) {
        return Err(refuse(&EPS, "a number of at least 0", eps));
    }
    let gamma_offset = settings.number(GAMMA_OFFSET.name).unwrap_or(0.0);
    if !gamma_offset.is_finite() {
        return Err(refuse(&GAMMA_OFFSET, "a finite number", gamma_offset));
    }
    let momentum = settings.number(MOMENTUM.name);
    if let Some(momentum) = momentum.filter(|momentum| !(0.0..=1.0).contains(momentum)) {
        return Err(refuse(&MOMENTUM, "a number from 0 to 1", momentum));
    }
    let is_unbiased = settings.choice(RUNNING.name).map(|word| word == "unbiased");
    Ok(Norm { grouping, rule: RowRule { is_centred, eps, gamma_offset }, momentum, is_unbiased, is_inference: false })
}

fn build<F: Family>(settings: &Settings) -> Result<Box<dyn AnyLayer>, Error> {
    Ok(Box::new(F::norm(settings)?))
}

struct LayerNorm;

impl Family for LayerNorm {
    fn norm(settings: &Settings) -> Result<Norm, Error> {
        norm(Grouping::Trailing(settings.integer(AXIS.name)), true, settings)
    }
}

struct RmsNorm;

impl Family for RmsNorm {
    fn norm(settings: &Settings) -> Result<Norm, Error> {
        norm(Grouping::Trailing(settings.integer(AXIS.name)), false, settings)
    }
}

struct GroupNorm;

impl Family for GroupNorm {
    fn norm(settings: &Settings) -> Result<Norm, Error> {
        let groups = settings.integer(GROUPS.name).unwrap_or(1);
        match usize::try_from(groups) {
            Ok(groups) if groups > 0 => norm(Grouping::Channels(groups), true, settings),
            _ => Err(refuse(&GROUPS, "a number of at least 1", groups)),
        }
    }
}

struct InstanceNorm;

impl Family for InstanceNorm {
    fn norm(settings: &Settings) -> Result<Norm, Error> {
        norm(Grouping::EachChannel, true, settings)
    }
}

struct BatchNorm;

impl Family for BatchNorm {
    fn norm(settings: &Settings) -> Result<Norm, Error> {
        norm(Grouping::Batch, true, settings)
    }
}

/// Returns the conventions of layers that subtract the mean of their own group.
const fn centred<F: Family>() -> [Convention; 6] {
    [
        mistakes::unbiased::<F>(),
        mistakes::eps_outside::<F>(),
        mistakes::constant_mean::<F>(),
        mistakes::constant_variance::<F>(),
        mistakes::constant_statistics::<F>(),
        mistakes::gamma_left_out::<F>(),
    ]
}

/// Registry row of layernorm.
pub(in crate::layer) const LAYERNORM: LayerSpec = LayerSpec {
    name: "layernorm",
    about: "y = (x − mean) / √(var + eps)∘gamma + beta over the last axes",
    outputs: &[(Name::Y, Y)],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N…×D) or (D)", CENTRED_DX, "input"), gamma("(D)"), beta("(D)")],
    settings: &[AXIS, EPS, GAMMA_OFFSET],
    scalar_dout: ScalarDout::Fills,
    conventions: &{
        let [unbiased, eps, mean, variance, statistics, gamma] = centred::<LayerNorm>();
        let uncentred = mistakes::other_mean::<LayerNorm>("it is the gradient of rmsnorm, which subtracts no mean");
        [unbiased, eps, mean, variance, statistics, gamma, uncentred]
    },
    examples: &[
        Example {
            command: "nnlayer layernorm --x '1,2,3;1,1,4' --gamma 1,1,2 --beta 0,0,1 --json",
            prints: "{\"y\":[[-1.2247356859083902,0.0,3.4494713718167804],[-0.7071050134262237,-0.7071050134262237,3.8284200537048947]],\"dx\":[[0.20411342893820142,-0.40824522863613005,0.20413179969792863],[-1.1785024631980568e-6,-1.1785024631980568e-6,2.3570049263961136e-6]],\"dgamma\":[-1.931840699334614,-0.7071050134262237,2.6389457127608376],\"dbeta\":[2.0,2.0,2.0]}\n",
        },
        Example {
            command: "nnlayer layernorm --x '1e8,100000001,99999999' --eps 0 --forward --json",
            prints: "{\"y\":[0.0,1.224744871391589,-1.224744871391589]}\n",
        },
    ],
    source: "Ba, Kiros and Hinton 2016; PyTorch's LayerNorm and ONNX's LayerNormalization: biased variance, eps inside the root",
    build: build::<LayerNorm>,
};

/// Registry row of rmsnorm.
pub(in crate::layer) const RMSNORM: LayerSpec = LayerSpec {
    name: "rmsnorm",
    about: "y = x / √(mean x² + eps)∘gamma over the last axes",
    outputs: &[(Name::Y, "x / √(mean x² + eps)∘gamma")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N…×D) or (D)", "(g − xhat·mean(g∘xhat)) / √(mean x² + eps), g = dout∘gamma", "input"),
        gamma("(D)"),
    ],
    settings: &[AXIS, EPS_OF_RMS, GAMMA_OFFSET],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        mistakes::eps_outside::<RmsNorm>(),
        mistakes::constant_variance::<RmsNorm>(),
        mistakes::gamma_left_out::<RmsNorm>(),
        mistakes::other_mean::<RmsNorm>("it is the gradient of layernorm: rmsnorm subtracts no mean"),
    ],
    examples: &[Example {
        command: "nnlayer rmsnorm --x '3,4;0.3,0.4' --gamma 1,2 --eps 0 --json",
        prints: "{\"y\":[[0.848528137423857,2.262741699796952],[0.848528137423857,2.262741699796952]],\"dx\":[[-0.09050966799187808,0.06788225099390856],[-0.9050966799187806,0.6788225099390854]],\"dgamma\":[1.697056274847714,2.262741699796952]}\n",
    }],
    source: "Zhang and Sennrich 2019; ONNX's RMSNormalization, whose eps is 1e-5; PyTorch's RMSNorm has the type's machine epsilon",
    build: build::<RmsNorm>,
};

/// Registry row of groupnorm.
pub(in crate::layer) const GROUPNORM: LayerSpec = LayerSpec {
    name: "groupnorm",
    about: "y = (x − mean) / √(var + eps)∘gamma + beta over the channels of a group",
    outputs: &[(Name::Y, Y)],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, BY_CHANNEL, CENTRED_DX, "input"), gamma("(C)"), beta("(C)")],
    settings: &[GROUPS, EPS],
    scalar_dout: ScalarDout::Fills,
    conventions: &centred::<GroupNorm>(),
    examples: &[Example {
        command: "nnlayer groupnorm --x '1,2,5,9' --groups 2 --gamma 1,1,2,2 --beta 0,0,1,1 --json",
        prints: "{\"y\":[-0.99998000059998,0.99998000059998,-0.9999975000046875,2.9999975000046875],\"dx\":[0.0,0.0,0.0,0.0],\"dgamma\":[-0.99998000059998,0.99998000059998,-0.9999987500023437,0.9999987500023437],\"dbeta\":[1.0,1.0,1.0,1.0]}\n",
    }],
    source: "Wu and He 2018; PyTorch's GroupNorm and ONNX's GroupNormalization (since version 21 of its operators: one scale a channel)",
    build: build::<GroupNorm>,
};

/// Registry row of instancenorm.
pub(in crate::layer) const INSTANCENORM: LayerSpec = LayerSpec {
    name: "instancenorm",
    about: "y = (x − mean) / √(var + eps)∘gamma + beta over each channel of a sample",
    outputs: &[(Name::Y, Y)],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, BY_CHANNEL, CENTRED_DX, "input"), gamma("(C)"), beta("(C)")],
    settings: &[EPS],
    scalar_dout: ScalarDout::Fills,
    conventions: &centred::<InstanceNorm>(),
    examples: &[Example {
        command: "nnlayer instancenorm --x '[[[1,2,4],[5,5,8]]]' --gamma 1,2 --json",
        prints: "{\"y\":[[[-1.0690415314502975,-0.26726038286257436,1.3363019143128718],[-1.4142100268524473,-1.4142100268524473,2.8284200537048947]]],\"dx\":[[[0.0,0.0,0.0],[0.0,0.0,0.0]]],\"dgamma\":[0.0,0.0]}\n",
    }],
    source: "Ulyanov, Vedaldi and Lempitsky 2016; PyTorch's InstanceNorm and ONNX's InstanceNormalization",
    build: build::<InstanceNorm>,
};

/// Registry row of batchnorm.
pub(in crate::layer) const BATCHNORM: LayerSpec = LayerSpec {
    name: "batchnorm",
    about: "y = (x − mean) / √(var + eps)∘gamma + beta over each channel of the batch",
    outputs: &[
        (Name::Y, Y),
        (RUNNING_MEAN, "(1 − momentum)·running-mean + momentum·mean"),
        (RUNNING_VAR, "(1 − momentum)·running-var + momentum·var"),
    ],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×C…) or (C)", CENTRED_DX, "input"),
        gamma("(C)"),
        beta("(C)"),
        statistic(MEAN, "mean to use, in evaluation"),
        statistic(VAR, "variance to use, in evaluation"),
        statistic(RUNNING_MEAN, "running mean to update"),
        statistic(RUNNING_VAR, "running variance to update"),
    ],
    settings: &[EPS, MOMENTUM, RUNNING],
    scalar_dout: ScalarDout::Fills,
    conventions: &{
        let [unbiased, eps, mean, variance, statistics, gamma] = centred::<BatchNorm>();
        let [training, momentum, running] =
            [mistakes::TRAINING_FOR_EVALUATION, mistakes::MOMENTUM_REVERSED, mistakes::BIASED_RUNNING];
        [unbiased, eps, mean, variance, statistics, gamma, training, momentum, running]
    },
    examples: &[
        Example {
            command: "nnlayer batchnorm --x '1,2;3,6;5,4' --gamma 1,2 --running-mean 0,0 --running-var 1,1 --json",
            prints: "{\"y\":[[-1.2247425750014138,-2.4494851500028276],[0.0,2.4494851500028276],[1.2247425750014138,0.0]],\"running-mean\":[0.30000000000000004,0.4],\"running-var\":[1.3,1.3],\"dx\":[[0.0,0.0],[0.0,0.0],[0.0,0.0]],\"dgamma\":[0.0,0.0]}\n",
        },
        Example {
            command: "nnlayer batchnorm --x '1,2;3,6' --mean 2,2 --var 4,9 --json",
            prints: "{\"y\":[[-0.49999937500117186,0.0],[0.49999937500117186,1.3333325925932098]],\"dx\":[[0.49999937500117186,0.33333314814830245],[0.49999937500117186,0.33333314814830245]]}\n",
        },
    ],
    source: "Ioffe and Szegedy 2015; PyTorch's BatchNorm, whose running variance is unbiased; ONNX's BatchNormalization has --running biased",
    build: build::<BatchNorm>,
};
