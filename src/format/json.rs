//! JSON: a document read into a tree whose matrices are flat, and results written as one object.

use super::{DOUBLE_ROUNDING, Format, Found, Selector, Source, Width, escape, missing, printable, unescape};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault, Place, count};
use crate::name::Name;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, arr0};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::io;

mod parse;
pub mod record;

use parse::DEEPEST;
pub(super) use parse::after_mark;
pub use parse::{locate, parse};

/// JSON text.
pub struct Json;

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A number on its own.
    Number(f64),
    /// An array of numbers, or of rows of one length.
    Numbers(ArrayD<f64>),
    /// Any other array.
    List(Vec<Node>),
    /// An object, in the order of the text.
    Object(Vec<(String, Node)>),
    /// A string.
    Text(String),
    /// true or false.
    Bool(bool),
    /// null.
    Null,
}

/// The words for numbers that JSON has none for.
fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The index that a part of a pointer stands for.
fn position(part: &str) -> Option<usize> {
    let plain = part == "0" || !part.starts_with(['0', '+']);
    part.parse().ok().filter(|_| plain)
}

impl Node {
    /// The value that a JSON pointer (RFC 6901) leads to.
    pub fn find(&self, pointer: &str) -> Result<Cow<'_, Node>, Fault> {
        let mut node = Cow::Borrowed(self);
        let mut passed = String::new();
        for part in pointer.split('/').skip(1) {
            let next = match &node {
                Cow::Borrowed(node) => node.child(part),
                Cow::Owned(node) => node.child(part).map(|child| Cow::Owned(child.into_owned())),
            };
            let wanted = format!("{passed}/{part}");
            node = match next {
                Some(next) => next,
                None => return Err(missing(&wanted, &node.parts(&passed))),
            };
            passed = wanted;
        }
        Ok(node)
    }

    fn child(&self, part: &str) -> Option<Cow<'_, Node>> {
        match self {
            Node::Object(entries) => {
                let key = unescape(part);
                entries.iter().find(|(known, _)| *known == key).map(|(_, node)| Cow::Borrowed(node))
            }
            Node::List(list) => list.get(position(part)?).map(Cow::Borrowed),
            Node::Numbers(numbers) => {
                let at = position(part).filter(|&at| at < numbers.len_of(Axis(0)))?;
                let row = numbers.index_axis(Axis(0), at);
                Some(Cow::Owned(
                    row.first()
                        .filter(|_| row.ndim() == 0)
                        .map_or_else(|| Node::Numbers(row.to_owned()), |&number| Node::Number(number)),
                ))
            }
            _ => None,
        }
    }

    /// Pointers to what is inside, for a message.
    fn parts(&self, under: &str) -> Vec<String> {
        let count = match self {
            Node::Object(entries) => {
                return entries.iter().map(|(key, _)| format!("{under}/{}", escape(key))).collect();
            }
            Node::List(list) => list.len(),
            Node::Numbers(numbers) => numbers.len_of(Axis(0)),
            _ => 0,
        };
        (0..count.min(30)).map(|at| format!("{under}/{at}")).collect()
    }

    /// The value as a scalar, vector or matrix; `pointer` is where it stands, for a fault's [`Place::Pointer`].
    pub fn matrix(&self, pointer: &str) -> Result<ArrayD<f64>, Fault> {
        match self {
            Node::Number(number) => Ok(arr0(*number).into_dyn()),
            Node::Numbers(numbers) => Ok(numbers.clone()),
            Node::Text(text) => {
                special(text).map(|number| arr0(number).into_dyn()).ok_or_else(|| self.no_number(pointer))
            }
            Node::List(list) => Err(no_matrix(list, pointer)),
            Node::Object(_) | Node::Bool(_) | Node::Null => Err(self.no_number(pointer)),
        }
    }

    /// The same, of a value that nobody else needs.
    pub fn into_matrix(self, pointer: &str) -> Result<ArrayD<f64>, Fault> {
        match self {
            Node::Numbers(numbers) => Ok(numbers),
            other => other.matrix(pointer),
        }
    }

    /// The text of a setting: a word, a number, true or false.
    pub fn word(&self) -> Option<String> {
        match self {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => Some(number.to_string()),
            Node::Bool(bool) => Some(bool.to_string()),
            _ => None,
        }
    }

    fn no_number(&self, pointer: &str) -> Fault {
        let (what, tip) = match self {
            Node::Text(text) if text.trim().parse::<f64>().is_ok() => {
                (format!("the string \"{}\" is not a number", printable(text)), "write it without the quotes")
            }
            Node::Text(text) => (
                format!("the string \"{}\" is not a number", printable(text)),
                "numbers stand without quotes; only \"NaN\", \"Infinity\" and \"-Infinity\" are words",
            ),
            Node::Bool(word) => (format!("{word} is not a number"), "write 1 for true and 0 for false"),
            Node::Null => ("null is not a number".to_owned(), "a missing value may be written \"NaN\""),
            Node::Object(_) => ("an object is not a number".to_owned(), "name the array in it: FILE#/key"),
            _ => ("an array stands where a number is expected".to_owned(), "every row holds numbers only"),
        };
        Fault::new(Code::NotANumber, what).at(Place::Pointer(pointer.to_owned())).tip(tip)
    }
}

