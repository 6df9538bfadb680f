//! Hugging Face's `.safetensors`: the length of a JSON header, the header, then all tensors without gaps.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::elements::{ArrayLayout, ElementType, size_error};
use super::errors::{choose_array, damaged, decode_error};
use super::file_format::Format;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::{Code, Error, sanitize};
use crate::core::name::Name;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

/// Named tensors; read-only.
pub struct Safetensors;

/// Size of the header's length in bytes.
const LENGTH_BYTES: u64 = 8;

/// Largest header in bytes that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

impl Format for Safetensors {
    fn name(&self) -> &'static str {
        ".safetensors"
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        match first.split_first_chunk() {
            Some((length, rest)) => u64::from_le_bytes(*length) <= MAX_HEADER_BYTES && rest.starts_with(b"{"),
            None => false,
        }
    }

    fn has_names(&self) -> bool {
        true
    }

    // Only the header and one tensor are read of what may be a large file.
    fn read(&self, mut source: Source<'_>, select: &Selector, names: &[Name]) -> Result<LoadedArray, Error> {
        let (tensors, before) = read_tensor_infos(&mut source)?;
        let available: Vec<String> = tensors.keys().cloned().collect();
        let name = choose_array(select, names, &available)?;
        match tensors.get(&name) {
            Some(info) => read_tensor(&mut source, name, info, before),
            None => Err(damaged("it has no data for a tensor of its header")),
        }
    }

    fn read_names(&self, mut source: Source<'_>) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = read_header(&mut source)?.0.tensors().into_keys().collect();
        names.sort();
        Ok(names)
    }

    fn read_all_arrays(&self, mut source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        let (tensors, before) = read_tensor_infos(&mut source)?;
        tensors.iter().map(|(name, info)| read_tensor(&mut source, name.clone(), info, before)).collect()
    }

    fn write(&self, _arrays: &mut dyn ArrayStream, _dtype: OutputDtype, _out: &mut dyn io::Write) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a .safetensors file cannot be written"))
    }

    fn can_write(&self) -> bool {
        false
    }
}

/// Returns the tensors of the header by name, and the offset of the first, after a check of the file's size.
fn read_tensor_infos(source: &mut Source<'_>) -> Result<(BTreeMap<String, TensorInfo>, u64), Error> {
    let (header, before) = read_header(source)?;
    // The crate's own entry point adds these without checking for overflow.
    if Some(source.len) != before.checked_add(header.data_len() as u64) {
        return Err(size_error(&header.data_len().to_string(), source.len - before));
    }
    Ok((header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect(), before))
}

fn read_tensor(source: &mut Source<'_>, name: String, info: &TensorInfo, before: u64) -> Result<LoadedArray, Error> {
    let layout = layout(info)?;
    let (begin, end) = info.data_offsets;
    layout.check_size((end - begin) as u64)?;
    source.seek(io::SeekFrom::Start(before + begin as u64)).map_err(|error| decode_error(&error))?;
    Ok(LoadedArray { value: layout.read(source, true)?, element: layout.element.float_type(), pointer: name })
}

/// Reads the header, whose offsets the crate has checked against the shapes, and returns it with the offset of the first tensor.
fn read_header(source: &mut Source<'_>) -> Result<(Metadata, u64), Error> {
    let mut length = [0; LENGTH_BYTES as usize];
    source.read_exact(&mut length).map_err(|error| decode_error(&error))?;
    let length = u64::from_le_bytes(length);
    let available = source.len.saturating_sub(LENGTH_BYTES);
    if length > available.min(MAX_HEADER_BYTES) {
        return Err(damaged(format!("it declares a header of {length} bytes, but the file has {available}")));
    }
    let mut text = vec![0; length as usize];
    source.read_exact(&mut text).map_err(|error| decode_error(&error))?;
    match serde_json::from_slice(&text) {
        Ok(header) => Ok((header, LENGTH_BYTES + length)),
        Err(_) => Err(damaged("its header is invalid or inconsistent")),
    }
}

