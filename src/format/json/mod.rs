//! JSON: a document read into a tree whose matrices are flat, and results written as one object.

use super::{
    ArrayStream, DOUBLE_ROUNDING, Format, LoadedArray, OutputDtype, Selector, Source, escape, missing_array, sanitize,
    unescape,
};
use crate::core::error::{Code, Error, Place, format_count};
use crate::core::name::Name;
use ndarray::{ArrayD, ArrayViewD, Axis, arr0};
use std::borrow::Cow;
use std::io;

mod fast_parser;
mod number;
mod parse;
mod place;
pub mod record;
mod writer;

pub(super) use number::decimal;
pub use number::number;
use parse::DEEPEST;
use parse::after_mark;
pub use parse::{parse, read};
pub use place::{locate, locate_in};
pub use writer::{Matrix, push_number, push_row, write_nested_object, write_object, write_value};

/// JSON text.
pub struct Json;

/// What a number of a document is read into.
pub trait Entry: Copy + Default + Send {
    /// The number that stands in the text as `token`; a word for one may be in quotes.
    fn new(token: &[u8], value: f64) -> Self;
    /// What stands for null in an array, where null may stand among numbers.
    fn null() -> Option<Self>;
}

impl Entry for f64 {
    #[inline(always)]
    fn new(_: &[u8], value: f64) -> f64 {
        value
    }

    fn null() -> Option<f64> {
        None
    }
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<T = f64> {
    /// A number on its own.
    Number(T),
    /// An array of numbers, or of rows of one length.
    Numbers(ArrayD<T>),
    /// Any other array.
    List(Vec<Node<T>>),
    /// An object, in the order of the text.
    Object(Vec<(String, Node<T>)>),
    /// A string.
    Text(String),
    /// true or false.
    Bool(bool),
    /// null.
    Null,
}

/// The words for numbers that JSON has none for.
pub(super) fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The index that a part of a pointer stands for.
pub(super) fn position(part: &str) -> Option<usize> {
    let plain = part == "0" || !part.starts_with(['0', '+']);
    part.parse().ok().filter(|_| plain)
}

impl Node {
    /// Where a value stands; nothing for a row or number of a matrix.
    fn place(&mut self, pointer: &str) -> Option<&mut Node> {
        pointer.split('/').skip(1).try_fold(self, |node, part| match node {
            Node::Object(entries) => {
                let key = unescape(part);
                entries.iter_mut().find(|(known, _)| *known == key).map(|(_, node)| node)
            }
            Node::List(list) => list.get_mut(position(part)?),
            _ => None,
        })
    }

    /// The value as a scalar, vector or matrix; `pointer` is where it stands, for an error's [`Place::Pointer`].
    pub fn matrix(&self, pointer: &str) -> Result<ArrayD<f64>, Error> {
        match self {
            Node::Number(number) => Ok(arr0(*number).into_dyn()),
            Node::Numbers(numbers) => Ok(numbers.clone()),
            Node::Text(text) => {
                special(text).map(|number| arr0(number).into_dyn()).ok_or_else(|| self.no_number(pointer))
            }
            Node::List(list) => stacked(list).ok_or_else(|| no_matrix(list, pointer)),
            Node::Object(_) | Node::Bool(_) | Node::Null => Err(self.no_number(pointer)),
        }
    }

    /// The same, of a value that nobody else needs.
    pub fn into_matrix(self, pointer: &str) -> Result<ArrayD<f64>, Error> {
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
}

impl<T: Copy> Node<T> {
    /// The value that a JSON pointer (RFC 6901) leads to.
    pub fn find(&self, pointer: &str) -> Result<Cow<'_, Node<T>>, Error> {
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
                None => return Err(missing_array(&wanted, &node.parts(&passed))),
            };
            passed = wanted;
        }
        Ok(node)
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

    /// The value of a key or at an index.
    pub(super) fn child(&self, part: &str) -> Option<Cow<'_, Node<T>>> {
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

    /// Why the value is no number.
    pub(super) fn no_number(&self, pointer: &str) -> Error {
        let (what, tip) = match self {
            Node::Text(text) if text.trim().parse::<f64>().is_ok() => {
                (format!("the string \"{}\" is not a number", sanitize(text)), "write it without the quotes")
            }
            Node::Text(text) => (
                format!("the string \"{}\" is not a number", sanitize(text)),
                "numbers stand without quotes; only \"NaN\", \"Infinity\" and \"-Infinity\" are words",
            ),
            Node::Bool(word) => (format!("{word} is not a number"), "write 1 for true and 0 for false"),
            Node::Null => ("null is not a number".to_owned(), "a missing value may be written \"NaN\""),
            Node::Object(_) => ("an object is not a number".to_owned(), "name the array in it: FILE#/key"),
            _ => ("an array stands where a number is expected".to_owned(), "every row holds numbers only"),
        };
        Error::new(Code::NotANumber, what).at(Place::Pointer(pointer.to_owned())).tip(tip)
    }
}

/// Rows of a list of matrices, which are vectors of one length there.
fn stacked(list: &[Node]) -> Option<ArrayD<f64>> {
    fn row(node: &Node) -> Option<ArrayViewD<'_, f64>> {
        match node {
            Node::Numbers(row) if row.ndim() == 1 => Some(row.view()),
            _ => None,
        }
    }
    ndarray::stack(Axis(0), &list.iter().map(row).collect::<Option<Vec<_>>>()?).ok()
}

