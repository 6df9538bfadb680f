//! Attributes and further inputs of operators.

use super::node::{Attribute, Attributes, Elements, Further};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::rope;
use crate::layer::settings::{Settings, Value};
use ndarray::{ArrayD, IxDyn};

pub(super) const COS: Name = Name::fixed("cos");
pub(super) const SIN: Name = Name::fixed("sin");

/// Largest number of positions for which tables are computed.
const MAX_TABLE_ROWS: f64 = 4096.0;

pub(super) fn integer(
    settings: &Settings,
    setting: &str,
    attribute: &'static str,
    default: i64,
) -> (&'static str, Attribute) {
    (attribute, Attribute::Integer(settings.integer(setting).unwrap_or(default)))
}

pub(super) fn number(
    settings: &Settings,
    setting: &str,
    attribute: &'static str,
    default: f64,
) -> (&'static str, Attribute) {
    (attribute, Attribute::Number(settings.number(setting).unwrap_or(default)))
}

pub(super) fn optional_integer(
    settings: &Settings,
    setting: &str,
    attribute: &'static str,
) -> Option<(&'static str, Attribute)> {
    settings.integer(setting).map(|value| (attribute, Attribute::Integer(value)))
}

pub(super) fn with_alpha(settings: &Settings, _: usize) -> Option<Attributes> {
    Some(vec![number(settings, "alpha", "alpha", 1.0)])
}

pub(super) fn epsilon(settings: &Settings) -> (&'static str, Attribute) {
    number(settings, "eps", "epsilon", 1e-5)
}

/// Returns the attributes of batch normalisation in training, with the weight of the running statistics.
pub(super) fn training(settings: &Settings, momentum: f64) -> Attributes {
    vec![epsilon(settings), ("momentum", Attribute::Number(momentum)), ("training_mode", Attribute::Integer(1))]
}

/// Returns an array of the default of each of these operands that is absent, with a number for each channel of x.
pub(super) fn by_channel(at: &Tensors<f64>, defaults: &[(Name, f64)]) -> Option<Further> {
    // A mean of nothing is not defined.
    let x = at.get(&Name::X).filter(|x| !x.is_empty())?;
    let channels = *x.shape().get(1)?;
    let absent = defaults.iter().filter(|(name, _)| at.get(name).is_none());
    let array = |value: f64| ArrayD::from_elem(IxDyn(&[channels]), value);
    Some(absent.map(|(name, value)| (name.clone(), Elements::Numbers, array(*value))).collect())
}

/// Returns the rank of inputs with heads: in their rows, as --heads says, or along an axis of their own.
pub(super) fn rank_with_heads(settings: &Settings) -> usize {
    if settings.integer("heads").is_some() { 3 } else { 4 }
}

pub(super) fn attention(settings: &Settings) -> Option<Attributes> {
    let is_causal = match settings.choice("causal") {
        Some("bottom-right") => return None,
        causal => causal == Some("top-left"),
    };
    if settings.choice("mask-true") == Some("ignore") || settings.choice("masked-rows") == Some("nan") {
        return None;
    }
    let optional = |setting: &str, attribute: &'static str| {
        settings.number(setting).map(|value| (attribute, Attribute::Number(value)))
    };
    let mut attributes = vec![("is_causal", Attribute::Integer(i64::from(is_causal)))];
    attributes.extend(optional("scale", "scale"));
    attributes.extend(optional("softcap", "softcap"));
    attributes.extend(optional_integer(settings, "heads", "q_num_heads"));
    if let Some(heads) = settings.integer("heads") {
        attributes.push(integer(settings, "kv-heads", "kv_num_heads", heads));
    }
    Some(attributes)
}

/// Returns the position of each row, and tables of cosines and sines if there are none: the operator does not compute them.
pub(super) fn rotation_tables(settings: &Settings, at: &Tensors<f64>) -> Option<Further> {
    let x = at.get(&Name::X)?;
    let [leading @ .., length, width] = x.shape() else { return None };
    let batch = if x.ndim() == rank_with_heads(settings) { leading[0] } else { 1 };
    let positions = match at.get(&Name::POSITIONS) {
        Some(positions) => positions.clone(),
        None => ArrayD::from_shape_fn(IxDyn(&[*length]), |n| count(i64::try_from(n[0]).unwrap_or_default())),
    };
    let rows = positions.iter().fold(0.0, |rows: f64, position| rows.max(position + 1.0));
    if rows > MAX_TABLE_ROWS {
        return None;
    }
    let positions = (positions.ndim() == 1).then(|| positions.broadcast(IxDyn(&[batch, *length])))??.to_owned();
    let mut further = vec![(Name::POSITIONS, Elements::Integers, positions)];
    match at.get(&COS) {
        Some(table) => (table.ndim() == 2).then_some(further),
        None => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an admitted position, and 1
            let (cos, sin) = rope::tables(settings, rows as usize, *width)?;
            further.extend([(COS, Elements::Numbers, cos), (SIN, Elements::Numbers, sin)]);
            Some(further)
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a small number
pub(super) fn count(number: i64) -> f64 {
    number as f64
}

/// Returns a list with a number for each axis that windows slide along.
fn per_axis(settings: &Settings, setting: &str, rank: usize, default: &[i64]) -> Vec<i64> {
    let values = settings.integers(setting).unwrap_or(default);
    if values.len() == 1 { vec![values[0]; rank.saturating_sub(2)] } else { values.to_vec() }
}

/// Returns strides, dilations and padding.
pub(super) fn windows(settings: &Settings, rank: usize) -> Option<Attributes> {
    let mut attributes = vec![
        ("strides", Attribute::Integers(per_axis(settings, "stride", rank, &[1]))),
        ("dilations", Attribute::Integers(per_axis(settings, "dilation", rank, &[1]))),
    ];
    match settings.get("padding") {
        None => {}
        Some(Value::Choice("same-lower")) => attributes.push(("auto_pad", Attribute::Text("SAME_LOWER"))),
        Some(Value::Choice(_)) => attributes.push(("auto_pad", Attribute::Text("SAME_UPPER"))),
        Some(Value::IntegerRows(rows)) => attributes.push(("pads", Attribute::Integers(pads(rows, rank)?))),
        Some(_) => return None,
    }
    Some(attributes)
}

/// Returns the padding before each axis, then that after each.
fn pads(rows: &[Vec<i64>], rank: usize) -> Option<Vec<i64>> {
    let axes = rank.saturating_sub(2);
    match rows {
        [row] if row.len() == 1 => Some(vec![row[0]; 2 * axes]),
        rows if rows.len() == axes && rows.iter().all(|row| row.len() == 2) => {
            Some([0, 1].into_iter().flat_map(|side| rows.iter().map(move |row| row[side])).collect())
        }
        _ => None,
    }
}

pub(super) fn pool_windows(settings: &Settings, rank: usize) -> Option<Attributes> {
    let kernel = per_axis(settings, "kernel", rank, &[2]);
    let mut attributes = windows(settings, rank)?;
    // The stride is that of the kernel by default.
    attributes[0].1 = Attribute::Integers(per_axis(settings, "stride", rank, &kernel));
    attributes.push(("kernel_shape", Attribute::Integers(kernel)));
    attributes.push(("ceil_mode", Attribute::Integer(i64::from(settings.flag("ceil-mode")))));
    // Padding by name fixes the number of windows.
    let is_named = matches!(settings.get("padding"), Some(Value::Choice(_)));
    (!is_named || !settings.flag("ceil-mode")).then_some(attributes)
}
