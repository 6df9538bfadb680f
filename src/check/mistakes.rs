//! The registry of mistakes, one row a kind, the most specific first.

use super::diagnosis::{Context, Mistake, largest};
use crate::core::error::{format_index, format_shape};
use crate::core::name::Name;
use crate::layer::{Kind, Value};
use crate::numeric::Scalar;
use ndarray::{ArrayD, Axis, Dimension, Ix2};

/// Every kind of mistake that is known.
pub const MISTAKES: &[Mistake] = &[
    Mistake {
        kind: "not summed over the batch",
        about: "the gradient of a bias has a row for each sample, or is one number",
        explain: not_summed,
    },
    Mistake { kind: "wrong shape", about: "right numbers in another shape", explain: another_shape },
    Mistake { kind: "all zero", about: "nothing was computed, or it was cleared", explain: all_zero },
    Mistake { kind: "wrong sign", about: "minus the right gradient", explain: wrong_sign },
    Mistake { kind: "dout ignored", about: "as if dout were 1 everywhere", explain: dout_ignored },
    Mistake { kind: "eps", about: "another eps than the one that was set, or none", explain: another_eps },
    Mistake {
        kind: "softmax over the wrong axis",
        about: "normalised down the columns instead of along the rows, or the reverse",
        explain: wrong_axis,
    },
    Mistake {
        kind: "another setting",
        about: "as if a setting, or an optional operand, had another value or none",
        explain: another_setting,
    },
    Mistake {
        kind: "softmax applied twice",
        about: "backward is taken at y where x belongs, so the layer was applied twice",
        explain: applied_twice,
    },
    Mistake { kind: "softmax left out", about: "x stands where y = softmax(x) belongs", explain: softmax_left_out },
    Mistake {
        kind: "unnormalised targets",
        about: "y − t, where targets do not sum to 1 and y·Σt − t is right",
        explain: unnormalised_targets,
    },
    Mistake {
        kind: "diagonal of the Jacobian",
        about: "each output's slope by its own input only: dout∘y∘(1 − y) for softmax",
        explain: diagonal,
    },
    Mistake {
        kind: "W in place of Wᵀ",
        about: "a square operand that was not transposed, or once too often",
        explain: not_transposed,
    },
    Mistake { kind: "transposed", about: "rows and columns exchanged", explain: transposed },
    Mistake {
        kind: "constant factor",
        about: "a missing or extra division by the batch or the class count, or any other factor",
        explain: constant_factor,
    },
    Mistake { kind: "rows in another order", about: "the right rows, reversed or shifted", explain: rows_moved },
    Mistake { kind: "one entry wrong", about: "all others are right", explain: one_entry },
    Mistake { kind: "one row wrong", about: "all others are right", explain: one_row },
    Mistake { kind: "one column wrong", about: "all others are right", explain: one_column },
];

/// Whether a difference is more than it may be; NaN says nothing.
fn apart(difference: f64, most: f64) -> bool {
    difference.abs() > most
}

fn not_summed(context: &Context<'_>) -> Option<String> {
    let (wrong, right) = (context.wrong, context.right);
    let rows = wrong.shape().first().copied().unwrap_or(1);
    if wrong.ndim() == right.ndim() + 1 && rows > 1 {
        let summed = wrong.sum_axis(Axis(0));
        let near = summed.shape() == right.shape()
            && summed.iter().zip(right).all(|(a, b)| !apart(a - b, context.relative * largest(wrong)));
        return near.then(|| format!("it has a row for each of {rows} samples: sum it over the batch, axis 0"));
    }
    let all = f64::sum(right.iter().copied());
    let one =
        wrong.len() == 1 && right.len() > 1 && wrong.iter().all(|v| !apart(v - all, context.relative * all.abs()));
    one.then(|| "it is one number, summed over everything: sum over the batch only, axis 0".to_owned())
}

fn another_shape(context: &Context<'_>) -> Option<String> {
    let (wrong, right) = (context.wrong, context.right);
    if wrong.shape() == right.shape() || wrong.len() != right.len() {
        return None;
    }
    let same = |candidate: &ArrayD<f64>| {
        wrong.iter().zip(candidate).all(|(a, b)| !apart(a - b, context.relative * largest(right)))
    };
    let wanted = format_shape(right.shape());
    if right.ndim() == 2 && wrong.ndim() == 2 && wrong.shape()[0] == right.shape()[1] && same(&flipped(right)) {
        return Some(format!("it is the right gradient transposed: {wanted} is wanted"));
    }
    same(right)
        .then(|| format!("its numbers are right, but its shape is {}: {wanted} is wanted", format_shape(wrong.shape())))
}

