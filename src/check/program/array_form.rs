//! The forms of arrays in requests and replies: nested lists, and base64 of their bytes.

use crate::core::error::{format_shape, sanitize};
use crate::core::size::{MAX_RANK, check_empty_axes};
use crate::format::json::{Node, read_shape};
use crate::numeric::FloatType;
use data_encoding::BASE64;
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use std::io::{self, Write};

/// The form of the arrays in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrayForm {
    /// Nested lists of numbers.
    Lists,
    /// An object with the shape, the type, and the bytes in base64.
    Base64,
}

/// Writes an array in base64, in that type if it holds every entry exactly, and else in f64.
pub(super) fn write_base64(value: &ArrayD<f64>, float_type: FloatType, text: &mut Vec<u8>) -> io::Result<()> {
    let float_type = if value.iter().all(|&v| float_type.holds(v)) { float_type } else { FloatType::F64 };
    let bytes = encode(value, float_type);
    let (shape, dtype) = (serde_json::json!(value.shape()), float_type.name());
    write!(text, r#"{{"shape":{shape},"dtype":"{dtype}","base64":""#)?;
    let begin = text.len();
    text.resize(begin + BASE64.encode_len(bytes.len()), 0);
    BASE64.encode_mut(&bytes, &mut text[begin..]);
    text.write_all(b"\"}")
}

/// Reads the object of an array in base64. Errors with the rule that it breaks.
pub(super) fn read_base64(entries: &[(String, Node)]) -> Result<ArrayD<f64>, String> {
    let value = |key: &str| entries.iter().find(|(known, _)| known == key).map(|(_, node)| node);
    let (Some(shape), Some(Node::Text(dtype)), Some(Node::Text(text))) =
        (value("shape"), value("dtype"), value("base64"))
    else {
        return Err("an object that stands for an array must have a shape, a dtype and base64".to_owned());
    };
    let Some(shape) = read_shape(shape).filter(|shape| shape.len() <= MAX_RANK) else {
        return Err(format!("the shape must be a list of at most {MAX_RANK} whole numbers"));
    };
    check_empty_axes(&shape).map_err(|error| error.message.clone())?;
    let Some(float_type) = FloatType::named(dtype) else {
        return Err(format!("the dtype must be f64, f32, f16 or bf16, got {:?}", sanitize(dtype)));
    };
    let bytes = BASE64.decode(text.as_bytes()).map_err(|error| format!("the base64 is invalid: {error}"))?;
    let declared = shape.iter().try_fold(size(float_type), |bytes, &side| bytes.checked_mul(side));
    if declared != Some(bytes.len()) {
        let declared = declared.map_or("more than 2⁶⁴".to_owned(), |declared| declared.to_string());
        let (shape, got) = (format_shape(&shape), bytes.len());
        return Err(format!("the shape {shape} of {dtype} has {declared} bytes, but the base64 has {got}"));
    }
    ArrayD::from_shape_vec(IxDyn(&shape), decode(&bytes, float_type))
        .map_err(|_| format!("the shape {} is too large", format_shape(&shape)))
}

/// Returns the number of bytes of an entry.
fn size(float_type: FloatType) -> usize {
    match float_type {
        FloatType::F64 => 8,
        FloatType::F32 => 4,
        FloatType::F16 | FloatType::Bf16 => 2,
        FloatType::E4m3fn | FloatType::E5m2 => 1,
    }
}

/// Returns the entries in row-major order, each with its least significant byte first.
#[allow(clippy::cast_possible_truncation)] // the type holds every entry
fn encode(value: &ArrayD<f64>, float_type: FloatType) -> Vec<u8> {
    let entries = value.iter();
    match float_type {
        FloatType::F64 => entries.flat_map(|v| v.to_le_bytes()).collect(),
        FloatType::F32 => entries.flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        FloatType::F16 => entries.flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect(),
        FloatType::Bf16 => entries.flat_map(|&v| bf16::from_f64(v).to_le_bytes()).collect(),
        FloatType::E4m3fn | FloatType::E5m2 => unreachable!("programs do not compute in eight bits"),
    }
}

fn decode(bytes: &[u8], float_type: FloatType) -> Vec<f64> {
    let pairs = bytes.as_chunks().0.iter();
    match float_type {
        FloatType::F64 => bytes.as_chunks().0.iter().map(|entry| f64::from_le_bytes(*entry)).collect(),
        FloatType::F32 => bytes.as_chunks().0.iter().map(|entry| f32::from_le_bytes(*entry).into()).collect(),
        FloatType::F16 => pairs.map(|entry| f16::from_le_bytes(*entry).into()).collect(),
        FloatType::Bf16 => pairs.map(|entry| bf16::from_le_bytes(*entry).into()).collect(),
        FloatType::E4m3fn | FloatType::E5m2 => unreachable!("programs do not compute in eight bits"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json;
    use ndarray::array;

    fn written(value: &ArrayD<f64>, float_type: FloatType) -> String {
        let mut text = Vec::new();
        write_base64(value, float_type, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn read(text: &str) -> Result<ArrayD<f64>, String> {
        let Node::Object(entries) = json::parse(text.as_bytes(), "").unwrap() else { panic!("{text}") };
        read_base64(&entries)
    }

    /// Expected texts are by Python: `base64.b64encode(struct.pack("<2f", 1, -2))`, and so on.
    #[test]
    fn arrays_are_written_in_base64_and_read_back() {
        let value = array![[1.0], [-2.0]].into_dyn();
        for (float_type, base64) in [
            (FloatType::F64, "AAAAAAAA8D8AAAAAAAAAwA=="),
            (FloatType::F32, "AACAPwAAAMA="),
            (FloatType::F16, "ADwAwA=="),
            (FloatType::Bf16, "gD8AwA=="),
        ] {
            let dtype = float_type.name();
            let text = written(&value, float_type);
            assert_eq!(text, format!(r#"{{"shape":[2,1],"dtype":"{dtype}","base64":"{base64}"}}"#));
            assert_eq!(read(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_type_that_rounds_an_entry_gives_way_to_doubles() {
        for value in [0.1, 1e300, 5e-324, f64::INFINITY, f64::NAN, -0.0] {
            let array = array![1.0, value].into_dyn();
            for float_type in FloatType::ALL {
                let text = written(&array, float_type);
                let expected = if float_type.holds(value) { float_type } else { FloatType::F64 };
                assert!(text.contains(&format!(r#""dtype":"{}""#, expected.name())), "{text}");
                let back = read(&text).unwrap();
                assert_eq!((back[[1]].to_bits(), back.shape()), (value.to_bits(), &[2][..]), "{text}");
            }
        }
    }

    #[test]
    fn shapes_without_entries_and_without_axes_are_kept() {
        for shape in [vec![], vec![0], vec![0, 3], vec![1, 1, 1, 1, 1]] {
            let value = ArrayD::from_elem(shape, 2.5);
            assert_eq!(read(&written(&value, FloatType::F32)).unwrap(), value);
        }
    }

    #[test]
    fn every_broken_rule_has_its_message() {
        let array = |shape: &str, dtype: &str, base64: &str| {
            read(&format!(r#"{{"shape":{shape},"dtype":"{dtype}","base64":"{base64}"}}"#)).unwrap_err()
        };
        let one = "AACAPw==";
        assert!(array("[2]", "f32", one).contains("(2) of f32 has 8 bytes, but the base64 has 4"));
        assert!(array("[4294967296,4294967296]", "f32", one).contains("more than 2⁶⁴"));
        for shape in ["[1.5]", "[-1]", "[[1]]", "1", "[1e300]", r#"["a"]"#] {
            assert!(array(shape, "f32", one).contains("whole numbers"), "{shape}");
        }
        assert!(array("[1]", "float32", one).contains("f64, f32, f16 or bf16, got \"float32\""));
        for base64 in ["AACAPw=", "AACAPw", "AA!APw==", "AACAPx=="] {
            assert!(array("[1]", "f32", base64).contains("base64 is invalid"), "{base64}");
        }
        assert!(read(r#"{"shape":[1],"data":[1]}"#).unwrap_err().contains("a dtype and base64"));
    }
}
