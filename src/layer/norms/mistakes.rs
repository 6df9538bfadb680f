//! Conventions of normalisation layers: gradients with another variance, with eps elsewhere, and of formulas in which a part is
//! forgotten.

use super::Norm;
use super::names::{GAMMA, MEAN, MOMENTUM, RUNNING, VAR};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::layer::arrays::{count, elements};
use crate::layer::convention::{Convention, GradientCase};
use crate::layer::settings::{Settings, Value};
use crate::numeric::Scalar;
use crate::ops::normalize::RowNorm;
use ndarray::ArrayD;

/// A layer of the family.
pub(super) trait Family {
    /// Builds the layer.
    fn norm(settings: &Settings) -> Result<Norm, Error>;
}

/// A difference of a program from the layer.
#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    UnbiasedVariance,
    EpsOutsideRoot,
    ConstantMean,
    ConstantVariance,
    ConstantStatistics,
    GammaLeftOut,
    OtherMean,
}

/// Returns the gradient with a mistake.
fn gradient<F: Family>(case: &GradientCase<'_>, mistake: Mistake) -> Option<ArrayD<f64>> {
    let mut norm = F::norm(case.settings).ok()?;
    norm.rule.is_centred ^= mistake == Mistake::OtherMean;
    let arranged = norm.arrange(case.operands);
    let (x, dout) = (case.operands.get(&Name::X)?, arranged.arrangement.rows(elements(case.dout)));
    if x.is_empty() || case.dout.shape() != x.shape() || case.operands.get(&MEAN).is_some() {
        return None;
    }
    let row = |norm: &RowNorm<'_, f64>, row: usize| Row::new(norm, &arranged.row(row), mistake);
    if *case.name == Name::DX {
        return Some(arranged.map_rows(|norm, n, dx| {
            row(norm, n).gradient(norm, &dout.row(n), dx);
        }));
    }
    let gamma = case.operands.get(&GAMMA).filter(|_| *case.name == GAMMA.gradient())?;
    let xhat = |n: usize, xhat: &mut [f64]| {
        let row = row(&arranged.row_norm(n), n);
        xhat.iter_mut().zip(&row.deviations).for_each(|(xhat, deviation)| *xhat = deviation / row.std);
    };
    Some(arranged.parameter_sums(&dout, Some(&xhat), Some(gamma)))
}

/// A row that is normalised with a mistake.
struct Row {
    mistake: Mistake,
    deviations: Vec<f64>,
    std: f64,
    /// The derivative of std by an entry, divided by the entry's deviation.
    slope: f64,
}

impl Row {
    fn new(norm: &RowNorm<'_, f64>, x: &[f64], mistake: Mistake) -> Row {
        let n = count(x.len());
        let mean = if norm.is_centred { f64::sum(x.iter().copied()) / n } else { 0.0 };
        let deviations: Vec<f64> = x.iter().map(|x| x - mean).collect();
        let divisor = if mistake == Mistake::UnbiasedVariance { n - 1.0 } else { n };
        let variance = f64::sum(deviations.iter().map(|d| d * d)) / divisor;
        let (root, std) = if mistake == Mistake::EpsOutsideRoot {
            (variance.sqrt(), variance.sqrt() + norm.eps)
        } else {
            ((variance + norm.eps).sqrt(), (variance + norm.eps).sqrt())
        };
        Row { mistake, deviations, std, slope: 1.0 / (divisor * root) }
    }

    fn gradient(&self, norm: &RowNorm<'_, f64>, dout: &[f64], dx: &mut [f64]) {
        let is = |mistakes: &[Mistake]| mistakes.contains(&self.mistake);
        let gamma = |k: usize| norm.gamma.filter(|_| !is(&[Mistake::GammaLeftOut])).map_or(1.0, |gamma| gamma[k]);
        let g: Vec<f64> = dout.iter().enumerate().map(|(k, dout)| dout * gamma(k)).collect();
        let has_mean = norm.is_centred && !is(&[Mistake::ConstantMean, Mistake::ConstantStatistics]);
        let mean = if has_mean { f64::sum(g.iter().copied()) / count(g.len()) } else { 0.0 };
        let has_variance = !is(&[Mistake::ConstantVariance, Mistake::ConstantStatistics]);
        let along = f64::sum(g.iter().zip(&self.deviations).map(|(g, d)| g * d)) / (self.std * self.std) * self.slope;
        let along = if has_variance { along } else { 0.0 };
        for ((dx, g), deviation) in dx.iter_mut().zip(&g).zip(&self.deviations) {
            *dx = (g - mean) / self.std - deviation * along;
        }
    }
}

