//! Mistakes in a layer's formula. Each is recognised by recomputing the reference's gradient with that mistake.

use super::super::diagnosis::WrongGradient;
use crate::core::name::Name;
use crate::layer::{Kind, Value};

use ndarray::ArrayD;

pub(super) fn dout_ignored(gradient: &WrongGradient<'_>) -> Option<String> {
    let ones = gradient.dout().mapv(|_| 1.0);
    let ignored = gradient.others.for_ones.clone().or_else(|| gradient.case_with_dout(&ones)?.recompute(|_, _| {}))?;
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

/// Recognises a setting with another value, and an optional operand that was ignored.
pub(super) fn wrong_setting(gradient: &WrongGradient<'_>) -> Option<String> {
    let config = gradient.config()?;
    for setting in config.spec.settings.iter().filter(|setting| !["axis", "eps"].contains(&setting.name)) {
        let current = config.settings.get(setting.name).cloned();
        let is_set = config.settings.flag(setting.name);
        let unset = || (None, format!("no --{}", setting.name));
        let chosen = |word: &&'static str| (Some(Value::Choice(word)), format!("--{} {word}", setting.name));
        let others: Vec<(Option<Value>, String)> = match &setting.kind {
            Kind::Choice(words) => words.iter().map(chosen).collect(),
            Kind::Flag => vec![(Some(Value::Flag(!is_set)), format!("--{}", setting.name))],
            Kind::Number => vec![(Some(Value::Number(0.0)), format!("--{} 0", setting.name))],
            Kind::IntegerRows(words) => words.iter().map(chosen).chain([unset()]).collect(),
            Kind::Integer | Kind::Integers => vec![unset()],
        };
        for (value, option) in others.into_iter().filter(|(value, _)| current != *value) {
            let other = gradient.recompute(|settings, _| match value {
                Some(value) => settings.set(setting.name, value),
                None => settings.unset(setting.name),
            });
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
        *entry = gradient.case_with_dout(&one_hot)?.recompute(|_, _| {})?.iter().nth(n)? * dout.iter().nth(n)?;
    }
    let explanation = "it uses only the diagonal of the Jacobian, such as dout∘y∘(1 − y) for softmax";
    gradient.matches(&diagonal).then(|| explanation.to_owned())
}

pub(super) fn operand_not_transposed(gradient: &WrongGradient<'_>) -> Option<String> {
    let is_other = |(name, _): &(&Name, &ArrayD<f64>)| name.gradient() != *gradient.name;
    let recomputed = gradient.point.operands.iter().filter(is_other).filter_map(|(name, value)| {
        let transposed = transpose_square(value)?;
        Some((name.clone(), gradient.recompute(|_, operands| operands.insert(name.clone(), transposed))?))
    });
    let (name, _) =
        recomputed.chain(gradient.others.transposed.iter().cloned()).find(|(_, other)| gradient.matches(other))?;
    let upper = name.as_str().to_uppercase();
    Some(format!("it uses {upper} instead of {upper}ᵀ; transpose {name}"))
}

/// Returns the transposed matrix if it is square.
pub(in crate::check) fn transpose_square(value: &ArrayD<f64>) -> Option<ArrayD<f64>> {
    let is_square = matches!(value.shape(), [rows, columns] if rows == columns && *rows > 1);
    is_square.then(|| value.t().as_standard_layout().into_owned())
}
