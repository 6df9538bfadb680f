//! Targets of losses: one-hot or soft lanes of the output's shape, or one class index per lane. Lanes are along the class axis;
//! those of a matrix are its rows.

use super::arrays::count;
use super::interface::Given;
use super::lanes::{AXIS, Lanes};
use super::settings::{Kind, Setting, Settings};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::numeric::Scalar;
use crate::ops::ArrayOps;
use crate::ops::loss::Target;
use ndarray::{ArrayD, ArrayView1, CowArray, Dimension, Ix2};
use std::ops::Range;

/// The setting `--axis` of a loss.
pub(super) const CLASS_AXIS: Setting =
    Setting { name: AXIS, kind: Kind::Integer, doc: "class axis (default 1 at rank 3 or more, else last)" };

/// The setting `--t-kind`.
pub(super) const T_KIND: Setting = Setting {
    name: "t-kind",
    kind: Kind::Choice(&["dense", "index"]),
    doc: "kind of targets: dense rows or class index; by default, the rank of t decides",
};

/// Kind of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// Rows of the output's shape, one-hot or soft.
    Dense,
    /// One class index per row, from 0.
    Index,
}

impl TargetKind {
    /// Returns the kind that `--t-kind` sets.
    pub(super) fn from_settings(settings: &Settings) -> Option<TargetKind> {
        match settings.choice(T_KIND.name)? {
            "index" => Some(TargetKind::Index),
            _ => Some(TargetKind::Dense),
        }
    }

    /// Returns the kind by rank: targets of the output's rank are dense, those of a lower rank are class indices.
    pub(super) fn by_rank(t: usize, output: usize) -> TargetKind {
        if t < output { TargetKind::Index } else { TargetKind::Dense }
    }
}

/// Admitted targets.
pub(super) enum Targets<'a, S> {
    /// The lanes of t as rows, (N, C).
    Dense(CowArray<'a, S, Ix2>),
    /// The class of each row, unless it is ignored.
    Index(Vec<Option<usize>>),
}

impl<'a, S: ArrayOps> Targets<'a, S> {
    /// Returns admitted targets of these lanes; rows of the class `ignore` are ignored.
    pub(super) fn new(t: &'a ArrayD<S>, lanes: &Lanes, kind: TargetKind, ignore: Option<i64>) -> Targets<'a, S> {
        match kind {
            TargetKind::Dense => Targets::Dense(lanes.rows(t)),
            TargetKind::Index => Targets::Index(classes(t, ignore)),
        }
    }

    /// Returns the target of class `k` in row `n`; 0 in an ignored row.
    pub(super) fn at(&self, n: usize, k: usize) -> S {
        match self {
            Targets::Dense(t) => t[[n, k]],
            Targets::Index(classes) if classes[n] == Some(k) => S::one(),
            Targets::Index(_) => S::zero(),
        }
    }

    /// Returns the targets of row `n`.
    pub(super) fn row(&self, n: usize) -> Target<'_, S> {
        match self {
            Targets::Dense(t) => match t.as_slice() {
                Some(all) => Target::Dense(&all[n * t.ncols()..][..t.ncols()]),
                None => unreachable!("operands are in standard layout"),
            },
            Targets::Index(classes) => Target::Class(classes[n]),
        }
    }

    /// Returns the classes whose targets in row `n` may be nonzero, for a number of classes.
    pub(super) fn nonzero_classes(&self, n: usize, classes: usize) -> Range<usize> {
        match self {
            Targets::Dense(_) => 0..classes,
            Targets::Index(rows) => rows[n].map_or(0..0, |class| class..class + 1),
        }
    }

    /// Returns true if row `n` counts: it is not ignored, and its dense targets are not all 0.
    pub(super) fn counts(&self, n: usize) -> bool {
        match self {
            Targets::Dense(t) => t.row(n).iter().any(|t| *t != S::zero()),
            Targets::Index(_) => self.has_row(n),
        }
    }

    /// Returns true if row `n` is not ignored.
    pub(super) fn has_row(&self, n: usize) -> bool {
        match self {
            Targets::Dense(_) => true,
            Targets::Index(classes) => classes[n].is_some(),
        }
    }
}

