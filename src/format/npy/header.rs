//! The header of a `.npy` file: magic, version, length, and a Python dict with element type, order and shape.

use crate::core::error::{Code, Error, sanitize};
use crate::format::arrays::OutputDtype;
use crate::format::elements::{ArrayLayout, ElementType};
use crate::format::errors::{damaged, decode_error};
use std::io::Read;

/// The first bytes of a file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Largest header in bytes; the header of a plain array is shorter.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Reads the header of a file of `len` bytes; returns the layout and the number of bytes before the elements.
pub(super) fn read_header(source: &mut dyn Read, len: u64) -> Result<(ArrayLayout, u64), Error> {
    let begin = read_up_to(source, 8)?;
    if begin.len() < 8 || !begin.starts_with(MAGIC) {
        let error = Error::new(Code::Damaged, "is not a .npy file");
        return Err(error.tip("give a file of another format its own extension, or write it with numpy.save"));
    }
    let size = match begin[6..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        _ => {
            let message = format!("has .npy version {}.{}; versions 1 to 3 are supported", begin[6], begin[7]);
            return Err(Error::new(Code::Damaged, message));
        }
    };
    let length = read_up_to(source, size)?.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    let before = 8 + size + length;
    if before > len || length > MAX_HEADER_BYTES {
        return Err(damaged(format!("it declares a header of {length} bytes, but the file has {len}")));
    }
    let text = read_up_to(source, length)?;
    Ok((parse(&String::from_utf8_lossy(&text))?, before))
}

/// Reads `count` bytes, or fewer if the file ends.
fn read_up_to(source: &mut dyn Read, count: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    source.take(count).read_to_end(&mut bytes).map_err(|error| decode_error(&error))?;
    Ok(bytes)
}

/// Parses `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`.
fn parse(text: &str) -> Result<ArrayLayout, Error> {
    let invalid = || damaged("its header cannot be read");
    let mut text = PythonParser(text);
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    text.symbol("{").ok_or_else(invalid)?;
    while text.symbol("}").is_none() {
        let key = text.string().ok_or_else(invalid)?;
        text.symbol(":").ok_or_else(invalid)?;
        match key {
            "descr" if text.0.trim_start().starts_with(['[', '(']) => {
                return Err(dtype_error("structured records", ""));
            }
            "descr" => descr = text.string(),
            "fortran_order" => fortran_order = text.boolean(),
            "shape" => shape = text.tuple(),
            _ => return Err(invalid()),
        }
        text.symbol(",");
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(is_fortran), Some(shape)) if text.0.trim().is_empty() => {
            let (element, big_endian) = parse_descr(descr)?;
            Ok(ArrayLayout { element, big_endian, is_fortran, shape })
        }
        _ => Err(invalid()),
    }
}

/// A parser of Python literals; each method skips blanks and takes one literal from the front.
struct PythonParser<'a>(&'a str);

impl<'a> PythonParser<'a> {
    fn symbol(&mut self, symbol: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    /// Parses `'<f8'`, or `u'<f8'` as Python 2 wrote it.
    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let text = text.strip_prefix(['u', 'U']).unwrap_or(text);
        let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.symbol("True") {
            Some(()) => Some(true),
            None => self.symbol("False").map(|()| false),
        }
    }

    /// Parses `(3, 2)`, `(3,)` or `()`. Python 2 wrote `3L`, and code that writes the header itself `np.int64(3)`.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.symbol("(")?;
        let mut sides = Vec::new();
        while self.symbol(")").is_none() {
            sides.push(self.integer()?);
            if self.symbol(",").is_none() {
                self.symbol(")")?;
                break;
            }
        }
        Some(sides)
    }

    fn integer(&mut self) -> Option<usize> {
        let text = self.0.trim_start();
        let typed = text.split_once('(').filter(|(name, _)| is_integer_type(name));
        let text = typed.map_or(text, |(_, inside)| inside.trim_start());
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        self.0 = text[digits..].strip_prefix('L').unwrap_or(&text[digits..]);
        if typed.is_some() {
            self.symbol(")")?;
        }
        text[..digits].parse().ok()
    }
}

/// Returns true for `np.int64`, `numpy.uint32` or `int`.
fn is_integer_type(name: &str) -> bool {
    let name = name.trim().trim_start_matches("numpy.").trim_start_matches("np.");
    name.trim_start_matches('u').starts_with("int") && name.chars().all(char::is_alphanumeric)
}

/// Descriptions of element types that NumPy reads, apart from the byte order, which only the short ones may have.
const DESCRIPTORS: &[(&[&str], ElementType)] = &[
    (&["?", "b1", "bool", "bool_"], ElementType::Bool),
    (&["b", "i1", "int8", "byte"], ElementType::I8),
    (&["h", "i2", "int16", "short"], ElementType::I16),
    (&["i", "i4", "int32", "intc"], ElementType::I32),
    (&["l", "q", "p", "n", "i8", "int64", "int", "int_", "intp", "long", "longlong"], ElementType::I64),
    (&["B", "u1", "uint8", "ubyte"], ElementType::U8),
    (&["H", "u2", "uint16", "ushort"], ElementType::U16),
    (&["I", "u4", "uint32", "uintc"], ElementType::U32),
    (&["L", "Q", "P", "N", "u8", "uint64", "uint", "uintp", "ulong", "ulonglong"], ElementType::U64),
    (&["e", "f2", "float16", "half"], ElementType::F16),
    (&["f", "f4", "float32", "single"], ElementType::F32),
    (&["d", "f8", "float64", "float", "double"], ElementType::F64),
    (&["bfloat16"], ElementType::Bf16),
    (&["float8_e4m3fn"], ElementType::E4m3fn),
    (&["float8_e5m2"], ElementType::E5m2),
];

