//! Hugging Face's `.safetensors`: the length of a JSON header, the header, then all tensors without a gap.

use super::elements::{Element, Layout, cut_off};
use super::{ArrayStream, Format, LoadedArray, OutputDtype, Selector, Source, choose, sanitize};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

/// Named tensors; read only.
pub struct Safetensors;

/// The bytes of the header's length.
const LENGTH: u64 = 8;

/// The longest header that the format allows.
const LONGEST_HEADER: u64 = 100_000_000;

impl Format for Safetensors {
    fn name(&self) -> &'static str {
        ".safetensors"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["safetensors"]
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        match first.split_first_chunk() {
            Some((length, rest)) => u64::from_le_bytes(*length) <= LONGEST_HEADER && rest.starts_with(b"{"),
            None => false,
        }
    }

    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
        let label = source.label;
        read_tensor(source, select, wanted).map_err(|error| error.with_origin(label))
    }

    fn names(&self, mut source: Source<'_>) -> Result<Vec<String>, Error> {
        let (header, _) = read_header(&mut source).map_err(|error| error.with_origin(source.label))?;
        let mut names: Vec<String> = header.tensors().into_keys().collect();
        names.sort();
        Ok(names)
    }

    fn read_all_arrays(&self, source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        let label = source.label;
        read_tensors(source).map_err(|error| error.with_origin(label))
    }

    fn has_names(&self) -> bool {
        true
    }

    fn write(&self, _arrays: &mut dyn ArrayStream, _wide: OutputDtype, _out: &mut dyn io::Write) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a .safetensors file cannot be written"))
    }

    fn can_write(&self) -> bool {
        false
    }
}

/// Reads the header and the one tensor, and nothing else of what may be a large file.
fn read_tensor(mut source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
    let (tensors, before) = tensors(&mut source)?;
    let names: Vec<String> = tensors.keys().map(|name| (*name).clone()).collect();
    let name = choose(select, wanted, &names)?;
    match tensors.get(&name) {
        Some(info) => read_one(&mut source, name, info, before),
        None => Err(damaged("names a tensor that it does not hold")),
    }
}

/// Reads all tensors, in the order of their names.
fn read_tensors(mut source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
    let (tensors, before) = tensors(&mut source)?;
    tensors.iter().map(|(name, info)| read_one(&mut source, name.clone(), info, before)).collect()
}

/// What the header says of each tensor, and the bytes up to the first, of a file that is as long as it says.
fn tensors(source: &mut Source<'_>) -> Result<(BTreeMap<String, TensorInfo>, u64), Error> {
    let (header, before) = read_header(source)?;
    // The crate's own entry point adds these without a look at overflow.
    if Some(source.len) != before.checked_add(header.data_len() as u64) {
        let (promised, held) = (header.data_len(), source.len - before);
        return Err(damaged(format!("promises {promised} bytes of numbers, the file has {held}")));
    }
    Ok((header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect(), before))
}

fn read_one(source: &mut Source<'_>, name: String, info: &TensorInfo, before: u64) -> Result<LoadedArray, Error> {
    let layout = layout(info)?;
    let (begin, end) = info.data_offsets;
    layout.admit((end - begin) as u64)?;
    source.seek(io::SeekFrom::Start(before + begin as u64)).map_err(|error| cut_off(&error))?;
    Ok(LoadedArray { value: layout.read(source, true)?, rounding: layout.element.rounding(), pointer: name })
}

/// The header, whose offsets follow each other and fit the shapes, and the bytes up to the first tensor.
fn read_header(source: &mut Source<'_>) -> Result<(Metadata, u64), Error> {
    let mut length = [0; LENGTH as usize];
    source.read_exact(&mut length).map_err(|error| cut_off(&error))?;
    let length = u64::from_le_bytes(length);
    let held = source.len.saturating_sub(LENGTH);
    if length > held.min(LONGEST_HEADER) {
        return Err(damaged(format!("promises a header of {length} bytes, the file has {held}")));
    }
    let mut text = vec![0; length as usize];
    source.read_exact(&mut text).map_err(|error| cut_off(&error))?;
    match serde_json::from_slice(&text) {
        Ok(header) => Ok((header, LENGTH + length)),
        Err(_) => Err(damaged("has a header that is no safetensors header, or that contradicts itself")),
    }
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("is damaged: it {what}"))
}