/// Returns the class of each row, unless it is ignored.
pub(super) fn classes<S: Scalar>(t: &ArrayD<S>, ignore: Option<i64>) -> Vec<Option<usize>> {
    t.iter().map(|class| to_class(class.to_f64(), ignore)).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // admitted: an integer below the number of classes
fn to_class(value: f64, ignore: Option<i64>) -> Option<usize> {
    if is_ignored(value, ignore) { None } else { Some(value as usize) }
}

#[allow(clippy::cast_precision_loss)] // a class index beyond 2⁵³ is out of range in any case
fn is_ignored(value: f64, ignore: Option<i64>) -> bool {
    ignore.is_some_and(|ignore| value == ignore as f64)
}

/// Refuses targets that do not match `output`, which is named `of` and has the classes in `lanes`; returns warnings of lanes that
/// are not distributions. `axis` is the setting.
pub(super) fn admit(
    given: &Given<'_>,
    of: &Name,
    (lanes, axis): (&Lanes, Option<i64>),
    chosen: Option<TargetKind>,
    ignore: Option<i64>,
) -> Result<(TargetKind, Vec<Note>), Error> {
    let (t, output) = (given.at.known(&Name::T), given.at.known(of));
    let kind = chosen.unwrap_or_else(|| TargetKind::by_rank(t.ndim(), output.ndim()));
    let tolerance = distribution_tolerance((given.rounding)(&Name::T));
    let mut notes = Vec::new();
    match kind {
        TargetKind::Dense => {
            if t.shape() != output.shape() {
                return Err(dense_mismatch(t, output, of));
            }
            notes.extend(warn_of_non_distribution(&Name::T, t, lanes, tolerance, Code::TargetSum));
        }
        TargetKind::Index => {
            // One index per lane; with --t-kind index they may also be a column.
            if t.shape() != lanes.shape_without_axis() && !(chosen.is_some() && t.len() == lanes.count()) {
                return Err(index_mismatch(t, output, of, lanes));
            }
            admit_classes(t, output, of, (lanes, ignore))?;
        }
    }
    if axis.is_none() && !lanes.are_rows() {
        notes.extend(warn_of_last_axis(t, of, lanes, (kind, tolerance)));
    }
    Ok((kind, notes))
}

/// Returns a warning if targets fit the classes in the last axis as well as those in the default axis.
fn warn_of_last_axis(t: &ArrayD<f64>, of: &Name, lanes: &Lanes, (kind, tolerance): (TargetKind, f64)) -> Option<Note> {
    let last = Lanes::of_rows(lanes.shape());
    let fits = match kind {
        TargetKind::Dense => warn_of_non_distribution(&Name::T, t, &last, tolerance, Code::TargetSum).is_none(),
        TargetKind::Index => t.shape() == last.shape_without_axis() && t.iter().all(|&class| class < count(last.len())),
    };
    let (axis, shape) = (lanes.axis(), format_shape(lanes.shape()));
    let message = format!("also fits classes in the last axis of {of} {shape}; they are taken to be in axis {axis}");
    fits.then(|| {
        let error = Error::new(Code::AxisRange, message).with_operand(&Name::T);
        Note::warning(
            error.tip(format!(
                "use --axis -1 if the last axis has the classes, or --axis {axis} to leave out this warning"
            )),
        )
    })
}

/// Returns how far from 1 the sum of a row may be: a few roundings of the stored type, at least 1e-6.
pub(super) fn distribution_tolerance(rounding: f64) -> f64 {
    (4.0 * rounding).max(1e-6)
}

/// Returns a warning with the first lane that is not a distribution.
pub(super) fn warn_of_non_distribution(
    name: &Name,
    value: &ArrayD<f64>,
    lanes: &Lanes,
    tolerance: f64,
    code: Code,
) -> Option<Note> {
    let place = if lanes.shape().len() < 3 && lanes.are_rows() { "in column" } else { "for class" };
    let problem = |row: ArrayView1<'_, f64>| -> Option<String> {
        if let Some((k, v)) =
            row.iter().enumerate().find(|(_, v)| **v < 0.0 || (**v > 1.0 + tolerance && code == Code::ProbabilitySum))
        {
            return Some(format!("contains {v} {place} {k}, which is not a probability"));
        }
        let sum = f64::sum(row.iter().copied());
        ((sum - 1.0).abs() > tolerance).then(|| format!("sums to {sum} instead of 1"))
    };
    let rows = lanes.rows(value);
    let (n, problem) =
        rows.rows().into_iter().enumerate().find_map(|(n, row)| problem(row).map(|problem| (n, problem)))?;
    let error = Error::new(code, format!("{} {problem}", lanes.label(n))).with_operand(name);
    Some(Note::warning(if value.ndim() > 1 { error.at_index(&lanes.place(n)) } else { error }))
}

/// Returns an error of targets with both shapes.
fn mismatch(code: Code, message: String, t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name) -> Error {
    let error = Error::new(code, message).with_operand(&Name::T);
    error.with_shape(&Name::T, t.shape()).with_shape(of, output.shape())
}

