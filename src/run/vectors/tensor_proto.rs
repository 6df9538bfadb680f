//! Arrays as ONNX's `TensorProto`: a message of protocol buffers with the fields dims (1), data_type (2), name (8) and raw_data (9).
//!
//! Source: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>, <https://protobuf.dev/programming-guides/encoding>.

use crate::core::name::Name;
use crate::layer::{LayerSpec, Role, Values};
use crate::numeric::FloatType;
use half::{bf16, f16};
use ndarray::ArrayD;

/// Wire types: a number of variable length, and bytes after their length.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// The number of the type of 64-bit integers.
const INT64: u64 = 7;

/// Returns true if ONNX has integers for an operand: indices, and targets, which are class indices there.
pub(super) fn is_integer(spec: &LayerSpec, name: &Name) -> bool {
    let slot = spec.slots.iter().find(|slot| slot.name == *name);
    slot.is_some_and(|slot| slot.role == Role::Target || matches!(slot.values, Values::Indices(_)))
}

/// Returns the message of an array.
pub(super) fn encode(name: &str, value: &ArrayD<f64>, float_type: FloatType, is_integer: bool) -> Vec<u8> {
    let mut message = Vec::new();
    for &length in value.shape() {
        push_varint(1 << 3 | VARINT, &mut message);
        push_varint(length as u64, &mut message);
    }
    push_varint(2 << 3 | VARINT, &mut message);
    push_varint(if is_integer { INT64 } else { data_type(float_type) }, &mut message);
    push_bytes(8, name.as_bytes(), &mut message);
    push_bytes(9, &elements(value, float_type, is_integer), &mut message);
    message
}

fn data_type(float_type: FloatType) -> u64 {
    match float_type {
        FloatType::F32 => 1,
        FloatType::F16 => 10,
        FloatType::Bf16 => 16,
        FloatType::F64 | FloatType::E4m3fn | FloatType::E5m2 => 11,
    }
}

#[allow(clippy::cast_possible_truncation)] // the type holds every entry
fn elements(value: &ArrayD<f64>, float_type: FloatType, is_integer: bool) -> Vec<u8> {
    let entries = value.iter();
    match float_type {
        _ if is_integer => entries.flat_map(|&v| (v as i64).to_le_bytes()).collect(),
        FloatType::F32 => entries.flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        FloatType::F16 => entries.flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect(),
        FloatType::Bf16 => entries.flat_map(|&v| bf16::from_f64(v).to_le_bytes()).collect(),
        FloatType::F64 | FloatType::E4m3fn | FloatType::E5m2 => entries.flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Appends seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
fn push_varint(mut value: u64, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    message.push(value.to_le_bytes()[0]);
}

fn push_bytes(field: u64, bytes: &[u8], message: &mut Vec<u8>) {
    push_varint(field << 3 | BYTES, message);
    push_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}
