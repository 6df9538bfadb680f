//! Mistakes in a layer's formula. Each is recognised by recomputing the reference's gradient with that mistake.

use super::super::diagnosis::WrongGradient;
use crate::core::name::Name;
use crate::layer::{Kind, Value};
use crate::numeric::Scalar;
use ndarray::{ArrayD, Axis, Dimension};

pub(super) fn dout_ignored(gradient: &WrongGradient<'_>) -> Option<String> {
    let ones = gradient.dout().mapv(|_| 1.0);
    let ignored = gradient.for_ones.cloned().or_else(|| gradient.recompute_with_dout(|_, _| {}, &ones))?;
    gradient.matches(&ignored).then(|| format!("it is the gradient for {} = 1 everywhere; is {0} ignored?", Name::DOUT))
}

pub(super) fn wrong_eps(gradient: &WrongGradient<'_>) -> Option<String> {
    let spec = gradient.config()?.spec;
    let setting = spec.settings.iter().find(|setting| setting.name == "eps")?;
    let with_eps = |eps: f64| gradient.recompute(|settings, _| settings.set(setting.name, Value::Number(eps)));
    let without = with_eps(0.0)?;
    if gradient.matches(&without) {
        return Some("it is the gradient for eps = 0; is eps missing?".to_owned());
    }
    // dy = −t/(y + eps) is largest where y is smallest; the eps that explains it there has to explain the others.
    let y = gradient.point.operands.get(&Name::Y)?;
    if without.shape() != gradient.wrong.shape() || y.shape() != without.shape() {
        return None;
    }
    let entries = y.iter().zip(without.iter().zip(gradient.wrong)).filter(|(_, (a, b))| **a != 0.0 && **b != 0.0);
    let (y, (right, wrong)) = entries.min_by(|a, b| a.0.total_cmp(b.0))?;
    let eps = y * right / wrong - y;
    let usual = [1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30];
    let rounded = usual.into_iter().find(|usual| (usual - eps).abs() <= 1e-3 * usual).unwrap_or(eps);
    let is_explained = eps > 0.0 && eps.is_finite() && gradient.matches(&with_eps(rounded)?);
    is_explained.then(|| format!("it is the gradient for eps = {rounded:e}, which is not the given eps"))
}

pub(super) fn wrong_axis(gradient: &WrongGradient<'_>) -> Option<String> {
    let explanation = |axis: i64| {
        let (got, expected) = if axis == 0 { ("column", "row") } else { ("row", "column") };
        Some(format!("it is the gradient of a softmax of each {got}, expected a softmax of each {expected}"))
    };
    if gradient.config()?.spec.settings.iter().any(|setting| setting.name == "axis") {
        let is_along = |axis: &i64| {
            let other = gradient.recompute(|settings, _| settings.set("axis", Value::Integer(*axis)));
            other.is_some_and(|other| gradient.matches(&other))
        };
        return [0, 1].into_iter().find(is_along).and_then(explanation);
    }
    let x = gradient.point.operands.get(&Name::X).filter(|x| x.ndim() == 2)?;
    let other = gradient.replace_probabilities(&softmax_of_columns(x))?;
    if gradient.matches(&other) { explanation(0) } else { None }
}

fn softmax_of_columns(x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut y = x.clone();
    for mut column in y.lanes_mut(Axis(0)) {
        let max = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        column.mapv_inplace(|v| Scalar::exp(v - max));
        let sum = f64::sum(column.iter().copied());
        column.mapv_inplace(|v| v / sum);
    }
    y
}