fn dense_mismatch(t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name) -> Error {
    let (shape, expected) = (format_shape(t.shape()), format_shape(output.shape()));
    let message = format!("expected the shape of {of}, {expected}, for dense targets, got {shape}");
    let error = mismatch(Code::Shape, message, t, output, of);
    match (t.shape(), output.shape()) {
        ([n, 1], [rows, _]) if n == rows => error.tip(format!(
            "use --t-kind index for a column of class indices, or write them as one row of {n} values: 0,2,1"
        )),
        ([n], [c]) if n != c => error.tip("give one target for each class, or the class index as a single number"),
        (_, [_, _, _, ..]) => {
            error.tip("give dense targets of the same shape, or class indices without the class axis")
        }
        _ => error.tip("give dense targets of the same shape, or one class index per row: 0,2,1"),
    }
}

fn index_mismatch(t: &ArrayD<f64>, output: &ArrayD<f64>, of: &Name, lanes: &Lanes) -> Error {
    let shape = format_shape(output.shape());
    if output.ndim() > 2 || !lanes.are_rows() {
        let (expected, got) = (format_shape(&lanes.shape_without_axis()), format_shape(t.shape()));
        let axis = lanes.axis();
        let message = format!(
            "expected class indices {expected}, the shape of {of} {shape} without its class axis {axis}, got {got}"
        );
        let error = mismatch(Code::Shape, message, t, output, of);
        return if t.shape() == Lanes::of_rows(output.shape()).shape_without_axis() {
            error.tip("use --axis -1 if the last axis has the classes")
        } else {
            error.tip("use --axis if another axis has the classes, or give dense targets of the same shape")
        };
    }
    let samples = lanes.count();
    let indices = if samples == 1 { "1 class index".to_owned() } else { format!("{samples} class indices") };
    let (expected, got) = match t.ndim() {
        0 => (format!("a vector of {indices}"), "a scalar".to_owned()),
        _ => (indices, t.len().to_string()),
    };
    let message = format!("expected {expected}, one for each row of {of} {shape}, got {got}");
    let error = mismatch(Code::Shape, message, t, output, of);
    match (t.shape(), output.shape()) {
        ([], [_, _]) => error.tip("write the class of a matrix of one row as a vector: [0]"),
        ([c], [_, classes]) if c == classes => {
            error.tip("end a single row of dense targets with a semicolon: '0,0,1;'")
        }
        _ => error.tip("give one class index per row, from 0, or dense targets of the same shape"),
    }
}

fn admit_classes(
    t: &ArrayD<f64>,
    output: &ArrayD<f64>,
    of: &Name,
    (lanes, ignore): (&Lanes, Option<i64>),
) -> Result<(), Error> {
    for (n, (at, &value)) in t.indexed_iter().enumerate() {
        let at = at.slice();
        if is_ignored(value, ignore) {
            continue;
        }
        if value.fract() != 0.0 || !value.is_finite() {
            let message = format!("{} contains {value}, which is not a class index", lanes.label(n));
            let error = mismatch(Code::IndexFraction, message, t, output, of).at_index(at);
            return Err(error.tip(if t.ndim() > 0 && output.ndim() == t.ndim() + 1 {
                "give soft targets the output's shape: with one rank less they are class indices"
            } else {
                "use integers from 0 as class indices"
            }));
        }
        if value < 0.0 || value >= count(lanes.len()) {
            let lane = if at.is_empty() { String::new() } else { format!(" in {}", lanes.label(n)) };
            return Err(out_of_range(t, output, of, (at, &lane), (lanes, ignore)));
        }
    }
    Ok(())
}

fn out_of_range(
    t: &ArrayD<f64>,
    output: &ArrayD<f64>,
    of: &Name,
    (at, lane): (&[usize], &str),
    (lanes, ignore): (&Lanes, Option<i64>),
) -> Error {
    let (value, classes) = (t[at], lanes.len());
    let (noun, last) = (if classes == 1 { "class" } else { "classes" }, classes.saturating_sub(1));
    let message = format!("class index {value}{lane} is out of range: {of} has {classes} {noun}, 0 to {last}");
    let error = mismatch(Code::IndexRange, message, t, output, of).at_index(at);
    let one_based = value == count(classes) && !t.iter().any(|&class| class == 0.0);
    if one_based {
        error.tip("subtract 1 from each label: classes count from 0, and these seem to count from 1")
    } else if value < 0.0 && ignore.is_none() {
        error
            .tip(format!("use softmax-xent --ignore-index {value} to ignore such rows; no index is ignored by default"))
    } else if output.ndim() > 2 {
        error.tip(format!("count classes from 0 along axis {} of {of}; --axis names another one", lanes.axis()))
    } else {
        error.tip(format!("count classes from 0, one for each column of {of}"))
    }
}
