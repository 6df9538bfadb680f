//! Hugging Face's `.safetensors`: the length of a JSON header, the header, then all tensors without gaps.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::elements::{ArrayLayout, ElementType, size_error};
use super::errors::{choose_array, damaged, decode_error};
use super::file_format::Format;
use super::npy::write_elements;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::{Code, Error, format_shape, sanitize};
use crate::core::name::Name;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

/// Named tensors.
pub struct Safetensors;

/// Size of the header's length in bytes.
const LENGTH_BYTES: u64 = 8;

/// Bytes of elements that are kept in memory while a file is written.
const MAX_MEMORY_BYTES: usize = 1 << 22;

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

    fn write(&self, arrays: &mut dyn ArrayStream, dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        write_tensors(arrays, dtype, out)
    }
}

/// Writes the arrays in their order. The header needs all shapes, so the elements go to a temporary file first if they are many.
fn write_tensors(arrays: &mut dyn ArrayStream, dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
    let (mut data, mut tensors) = (tempfile::spooled_tempfile(MAX_MEMORY_BYTES), Vec::new());
    while let Some((name, shape)) = arrays.next_array()? {
        let begin = data.stream_position()?;
        while let Some(rows) = arrays.next_rows()? {
            write_elements(&rows, dtype, &mut data)?;
        }
        let offset = |offset| usize::try_from(offset).map_err(io::Error::other);
        let data_offsets = (offset(begin)?, offset(data.stream_position()?)?);
        tensors.push((name.as_str().to_owned(), TensorInfo { dtype: tensor_dtype(dtype), shape, data_offsets }));
    }
    let metadata = Metadata::new(None, tensors).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    data.rewind()?;
    io::copy(&mut data, out).map(drop)
}

fn tensor_dtype(dtype: OutputDtype) -> Dtype {
    match dtype {
        OutputDtype::F64 => Dtype::F64,
        OutputDtype::F32 => Dtype::F32,
        OutputDtype::F16 => Dtype::F16,
        OutputDtype::Bf16 => Dtype::BF16,
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
    Ok(LoadedArray { pointer: name, ..layout.read(source, true)? })
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
        Err(_) => Err(damaged(describe_fault(&text))),
    }
}

/// Returns what is wrong with a header: the first tensor whose shape and bytes differ, or which overlaps another or leaves a hole.
fn describe_fault(text: &[u8]) -> String {
    let Ok(header) = serde_json::from_slice::<serde_json::Map<String, Value>>(text) else {
        return "its header is not a JSON object".to_owned();
    };
    let mut tensors = Vec::new();
    for (name, value) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let Ok(info) = TensorInfo::deserialize(value) else {
            return format!("the tensor {} has no valid dtype, shape and data_offsets", sanitize(name));
        };
        tensors.push((info.data_offsets, sanitize(name), info));
    }
    tensors.sort_by_key(|(range, ..)| *range);
    let mut last = (0, None);
    for ((begin, end), name, info) in &tensors {
        let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, side| bits.checked_mul(*side));
        if end.checked_sub(*begin) != bits.map(|bits| bits.div_ceil(8)) {
            let size = bits.map_or("more than 2⁶⁴".to_owned(), |bits| bits.div_ceil(8).to_string());
            let (shape, dtype) = (format_shape(&info.shape), sanitize(&format!("{:?}", info.dtype)));
            return format!(
                "the tensor {name} {shape} of {dtype} has {size} bytes, but its byte range is {begin} to {end}"
            );
        }
        match last {
            (before, Some(other)) if before > *begin => {
                return format!(
                    "the tensors {other} and {name} overlap: one ends at byte {before}, the other begins at {begin}"
                );
            }
            (before, _) if before < *begin => {
                return format!("no tensor has bytes {before} to {begin} of the data, before the tensor {name}");
            }
            _ => last = (*end, Some(name)),
        }
    }
    "its header is invalid".to_owned()
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
    use crate::core::tensors::Tensors;
    use crate::format::arrays::InMemoryArrays;
    use crate::numeric::FloatType;
    use ndarray::ArrayD;

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
    fn a_fault_of_the_header_names_the_tensor_and_the_numbers() {
        let tensor = |name: &str, shape: &str, begin: usize, end: usize| {
            format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
        };
        for (first, second, fault) in [
            (
                tensor("a", "[2]", 0, 8),
                tensor("b", "[2]", 4, 12),
                "the tensors a and b overlap: one ends at byte 8, the other begins at 4",
            ),
            (
                tensor("a", "[2]", 0, 8),
                tensor("b", "[1]", 12, 16),
                "no tensor has bytes 8 to 12 of the data, before the tensor b",
            ),
            (
                tensor("a", "[2]", 4, 12),
                tensor("b", "[1]", 12, 16),
                "no tensor has bytes 0 to 4 of the data, before the tensor a",
            ),
            (
                tensor("a", "[3,2]", 0, 8),
                tensor("b", "[2]", 8, 16),
                "the tensor a (3×2) of F32 has 24 bytes, but its byte range is 0 to 8",
            ),
            (
                tensor("a", "[2]", 0, 8),
                tensor("b", "[2]", 16, 8),
                "the tensor b (2) of F32 has 8 bytes, but its byte range is 16 to 8",
            ),
            (
                tensor("a", "[-2]", 0, 8),
                tensor("b", "[2]", 8, 16),
                "the tensor a has no valid dtype, shape and data_offsets",
            ),
        ] {
            let error = read(&file(&format!("{{{first},{second}}}"), &[0; 16]), "a", &[]).unwrap_err();
            assert_eq!((error.code, error.message.clone()), (Code::Damaged, format!("is damaged: {fault}")));
        }
    }

    #[test]
    fn written_tensors_are_read_back_by_the_safetensors_crate() {
        let arrays = Tensors::new()
            .with(Name::Y, ArrayD::from_shape_fn(vec![2, 1, 2], |at| at[0] as f64 - 0.5 * at[2] as f64))
            .with(Name::LOSS, ndarray::arr0(-0.0).into_dyn())
            .with(Name::DX, ArrayD::zeros(vec![0, 3]));
        for (dtype, kind, size) in [
            (OutputDtype::F64, Dtype::F64, 8),
            (OutputDtype::F32, Dtype::F32, 4),
            (OutputDtype::F16, Dtype::F16, 2),
            (OutputDtype::Bf16, Dtype::BF16, 2),
        ] {
            let mut bytes = Vec::new();
            Safetensors.write(&mut InMemoryArrays::from(&arrays), dtype, &mut bytes).unwrap();
            let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
            for (name, value) in arrays.iter() {
                let tensor = file.tensor(name.as_str()).unwrap();
                assert_eq!(
                    (tensor.dtype(), tensor.shape(), tensor.data().len()),
                    (kind, value.shape(), size * value.len())
                );
                let found = read(&bytes, name.as_str(), &[]).unwrap().value;
                assert!(found.iter().zip(value).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }
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
