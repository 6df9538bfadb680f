//! The header of a `.npy` file, read and written.

use super::{MAGIC, damaged};
use crate::core::error::{Code, Error};
use crate::format::elements::{Element, Layout};
use crate::format::{OutputDtype, sanitize};

/// Reads `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`.
pub(super) fn parse(text: &str) -> Result<Layout, Error> {
    let unreadable = || damaged("is damaged: its header cannot be read");
    let mut text = Python(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    text.symbol("{").ok_or_else(unreadable)?;
    while text.symbol("}").is_none() {
        let key = text.string().ok_or_else(unreadable)?;
        text.symbol(":").ok_or_else(unreadable)?;
        match key {
            "descr" if text.0.trim_start().starts_with(['[', '(']) => return Err(not_real("structured records", "")),
            "descr" => descr = text.string(),
            "fortran_order" => fortran = text.boolean(),
            "shape" => shape = text.tuple(),
            _ => return Err(unreadable()),
        }
        text.symbol(",");
    }
    match (descr, fortran, shape) {
        (Some(descr), Some(fortran), Some(shape)) if text.0.trim().is_empty() => {
            let (element, big_endian) = parse_descr(descr)?;
            Ok(Layout { element, big_endian, fortran, shape })
        }
        _ => Err(unreadable()),
    }
}

/// The few words of Python in a header; each takes one from the front, after blanks.
struct Python<'a>(&'a str);

impl<'a> Python<'a> {
    fn symbol(&mut self, symbol: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
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

    /// `(3, 2)`, `(3,)`, `()`; Python 2 wrote `3L`.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.symbol("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let sides = inside.trim().strip_suffix(',').unwrap_or(inside.trim());
        if sides.is_empty() {
            return Some(Vec::new());
        }
        sides.split(',').map(|side| side.trim().trim_end_matches('L').parse().ok()).collect()
    }
}

/// The element and whether it is big-endian: `<f8`, `>i4`, `|u1`.
fn parse_descr(descr: &str) -> Result<(Element, bool), Error> {
    let kind = descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr);
    let big_endian = descr.starts_with('>') || (!descr.starts_with(['<', '|']) && cfg!(target_endian = "big"));
    let element = match kind {
        "?" | "b1" => Element::Bool,
        "i1" => Element::I1,
        "i2" => Element::I2,
        "i4" => Element::I4,
        "i8" => Element::I8,
        "u1" => Element::U1,
        "u2" => Element::U2,
        "u4" => Element::U4,
        "u8" => Element::U8,
        "f2" => Element::F2,
        "f4" => Element::F4,
        "f8" => Element::F8,
        _ => return Err(not_real(unreal(kind), descr)),
    };
    Ok((element, big_endian))
}

/// What NumPy's other types are called.
fn unreal(kind: &str) -> &'static str {
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

fn not_real(what: &str, descr: &str) -> Error {
    let named = if descr.is_empty() { String::new() } else { format!(" ({})", sanitize(descr)) };
    Error::new(Code::Dtype, format!("holds {what}{named}, no real numbers"))
        .tip("save it as doubles: numpy.save(FILE, a.astype('f8'))")
}

/// Magic, version 1 and header, with NumPy's room for a first axis of 21 digits, a multiple of 64 bytes long.
pub(super) fn text(shape: &[usize], wide: OutputDtype) -> Vec<u8> {
    let descr = if wide == OutputDtype::F64 { "<f8" } else { "<f4" };
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", sides.join(", "));
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

    fn code(text: &str) -> Code {
        parse(text).unwrap_err().code
    }

    #[test]
    fn what_numpy_writes_is_understood() {
        let layout = parse("{'descr': '>f4', 'fortran_order': True, 'shape': (3, 2), }   \n").unwrap();
        assert_eq!(layout, Layout { element: Element::F4, big_endian: true, fortran: true, shape: vec![3, 2] });
        assert_eq!(parse("{'shape':(3L,),'descr':\"|u1\",'fortran_order':False}").unwrap().shape, [3]);
        assert!(parse("{'descr': '<f8', 'fortran_order': False, 'shape': (), }").unwrap().shape.is_empty());
    }

    #[test]
    fn elements_that_are_no_real_numbers_are_refused_by_name() {
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
    fn a_header_that_says_too_little_or_too_much_is_damaged() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f8'}",
            "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2, }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), } x",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        ] {
            assert_eq!(code(text), Code::Damaged, "{text}");
        }
    }
}
