//! Draws operands that are not given so that every known mistake shows and no two look alike: more than one row, axes of
//! different lengths, an upstream gradient that is not constant, and probabilities near eps.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::size::MAX_RANK;
use crate::core::tensors::Tensors;
use crate::layer::{LayerSpec, Role, Settings, Slot, Value, Values, loss_class_axis};
use crate::numeric::FloatType;
use ndarray::{ArrayD, Axis, IxDyn};

/// The name of an operand and its shape.
pub type NamedShape = (Name, Vec<usize>);

/// Largest number of entries of a drawn operand.
const MAX_ENTRIES: usize = 1 << 24;

const SHAPE: Name = Name::fixed("shape");

/// Parses `x=4x3`, `b=5` or `t=` (a scalar).
pub fn parse_shape(text: &str) -> Result<NamedShape, Error> {
    let refuse = || {
        Error::new(Code::Setting, format!("expected NAME=LENGTHS, got {text:?}"))
            .with_operand(&SHAPE)
            .tip("give a name, = and the lengths of the axes: --shape x=4x3 --shape b=5")
    };
    let (name, lengths) = text.split_once('=').ok_or_else(refuse)?;
    let lengths: Option<Vec<usize>> = match lengths.trim() {
        "" => Some(Vec::new()),
        lengths => lengths.split(['x', '×', ',']).map(|length| length.trim().parse().ok()).collect(),
    };
    let lengths = lengths.filter(|lengths| lengths.len() <= MAX_RANK && !name.trim().is_empty()).ok_or_else(refuse)?;
    match lengths.iter().try_fold(1usize, |product, &length| product.checked_mul(length)) {
        Some(count) if count <= MAX_ENTRIES => Ok((Name::new(name.trim()), lengths)),
        _ => {
            let message = format!("{text:?} has too many entries; the maximum is {MAX_ENTRIES}");
            Err(Error::new(Code::Setting, message).with_operand(&SHAPE))
        }
    }
}

/// Lengths of the axes that the letters of shapes stand for.
struct AxisLengths {
    known: Vec<(String, usize)>,
    sizes: Sizes,
}

/// Sizes of drawn operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizes {
    /// Sizes at which every known mistake shows.
    Default,
    /// Sizes at which files are small.
    Small,
}

impl AxisLengths {
    /// Default lengths: a batch of 4, and other lengths that differ from it and from each other.
    const DEFAULT: &'static [(&'static str, usize)] = &[
        ("N", 4),
        ("in", 3),
        ("out", 5),
        ("C", 3),
        ("D", 3),
        ("L", 5),
        ("S", 6),
        ("d", 4),
        ("e", 3),
        ("V", 6),
        ("2D", 6),
        ("K", 3),
        ("M", 5),
        ("O", 5),
        ("H", 5),
        ("W", 4),
        ("k", 3),
        ("kh", 3),
        ("kw", 2),
        ("P", 6),
        ("r/2", 2),
    ];

    /// Lengths of small operands that differ from the default ones.
    const SMALL: &'static [(&'static str, usize)] = &[
        ("N", 2),
        ("O", 2),
        ("out", 4),
        ("H", 4),
        ("W", 3),
        ("L", 4),
        ("S", 5),
        ("e", 2),
        ("V", 5),
        ("M", 4),
        ("k", 2),
        ("kh", 2),
    ];

    fn get(&self, letter: &str) -> usize {
        let known = self.known.iter().find(|(known, _)| known == letter).map(|(_, length)| *length);
        let small = if self.sizes == Sizes::Small { AxisLengths::SMALL } else { &[] };
        let mut default = small.iter().chain(AxisLengths::DEFAULT).filter(|(known, _)| *known == letter);
        known.or_else(|| default.next().map(|(_, length)| *length)).unwrap_or(3)
    }

    /// Makes the channels of every group as many.
    fn learn_groups(&mut self, settings: &Settings) {
        const MAX_GROUPS: usize = 64;
        let groups = settings.integer("groups").and_then(|groups| usize::try_from(groups).ok());
        let groups = groups.unwrap_or(1).clamp(1, MAX_GROUPS);
        if groups > 1 {
            self.learn(&["C", "O"], &[2 * groups, 2 * groups]);
        }
        self.learn(&["C/groups"], &[self.get("C") / groups]);
    }

    fn learn(&mut self, pattern: &[&str], shape: &[usize]) {
        // A vector is one sample.
        let skip = if shape.len() == 1 { pattern.len().saturating_sub(1).min(1) } else { 0 };
        for (letter, &length) in pattern[skip..].iter().zip(shape) {
            if !self.known.iter().any(|(known, _)| known == letter) {
                self.known.push(((*letter).to_owned(), length));
            }
        }
    }
}

