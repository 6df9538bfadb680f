//! Arrays as ONNX's `TensorProto`: a message with the fields dims (1), data_type (2), name (8) and raw_data (9).
//!
//! Source: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use super::protobuf::Message;
use crate::layer::{Elements, OnnxTensor};
use crate::numeric::FloatType;
use half::{bf16, f16};

/// Returns the message of an array.
pub(super) fn encode(tensor: &OnnxTensor<'_>, float_type: FloatType) -> Vec<u8> {
    let lengths = tensor.value.shape().iter();
    let message = Message::default()
        .repeated(lengths, |message, &length| message.integer(1, length as u64))
        .integer(2, data_type(tensor.elements, float_type))
        .text(8, tensor.name.as_str());
    message.bytes(9, &elements(tensor, float_type)).into_bytes()
}

/// Returns the number of the type of elements.
pub(super) fn data_type(elements: Elements, float_type: FloatType) -> u64 {
    match (elements, float_type) {
        (Elements::Integers, _) => 7,
        (Elements::Booleans, _) => 9,
        (Elements::Numbers, FloatType::F32) => 1,
        (Elements::Numbers, FloatType::F16) => 10,
        (Elements::Numbers, FloatType::Bf16) => 16,
        (Elements::Numbers, FloatType::F64 | FloatType::E4m3fn | FloatType::E5m2) => 11,
    }
}

#[allow(clippy::cast_possible_truncation)] // the type holds every entry
fn elements(tensor: &OnnxTensor<'_>, float_type: FloatType) -> Vec<u8> {
    let entries = tensor.value.iter();
    match (tensor.elements, float_type) {
        (Elements::Integers, _) => entries.flat_map(|&v| (v as i64).to_le_bytes()).collect(),
        (Elements::Booleans, _) => entries.map(|&v| u8::from(v != 0.0)).collect(),
        (Elements::Numbers, FloatType::F32) => entries.flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        (Elements::Numbers, FloatType::F16) => entries.flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect(),
        (Elements::Numbers, FloatType::Bf16) => entries.flat_map(|&v| bf16::from_f64(v).to_le_bytes()).collect(),
        (Elements::Numbers, FloatType::F64 | FloatType::E4m3fn | FloatType::E5m2) => {
            entries.flat_map(|v| v.to_le_bytes()).collect()
        }
    }
}