fn all_zero(context: &Context<'_>) -> Option<String> {
    let zero = context.wrong.iter().all(|v| *v == 0.0) && !context.wrong.is_empty();
    zero.then(|| "it is 0 everywhere: never computed, or cleared?".to_owned())
}

fn wrong_sign(context: &Context<'_>) -> Option<String> {
    context.is(&context.right.mapv(|v| -v)).then(|| "it is the right gradient with the wrong sign".to_owned())
}

fn dout_ignored(context: &Context<'_>) -> Option<String> {
    let ones = context.case.dout.mapv(|_| 1.0);
    let ignored = context.rerun_with(|_, _| {}, &ones)?;
    context.is(&ignored).then(|| format!("it is the gradient for {} = 1 everywhere: {0} ignored?", Name::DOUT))
}

fn another_eps(context: &Context<'_>) -> Option<String> {
    let spec = context.row()?.spec;
    let setting = spec.settings.iter().find(|setting| setting.name == "eps")?;
    let with = |eps: f64| context.rerun(|settings, _| settings.set(setting.name, Value::Number(eps)));
    if context.is(&with(0.0)?) {
        return Some("it is the gradient for eps 0: eps missing?".to_owned());
    }
    // dy = −t/(y + eps) is largest where y is smallest; the eps that explains it there has to explain the others.
    let none = with(0.0)?;
    let y = context.case.at.get(&Name::Y)?;
    if none.shape() != context.wrong.shape() || y.shape() != none.shape() {
        return None;
    }
    let entries = y.iter().zip(none.iter().zip(context.wrong)).filter(|(_, (a, b))| **a != 0.0 && **b != 0.0);
    let (y, (without, wrong)) = entries.min_by(|a, b| a.0.total_cmp(b.0))?;
    let eps = y * without / wrong - y;
    let nice = [1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30];
    let nearest = nice.into_iter().find(|nice| (nice - eps).abs() <= 1e-3 * nice).unwrap_or(eps);
    let explained = eps > 0.0 && eps.is_finite() && context.is(&with(nearest)?);
    explained.then(|| format!("it is the gradient for eps {nearest:e}: another eps than the one that was set?"))
}

fn wrong_axis(context: &Context<'_>) -> Option<String> {
    let row = context.row()?;
    let words = |axis: i64| {
        let (is, wanted) = if axis == 0 { ("columns", "rows") } else { ("rows", "columns") };
        Some(format!("it is the gradient of a softmax down the {is}: along the {wanted} is wanted (another axis)"))
    };
    if row.spec.settings.iter().any(|setting| setting.name == "axis") {
        for axis in [0, 1] {
            let other = context.rerun(|settings, _| settings.set("axis", Value::Integer(axis)));
            if other.is_some_and(|other| context.is(&other)) {
                return words(axis);
            }
        }
        return None;
    }
    let x = context.case.at.get(&Name::X).filter(|x| x.ndim() == 2)?;
    let other = context.with_probabilities(&down(x))?;
    if context.is(&other) { words(0) } else { None }
}

/// Softmax down the columns.
fn down(x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut y = x.clone();
    for mut lane in y.lanes_mut(Axis(0)) {
        let most = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        lane.mapv_inplace(|v| Scalar::exp(v - most));
        let sum = f64::sum(lane.iter().copied());
        lane.mapv_inplace(|v| v / sum);
    }
    y
}