/// The number that the text of a scalar stands for.
pub(super) fn scalar_at(text: &str, pointer: &str) -> Result<f64, Fault> {
    let node = parse(text.as_bytes(), "").map_err(|fault| fault.at(Place::Pointer(pointer.to_owned())))?;
    Ok(node.matrix(pointer)?.first().copied().unwrap_or(f64::NAN))
}

/// Why an array is no matrix: its first entry that does not go with those before it.
fn no_matrix(list: &[Node], pointer: &str) -> Fault {
    let mut columns = None;
    for (n, entry) in list.iter().enumerate() {
        let here = format!("{pointer}/{n}");
        let length = match entry {
            Node::Number(_) => None,
            Node::Numbers(row) if row.ndim() == 1 => Some(row.len()),
            Node::Numbers(_) => return too_deep(&here),
            Node::List(row) => return no_row(row, &here),
            other => return other.no_number(&here),
        };
        let (first, this) = (*columns.get_or_insert(length), length);
        if first != this {
            let words = |length: Option<usize>| {
                length.map_or("is a number".to_owned(), |length| format!("has {}", count(length, "column")))
            };
            return Fault::new(Code::Ragged, format!("row {n} {}, row 0 {}", words(this), words(first)))
                .at(Place::Pointer(here))
                .tip("every row needs the same number of columns");
        }
    }
    too_deep(pointer)
}

fn no_row(row: &[Node], pointer: &str) -> Fault {
    let odd = row.iter().enumerate().find(|(_, entry)| !matches!(entry, Node::Number(_)));
    match odd {
        Some((n, Node::Numbers(_) | Node::List(_))) => too_deep(&format!("{pointer}/{n}")),
        Some((n, other)) => other.no_number(&format!("{pointer}/{n}")),
        None => too_deep(pointer),
    }
}

fn too_deep(pointer: &str) -> Fault {
    Fault::new(Code::Rank, "has more than two levels of brackets: rows of numbers are the most there can be")
        .at(Place::Pointer(pointer.to_owned()))
        .tip("select one matrix of it: FILE#/0")
}

/// The selected value with its pointer; of an object the value of the first of `wanted` that is a key.
pub fn pick<'a>(
    node: &'a Node,
    select: &Selector,
    wanted: &[Name],
    label: &str,
) -> Result<(Cow<'a, Node>, String), Fault> {
    let (node, pointer) = match select {
        Selector::Whole => (Cow::Borrowed(node), String::new()),
        Selector::At(pointer) => (node.find(pointer).map_err(|fault| fault.from(label))?, pointer.clone()),
    };
    let Node::Object(entries) = &*node else { return Ok((node, pointer)) };
    let Some(name) = wanted.iter().find(|name| entries.iter().any(|(key, _)| key == name.as_str())) else {
        let choices: Vec<String> = wanted.iter().map(|name| format!("{pointer}/{name}")).collect();
        return Err(missing(&choices.join(" or "), &node.parts(&pointer)).from(label));
    };
    let chosen = node.child(name.as_str()).map(Cow::into_owned);
    Ok((Cow::Owned(chosen.unwrap_or(Node::Null)), format!("{pointer}/{name}")))
}

impl Format for Json {
    fn name(&self) -> &'static str {
        ".json"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn begins(&self, first: &[u8]) -> bool {
        let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        matches!(text.trim_ascii_start().first(), Some(b'[' | b'{'))
    }

    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<Found, Fault> {
        let label = source.label;
        let bytes = source.read_all()?;
        let node = parse(&bytes, label)?;
        let (node, pointer) = pick(&node, select, wanted, label)?;
        Ok(Found {
            value: node.matrix(&pointer).map_err(|fault| fault.from(label))?,
            rounding: DOUBLE_ROUNDING,
            pointer,
        })
    }