/// Returns the element type and true if it is big-endian: `<f8`, `>i4`, `|u1`.
fn parse_descr(descr: &str) -> Result<(ElementType, bool), Error> {
    let kind = descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr);
    let big_endian = descr.starts_with('>') || (!descr.starts_with(['<', '|']) && cfg!(target_endian = "big"));
    let is_code = |codes: &[&str]| codes.contains(&kind) && (kind.len() <= 2 || kind == descr);
    let known = DESCRIPTORS.iter().find(|(codes, _)| is_code(codes)).map(|(_, element)| *element);
    let element = match descr {
        // As ml_dtypes saves them. Void without a byte order, which NumPy saves, may be anything.
        "<V2" => ElementType::Bf16,
        "<V1" => ElementType::E4m3fn,
        "<f1" => ElementType::E5m2,
        _ => known.ok_or_else(|| dtype_error(describe_dtype(kind), descr))?,
    };
    Ok((element, big_endian))
}

/// Returns the plain name of a NumPy type that does not hold real numbers.
fn describe_dtype(kind: &str) -> &'static str {
    match kind.as_bytes().first() {
        Some(b'O') => "Python objects",
        Some(b'S' | b'a') => "byte strings",
        Some(b'U') => "strings",
        Some(b'c') => "complex numbers",
        Some(b'V') => "structured records",
        Some(b'M') => "dates",
        Some(b'm') => "time differences",
        Some(b'f' | b'g') => "long doubles",
        _ => "elements of an unknown type",
    }
}

fn dtype_error(elements: &str, descr: &str) -> Error {
    let descr = if descr.is_empty() { String::new() } else { format!(" ({})", sanitize(descr)) };
    Error::new(Code::Dtype, format!("contains {elements}{descr}, not real numbers"))
        .tip("save it as doubles: numpy.save(FILE, a.astype('f8'))")
}

/// Returns magic, version 1 and header as NumPy writes them: with padding for a first axis of 21 digits, to a multiple of 64
/// bytes.
pub(super) fn write_header(shape: &[usize], dtype: OutputDtype) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let (kind, size) = (if dtype == OutputDtype::Bf16 { 'V' } else { 'f' }, dtype.size());
    let sides_text = sides.join(", ");
    let mut text = format!("{{'descr': '<{kind}{size}', 'fortran_order': False, 'shape': ({sides_text}{comma}), }}");
    text += &" ".repeat(sides.first().map_or(0, |side| 21_usize.saturating_sub(side.len())));
    let filled = MAGIC.len() + 4 + text.len() + 1;
    text += &" ".repeat(filled.next_multiple_of(64) - filled);
    text.push('\n');
    let mut bytes = [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes()].concat();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_numpy_are_parsed() {
        let layout = parse("{'descr': '>f4', 'fortran_order': True, 'shape': (3, 2), }   \n").unwrap();
        let expected = ArrayLayout { element: ElementType::F32, big_endian: true, is_fortran: true, shape: vec![3, 2] };
        assert_eq!(layout, expected);
        let unicode = "{u'descr': u'<f8', u'fortran_order': False, u'shape': (2,), }";
        assert_eq!(parse(unicode).unwrap().shape, [2]);
        assert_eq!(parse("{'shape':(3L,),'descr':\"|u1\",'fortran_order':False}").unwrap().shape, [3]);
        assert!(parse("{'descr': '<f8', 'fortran_order': False, 'shape': (), }").unwrap().shape.is_empty());
        let typed = "{'descr': '<f8', 'fortran_order': False, 'shape': (np.int64(2), numpy.uint32( 3 ), int(4)), }";
        assert_eq!(parse(typed).unwrap().shape, [2, 3, 4]);
    }

    #[test]
    fn elements_that_are_not_real_numbers_are_refused_by_name() {
        for (descr, name) in [
            ("'|O'", "Python objects"),
            ("'<U3'", "strings"),
            ("'|S7'", "byte strings"),
            ("'<c16'", "complex numbers"),
            ("'<M8[ns]'", "dates"),
            ("'<m8'", "time differences"),
            ("'<f16'", "long doubles"),
            ("'|V4'", "structured records"),
            ("[('a', '<f8'), ('b', '<i4')]", "structured records"),
            ("'\u{1b}[31m'", "\\u{1b}"),
        ] {
            let error = parse(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}")).unwrap_err();
            assert_eq!(error.code, Code::Dtype);
            assert!(error.message.contains(name), "{}", error.message);
        }
    }

    #[test]
    fn incomplete_and_unknown_headers_are_damaged() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f8'}",
            "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2, }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (np.int64(2, ), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (np.int64(int(2), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2 3), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (open(2),), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), } x",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        ] {
            assert_eq!(parse(text).unwrap_err().code, Code::Damaged, "{text}");
        }
    }
}