/// Returns the letters of a slot's shape: N and in for `(N×in) or (in)`, N and D for an input of any shape; none if its shape is that
/// of another operand.
fn shape_pattern<'a>(slot: &'a Slot, settings: &Settings) -> Vec<&'a str> {
    let first = slot.shape.strip_prefix('(').and_then(|rest| rest.split(')').next());
    let mut letters: Vec<&str> = first
        .map(|letters| letters.split('×').map(|letter| letter.trim_end_matches('…')).collect())
        .unwrap_or_default();
    if slot.role == Role::Input && letters.is_empty() {
        letters = vec!["N", "D"];
    }
    if slot.role == Role::Parameter && settings.iter().any(|(_, value)| *value == Value::Choice("out-in")) {
        letters.reverse();
    }
    letters
}

/// Returns the operands of a layer: the given ones, and random ones, for a type, in the place of those that are absent.
pub fn draw_operands(
    spec: &LayerSpec,
    settings: &Settings,
    given: &Tensors<f64>,
    shapes: &[NamedShape],
    float_type: FloatType,
    rng: &mut SplitMix64,
) -> Result<Tensors<f64>, Error> {
    draw_sized(spec, settings, given, shapes, (float_type, Sizes::Default), rng)
}

/// Returns random operands of a layer that are small, some of them of these shapes.
pub fn draw_small_operands(
    spec: &LayerSpec,
    settings: &Settings,
    shapes: &[NamedShape],
    float_type: FloatType,
    rng: &mut SplitMix64,
) -> Result<Tensors<f64>, Error> {
    draw_sized(spec, settings, &Tensors::new(), shapes, (float_type, Sizes::Small), rng)
}

fn draw_sized(
    spec: &LayerSpec,
    settings: &Settings,
    given: &Tensors<f64>,
    shapes: &[NamedShape],
    (float_type, sizes): (FloatType, Sizes),
    rng: &mut SplitMix64,
) -> Result<Tensors<f64>, Error> {
    let unknown = shapes.iter().find(|(name, _)| spec.slots.iter().all(|slot| slot.name != *name));
    if let Some((name, _)) = unknown {
        let names: Vec<&str> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
        return Err(Error::new(Code::Setting, format!("{} has no operand {name}", spec.name))
            .with_operand(&SHAPE)
            .tip(format!("use one of its operands: {}", names.join(", "))));
    }
    let known_shape = |name: &Name| {
        let requested = shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone());
        requested.or_else(|| given.get(name).map(|value| value.shape().to_vec()))
    };
    let lengths = axis_lengths(spec, settings, sizes, known_shape);
    let mut operands = Tensors::new();
    for slot in spec.slots {
        if let Some(value) = given.get(&slot.name) {
            operands.insert(slot.name.clone(), value.clone());
            continue;
        }
        let known = known_shape(&slot.name);
        let is_left_out = slot.optional && slot.role != Role::Parameter && !has_boolean_mask(spec, slot, settings);
        if is_left_out && known.is_none() {
            continue;
        }
        let mut letters = shape_pattern(slot, settings);
        if slot.role == Role::Input && letters.is_empty() {
            letters = vec!["N", "D"];
        }
        let rank = known_shape(&Name::X).or_else(|| known_shape(&Name::Y)).map_or(letters.len(), |shape| shape.len());
        let shape = known.unwrap_or_else(|| match slot.role {
            Role::Target => {
                let mut shape = first_shape(&operands);
                if has_class_indices(settings) && !shape.is_empty() {
                    shape.remove(loss_class_axis(settings, shape.len()));
                }
                shape
            }
            Role::Input => letters[letters.len() - rank.min(letters.len())..].iter().map(|l| lengths.get(l)).collect(),
            _ if slot.is_mask() && letters.is_empty() => first_shape(&operands),
            _ => letters.iter().map(|letter| lengths.get(letter)).collect(),
        });
        let value = match slot.values {
            #[allow(clippy::cast_precision_loss)] // an index
            Values::Indices(letter) => fill(&shape, || rng.index(lengths.get(letter)) as f64),
            _ if has_boolean_mask(spec, slot, settings) => draw_mask(&shape, rng),
            Values::Mask | Values::Numbers => draw_operand((spec, settings), slot, &shape, &operands, float_type, rng),
        };
        operands.insert(slot.name.clone(), value);
    }
    Ok(operands)
}