fn another_setting(context: &Context<'_>) -> Option<String> {
    let row = context.row()?;
    for setting in row.spec.settings.iter().filter(|setting| !["axis", "eps"].contains(&setting.name)) {
        let given = row.settings.get(setting.name).cloned();
        let mut others: Vec<(Value, String)> = match &setting.kind {
            Kind::Choice(words) => {
                words.iter().map(|word| (Value::Choice(word), format!("--{} {word}", setting.name))).collect()
            }
            Kind::Flag => vec![(Value::Flag(!row.settings.flag(setting.name)), format!("--{}", setting.name))],
            Kind::Number => vec![(Value::Number(0.0), format!("--{} 0", setting.name))],
            Kind::Integer if given.is_some() => vec![(Value::Integer(i64::MIN), format!("no --{}", setting.name))],
            Kind::Integer => vec![],
        };
        others.retain(|(value, _)| given.as_ref() != Some(value));
        for (value, words) in others {
            if context.rerun(|settings, _| settings.set(setting.name, value)).is_some_and(|other| context.is(&other)) {
                return Some(match &setting.kind {
                    Kind::Flag if row.settings.flag(setting.name) => {
                        format!("it is the gradient without {words}: ignored?")
                    }
                    _ => format!("it is the gradient for {words}: {} taken for another?", setting.name),
                });
            }
        }
    }
    for slot in row.spec.slots.iter().filter(|slot| slot.optional && context.case.at.get(&slot.name).is_some()) {
        let without = context.rerun(|_, at| {
            at.take(&slot.name);
        });
        if without.is_some_and(|without| context.is(&without)) {
            return Some(format!("it is the gradient without {}: ignored?", slot.name));
        }
    }
    None
}

fn applied_twice(context: &Context<'_>) -> Option<String> {
    let y = context.output(&Name::Y)?;
    let at_y = context.rerun(|_, at| at.insert(Name::X, y))?;
    let layer = context.row()?.spec.name.trim_end_matches("-xent");
    context.is(&at_y).then(|| format!("it is the gradient at y where x belongs: {layer} applied twice?"))
}

fn softmax_left_out(context: &Context<'_>) -> Option<String> {
    let x = context.case.at.get(&Name::X)?;
    let other = context.with_probabilities(x)?;
    context.is(&other).then(|| "it has x where y = softmax(x) belongs: softmax left out?".to_owned())
}

fn unnormalised_targets(context: &Context<'_>) -> Option<String> {
    let (y, slope) = context.slope()?;
    let t = context.case.at.get(&Name::T).filter(|t| t.shape() == y.shape())?;
    let last = Axis(t.ndim().checked_sub(1)?);
    let sums = t.sum_axis(last);
    let other = ArrayD::from_shape_fn(y.raw_dim(), |at| {
        let sum = sums[&at.slice()[..last.index()]];
        context.right[&at] - y[&at] * slope[&at] + y[&at] * (slope[&at] / sum)
    });
    context.is(&other).then(|| "it is y − t, but targets here do not sum to 1: y·Σt − t is right".to_owned())
}

/// More entries than this are too many to ask for one by one.
const MOST: usize = 400;

fn diagonal(context: &Context<'_>) -> Option<String> {
    let dout = &context.case.dout;
    if dout.shape() != context.right.shape() || dout.len() > MOST || dout.ndim() == 0 {
        return None;
    }
    let mut diagonal = context.right.mapv(|_| 0.0);
    for (n, slot) in diagonal.iter_mut().enumerate() {
        let mut one = dout.mapv(|_| 0.0);
        let (place, upstream) = (one.iter_mut().nth(n)?, dout.iter().nth(n)?);
        *place = 1.0;
        *slot = context.rerun_with(|_, _| {}, &one)?.iter().nth(n)? * upstream;
    }
    context.is(&diagonal).then(|| {
        "each output depends on its own input only: just the diagonal of the Jacobian, such as dout∘y∘(1 − y) for softmax"
            .to_owned()
    })
}

fn not_transposed(context: &Context<'_>) -> Option<String> {
    let square =
        |value: &ArrayD<f64>| value.ndim() == 2 && value.shape()[0] == value.shape()[1] && value.shape()[0] > 1;
    for (name, value) in
        context.case.at.iter().filter(|(name, value)| name.gradient() != *context.name && square(value))
    {
        let other = context.rerun(|_, at| at.insert(name.clone(), flipped(value)));
        if other.is_some_and(|other| context.is(&other)) {
            let upper = name.as_str().to_uppercase();
            return Some(format!("it has {upper} where {upper}ᵀ belongs: transpose {name}"));
        }
    }
    None
}

fn transposed(context: &Context<'_>) -> Option<String> {
    let fits = context.right.ndim() == 2 && context.is(&flipped(context.right));
    fits.then(|| "it is the right gradient transposed".to_owned())
}