/// Why an array is no matrix: its first entry that does not go with those before it.
fn no_matrix(list: &[Node], pointer: &str) -> Error {
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
                length.map_or("is a number".to_owned(), |length| format!("has {}", format_count(length, "column")))
            };
            return Error::new(Code::Ragged, format!("row {n} {}, row 0 {}", words(this), words(first)))
                .at(Place::Pointer(here))
                .tip("every row needs the same number of columns");
        }
    }
    too_deep(pointer)
}

fn no_row(row: &[Node], pointer: &str) -> Error {
    let odd = row.iter().enumerate().find(|(_, entry)| !matches!(entry, Node::Number(_)));
    match odd {
        Some((n, Node::Numbers(_) | Node::List(_))) => too_deep(&format!("{pointer}/{n}")),
        Some((n, other)) => other.no_number(&format!("{pointer}/{n}")),
        None => too_deep(pointer),
    }
}

fn too_deep(pointer: &str) -> Error {
    Error::new(Code::Rank, "has more than two levels of brackets: rows of numbers are the most there can be")
        .at(Place::Pointer(pointer.to_owned()))
        .tip("select one matrix of it: FILE#/0")
}

/// The pointer of the selected value; of an object that of the first of `wanted` that is a key.
fn pick(node: &Node, select: &Selector, wanted: &[Name], label: &str) -> Result<String, Error> {
    let pointer = match select {
        Selector::Default => String::new(),
        Selector::Pointer(pointer) => pointer.clone(),
    };
    let chosen = node.find(&pointer).map_err(|error| error.with_origin(label))?;
    let Node::Object(entries) = &*chosen else { return Ok(pointer) };
    match wanted.iter().find(|name| entries.iter().any(|(key, _)| key == name.as_str())) {
        Some(name) => Ok(format!("{pointer}/{name}")),
        None => {
            let choices: Vec<String> = wanted.iter().map(|name| format!("{pointer}/{name}")).collect();
            Err(missing_array(&choices.join(" or "), &chosen.parts(&pointer)).with_origin(label))
        }
    }
}

/// A document whose matrices are taken out, not copied.
#[derive(Debug)]
pub struct Document {
    node: Node,
    /// Pointers to what was taken out.
    taken: Vec<String>,
}

impl Document {
    /// A document that nothing was taken out of.
    pub fn new(node: Node) -> Document {
        Document { node, taken: Vec::new() }
    }

    /// What is left of it, unless something at or inside the selected value was taken out: then it has to be read again.
    pub fn whole(&self, select: &Selector) -> Option<&Node> {
        let pointer = match select {
            Selector::Default => "",
            Selector::Pointer(pointer) => pointer,
        };
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // What is an object still has its keys when a value is gone.
        let touched = |taken: &String| {
            inside(taken, pointer) || (inside(pointer, taken) && !matches!(self.node, Node::Object(_)))
        };
        (!self.taken.iter().any(touched)).then_some(&self.node)
    }

    /// Takes the selected matrix out; nothing where it was taken before.
    pub fn take(&mut self, select: &Selector, wanted: &[Name], label: &str) -> Result<Option<LoadedArray>, Error> {
        if self.whole(select).is_none() {
            return Ok(None);
        }
        let pointer = pick(&self.node, select, wanted, label)?;
        if self.whole(&Selector::Pointer(pointer.clone())).is_none() {
            return Ok(None);
        }
        let value = match self.node.place(&pointer) {
            Some(Node::Numbers(numbers)) => std::mem::take(numbers),
            _ => return self.node.find(&pointer)?.matrix(&pointer).map(|value| Some(found(value, pointer))),
        };
        self.taken.push(pointer.clone());
        Ok(Some(found(value, pointer)))
    }
}

fn found(value: ArrayD<f64>, pointer: String) -> LoadedArray {
    LoadedArray { value, rounding: DOUBLE_ROUNDING, pointer }
}

impl Format for Json {
    fn name(&self) -> &'static str {
        ".json"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        matches!(text.trim_ascii_start().first(), Some(b'[' | b'{'))
    }

    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
        let label = source.label;
        let found =
            Document::new(read(source)?).take(select, wanted, label).map_err(|error| error.with_origin(label))?;
        Ok(found.unwrap_or_else(|| unreachable!("nothing was taken out before")))
    }

    fn has_names(&self) -> bool {
        true
    }

    fn write(&self, arrays: &mut dyn ArrayStream, _wide: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        write_object(&[], arrays, false, out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::tensors::Tensors;
    use crate::format::InMemoryArrays;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        let (node, pointer) = (parse(text.as_bytes(), "t.json")?, String::new());
        node.matrix(&pointer)
    }

    fn pointer(error: &Error) -> &str {
        match error.at.as_ref() {
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
            let error = read(text).unwrap_err();
            assert_eq!((error.code, pointer(&error)), (code, at), "{text}");
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
            write_object(&[], &mut InMemoryArrays::from(&Tensors::new().with(Name::Y, matrix.clone())), pretty, &mut text).unwrap();
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
