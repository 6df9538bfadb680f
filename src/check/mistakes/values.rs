//! Mistakes that show in the values of a gradient alone, whatever the layer.

use super::super::arrays::{axis_pairs, max_abs, unravel_index};
use super::super::diagnosis::WrongGradient;
use crate::core::error::{format_index, format_shape};
use crate::core::name::Name;
use crate::numeric::{FloatType, Scalar};
use ndarray::{ArrayD, Axis};

/// Unit roundoffs of a lower precision that a gradient may be off which is computed in it.
const LOWER_ROUNDINGS: f64 = 32.0;

/// Returns true if values are equal pairwise up to an absolute tolerance. NaN is equal to everything.
fn all_near<'a>(a: impl IntoIterator<Item = &'a f64>, b: impl IntoIterator<Item = &'a f64>, tolerance: f64) -> bool {
    !a.into_iter().zip(b).any(|(a, b)| (a - b).abs() > tolerance)
}

pub(super) fn not_summed(gradient: &WrongGradient<'_>) -> Option<String> {
    let (wrong, right) = (gradient.wrong, gradient.right);
    let rows = wrong.shape().first().copied().unwrap_or(1);
    if wrong.ndim() == right.ndim() + 1 && rows > 1 {
        let summed = wrong.sum_axis(Axis(0));
        let is_right = summed.shape() == right.shape() && all_near(&summed, right, gradient.tolerance * max_abs(wrong));
        return is_right.then(|| format!("it has one row for each of the {rows} samples; sum over the batch (axis 0)"));
    }
    let total = f64::sum(right.iter().copied());
    let is_total = wrong.len() == 1 && right.len() > 1 && all_near(wrong, [&total], gradient.tolerance * total.abs());
    is_total.then(|| "it is a single number, the sum of all entries; sum over the batch (axis 0) only".to_owned())
}

pub(super) fn wrong_shape(gradient: &WrongGradient<'_>) -> Option<String> {
    let (wrong, right) = (gradient.wrong, gradient.right);
    if wrong.shape() == right.shape() || wrong.len() != right.len() {
        return None;
    }
    let has_values_of = |candidate: &ArrayD<f64>| all_near(wrong, candidate, gradient.tolerance * max_abs(right));
    let (got, expected) = (format_shape(wrong.shape()), format_shape(right.shape()));
    let is_exchanged = |candidate: &ArrayD<f64>| candidate.shape() == wrong.shape() && has_values_of(candidate);
    if let Some(exchange) = exchanged_axes(right, is_exchanged) {
        return Some(format!("it is the correct gradient {exchange}: expected {expected}, got {got}"));
    }
    has_values_of(right)
        .then(|| format!("its values are correct, but its shape is not: expected {expected}, got {got}"))
}

pub(super) fn not_finite(gradient: &WrongGradient<'_>) -> Option<String> {
    let pairs = || gradient.wrong.iter().zip(gradient.right);
    let count = pairs().filter(|(wrong, right)| !wrong.is_finite() && right.is_finite()).count();
    (count > 0 && gradient.wrong.shape() == gradient.right.shape()).then(|| {
        format!(
            "{count} of its entries are infinite or NaN where the correct ones are finite; does an intermediate result overflow, such as exp without the row's maximum subtracted?"
        )
    })
}

pub(super) fn all_zero(gradient: &WrongGradient<'_>) -> Option<String> {
    let is_zero = gradient.wrong.iter().all(|v| *v == 0.0) && !gradient.wrong.is_empty();
    is_zero.then(|| "it is 0 everywhere; was it never computed, or cleared?".to_owned())
}

pub(super) fn wrong_sign(gradient: &WrongGradient<'_>) -> Option<String> {
    let is_negated = gradient.matches(&gradient.right.mapv(|v| -v));
    is_negated.then(|| "it is the correct gradient with the wrong sign".to_owned())
}

pub(super) fn transposed(gradient: &WrongGradient<'_>) -> Option<String> {
    let is_same_shape = gradient.wrong.shape() == gradient.right.shape();
    let exchange = exchanged_axes(gradient.right, |candidate| is_same_shape && gradient.matches(candidate))?;
    Some(format!("it is the correct gradient {exchange}"))
}