/// Recognises a setting with another value, and an optional operand that was ignored.
pub(super) fn wrong_setting(gradient: &WrongGradient<'_>) -> Option<String> {
    let config = gradient.config()?;
    for setting in config.spec.settings.iter().filter(|setting| !["axis", "eps"].contains(&setting.name)) {
        let current = config.settings.get(setting.name).cloned();
        let is_set = config.settings.flag(setting.name);
        let others: Vec<(Value, String)> = match &setting.kind {
            Kind::Choice(words) => {
                words.iter().map(|word| (Value::Choice(word), format!("--{} {word}", setting.name))).collect()
            }
            Kind::Flag => vec![(Value::Flag(!is_set), format!("--{}", setting.name))],
            Kind::Number => vec![(Value::Number(0.0), format!("--{} 0", setting.name))],
            Kind::Integer if current.is_some() => vec![(Value::Integer(i64::MIN), format!("no --{}", setting.name))],
            Kind::Integer => vec![],
        };
        for (value, option) in others.into_iter().filter(|(value, _)| current.as_ref() != Some(value)) {
            let other = gradient.recompute(|settings, _| settings.set(setting.name, value));
            if other.is_some_and(|other| gradient.matches(&other)) {
                return Some(match &setting.kind {
                    Kind::Flag if is_set => format!("it is the gradient without {option}; is the option ignored?"),
                    _ => format!("it is the gradient for {option}, which is not the given setting"),
                });
            }
        }
    }
    let operands = &gradient.point.operands;
    for slot in config.spec.slots.iter().filter(|slot| slot.optional && operands.get(&slot.name).is_some()) {
        let without = gradient.recompute(|_, operands| {
            operands.take(&slot.name);
        });
        if without.is_some_and(|without| gradient.matches(&without)) {
            return Some(format!("it is the gradient without {}; is {0} ignored?", slot.name));
        }
    }
    None
}

pub(super) fn applied_twice(gradient: &WrongGradient<'_>) -> Option<String> {
    let y = gradient.output(&Name::Y)?;
    let at_y = gradient.recompute(|_, operands| operands.insert(Name::X, y))?;
    let layer = gradient.config()?.spec.name.trim_end_matches("-xent");
    gradient.matches(&at_y).then(|| format!("it is the gradient at y instead of x; is {layer} applied twice?"))
}

pub(super) fn softmax_missing(gradient: &WrongGradient<'_>) -> Option<String> {
    let x = gradient.point.operands.get(&Name::X)?;
    let other = gradient.replace_probabilities(x)?;
    gradient.matches(&other).then(|| "it uses x instead of y = softmax(x); is the softmax missing?".to_owned())
}

pub(super) fn unnormalised_targets(gradient: &WrongGradient<'_>) -> Option<String> {
    let (y, factor) = gradient.probabilities_and_factor()?;
    let t = gradient.point.operands.get(&Name::T).filter(|t| t.shape() == y.shape())?;
    let last = Axis(t.ndim().checked_sub(1)?);
    let sums = t.sum_axis(last);
    let other = ArrayD::from_shape_fn(y.raw_dim(), |at| {
        let sum = sums[&at.slice()[..last.index()]];
        gradient.right[&at] - y[&at] * factor[&at] + y[&at] * (factor[&at] / sum)
    });
    let explanation = "it is y − t, but these targets do not sum to 1; the correct gradient is y·Σt − t";
    gradient.matches(&other).then(|| explanation.to_owned())
}

pub(super) fn diagonal_only(gradient: &WrongGradient<'_>) -> Option<String> {
    const MAX_ENTRIES: usize = 400;
    let dout = gradient.dout();
    if dout.shape() != gradient.right.shape() || dout.len() > MAX_ENTRIES || dout.ndim() == 0 {
        return None;
    }
    let mut diagonal = gradient.right.mapv(|_| 0.0);
    for (n, entry) in diagonal.iter_mut().enumerate() {
        let mut one_hot = dout.mapv(|_| 0.0);
        *one_hot.iter_mut().nth(n)? = 1.0;
        *entry = gradient.recompute_with_dout(|_, _| {}, &one_hot)?.iter().nth(n)? * dout.iter().nth(n)?;
    }
    let explanation = "it uses only the diagonal of the Jacobian, such as dout∘y∘(1 − y) for softmax";
    gradient.matches(&diagonal).then(|| explanation.to_owned())
}

pub(super) fn operand_not_transposed(gradient: &WrongGradient<'_>) -> Option<String> {
    let is_square = |value: &ArrayD<f64>| matches!(value.shape(), [rows, columns] if rows == columns && *rows > 1);
    let operands = gradient.point.operands.iter();
    for (name, value) in operands.filter(|(name, value)| name.gradient() != *gradient.name && is_square(value)) {
        let transposed = value.t().as_standard_layout().into_owned();
        let other = gradient.recompute(|_, operands| operands.insert(name.clone(), transposed));
        if other.is_some_and(|other| gradient.matches(&other)) {
            let upper = name.as_str().to_uppercase();
            return Some(format!("it uses {upper} instead of {upper}ᵀ; transpose {name}"));
        }
    }
    None
}