/// Returns the lengths of axes that the shapes of some operands imply.
fn axis_lengths(
    spec: &LayerSpec,
    settings: &Settings,
    sizes: Sizes,
    known_shape: impl Fn(&Name) -> Option<Vec<usize>>,
) -> AxisLengths {
    let mut lengths = AxisLengths { known: Vec::new(), sizes };
    for slot in spec.slots {
        if let Some(shape) = known_shape(&slot.name) {
            // `(N×C×L) or (C×L)`: without N, the letters are those of the second form.
            let forms = slot.shape.matches(" or (").count();
            let pattern = shape_pattern(slot, settings);
            let is_sample = forms == 1 && shape.len() > 1 && pattern.len() == shape.len() + 1;
            lengths.learn(&pattern[usize::from(is_sample)..], &shape);
        }
    }
    lengths.learn_groups(settings);
    lengths
}

/// Returns a shape that an absent operand may have where the others have theirs: that of the first one, if it has no letters.
pub fn absent_shape(spec: &LayerSpec, settings: &Settings, slot: &Slot, operands: &Tensors<f64>) -> NamedShape {
    let lengths =
        axis_lengths(spec, settings, Sizes::Small, |name| operands.get(name).map(|value| value.shape().to_vec()));
    let has_letters = slot.shape.starts_with('(');
    let letters = if has_letters { shape_pattern(slot, settings) } else { Vec::new() };
    let shape = match letters.as_slice() {
        [] => first_shape(operands),
        letters => letters.iter().map(|letter| lengths.get(letter)).collect(),
    };
    (slot.name.clone(), shape)
}

/// Returns the shape of a layer's first operand that no vector length divides, and whose axes differ from all usual ones; and that of
/// a second one whose rows are as long, as keys are, with more rows than a tile has.
pub fn odd_shapes(spec: &LayerSpec) -> Vec<NamedShape> {
    let settings = Settings::default();
    let shape = |slot: &Slot| match shape_pattern(slot, &settings).len() {
        0..=2 => vec![17, 33],
        rank => [&[2; 8][..rank - 2], &[3, 33]].concat(),
    };
    let mut inputs = spec.slots.iter();
    let Some(first) = inputs.next() else { return Vec::new() };
    let has_rows_of_first = |slot: &&Slot| {
        let (own, other) = (shape_pattern(slot, &settings), shape_pattern(first, &settings));
        slot.role == Role::Input && own.len() == 2 && own.last() == other.last() && own != other
    };
    let rows = inputs.next().filter(has_rows_of_first);
    let rows = rows.map(|slot| (slot.name.clone(), vec![35, 33]));
    [(first.name.clone(), shape(first))].into_iter().chain(rows).collect()
}

/// Returns the shapes of a layer's operands for a batch with a row more.
pub(super) fn with_another_row(spec: &LayerSpec, operands: &Tensors<f64>) -> Vec<NamedShape> {
    let is_batch = |slot: &Slot| slot.shape.starts_with("(N") || slot.role == Role::Target;
    let rank = first_shape(operands).len();
    let shape = |slot: &Slot| {
        let mut shape = operands.get(&slot.name)?.shape().to_vec();
        if let (true, true, Some(rows)) = (rank > 1, is_batch(slot), shape.first_mut()) {
            *rows += 1;
        }
        Some((slot.name.clone(), shape))
    };
    spec.slots.iter().filter_map(shape).collect()
}

fn first_shape(operands: &Tensors<f64>) -> Vec<usize> {
    operands.iter().next().map(|(_, first)| first.shape().to_vec()).unwrap_or_default()
}