fn layout(info: &TensorInfo) -> Result<Layout, Error> {
    let element = match info.dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::I8 => Element::I1,
        Dtype::I16 => Element::I2,
        Dtype::I32 => Element::I4,
        Dtype::I64 => Element::I8,
        Dtype::U8 => Element::U1,
        Dtype::U16 => Element::U2,
        Dtype::U32 => Element::U4,
        Dtype::U64 => Element::U8,
        Dtype::F16 => Element::F2,
        Dtype::BF16 => Element::Brain,
        Dtype::F32 => Element::F4,
        Dtype::F64 => Element::F8,
        other => {
            let message = format!("holds elements of type {}", sanitize(&format!("{other:?}")));
            return Err(Error::new(Code::Dtype, message).tip("save it as F64, F32, F16 or BF16"));
        }
    };
    Ok(Layout { element, big_endian: false, fortran: false, shape: info.shape.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8], select: &str, wanted: &[Name]) -> Result<LoadedArray, Error> {
        Safetensors.read(Source::bytes("m.safetensors", bytes), &Selector::parse(select), wanted)
    }

    fn two() -> Vec<u8> {
        let header = r#"{"__metadata__":{"by":"me"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
            "layers/0/b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}"#;
        let data =
            [1.5f32, -0.0].iter().flat_map(|x| x.to_le_bytes()).chain([0x80, 0x3f, 0x00, 0xc0]).collect::<Vec<_>>();
        file(header, &data)
    }

    #[test]
    fn a_tensor_is_read_by_its_name() {
        let found = read(&two(), "", &[Name::X, Name::W]).unwrap();
        assert_eq!((found.value.shape(), found.pointer.as_str()), (&[2, 1][..], "w"));
        assert_eq!(found.value[[1, 0]].to_bits(), (-0.0f64).to_bits());
        assert_eq!(found.rounding, 2f64.powi(-24));
        let found = read(&two(), "/layers/0/b", &[]).unwrap();
        assert_eq!(found.value.as_slice().unwrap(), [1.0, -2.0]);
        assert_eq!(read(&two(), "layers/0/b", &[]).unwrap(), found);
    }

    #[test]
    fn a_missing_name_lists_the_names() {
        let error = read(&two(), "q", &[]).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::KeyMissing, "has no q"));
        assert_eq!(error.facts, [crate::core::error::Fact::Text("it has layers/0/b, w".into())]);
    }

    #[test]
    fn other_types_and_ranks_are_refused_by_name() {
        let strange = file(r#"{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]);
        let error = read(&strange, "w", &[]).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::Dtype, "holds elements of type C64"));
        let cube = file(r#"{"w":{"dtype":"U8","shape":[1,2,1],"data_offsets":[0,2]}}"#, &[0; 2]);
        assert_eq!(read(&cube, "w", &[]).unwrap_err().code, Code::Rank);
    }

    #[test]
    fn a_header_that_lies_is_refused() {
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
    fn its_first_bytes_are_known() {
        assert!(Safetensors.recognizes(&two()[..9]));
        assert!(!Safetensors.recognizes(b"{\"w\": 1}"));
        assert!(!Safetensors.recognizes(b"\xff\xff\xff\xff\xff\xff\xff\xff{"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: prop::sample::Index, new: u8, cut: prop::sample::Index) {
            let _ = read(&bytes, "w", &[]);
            let mut file = two();
            let at = at.index(file.len());
            file[at] = new;
            file.truncate(cut.index(file.len()) + 1);
            let _ = read(&file, "w", &[]);
        }
    }
}