/// Describes the two axes whose exchange makes an array one that is accepted.
fn exchanged_axes(value: &ArrayD<f64>, accepts: impl Fn(&ArrayD<f64>) -> bool) -> Option<String> {
    let exchange = |[first, second]: &[usize; 2]| {
        let mut exchanged = value.view();
        exchanged.swap_axes(*first, *second);
        accepts(&exchanged.as_standard_layout().into_owned())
    };
    let [first, second] = axis_pairs(value.ndim()).find(exchange)?;
    Some(match value.ndim() {
        2 => "transposed".to_owned(),
        _ => format!("with the axes {first} and {second} exchanged"),
    })
}

#[allow(clippy::cast_precision_loss)] // counts of rows and columns
pub(super) fn constant_factor(gradient: &WrongGradient<'_>) -> Option<String> {
    if gradient.wrong.shape() != gradient.right.shape() {
        return None;
    }
    let pairs = || gradient.wrong.iter().zip(gradient.right);
    let (_, right) = pairs().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let wrong = pairs().find(|(_, b)| *b == right)?.0;
    let factor = wrong / right;
    let is_factor = factor.is_finite() && factor != 0.0 && wrong_sign(gradient).is_none();
    if !is_factor || !gradient.matches(&gradient.right.mapv(|v| v * factor)) {
        return None;
    }
    let (batch, classes) = gradient.case.batch_and_classes();
    let (n, c) = (batch as f64, classes as f64);
    // Outputs are named apart from the columns of the first operand only if their number differs; NaN is no factor.
    let outputs = gradient.dout().shape().last().filter(|count| ![1, batch, classes].contains(count));
    let outputs = outputs.map_or(f64::NAN, |count| *count as f64);
    let has_classes =
        gradient.point.operands.get(&Name::T).is_some() || gradient.right.shape() == gradient.dout().shape();
    let class = if has_classes { "the number of classes" } else { "the number of columns" };
    let mut known = vec![
        (n, "the batch size (is a division by it, or a mean, missing?)".to_owned()),
        (1.0 / n, "1 / the batch size (is it divided once too often?)".to_owned()),
        (c, format!("{class} (is a division by it missing?)")),
        (1.0 / c, format!("1 / {class} (is it divided by {class}?)")),
        (n / c, format!("the batch size / {class} (is it divided by {class} instead of the batch size?)")),
        (c / n, format!("{class} / the batch size (is it divided by the batch size instead of {class}?)")),
        (n * c, "the number of entries (is a division by it missing?)".to_owned()),
        (1.0 / (n * c), "1 / the number of entries (is it a mean over all entries?)".to_owned()),
        (outputs, "the number of outputs (is a division by it missing?)".to_owned()),
        (1.0 / outputs, "1 / the number of outputs (is it divided by it?)".to_owned()),
        (n * outputs, "the number of entries of the output (is a division by it missing?)".to_owned()),
        (1.0 / (n * outputs), "1 / the number of entries of the output (is it a mean over them?)".to_owned()),
        (2.0, "a doubling (is it added twice, or is the ½ of a square missing?)".to_owned()),
        (0.5, "a halving".to_owned()),
        (std::f64::consts::LOG2_E, "1 / ln 2 (is it a logarithm to base 2?)".to_owned()),
        (std::f64::consts::LN_2, "ln 2 (is it a power of 2?)".to_owned()),
        (std::f64::consts::LOG10_E, "1 / ln 10 (is it a logarithm to base 10?)".to_owned()),
    ];
    let near = (gradient.tolerance * 10.0).clamp(1e-7, 0.05);
    known.retain(|(value, _)| *value != 1.0 && (factor - value).abs() <= near * value.abs());
    known.dedup_by(|a, b| a.1 == b.1);
    if known.is_empty() && gradient.right.len() == 1 {
        // Any number is another one times a factor.
        return None;
    }
    let origins: Vec<String> = known.into_iter().map(|(_, origin)| origin).collect();
    let origins = if origins.is_empty() { String::new() } else { format!(": {}", origins.join(" or ")) };
    Some(format!("it is the correct gradient times {}{origins}", format_factor(factor)))
}