fn flipped(value: &ArrayD<f64>) -> ArrayD<f64> {
    match value.view().into_dimensionality::<Ix2>() {
        Ok(matrix) => matrix.t().as_standard_layout().into_owned().into_dyn(),
        Err(_) => value.clone(),
    }
}

#[allow(clippy::cast_precision_loss)] // counts of rows and columns
fn constant_factor(context: &Context<'_>) -> Option<String> {
    if context.wrong.shape() != context.right.shape() {
        return None;
    }
    let pairs = || context.wrong.iter().zip(context.right);
    let (_, right) = pairs().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let wrong = pairs().find(|(_, b)| *b == right)?.0;
    let factor = wrong / right;
    if !factor.is_finite() || factor == 0.0 || factor == -1.0 || !context.is(&context.right.mapv(|v| v * factor)) {
        return None;
    }
    let (batch, classes) = context.case.batch_and_classes();
    let (n, c) = (batch as f64, classes as f64);
    let class = if context.case.at.get(&Name::T).is_some() || context.right.shape() == context.case.dout.shape() {
        "the class count"
    } else {
        "the number of columns"
    };
    let near = |value: f64| (factor - value).abs() <= 1e-3_f64.min(context.relative * 10.0) * value.abs();
    let mut known = vec![
        (n, "the batch: a division by the batch is missing, or a mean was not asked for".to_string()),
        (1.0 / n, "1 / the batch: divided by the batch once too often?".to_string()),
        (c, format!("{class}: a division by {class} is missing?")),
        (1.0 / c, format!("1 / {class}: divided by {class}?")),
        (n / c, format!("the batch / {class}: divided by {class} instead of the batch?")),
        (c / n, format!("{class} / the batch: divided by the batch instead of {class}?")),
        (n * c, "the number of entries: a division by it is missing?".to_string()),
        (1.0 / (n * c), "1 / the number of entries: a mean over all entries?".to_string()),
        (2.0, "two: added twice, or the ½ of a square left out?".to_owned()),
        (0.5, "a half".to_owned()),
    ];
    known.retain(|(value, _)| *value != 1.0 && near(*value));
    known.dedup_by(|a, b| a.1 == b.1);
    let shown = crate::check::diagnosis::plain(factor);
    let equals: Vec<String> = known.into_iter().map(|(_, words)| words).collect();
    Some(if equals.is_empty() {
        format!("it is the right gradient times {shown}")
    } else {
        format!("it is the right gradient times {shown} = {}", equals.join(" — or "))
    })
}

fn rows_moved(context: &Context<'_>) -> Option<String> {
    let rows = match *context.right.shape() {
        [rows, _] if rows > 1 => rows,
        _ => return None,
    };
    let select = |order: Vec<usize>| context.is(&context.right.select(Axis(0), &order));
    if select((0..rows).rev().collect()) {
        return Some("it has the right rows in reverse order".to_owned());
    }
    let by = (1..rows).find(|by| select((0..rows).map(|n| (n + by) % rows).collect()))?;
    Some(format!("it has the right rows, shifted by {by}"))
}

/// The indices of entries that are wrong.
fn wrong_entries(context: &Context<'_>) -> Vec<Vec<usize>> {
    if context.wrong.shape() != context.right.shape() {
        return Vec::new();
    }
    let pairs = context.wrong.iter().zip(context.right).enumerate();
    pairs
        .filter(|(_, (wrong, right))| context.differ(**wrong, **right))
        .map(|(n, _)| super::unflat(n, context.right.shape()))
        .collect()
}

fn one_entry(context: &Context<'_>) -> Option<String> {
    match (&wrong_entries(context)[..], context.right.len()) {
        ([only], 2..) => Some(format!("only the entry at {} is wrong", format_index(only))),
        _ => None,
    }
}

fn one_row(context: &Context<'_>) -> Option<String> {
    one_line(context, 0).map(|n| format!("only row {n} is wrong"))
}

fn one_column(context: &Context<'_>) -> Option<String> {
    one_line(context, 1).map(|n| format!("only column {n} is wrong"))
}

/// The line along which all wrong entries lie.
fn one_line(context: &Context<'_>, axis: usize) -> Option<usize> {
    if context.right.ndim() != 2 || context.right.shape()[axis] < 2 {
        return None;
    }
    let wrong = wrong_entries(context);
    let first = wrong.first()?[axis];
    (wrong.len() > 1 && wrong.iter().all(|at| at[axis] == first)).then_some(first)
}
