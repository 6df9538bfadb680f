//! Inputs drawn where none are given, so that no known mistake passes and no two look alike: more rows than one, sides
//! that differ, an upstream gradient that is not constant, probabilities near eps.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer::{LayerSpec, Role, Settings, Slot};
use ndarray::{ArrayD, IxDyn};

/// `x=4x3`: an operand and its shape.
pub type Shape = (Name, Vec<usize>);

/// More entries than this are not drawn.
const MOST: usize = 1 << 24;

/// Reads `x=4x3`, `b=5` or `t=` (a scalar).
pub fn shape(text: &str) -> Result<Shape, Error> {
    let refuse = || {
        Error::new(Code::Setting, format!("{text:?} is no name and shape"))
            .with_operand(&Name::new("shape"))
            .tip("a name, = and the sides: --shape x=4x3 --shape b=5")
    };
    let (name, sides) = text.split_once('=').ok_or_else(refuse)?;
    let sides = sides.trim();
    let sides: Option<Vec<usize>> = match sides {
        "" => Some(Vec::new()),
        sides => sides.split(['x', '×', ',']).map(|side| side.trim().parse().ok()).collect(),
    };
    let sides = sides.filter(|sides| sides.len() <= 2 && !name.trim().is_empty()).ok_or_else(refuse)?;
    match sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) {
        Some(count) if count <= MOST => Ok((Name::new(name.trim()), sides)),
        _ => Err(Error::new(Code::Setting, format!("{text:?} has too many entries: {MOST} are the most"))
            .with_operand(&Name::new("shape"))),
    }
}

/// Letters of shapes and how long their sides are.
struct Sides(Vec<(String, usize)>);

impl Sides {
    /// What is drawn where nothing is said: a batch of 4, other sides that differ from it and from each other.
    const USUAL: &'static [(&'static str, usize)] = &[("N", 4), ("in", 3), ("out", 5), ("C", 3), ("D", 3)];

    fn get(&self, letter: &str) -> usize {
        let known = self.0.iter().find(|(known, _)| known == letter).map(|(_, side)| *side);
        let usual = || Sides::USUAL.iter().find(|(known, _)| *known == letter).map(|(_, side)| *side);
        known.or_else(usual).unwrap_or(3)
    }

    fn learn(&mut self, pattern: &[&str], shape: &[usize]) {
        // A vector is one row: its side is the pattern's last.
        let skip = pattern.len().saturating_sub(shape.len());
        for (letter, &side) in pattern[skip..].iter().zip(shape) {
            if !self.0.iter().any(|(known, _)| known == letter) {
                self.0.push(((*letter).to_owned(), side));
            }
        }
    }
}

/// The letters of a slot's shape: `(N×in) or (in)` is N and in; none where it is another operand's.
fn pattern<'a>(slot: &'a Slot, settings: &Settings) -> Vec<&'a str> {
    let first = slot.shape.strip_prefix('(').and_then(|rest| rest.split(')').next());
    let mut letters: Vec<&str> = first.map(|letters| letters.split('×').collect()).unwrap_or_default();
    if slot.role == Role::Parameter && settings.iter().any(|(_, value)| *value == crate::layer::Value::Choice("out-in"))
    {
        letters.reverse();
    }
    letters
}