/// Writes a factor as an integer or simple fraction if it is one, else with five decimal places.
fn format_factor(factor: f64) -> String {
    let is_integer = |value: f64| (value - value.round()).abs() < 1e-6 * value.abs();
    let inverse = 1.0 / factor;
    if is_integer(factor) {
        format!("{factor:.0}")
    } else if is_integer(inverse) && inverse.abs() < 1e6 {
        format!("{}1/{:.0}", if inverse < 0.0 { "−" } else { "" }, inverse.abs())
    } else {
        format!("{factor:.5}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

pub(super) fn rows_reordered(gradient: &WrongGradient<'_>) -> Option<String> {
    reordered(gradient, 0)
}

pub(super) fn columns_reordered(gradient: &WrongGradient<'_>) -> Option<String> {
    (1..gradient.right.ndim()).find_map(|axis| reordered(gradient, axis))
}

/// Names what an axis of an array of that rank counts.
fn name_of_items(rank: usize, axis: usize) -> String {
    match (rank, axis) {
        (2, 0) => "rows".to_owned(),
        (2, _) => "columns".to_owned(),
        _ => format!("entries along axis {axis}"),
    }
}

/// Recognises another order along an axis of an array of two or more.
fn reordered(gradient: &WrongGradient<'_>, axis: usize) -> Option<String> {
    if gradient.right.ndim() < 2 || gradient.wrong.shape() != gradient.right.shape() || gradient.right.is_empty() {
        return None;
    }
    let (what, axis) = (name_of_items(gradient.right.ndim(), axis), Axis(axis));
    let count = gradient.right.len_of(axis);
    // Large arrays are compared as a whole only in an order whose first row fits.
    let limit = gradient.tolerance * max_abs(gradient.right).max(f64::MIN_POSITIVE);
    let is_first = |n: &usize| all_near(gradient.wrong.index_axis(axis, 0), gradient.right.index_axis(axis, *n), limit);
    let is_order = |order: Vec<usize>| gradient.matches(&gradient.right.select(axis, &order));
    if count > 1 && is_order((0..count).rev().collect()) {
        return Some(format!("it has the correct {what} in reverse order"));
    }
    let by = (1..count).filter(is_first).find(|by| is_order((0..count).map(|n| (n + by) % count).collect()))?;
    Some(format!("it has the correct {what}, shifted by {by}"))
}

pub(super) fn cut_to_integers(gradient: &WrongGradient<'_>) -> Option<String> {
    if gradient.wrong.shape() != gradient.right.shape() || gradient.wrong.iter().all(|v| *v == 0.0) {
        return None;
    }
    let is_whole = gradient.wrong.iter().all(|v| v.fract() == 0.0);
    let is_cut = gradient.wrong.iter().zip(gradient.right).all(|(a, b)| (a - b).abs() < 1.0 + gradient.allowed);
    let has_fractions = gradient.right.iter().filter(|v| (*v - v.round()).abs() > gradient.allowed).count();
    let explanation =
        "its entries are whole numbers near the correct ones; is there an integer type or a conversion to one?";
    (is_whole && is_cut && 2 * has_fractions > gradient.right.len()).then(|| explanation.to_owned())
}

pub(super) fn tail_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    if gradient.wrong.shape() != gradient.right.shape() {
        return None;
    }
    let differs: Vec<bool> = gradient.wrong.iter().zip(gradient.right).map(|(a, b)| gradient.differs(*a, *b)).collect();
    let first = differs.iter().position(|differs| *differs)?;
    let wrong = differs.len() - first;
    let is_tail = differs[first..].iter().all(|differs| *differs) && 3 * wrong <= differs.len() && differs.len() > 3;
    is_tail.then(|| {
        format!(
            "only the last {wrong} of {} entries are wrong; is the rest of a vectorised loop missing?",
            differs.len()
        )
    })
}

pub(super) fn several_rows_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    several_wrong(gradient, 0)
}

pub(super) fn several_columns_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    (1..gradient.right.ndim()).find_map(|axis| several_wrong(gradient, axis))
}

