//! Targets: one-hot or soft rows of the output's shape, or one class index a row.

use super::settings::{Kind, Setting, Settings};
use super::{Given, rows};
use crate::core::error::{Code, Error, Note, format_count, format_shape};
use crate::core::name::Name;
use crate::numeric::{Scalar, Target};
use ndarray::{ArrayD, ArrayView2, Dimension, s};
use std::ops::Range;

/// `--t-kind`.
pub(super) const T_KIND: Setting = Setting {
    name: "t-kind",
    kind: Kind::Choice(&["dense", "index"]),
    doc: "read t as dense rows or as class indices, whatever its rank says",
};

/// How t is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// The shape of the output: one-hot or soft.
    Dense,
    /// One class index a row, from 0.
    Index,
}

impl TargetKind {
    /// What `--t-kind` says.
    pub(super) fn chosen(settings: &Settings) -> Option<TargetKind> {
        match settings.choice(T_KIND.name)? {
            "index" => Some(TargetKind::Index),
            _ => Some(TargetKind::Dense),
        }
    }

    /// What the ranks say: t of the output's rank is dense, one rank less is indices.
    pub(super) fn by_rank(t: usize, output: usize) -> TargetKind {
        if t < output { TargetKind::Index } else { TargetKind::Dense }
    }
}

/// Targets, read.
pub(super) enum Targets<'a, S> {
    /// t as it stands, (N, C).
    Dense(ArrayView2<'a, S>),
    /// The class of each row; none for an ignored row.
    Index(Vec<Option<usize>>),
}

impl<'a, S: Scalar> Targets<'a, S> {
    /// Reads admitted targets; a row of `ignore` counts for nothing.
    pub(super) fn new(t: &'a ArrayD<S>, kind: TargetKind, ignore: Option<i64>) -> Targets<'a, S> {
        match kind {
            TargetKind::Dense => Targets::Dense(rows(t)),
            TargetKind::Index => Targets::Index(classes(t, ignore)),
        }
    }

    /// The target of class `k` in row `n`; an ignored row has zeros.
    pub(super) fn at(&self, n: usize, k: usize) -> S {
        match self {
            Targets::Dense(t) => t[[n, k]],
            Targets::Index(classes) if classes[n] == Some(k) => S::one(),
            Targets::Index(_) => S::zero(),
        }
    }

    /// The targets of row `n`.
    pub(super) fn row(&self, n: usize) -> Target<'_, S> {
        match self {
            Targets::Dense(t) => match t.slice(s![n, ..]).to_slice() {
                Some(t) => Target::Dense(t),
                None => unreachable!("operands are in standard layout"),
            },
            Targets::Index(classes) => Target::Class(classes[n]),
        }
    }

    /// The classes, of so many, whose targets in row `n` may be other than 0.
    pub(super) fn counted(&self, n: usize, classes: usize) -> Range<usize> {
        match self {
            Targets::Dense(_) => 0..classes,
            Targets::Index(all) => all[n].map_or(0..0, |class| class..class + 1),
        }
    }

    /// Whether row `n` counts.
    pub(super) fn keeps(&self, n: usize) -> bool {
        match self {
            Targets::Dense(_) => true,
            Targets::Index(classes) => classes[n].is_some(),
        }
    }
}

/// The class of each row; none for an ignored row.
pub(super) fn classes<S: Scalar>(t: &ArrayD<S>, ignore: Option<i64>) -> Vec<Option<usize>> {
    t.iter().map(|class| class_of(class.to_f64(), ignore)).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // admitted: a whole number below the class count
fn class_of(value: f64, ignore: Option<i64>) -> Option<usize> {
    if is_ignored(value, ignore) { None } else { Some(value as usize) }
}

#[allow(clippy::cast_precision_loss)] // a class index beyond 2⁵³ is out of range in any case
fn is_ignored(value: f64, ignore: Option<i64>) -> bool {
    ignore.is_some_and(|ignore| value == ignore as f64)
}

/// Refuses targets that do not fit `output`, which is named `of`; warns of rows that are no distribution.
pub(super) fn admit(
    given: &Given<'_>,
    of: &Name,
    chosen: Option<TargetKind>,
    ignore: Option<i64>,
) -> Result<(TargetKind, Vec<Note>), Error> {
    let (t, output) = (given.at.known(&Name::T), given.at.known(of));
    let kind = chosen.unwrap_or_else(|| TargetKind::by_rank(t.ndim(), output.ndim()));
    match kind {
        TargetKind::Dense => {
            if t.shape() != output.shape() {
                return Err(dense_misfit(t, output, of));
            }
            let tolerance = distribution_tolerance((given.rounding)(&Name::T));
            Ok((kind, not_distributions(&Name::T, t, tolerance, Code::TargetSum).into_iter().collect()))
        }
        TargetKind::Index => {
            let samples = rows(output).nrows();
            // One index a row; --t-kind index reads a column of them so, too.
            let rows_only = &output.shape()[..output.ndim().saturating_sub(1)];
            if t.shape() != rows_only && !(chosen.is_some() && t.len() == samples) {
                return Err(index_misfit(t, output, of, samples));
            }
            admit_classes(t, output, of, ignore)?;
            Ok((kind, Vec::new()))
        }
    }
}

/// How far from 1 a row may sum: what rounding to the stored type explains, at least 1e-6.
pub(super) fn distribution_tolerance(rounding: f64) -> f64 {
    (4.0 * rounding).max(1e-6)
}

/// A warning that names the first row that is no distribution.
pub(super) fn not_distributions(name: &Name, value: &ArrayD<f64>, tolerance: f64, code: Code) -> Option<Note> {
    let all = rows(value);
    let broken = |row: ndarray::ArrayView1<'_, f64>| -> Option<String> {
        if let Some((k, v)) =
            row.iter().enumerate().find(|(_, v)| **v < 0.0 || (**v > 1.0 + tolerance && code == Code::ProbabilitySum))
        {
            return Some(format!("has {v} in column {k}, which is no probability"));
        }
        let sum = f64::sum(row.iter().copied());
        ((sum - 1.0).abs() > tolerance).then(|| format!("sums to {sum}, not to 1"))
    };
    let (n, what) = all.rows().into_iter().enumerate().find_map(|(n, row)| broken(row).map(|what| (n, what)))?;
    let error = Error::new(code, format!("row {n} {what}")).with_operand(name);
    Some(Note::warning(if value.ndim() == 2 { error.at_index(&[n]) } else { error }))
}