    fn holds_names(&self) -> bool {
        true
    }

    fn write(&self, values: &Bundle<f64>, _wide: Width, out: &mut dyn io::Write) -> io::Result<()> {
        to_line(values.iter(), false, out)
    }
}

/// One object, on one line or with a line for each row.
pub fn to_line<'a>(
    entries: impl Iterator<Item = (&'a Name, &'a ArrayD<f64>)>,
    pretty: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let entries: Vec<_> = entries.collect();
    if pretty {
        return indented(&entries, out);
    }
    serde_json::to_writer(&mut *out, &Object(&entries))?;
    out.write_all(b"\n")
}

/// One value, without a line break behind it.
pub fn write_value(value: &ArrayD<f64>, out: &mut dyn io::Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &Matrix(value.view()))?)
}

/// One object with an object for each of `groups`.
pub fn nested_to_line(groups: &[(&str, Bundle<f64>)], pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (n, (group, entries)) in groups.iter().enumerate() {
        out.write_all(match (pretty, n) {
            (true, 0) => b"\n  ",
            (true, _) => b",\n  ",
            (false, 0) => b"",
            (false, _) => b",",
        })?;
        serde_json::to_writer(&mut *out, group)?;
        out.write_all(if pretty { b": " } else { b":" })?;
        let mut text = Vec::new();
        to_line(entries.iter(), pretty, &mut text)?;
        // A name holds no line break: JSON writes it as \n.
        let lines: Vec<&[u8]> = text.trim_ascii_end().split(|&byte| byte == b'\n').collect();
        out.write_all(&lines.join(&b"\n  "[..]))?;
    }
    out.write_all(if pretty { b"\n}\n" } else { b"}\n" })
}

fn indented(entries: &[(&Name, &ArrayD<f64>)], out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (n, (name, value)) in entries.iter().enumerate() {
        out.write_all(if n == 0 { b"\n  " } else { b",\n  " })?;
        serde_json::to_writer(&mut *out, name.as_str())?;
        out.write_all(b": ")?;
        if value.ndim() < 2 || value.is_empty() {
            serde_json::to_writer(&mut *out, &Matrix(value.view()))?;
            continue;
        }
        for (n, row) in value.axis_iter(Axis(0)).enumerate() {
            out.write_all(if n == 0 { b"[\n    " } else { b",\n    " })?;
            serde_json::to_writer(&mut *out, &Matrix(row))?;
        }
        out.write_all(b"\n  ]")?;
    }
    out.write_all(b"\n}\n")
}

struct Object<'a>(&'a [(&'a Name, &'a ArrayD<f64>)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name.as_str(), &Matrix(value.view()))?;
        }
        map.end()
    }
}

/// A matrix as rows, a vector as numbers, a scalar as a number; what is not finite as a word.
pub struct Matrix<'a>(pub ArrayViewD<'a, f64>);

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.ndim() {
            0 => Number(self.0[IxDyn(&[])]).serialize(serializer),
            1 => serializer.collect_seq(self.0.iter().map(|&number| Number(number))),
            _ => serializer.collect_seq(self.0.axis_iter(Axis(0)).map(Matrix)),
        }
    }
}

struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            _ => serializer.serialize_str("NaN"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ArrayD<f64>, Fault> {
        let (node, pointer) = (parse(text.as_bytes(), "t.json")?, String::new());
        node.matrix(&pointer)
    }

    fn pointer(fault: &Fault) -> &str {
        match fault.at.as_ref() {
            Some(Place::Pointer(pointer) | Place::Text { pointer, .. }) => pointer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn matrices_of_every_rank_keep_their_shape() {
        for (text, shape) in [
            ("1", &[][..]),
            ("[]", &[0]),
            ("[1,2]", &[2]),
            ("[[],[]]", &[2, 0]),
            ("[[1,2,3]]", &[1, 3]),
            ("\"NaN\"", &[]),
        ] {
            assert_eq!(read(text).unwrap().shape(), shape, "{text}");
        }
        assert_eq!(
            read("[1,NaN,\"-Infinity\",Infinity,-0]").unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>()[4],
            (-0.0f64).to_bits()
        );
    }

    #[test]
    fn what_is_no_number_is_named_with_its_pointer() {
        for (text, code, at) in [
            ("[[1,2],[3,null]]", Code::NotANumber, "/1/1"),
            ("[1,\"2\"]", Code::NotANumber, "/1"),
            ("[true]", Code::NotANumber, "/0"),
            ("[[1,2],[3]]", Code::Ragged, "/1"),
            ("[[1],2]", Code::Ragged, "/1"),
            ("[1,[2]]", Code::Ragged, "/1"),
            ("[[[1]]]", Code::Rank, "/0/0"),
            ("[[[1],[2]],[[3],[4]]]", Code::Rank, "/0/0"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.code, pointer(&fault)), (code, at), "{text}");
        }
    }

    #[test]
    fn a_pointer_leads_into_objects_lists_and_matrices() {
        let node = parse(br#"{"a/b":[{"w":[[1,2],[3,4]]}],"~":5}"#, "").unwrap();
        assert_eq!(*node.find("/a~1b/0/w/1").unwrap(), Node::Numbers(ndarray::arr1(&[3.0, 4.0]).into_dyn()));
        assert_eq!(*node.find("/a~1b/0/w/1/0").unwrap(), Node::Number(3.0));
        assert_eq!(*node.find("/~0").unwrap(), Node::Number(5.0));
        assert_eq!(node.find("/a~1b/1").unwrap_err().code, Code::KeyMissing);
    }

    #[test]
    fn a_place_is_found_again_by_line_and_column() {
        let text = "{\n \"é\": [1, 2],\n \"w\": [[1, 2],\n  [3, null]]}";
        assert_eq!(locate(text.as_bytes(), "/w/1/1"), Some((4, 7)));
        assert_eq!(locate(text.as_bytes(), "/é/1"), Some((2, 11)));
        assert_eq!(locate(text.as_bytes(), "/w/2"), None);
    }

    #[test]
    fn documents_outside_the_standard_are_refused() {
        for (text, code) in [
            ("", Code::EmptyValue),
            ("[1,2", Code::JsonSyntax),
            ("[1,]", Code::JsonSyntax),
            ("[1] 2", Code::JsonSyntax),
            ("[01]", Code::JsonSyntax),
            ("[.5]", Code::JsonSyntax),
            ("[+1]", Code::JsonSyntax),
            ("[1e400]", Code::NumberRange),
            ("[-1e400]", Code::NumberRange),
            ("{\"a\":1,\"a\":2}", Code::DuplicateKey),
            (&"[".repeat(100_000), Code::JsonDepth),
            (&"{\"a\":".repeat(100_000), Code::JsonDepth),
        ] {
            assert_eq!(parse(text.as_bytes(), "t").unwrap_err().code, code, "{:.20}", text);
        }
    }

    #[test]
    fn long_and_large_numbers_are_read_to_nearest() {
        for text in [
            "9007199254740993",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827021181583404541015625",
            "2.2250738585072011e-308",
            "4.9e-324",
            "1.7976931348623157e308",
            "8.988465674311580e307",
            "100000000000000016777215.0",
            "9007199254740992.99999999999999999999999999999999999999999",
        ] {
            let Node::Number(number) = parse(text.as_bytes(), "").unwrap() else { panic!("{text}") };
            assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_double_is_read_as_it_was_written(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("[{number:e}]"), format!("[{number:.17e}]"), format!("[{number}]"), format!("[{number:.25e}]")] {
                let Node::Numbers(read) = parse(text.as_bytes(), "").unwrap() else { panic!("{text}") };
                prop_assert_eq!(read[[0]].to_bits(), number.to_bits(), "{}", text);
            }
        }

        #[test]
        fn what_is_written_is_read_back_bit_for_bit(bits in prop::collection::vec(any::<u64>(), 1..20), pretty: bool) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).map(|v| if v.is_nan() { f64::NAN } else { v }).collect();
            let matrix = ndarray::Array2::from_shape_vec((1, values.len()), values.clone()).unwrap().into_dyn();
            let mut text = Vec::new();
            to_line([(&Name::Y, &matrix)].into_iter(), pretty, &mut text).unwrap();
            let node = parse(&text, "").unwrap();
            let read = node.find("/y").unwrap().matrix("").unwrap();
            prop_assert_eq!(read.shape(), matrix.shape());
            for (read, written) in read.iter().zip(&values) {
                prop_assert_eq!(read.to_bits(), written.to_bits());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, near in r#"[\[\]{},:"0-9eE.+\- a-z\\]{0,60}"#) {
            let _ = parse(&bytes, "");
            let _ = parse(near.as_bytes(), "").map(|node| node.matrix(""));
            let _ = locate(near.as_bytes(), "/0/1");
        }
    }
}