/// Returns true if the settings imply targets that are class indices.
fn has_class_indices(settings: &Settings) -> bool {
    settings.choice("t-kind") == Some("index") || settings.get("ignore-index").is_some()
}

fn draw_operand(
    (spec, settings): (&LayerSpec, &Settings),
    slot: &Slot,
    shape: &[usize],
    operands: &Tensors<f64>,
    float_type: FloatType,
    rng: &mut SplitMix64,
) -> ArrayD<f64> {
    let input = first_shape(operands);
    let axis = loss_class_axis(settings, input.len().max(shape.len()));
    match slot.role {
        Role::Target if shape.len() < input.len() => {
            let classes = input.get(axis).copied().unwrap_or(1);
            #[allow(clippy::cast_precision_loss)] // a class index
            fill(shape, || rng.index(classes) as f64)
        }
        Role::Target => draw_distributions(shape, axis, rng),
        Role::Input if spec.is_loss() && slot.name == Name::Y => {
            move_near_eps(draw_distributions(shape, axis, rng), axis, float_type)
        }
        Role::Constant => fill(shape, || 0.5 + rng.dyadic().abs() / 2.0),
        _ => draw_numbers(shape, rng),
    }
}

fn fill(shape: &[usize], value: impl FnMut() -> f64) -> ArrayD<f64> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), value)
}

/// Returns random numbers in [−2, 2] except 0, exact in every precision.
pub fn draw_numbers(shape: &[usize], rng: &mut SplitMix64) -> ArrayD<f64> {
    fill(shape, || rng.dyadic())
}

/// Returns true if a mask has booleans: the layer reads no others, or a setting says so.
fn has_boolean_mask(spec: &LayerSpec, slot: &Slot, settings: &Settings) -> bool {
    let kind = format!("{}-kind", slot.name);
    let is_the_only_kind = spec.settings.iter().all(|setting| setting.name != kind);
    slot.is_mask() && (is_the_only_kind || settings.choice(&kind) == Some("boolean"))
}

/// Returns a random mask with a 1 in every row, and a 0 in every row of several entries.
fn draw_mask(shape: &[usize], rng: &mut SplitMix64) -> ArrayD<f64> {
    let mut mask = fill(shape, || f64::from(u8::from(rng.sign() > 0.0)));
    for mut row in mask.rows_mut().into_iter().filter(|row| !row.is_empty()) {
        let at = rng.index(row.len());
        let next = (at + 1) % row.len();
        row[next] = 0.0;
        row[at] = 1.0;
    }
    mask
}

/// Returns random lanes along an axis of positive multiples of 1/64 or finer that sum to exactly 1.
fn draw_distributions(shape: &[usize], axis: usize, rng: &mut SplitMix64) -> ArrayD<f64> {
    let classes = shape.get(axis).copied().unwrap_or(1);
    let mut rows = ArrayD::zeros(IxDyn(shape));
    let units = (4 * classes).max(64).next_power_of_two();
    #[allow(clippy::cast_precision_loss)] // a small count
    let unit = 1.0 / units as f64;
    if shape.is_empty() {
        rows.fill(1.0);
        return rows;
    }
    for mut row in rows.lanes_mut(Axis(axis)).into_iter().filter(|row| !row.is_empty()) {
        // Each class has one unit, so that none is 0.
        row.fill(unit);
        for _ in classes..units {
            row[rng.index(classes)] += unit;
        }
    }
    rows
}

/// Gives the first two rows an entry near 1e-10, where eps matters, or near the smallest number of a type that holds none so small;
/// the rest of it is added to the row's largest.
fn move_near_eps(mut rows: ArrayD<f64>, axis: usize, float_type: FloatType) -> ArrayD<f64> {
    if rows.ndim() == 0 {
        return rows;
    }
    let tiny = float_type.smallest_normal().max(2f64.powi(-33));
    for mut row in rows.lanes_mut(Axis(axis)).into_iter().take(2).filter(|row| row.len() > 1) {
        let largest = (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        let other = if largest == 0 { 1 } else { 0 };
        row[largest] += row[other] - tiny;
        row[other] = tiny;
    }
    rows
}
