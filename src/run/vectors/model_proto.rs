//! A node of ONNX as a model of its own, a `ModelProto`.
//!
//! Source: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>, which has the numbers of the fields.

use super::protobuf::Message;
use super::tensor_proto::data_type;
use crate::layer::{Attribute, OPERATOR_SET, OnnxNode, OnnxTensor};
use crate::numeric::FloatType;

/// Version of the file format, `ir_version`, that came with the set of operators.
const FORMAT_VERSION: u64 = 12;

/// Returns the model of a node.
pub(super) fn encode(name: &str, node: &OnnxNode<'_>, float_type: FloatType) -> Vec<u8> {
    let operator = Message::default()
        .repeated(&node.inputs, |message, input| message.text(1, input.name.as_str()))
        .repeated(&node.outputs, |message, output| message.text(2, output.name.as_str()))
        .text(4, node.operator)
        .repeated(&node.attributes, |message, (name, value)| message.message(5, &attribute(name, value)));
    let graph = Message::default()
        .message(1, &operator)
        .text(2, name)
        .repeated(&node.inputs, |message, input| message.message(11, &described(input, float_type)))
        .repeated(&node.outputs, |message, output| message.message(12, &described(output, float_type)));
    Message::default()
        .integer(1, FORMAT_VERSION)
        .text(2, "nnlayer")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph)
        .message(8, &Message::default().integer(2, OPERATOR_SET.into()))
        .into_bytes()
}

/// Returns an `AttributeProto`.
#[allow(clippy::cast_possible_truncation)] // attributes are in single precision
fn attribute(name: &str, value: &Attribute) -> Message {
    let message = Message::default().text(1, name);
    match value {
        Attribute::Number(value) => message.float(2, *value as f32).integer(20, 1),
        Attribute::Integer(value) => message.integer(3, value.cast_unsigned()).integer(20, 2),
        Attribute::Text(text) => message.text(4, text).integer(20, 3),
        Attribute::Integers(values) => {
            message.repeated(values, |message, value| message.integer(8, value.cast_unsigned())).integer(20, 7)
        }
    }
}

/// Returns the `ValueInfoProto` of an input or output: its name, type and shape.
fn described(tensor: &OnnxTensor<'_>, float_type: FloatType) -> Message {
    let shape = Message::default().repeated(tensor.value.shape(), |message, &length| {
        message.message(1, &Message::default().integer(1, length as u64))
    });
    let tensor_type = Message::default().integer(1, data_type(tensor.elements, float_type)).message(2, &shape);
    Message::default().text(1, tensor.name.as_str()).message(2, &Message::default().message(1, &tensor_type))
}