/// Recognises rows or columns whose entries are all wrong, where all others are right.
fn several_wrong(gradient: &WrongGradient<'_>, axis: usize) -> Option<String> {
    if gradient.right.ndim() < 2 || gradient.right.is_empty() {
        return None;
    }
    let wrong = wrong_entries(gradient);
    let count = gradient.right.shape()[axis];
    let across = gradient.right.len() / count;
    let mut lines: Vec<usize> = wrong.iter().map(|at| at[axis]).collect();
    lines.sort_unstable();
    lines.dedup();
    let is_whole = wrong.len() == lines.len() * across && across > 1;
    let names = lines.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let what = match gradient.right.ndim() {
        2 => format!("{} {names}", name_of_items(2, axis)),
        rank => format!("{} at {names}", name_of_items(rank, axis)),
    };
    (is_whole && lines.len() > 1 && 2 * lines.len() <= count).then(|| format!("only {what} are wrong"))
}

pub(super) fn lower_precision(gradient: &WrongGradient<'_>) -> Option<String> {
    if gradient.wrong.shape() != gradient.right.shape() || gradient.wrong.is_empty() {
        return None;
    }
    let pairs = || gradient.wrong.iter().zip(gradient.right);
    // Rounding errors make entries larger and smaller, a wrong formula often only one of both.
    let (larger, smaller) = (pairs().any(|(a, b)| a.abs() > b.abs()), pairs().any(|(a, b)| a.abs() < b.abs()));
    if pairs().count() > 2 && !(larger && smaller) {
        return None;
    }
    let errors = pairs().map(|(a, b)| (a - b).abs());
    let relative = errors.max_by(f64::total_cmp)? / max_abs(gradient.right);
    let types = FloatType::ALL.into_iter().skip_while(|known| *known != gradient.float_type).skip(1);
    let lower = types.into_iter().find(|lower| relative <= LOWER_ROUNDINGS * lower.unit_roundoff())?;
    if relative < lower.unit_roundoff() / LOWER_ROUNDINGS {
        return None;
    }
    let name = lower.name();
    Some(format!("its errors are as large as the rounding errors of {name}; is a part of it computed in {name}?"))
}

/// Returns the indices of the wrong entries.
fn wrong_entries(gradient: &WrongGradient<'_>) -> Vec<Vec<usize>> {
    if gradient.wrong.shape() != gradient.right.shape() {
        return Vec::new();
    }
    let pairs = gradient.wrong.iter().zip(gradient.right).enumerate();
    pairs
        .filter(|(_, (wrong, right))| gradient.differs(**wrong, **right))
        .map(|(n, _)| unravel_index(n, gradient.right.shape()))
        .collect()
}

pub(super) fn one_entry_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    match (&wrong_entries(gradient)[..], gradient.right.len()) {
        ([only], 2..) => Some(format!("only the entry at {} is wrong", format_index(only))),
        _ => None,
    }
}

pub(super) fn one_row_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    one_wrong(gradient, 0)
}

pub(super) fn one_column_wrong(gradient: &WrongGradient<'_>) -> Option<String> {
    (1..gradient.right.ndim()).find_map(|axis| one_wrong(gradient, axis))
}

fn one_wrong(gradient: &WrongGradient<'_>, axis: usize) -> Option<String> {
    let n = shared_index(gradient, axis)?;
    Some(match (gradient.right.ndim(), axis) {
        (2, 0) => format!("only row {n} is wrong"),
        (2, _) => format!("only column {n} is wrong"),
        _ => format!("only the entries at {n} along axis {axis} are wrong"),
    })
}

/// Returns the row or column that contains all wrong entries.
fn shared_index(gradient: &WrongGradient<'_>, axis: usize) -> Option<usize> {
    if gradient.right.ndim() < 2 || gradient.right.shape()[axis] < 2 {
        return None;
    }
    let wrong = wrong_entries(gradient);
    let first = wrong.first()?[axis];
    (wrong.len() > 1 && wrong.iter().all(|at| at[axis] == first)).then_some(first)
}
