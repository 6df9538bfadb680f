//! The cases of a layer: settings, operands, and inputs with a trap.

use super::traps::{SHAPES, Shape, TRAPS, Trap};
use crate::check::case::Case;
use crate::check::inputs;
use crate::check::inputs::NamedShape;
use crate::check::points::INEXACT;
use crate::core::error::Severity;
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Given, Kind, LayerSpec, Precision, Role, Setting, Settings, Slot, Value, Values};
use crate::numeric::FloatType;
use ndarray::ArrayD;
use std::fmt::Write;

/// Number of values that a setting with a number of values without end has cases for.
const VALUES: usize = 2;

/// A case without its results.
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) flags: Vec<&'static str>,
    pub(super) settings: Settings,
    pub(super) case: Case,
}

/// Returns the cases of a layer that it admits, in order.
pub(super) fn variants(spec: &'static LayerSpec, float_type: FloatType, seed: u64) -> Vec<Variant> {
    let mut all = Variants { spec, float_type, seed, found: Vec::new() };
    all.add("default", &[], &Settings::default(), Operands::Default, None);
    all.add_settings();
    all.add_combinations();
    all.add_optional_operands();
    SHAPES.iter().for_each(|shape| all.add_shape(shape));
    TRAPS.iter().for_each(|trap| all.add_trap(trap));
    all.found
}

/// The operands of a case beside those that are always there.
#[derive(Clone, Copy)]
enum Operands<'a> {
    Default,
    /// Without one of them.
    Without(&'a Slot),
    /// With these.
    With(&'a [&'a Slot]),
    /// With an input of this shape.
    Shaped(&'a NamedShape),
}

struct Variants {
    spec: &'static LayerSpec,
    float_type: FloatType,
    seed: u64,
    found: Vec<Variant>,
}

