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

/// Recognises a sum over the batch that lacks a sample, or has the last one alone.
pub(super) fn sample_missing(gradient: &WrongGradient<'_>) -> Option<String> {
    const MAX_SAMPLES: usize = 32;
    let dout = gradient.dout();
    let samples = dout.shape().first().copied().filter(|samples| (2..=MAX_SAMPLES).contains(samples))?;
    // Of a gradient with a row for each sample, that row would be wrong.
    if gradient.right.shape().first() == Some(&samples) {
        return None;
    }
    let is_of = |is_kept: &dyn Fn(usize) -> bool| {
        let mut kept = dout.clone();
        let lost = kept.outer_iter_mut().enumerate().filter(|(n, _)| !is_kept(*n));
        lost.for_each(|(_, mut row)| row.fill(0.0));
        let candidate = gradient.case_with_dout(&kept).and_then(|case| case.recompute(|_, _| {}));
        candidate.is_some_and(|candidate| gradient.matches(&candidate))
    };
    if is_of(&|n| n + 1 == samples) {
        return Some(format!(
            "it is that of the last of {samples} samples alone; is it assigned where it should be added?"
        ));
    }
    let missing = (0..samples).find(|&missing| is_of(&|n| n != missing))?;
    Some(format!("it lacks sample {missing} of {samples}; does the loop over the batch leave one out?"))
}

/// Most values of a setting that are named where the digits do not tell which of them it is.
const MAX_NAMED: usize = 3;

/// Recognises a setting with another value, and an optional operand that was ignored.
pub(super) fn wrong_setting(gradient: &WrongGradient<'_>) -> Option<String> {
    let config = gradient.config()?;
    for setting in config.spec.settings.iter().filter(|setting| setting.name != "axis") {
        let current = config.settings.get(setting.name);
        let is_set = config.settings.flag(setting.name);
        let unset = || (None, format!("no --{}", setting.name));
        let chosen = |word: &&'static str| (Some(Value::Choice(word)), format!("--{} {word}", setting.name));
        let number =
            |value: &f64| (Some(Value::Number(*value)), format!("--{} {}", setting.name, format_number(*value)));
        let others: Vec<(Option<Value>, String)> = match &setting.kind {
            Kind::Choice(words) => words.iter().map(chosen).collect(),
            Kind::Flag => vec![(Some(Value::Flag(!is_set)), format!("--{}", setting.name))],
            Kind::Number([]) | Kind::Integer | Kind::Integers => vec![unset()],
            Kind::Number(usual) => usual.iter().map(number).collect(),
            Kind::IntegerRows(words) => words.iter().map(chosen).chain([unset()]).collect(),
        };
        let recompute = |value: Option<Value>| {
            gradient.recompute(|settings, _| match value {
                Some(value) => settings.set(setting.name, value),
                None => settings.unset(setting.name),
            })
        };
        let others = others.into_iter().filter(|(value, _)| current != value.as_ref());
        let explained =
            others.filter_map(|(value, option)| Some((gradient.explained_distance(&recompute(value)?)?, option)));
        let explained: Vec<(f64, String)> = explained.collect();
        let least = explained.iter().map(|(distance, _)| *distance).fold(f64::INFINITY, f64::min);
        let fitting = explained.iter().filter(|(distance, _)| *distance <= least + gradient.allowed);
        let options: Vec<&str> = fitting.map(|(_, option)| option.as_str()).take(MAX_NAMED).collect();
        if options.is_empty() {
            continue;
        }
        let options = options.join(" or ");
        return Some(match (&setting.kind, current) {
            (Kind::Flag, _) if is_set => format!("it is the gradient without {options}; is the option ignored?"),
            (Kind::Number(_), Some(Value::Number(current))) | (Kind::Number([current, ..]), None) => {
                format!("it is the gradient for {options}; the setting is {}", format_number(*current))
            }
            _ => format!("it is the gradient for {options}, which is not the given setting"),
        });
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

/// Writes a number with a power of ten if it is small.
fn format_number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 || value.abs() == 1e-3 { format!("{value:e}") } else { value.to_string() }
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
