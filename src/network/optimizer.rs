//! Steps of gradient descent, by the rules of PyTorch's `torch.optim`.
//!
//! With g = dp, plus weight-decay·p unless the rule is AdamW, and the step's number n from 1:
//!
//! - SGD: p ← p − lr·g, or with momentum μ: v ← μ·v + g (at first g), p ← p − lr·v.
//! - Adam: m ← 0.9·m + 0.1·g, v ← 0.999·v + 0.001·g², p ← p − lr·m̂/(√v̂ + 10⁻⁸) with m̂ = m/(1 − 0.9ⁿ), v̂ = v/(1 − 0.999ⁿ).
//! - AdamW: p ← p − lr·weight-decay·p, then Adam with g = dp.

use crate::core::name::Name;
use crate::layer::Precision;
use ndarray::{ArrayD, Zip};

/// The rule of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Kingma and Ba 2015.
    Adam,
    /// Loshchilov and Hutter 2019.
    AdamW,
}

impl Rule {
    /// Words of all rules on the command line and in checkpoints.
    pub const WORDS: [(&'static str, Rule); 3] = [("sgd", Rule::Sgd), ("adam", Rule::Adam), ("adamw", Rule::AdamW)];

    /// Returns the rule of a word.
    pub fn named(word: &str) -> Option<Rule> {
        Rule::WORDS.iter().find(|(known, _)| *known == word).map(|(_, rule)| *rule)
    }

    /// Returns the word of the rule.
    pub fn word(self) -> &'static str {
        Rule::WORDS.iter().find(|(_, rule)| *rule == self).map_or("sgd", |(word, _)| word)
    }

    /// Returns the weight decay that PyTorch has by default.
    pub fn default_decay(self) -> f64 {
        if self == Rule::AdamW { 0.01 } else { 0.0 }
    }
}

/// A rule and its settings. A checkpoint states those that are not the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Optimizer {
    /// The rule.
    #[serde(rename = "optimizer", skip_serializing_if = "is_default")]
    pub rule: Rule,
    /// Momentum of SGD.
    #[serde(skip_serializing_if = "is_default")]
    pub momentum: f64,
    /// Weight decay.
    #[serde(skip_serializing_if = "is_default")]
    pub weight_decay: f64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// β₁ of Adam.
const BETA_1: f64 = 0.9;
/// β₂ of Adam.
const BETA_2: f64 = 0.999;
/// The number that Adam adds to √v̂.
const EPS: f64 = 1e-8;

impl Optimizer {
    /// Returns the names of a parameter's running means.
    pub(super) fn moments(self, parameter: &Name) -> Vec<Name> {
        let suffixes: &[&str] = match self.rule {
            Rule::Sgd if self.momentum == 0.0 => &[],
            Rule::Sgd => &["momentum"],
            Rule::Adam | Rule::AdamW => &["m", "v"],
        };
        suffixes.iter().map(|suffix| Name::new(format!("{parameter}.{suffix}"))).collect()
    }
}

/// A step of all parameters.
pub struct Step {
    /// The rule.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub lr: f64,
    /// Number of the step, from 1.
    pub number: u64,
    /// Parameters are rounded to its type.
    pub precision: Precision,
}

impl Step {
    /// Updates a parameter and its running means. `is_first` if these do not exist yet.
    pub(super) fn update(&self, p: &mut ArrayD<f64>, dp: &ArrayD<f64>, moments: &mut [ArrayD<f64>], is_first: bool) {
        let Optimizer { rule, momentum, weight_decay } = self.optimizer;
        match (rule, moments) {
            (Rule::Sgd, []) => Zip::from(p).and(dp).for_each(|p, &dp| {
                *p = self.descend(*p, decayed(dp, weight_decay, *p));
            }),
            (Rule::Sgd, [v, ..]) => Zip::from(p).and(dp).and(v).for_each(|p, &dp, v| {
                let g = decayed(dp, weight_decay, *p);
                *v = if is_first { g } else { momentum * *v + g };
                *p = self.descend(*p, *v);
            }),
            (Rule::Adam | Rule::AdamW, [m, v]) => {
                let correction = |beta: f64| 1.0 - power(beta, self.number);
                let (correction_1, correction_2) = (correction(BETA_1), correction(BETA_2));
                Zip::from(p).and(dp).and(m).and(v).for_each(|p, &dp, m, v| {
                    let g = if rule == Rule::Adam { decayed(dp, weight_decay, *p) } else { dp };
                    *m = BETA_1 * *m + (1.0 - BETA_1) * g;
                    *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
                    let direction = (*m / correction_1) / ((*v / correction_2).sqrt() + EPS);
                    let shrunk = if rule == Rule::AdamW { *p - self.lr * weight_decay * *p } else { *p };
                    *p = self.descend(shrunk, direction);
                });
            }
            (Rule::Adam | Rule::AdamW, _) => unreachable!("Adam has two means"),
        }
    }

    /// Returns p − lr·direction.
    fn descend(&self, p: f64, direction: f64) -> f64 {
        match self.precision {
            Precision::Exact => self.lr.mul_add(-direction, p),
            _ => self.precision.float_type().round(p - self.lr * direction),
        }
    }
}

/// Returns baseⁿ by repeated squaring, which gives the same bits on every processor.
fn power(base: f64, n: u64) -> f64 {
    let bits = (0..u64::BITS - n.leading_zeros()).rev();
    bits.fold(1.0, |power: f64, bit| power * power * if n >> bit & 1 == 1 { base } else { 1.0 })
}

/// Returns dp + decay·p.
fn decayed(dp: f64, decay: f64, p: f64) -> f64 {
    if decay == 0.0 { dp } else { dp + decay * p }
}