impl Variants {
    /// Adds a case if the layer admits it; returns true if it does.
    fn add(
        &mut self,
        name: &str,
        flags: &[&'static str],
        settings: &Settings,
        operands: Operands<'_>,
        trap: Option<&Trap>,
    ) -> bool {
        if self.found.iter().any(|variant| variant.name == name) {
            return false;
        }
        let Some(case) = self.draw(name, settings, operands, trap) else { return false };
        self.found.push(Variant { name: name.to_owned(), flags: flags.to_vec(), settings: settings.clone(), case });
        true
    }

    /// Draws the operands of a case; `None` if the layer refuses them, or warns of a trap.
    fn draw(&self, name: &str, settings: &Settings, operands: Operands<'_>, trap: Option<&Trap>) -> Option<Case> {
        let (spec, float_type) = (self.spec, self.float_type);
        let layer = (spec.build)(settings).ok()?;
        // A case has the same numbers whatever other cases there are.
        let mut rng = SplitMix64::new(self.seed ^ fnv(name));
        let draw = |shapes: &[NamedShape]| {
            inputs::draw_small_operands(spec, settings, shapes, float_type, &mut rng.clone()).ok()
        };
        let mut drawn = match operands {
            Operands::Shaped(shape) => draw(std::slice::from_ref(shape))?,
            _ => draw(&[])?,
        };
        match operands {
            Operands::Without(slot) => drawn.retain(|name| *name != slot.name),
            Operands::With(slots) => {
                let shape = |slot: &&Slot| inputs::absent_shape(spec, settings, slot, &drawn);
                let shapes: Vec<NamedShape> = slots.iter().map(shape).collect();
                drawn = draw(&shapes)?;
            }
            Operands::Default | Operands::Shaped(_) => {}
        }
        if trap.is_some_and(|trap| !self.set_trap(trap, &mut drawn)) {
            return None;
        }
        let case = |dout: Option<&ArrayD<f64>>| Case::new(spec, settings, &drawn, dout, float_type).ok();
        let shape = case(None)?.dout.shape().to_vec();
        // The upstream gradient has other numbers than the operands.
        rng = SplitMix64::new(rng.bits());
        let dout = (!shape.is_empty()).then(|| inputs::draw_numbers(&shape, &mut rng));
        let is_inexact = trap.is_some_and(|trap| trap.is_inexact);
        let dout = dout.map(|dout| if is_inexact { dout.mapv(|v| float_type.round(v * INEXACT)) } else { dout });
        let case = case(dout.as_ref())?;
        let rounding = |_: &Name| float_type.unit_roundoff();
        let given = Given { at: &case.operands, rounding: &rounding, x_was_y: false };
        let notes = layer::admit(layer.as_ref(), &given).ok()?;
        let has_warning = notes.iter().any(|note| note.severity == Severity::Warning);
        // NaN says nothing, unless a setting asks for it.
        let outcome = layer::compute(layer.as_ref(), &case.operands, Some(&case.dout), Precision::F64);
        let mut results = outcome.results.iter().chain(outcome.gradients.iter());
        let wants_nan = settings.iter().any(|(_, value)| *value == Value::Choice("nan"));
        let is_clear = wants_nan || !results.any(|(_, value)| value.iter().any(|v| v.is_nan()));
        (is_clear && (trap.is_none() || !has_warning)).then_some(case)
    }

    /// Changes the inputs; returns false if there is nothing to change.
    fn set_trap(&self, trap: &Trap, drawn: &mut Tensors<f64>) -> bool {
        let mut is_set = false;
        for slot in self.spec.slots.iter().filter(|slot| slot.role == Role::Input) {
            let Some(value) = drawn.get_mut(&slot.name).filter(|value| !value.is_empty()) else { continue };
            is_set |= match slot.values {
                Values::Numbers => (trap.set)(value, self.float_type),
                _ => (trap.set_indices)(value),
            };
        }
        is_set
    }

    /// Adds a case for each value of each setting. One that is refused alone is tried with each value of each other setting, and
    /// then with each absent operand.
    fn add_settings(&mut self) {
        for setting in self.spec.settings {
            let mut count = 0;
            for value in values(setting) {
                let is_word = matches!(value, Value::Choice(_) | Value::Flag(_));
                if !is_word && count == VALUES {
                    continue;
                }
                count += usize::from(self.add_setting(setting, &value) && !is_word);
            }
        }
    }

    fn add_setting(&mut self, setting: &Setting, value: &Value) -> bool {
        let (spec, name) = (self.spec, setting_name(setting.name, value));
        let mut settings = Settings::default();
        settings.set(setting.name, value.clone());
        if self.add(&name, &["setting"], &settings, Operands::Default, None) {
            return true;
        }
        for other in spec.settings.iter().filter(|other| other.name != setting.name) {
            for other_value in values(other) {
                let mut both = settings.clone();
                both.set(other.name, other_value);
                if self.add(&name, &["setting", "settings"], &both, Operands::Default, None) {
                    return true;
                }
            }
        }
        let optional: Vec<&Slot> = spec.slots.iter().filter(|slot| slot.optional).collect();
        let before = |n: usize| optional[..n].iter();
        let pairs = optional.iter().enumerate().flat_map(|(n, slot)| before(n).map(move |other| vec![*other, *slot]));
        let mut groups = optional.iter().map(|slot| vec![*slot]).chain(pairs);
        groups.any(|slots| self.add(&name, &["setting", "optional"], &settings, Operands::With(&slots), None))
    }

    /// Adds two cases with as many settings as go together: the first value of each, and the last.
    fn add_combinations(&mut self) {
        for is_last in [false, true] {
            let mut settings = Settings::default();
            for setting in self.spec.settings {
                let mut values = values(setting);
                if is_last {
                    values.reverse();
                }
                for value in values {
                    let mut more = settings.clone();
                    more.set(setting.name, value);
                    if self.draw("settings", &more, Operands::Default, None).is_some() {
                        settings = more;
                        break;
                    }
                }
            }
            let name = if is_last { "settings-last" } else { "settings-first" };
            if settings.iter().count() > 1 {
                self.add(name, &["settings"], &settings, Operands::Default, None);
            }
        }
    }

    /// Adds cases with and without each optional operand; one that is refused alone is tried with each other.
    fn add_optional_operands(&mut self) {
        let settings = Settings::default();
        let drawn = self.found.first().map(|variant| variant.case.operands.clone()).unwrap_or_default();
        let optional: Vec<&Slot> = self.spec.slots.iter().filter(|slot| slot.optional).collect();
        for slot in &optional {
            if drawn.get(&slot.name).is_some() {
                self.add(&format!("without-{}", slot.name), &["absent"], &settings, Operands::Without(slot), None);
                continue;
            }
            let name = format!("with-{}", slot.name);
            let mut is_added = self.add(&name, &["optional"], &settings, Operands::With(&[slot]), None);
            for other in optional.iter().filter(|other| other.name != slot.name && drawn.get(&other.name).is_none()) {
                is_added = is_added || self.add(&name, &["optional"], &settings, Operands::With(&[other, slot]), None);
            }
        }
    }

    /// Adds a case of another shape of the first operand. An empty batch is tried with settings that say what becomes of a mean of
    /// nothing too.
    fn add_shape(&mut self, shape: &Shape) {
        let Some(default) = self.found.first() else { return };
        let first = default.case.operands.iter().next();
        let Some((name, Some(changed))) = first.map(|(name, x)| (name.clone(), (shape.change)(x.shape()))) else {
            return;
        };
        let shaped = (name, changed);
        self.add(shape.name, &[shape.flag], &Settings::default(), Operands::Shaped(&shaped), None);
        let both = |variant: &&Variant| shape.is_empty && variant.settings.get("empty").is_some();
        let with_settings: Vec<(String, Settings)> =
            self.found.iter().filter(both).map(|variant| (variant.name.clone(), variant.settings.clone())).collect();
        for (name, settings) in with_settings {
            let name = format!("{}-{name}", shape.name);
            self.add(&name, &[shape.flag, "settings"], &settings, Operands::Shaped(&shaped), None);
        }
    }

    /// Adds a case with a trap. One that is refused is tried with each word of each setting, which may say what to do about it.
    fn add_trap(&mut self, trap: &Trap) {
        if self.add(trap.name, &[trap.flag], &Settings::default(), Operands::Default, Some(trap)) {
            return;
        }
        for setting in self.spec.settings {
            for value in values(setting).into_iter().filter(|value| matches!(value, Value::Choice(_))) {
                let name = format!("{}-{}", trap.name, setting_name(setting.name, &value));
                let mut settings = Settings::default();
                settings.set(setting.name, value);
                self.add(&name, &[trap.flag, "setting"], &settings, Operands::Default, Some(trap));
            }
        }
    }
}

/// Returns the values of a setting that cases have, as far as the layer admits them.
fn values(setting: &Setting) -> Vec<Value> {
    let words = |words: &[&'static str]| words.iter().map(|word| Value::Choice(word)).collect::<Vec<_>>();
    match setting.kind {
        Kind::Flag => vec![Value::Flag(true)],
        Kind::Choice(choices) => words(choices),
        Kind::Integer => [2, 0, -1, 1].map(Value::Integer).to_vec(),
        Kind::Number(_) => [0.5, 2.0, 0.0].map(Value::Number).to_vec(),
        Kind::Integers => {
            let lists: [&[i64]; 7] = [&[2], &[2, 1], &[1, 0], &[0, 1], &[-1], &[0, -1], &[1, 2]];
            lists.map(|list| Value::Integers(list.to_vec())).to_vec()
        }
        Kind::IntegerRows(choices) => {
            let rows: [&[&[i64]]; 3] = [&[&[1]], &[&[1, 0]], &[&[1, 0], &[0, 1]]];
            let rows = rows.map(|rows| Value::IntegerRows(rows.iter().map(|row| row.to_vec()).collect()));
            words(choices).into_iter().chain(rows).collect()
        }
    }
}

/// Returns a name for a value of a setting that every file system and, with underscores, C accepts.
fn setting_name(setting: &str, value: &Value) -> String {
    let integer = |value: &i64| if *value < 0 { format!("minus{}", -value) } else { value.to_string() };
    let list = |values: &Vec<i64>| values.iter().map(integer).collect::<Vec<_>>().join("x");
    let mut name = setting.to_owned();
    // Writing to memory cannot fail.
    let _ = match value {
        Value::Flag(_) => Ok(()),
        Value::Integer(value) => write!(name, "-{}", integer(value)),
        Value::Number(value) => write!(name, "-{value}"),
        Value::Choice(word) => write!(name, "-{word}"),
        Value::Integers(values) => write!(name, "-{}", list(values)),
        Value::IntegerRows(rows) => write!(name, "-{}", rows.iter().map(list).collect::<Vec<_>>().join("-")),
    };
    name
}

/// Returns a hash of a name (FNV-1a), so that each case has a stream of random numbers of its own.
fn fnv(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