fn dense_misfit(t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name) -> Error {
    let error = Error::new(
        Code::Shape,
        format!(
            "shape {} does not fit {of} {}: dense targets have the same shape",
            format_shape(t.shape()),
            format_shape(output.shape())
        ),
    )
    .with_operand(&Name::T)
    .with_shape(&Name::T, t.shape())
    .with_shape(of, output.shape());
    match (t.shape(), output.shape()) {
        ([n, 1], [rows, _]) if n == rows => error.tip(format!(
            "a column of class indices? --t-kind index reads it so, as does one row of {n} values: 0,2,1"
        )),
        ([n], [c]) if n != c => {
            error.tip("for one sample give one target a class, or its class index as a single number")
        }
        _ => error.tip("class indices have one rank less: one number a row, 0,2,1"),
    }
}

fn index_misfit(t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name, samples: usize) -> Error {
    let error = Error::new(
        Code::Shape,
        format!(
            "{} class {} for {} of {of} {}",
            t.len(),
            if t.len() == 1 { "index" } else { "indices" },
            format_count(samples, "row"),
            format_shape(output.shape())
        ),
    )
    .with_operand(&Name::T)
    .with_shape(&Name::T, t.shape())
    .with_shape(of, output.shape());
    match (t.shape(), output.shape()) {
        ([], [_, _]) => {
            error.tip("a number is the class of a single vector; for a matrix of one row give a vector, [0]")
        }
        ([c], [_, classes]) if c == classes => {
            error.tip("one target a class for a single row? end the row with a semicolon: '0,0,1;'")
        }
        _ => error.tip("give one class index a row, from 0, or dense targets of the same shape"),
    }
}

fn admit_classes(t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name, ignore: Option<i64>) -> Result<(), Error> {
    let classes = rows(output).ncols();
    for (at, &value) in t.indexed_iter() {
        let at = at.slice();
        if is_ignored(value, ignore) {
            continue;
        }
        let row = at.first().copied().unwrap_or(0);
        if value.fract() != 0.0 || !value.is_finite() {
            return Err(Error::new(Code::IndexFraction, format!("{value} in row {row} is no class index"))
                .with_operand(&Name::T)
                .at_index(at)
                .with_shape(&Name::T, t.shape())
                .with_shape(of, output.shape())
                .tip(if t.ndim() == 1 && output.ndim() == 2 {
                    "one rank less than the output reads as class indices; soft targets need the output's shape"
                } else {
                    "class indices are whole numbers from 0"
                }));
        }
        #[allow(clippy::cast_precision_loss)] // fewer classes than 2⁵³ fit in memory
        if value < 0.0 || value >= classes as f64 {
            return Err(out_of_range(t, at, value, of, classes, ignore)
                .with_shape(&Name::T, t.shape())
                .with_shape(of, output.shape()));
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // fewer classes than 2⁵³ fit in memory
fn out_of_range(t: &ArrayD<f64>, at: &[usize], value: f64, of: &Name, classes: usize, ignore: Option<i64>) -> Error {
    let row = at.first().map_or_else(String::new, |row| format!(" in row {row}"));
    let last = classes.saturating_sub(1);
    let error = Error::new(
        Code::IndexRange,
        format!(
            "class index {value}{row} is out of range: {of} has {}, 0 to {last}",
            if classes == 1 { "1 class".to_owned() } else { format!("{classes} classes") }
        ),
    )
    .with_operand(&Name::T)
    .at_index(at);
    let one_based = value == classes as f64 && !t.iter().any(|&class| class == 0.0);
    if one_based {
        error.tip("the labels look 1-based: classes count from 0, so subtract 1 from each")
    } else if value < 0.0 && ignore.is_none() {
        error.tip(format!(
            "no index is ignored by default; --ignore-index {value} leaves such rows out of a softmax-xent"
        ))
    } else {
        error.tip(format!("classes count from 0, one a column of {of}"))
    }
}