/// The operands of a layer: those that are given, and drawn ones for those that are not.
pub fn draw(
    spec: &LayerSpec,
    settings: &Settings,
    given: &Tensors<f64>,
    shapes: &[Shape],
    seeded: &mut SplitMix64,
) -> Result<Tensors<f64>, Error> {
    let unknown = shapes.iter().find(|(name, _)| spec.slots.iter().all(|slot| slot.name != *name));
    if let Some((name, _)) = unknown {
        let names: Vec<&str> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
        return Err(Error::new(Code::Setting, format!("{} has no operand {name}", spec.name))
            .with_operand(&Name::new("shape"))
            .tip(format!("its operands are {}", names.join(", "))));
    }
    let said = |name: &Name| {
        let drawn = shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone());
        drawn.or_else(|| given.get(name).map(|value| value.shape().to_vec()))
    };
    let mut sides = Sides(Vec::new());
    for slot in spec.slots {
        if let Some(shape) = said(&slot.name) {
            sides.learn(&pattern(slot, settings), &shape);
        }
    }
    let mut at = Tensors::new();
    for slot in spec.slots {
        if let Some(value) = given.get(&slot.name) {
            at.insert(slot.name.clone(), value.clone());
            continue;
        }
        if slot.optional && slot.role == Role::Constant && said(&slot.name).is_none() {
            continue;
        }
        let letters = pattern(slot, settings);
        let rank = said(&Name::X).or_else(|| said(&Name::Y)).map_or(2, |shape| shape.len());
        let shape = said(&slot.name).unwrap_or_else(|| match slot.role {
            Role::Target => at.iter().next().map(|(_, input)| input.shape().to_vec()).unwrap_or_default(),
            Role::Input => letters[letters.len() - rank.min(letters.len())..].iter().map(|l| sides.get(l)).collect(),
            _ => letters.iter().map(|letter| sides.get(letter)).collect(),
        });
        let shape = if by_index(settings) && slot.role == Role::Target && said(&slot.name).is_none() {
            shape[..shape.len().saturating_sub(1)].to_vec()
        } else {
            shape
        };
        let value = values(spec, slot, &shape, &at, seeded);
        at.insert(slot.name.clone(), value);
    }
    Ok(at)
}

/// Whether the settings are about class indices.
fn by_index(settings: &Settings) -> bool {
    settings.choice("t-kind") == Some("index") || settings.get("ignore-index").is_some()
}

fn values(spec: &LayerSpec, slot: &Slot, shape: &[usize], at: &Tensors<f64>, seeded: &mut SplitMix64) -> ArrayD<f64> {
    let input = at.iter().next().map(|(_, input)| input.shape().to_vec()).unwrap_or_default();
    match slot.role {
        Role::Target if shape.len() < input.len() => {
            let classes = input.last().copied().unwrap_or(1);
            #[allow(clippy::cast_precision_loss)] // a class index
            filled(shape, || seeded.index(classes) as f64)
        }
        Role::Target => distributions(shape, seeded),
        Role::Input if spec.is_loss() && slot.name == Name::Y => near_eps(distributions(shape, seeded)),
        Role::Constant => filled(shape, || 0.5 + seeded.dyadic().abs() / 2.0),
        _ => numbers(shape, seeded),
    }
}

fn filled(shape: &[usize], value: impl FnMut() -> f64) -> ArrayD<f64> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), value)
}

/// Numbers between −2 and 2, none of them 0, exact in every precision.
pub fn numbers(shape: &[usize], seeded: &mut SplitMix64) -> ArrayD<f64> {
    filled(shape, || seeded.dyadic())
}

/// Rows that sum to 1 exactly, in 64ths or finer.
fn distributions(shape: &[usize], seeded: &mut SplitMix64) -> ArrayD<f64> {
    let classes = shape.last().copied().unwrap_or(1);
    let mut rows = ArrayD::zeros(IxDyn(shape));
    let parts = (4 * classes).max(64).next_power_of_two();
    #[allow(clippy::cast_precision_loss)] // a small count
    let share = 1.0 / parts as f64;
    for mut row in rows.rows_mut().into_iter().filter(|row| !row.is_empty()) {
        // Each class has a part, so that none is 0; the rest falls at random.
        row.fill(share);
        for _ in classes..parts {
            row[seeded.index(classes)] += share;
        }
    }
    rows
}

/// Gives the first two rows an entry near 1e-10, where eps matters; its share goes to the row's largest.
fn near_eps(mut rows: ArrayD<f64>) -> ArrayD<f64> {
    let tiny = 2f64.powi(-33);
    for mut row in rows.rows_mut().into_iter().take(2).filter(|row| row.len() > 1) {
        let largest = (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        let other = if largest == 0 { 1 } else { 0 };
        row[largest] += row[other] - tiny;
        row[other] = tiny;
    }
    rows
}