pub(super) const fn unbiased<F: Family>() -> Convention {
    Convention {
        kind: "unbiased variance",
        explanation: "it divides the variance by n − 1, expected n",
        gradient: |case| gradient::<F>(case, Mistake::UnbiasedVariance),
    }
}

pub(super) const fn eps_outside<F: Family>() -> Convention {
    Convention {
        kind: "eps outside the root",
        explanation: "it divides by √var + eps, expected √(var + eps)",
        gradient: |case| gradient::<F>(case, Mistake::EpsOutsideRoot),
    }
}

pub(super) const fn constant_mean<F: Family>() -> Convention {
    Convention {
        kind: "mean as a constant",
        explanation: "it leaves out mean g: the mean depends on every x of the group",
        gradient: |case| gradient::<F>(case, Mistake::ConstantMean),
    }
}

pub(super) const fn constant_variance<F: Family>() -> Convention {
    Convention {
        kind: "variance as a constant",
        explanation: "it leaves out xhat·mean(g∘xhat): the variance depends on every x of the group",
        gradient: |case| gradient::<F>(case, Mistake::ConstantVariance),
    }
}

pub(super) const fn constant_statistics<F: Family>() -> Convention {
    Convention {
        kind: "mean and variance as constants",
        explanation: "it is dout∘gamma/√(var + eps): mean and variance depend on every x of the group",
        gradient: |case| gradient::<F>(case, Mistake::ConstantStatistics),
    }
}

pub(super) const fn gamma_left_out<F: Family>() -> Convention {
    Convention {
        kind: "gamma left out",
        explanation: "it is the gradient for g = dout, expected g = dout∘gamma",
        gradient: |case| gradient::<F>(case, Mistake::GammaLeftOut),
    }
}

/// The mean subtracted by a layer that has none, or the other way.
pub(super) const fn other_mean<F: Family>(explanation: &'static str) -> Convention {
    Convention { kind: "mean subtracted or not", explanation, gradient: |case| gradient::<F>(case, Mistake::OtherMean) }
}

pub(super) const TRAINING_FOR_EVALUATION: Convention = Convention {
    kind: "training in place of evaluation",
    explanation: "it is the gradient through the batch's mean and variance; those that are given are constants",
    gradient: |case| {
        case.operands.get(&MEAN)?;
        case.recompute(|_, operands| {
            operands.take(&MEAN);
            operands.take(&VAR);
        })
    },
};

/// Returns running statistics for a momentum that is the weight of the old ones.
pub(super) const MOMENTUM_REVERSED: Convention = Convention {
    kind: "momentum reversed",
    explanation: "it is momentum·running + (1 − momentum)·batch, as in ONNX; expected (1 − momentum)·running + momentum·batch",
    gradient: |case| {
        let mut settings = case.settings.clone();
        let momentum = settings.number(MOMENTUM.name).unwrap_or(super::DEFAULT_MOMENTUM);
        settings.set(MOMENTUM.name, Value::Number(1.0 - momentum));
        GradientCase { settings: &settings, ..*case }.output(case.name)
    },
};

/// Returns running statistics with the other variance.
pub(super) const BIASED_RUNNING: Convention = Convention {
    kind: "running variance biased",
    explanation: "it updates the running variance with the biased one, as in ONNX; expected the unbiased one, as in PyTorch",
    gradient: |case| {
        let mut settings = case.settings.clone();
        settings.set(RUNNING.name, Value::Choice("biased"));
        GradientCase { settings: &settings, ..*case }.output(case.name)
    },
};