fn layout(info: &TensorInfo) -> Result<ArrayLayout, Error> {
    let element = match info.dtype {
        Dtype::BOOL => ElementType::Bool,
        Dtype::I8 => ElementType::I8,
        Dtype::I16 => ElementType::I16,
        Dtype::I32 => ElementType::I32,
        Dtype::I64 => ElementType::I64,
        Dtype::U8 => ElementType::U8,
        Dtype::U16 => ElementType::U16,
        Dtype::U32 => ElementType::U32,
        Dtype::U64 => ElementType::U64,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        Dtype::F32 => ElementType::F32,
        Dtype::F64 => ElementType::F64,
        Dtype::F8_E4M3 => ElementType::E4m3fn,
        Dtype::F8_E5M2 => ElementType::E5m2,
        other => {
            let message = format!("has the unsupported element type {}", sanitize(&format!("{other:?}")));
            return Err(Error::new(Code::Dtype, message).tip("save it as F64, F32, F16 or BF16"));
        }
    };
    Ok(ArrayLayout { element, big_endian: false, is_fortran: false, shape: info.shape.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::FloatType;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8], select: &str, names: &[Name]) -> Result<LoadedArray, Error> {
        Safetensors.read(Source::bytes("m.safetensors", bytes), &Selector::parse(select), names)
    }

    fn two_tensors() -> Vec<u8> {
        let header = r#"{"__metadata__":{"by":"me"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
            "layers/0/b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}"#;
        let data =
            [1.5f32, -0.0].iter().flat_map(|x| x.to_le_bytes()).chain([0x80, 0x3f, 0x00, 0xc0]).collect::<Vec<_>>();
        file(header, &data)
    }

    #[test]
    fn a_tensor_is_read_by_its_name() {
        let found = read(&two_tensors(), "", &[Name::X, Name::W]).unwrap();
        assert_eq!((found.value.shape(), found.pointer.as_str()), (&[2, 1][..], "w"));
        assert_eq!(found.value[[1, 0]].to_bits(), (-0.0f64).to_bits());
        assert_eq!(found.element, FloatType::F32);
        let found = read(&two_tensors(), "/layers/0/b", &[]).unwrap();
        assert_eq!(found.value.as_slice().unwrap(), [1.0, -2.0]);
        assert_eq!(read(&two_tensors(), "layers/0/b", &[]).unwrap(), found);
    }

    #[test]
    fn a_missing_name_lists_the_names() {
        let error = read(&two_tensors(), "q", &[]).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::KeyMissing, "has no q"));
        assert_eq!(error.facts, [crate::core::error::Fact::Text("it has layers/0/b, w".into())]);
    }

    #[test]
    fn unsupported_types_are_refused() {
        let strange = file(r#"{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]);
        let error = read(&strange, "w", &[]).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::Dtype, "has the unsupported element type C64"));
        let cube = file(r#"{"w":{"dtype":"U8","shape":[1,2,1],"data_offsets":[0,2]}}"#, &[0; 2]);
        assert_eq!(read(&cube, "w", &[]).unwrap().value.shape(), [1, 2, 1]);
    }

    #[test]
    fn a_header_that_contradicts_the_data_is_refused() {
        let mut tensors = String::new();
        let piece = usize::MAX / 8;
        for at in 0..8 {
            let (begin, end) = (at * piece, (at + 1) * piece);
            tensors += &format!(r#""{at}":{{"dtype":"U8","shape":[{piece}],"data_offsets":[{begin},{end}]}},"#);
        }
        let overflow =
            format!(r#"{{{tensors}"w":{{"dtype":"U8","shape":[7],"data_offsets":[{},{}]}}}}"#, 8 * piece, usize::MAX);
        for header in [overflow.as_str(), "{", "[]", r#"{"w":{"dtype":"F64","shape":[9],"data_offsets":[0,8]}}"#, "{}"]
        {
            assert_eq!(read(&file(header, &[0; 8]), "w", &[]).unwrap_err().code, Code::Damaged, "{header}");
        }
        assert_eq!(read(&u64::MAX.to_le_bytes(), "w", &[]).unwrap_err().code, Code::Damaged);
        assert_eq!(read(b"{}", "w", &[]).unwrap_err().code, Code::Damaged);
    }

    #[test]
    fn the_format_is_recognized_by_its_first_bytes() {
        assert!(Safetensors.recognizes(&two_tensors()[..9]));
        assert!(!Safetensors.recognizes(b"{\"w\": 1}"));
        assert!(!Safetensors.recognizes(b"\xff\xff\xff\xff\xff\xff\xff\xff{"));
    }
}
