//! Tree of a JSON document whose matrices are flat arrays.

use super::number::parse_non_finite;
use crate::core::error::{Code, Error, Place, format_count, sanitize};
use crate::format::errors::missing_array;
use crate::format::selector::{escape, unescape};
use ndarray::{ArrayD, ArrayViewD, Axis, arr0};
use std::borrow::Cow;

/// Value of a document.
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

/// Returns the array index that a part of a JSON pointer is.
pub(crate) fn array_index(part: &str) -> Option<usize> {
    let is_canonical = part == "0" || !part.starts_with(['0', '+']);
    part.parse().ok().filter(|_| is_canonical)
}

impl Node {
    /// Returns the value that a pointer leads to, unless it is a row or number of a matrix.
    pub(super) fn get_mut(&mut self, pointer: &str) -> Option<&mut Node> {
        pointer.split('/').skip(1).try_fold(self, |node, part| match node {
            Node::Object(entries) => {
                let key = unescape(part);
                entries.iter_mut().find(|(known, _)| *known == key).map(|(_, node)| node)
            }
            Node::List(list) => list.get_mut(array_index(part)?),
            _ => None,
        })
    }

    /// Returns the value as a scalar, vector or matrix. `pointer` leads to the value, for the [`Place::Pointer`] of an error.
    pub fn matrix(&self, pointer: &str) -> Result<ArrayD<f64>, Error> {
        match self {
            Node::Number(number) => Ok(arr0(*number).into_dyn()),
            Node::Numbers(numbers) => Ok(numbers.clone()),
            Node::Text(text) => {
                parse_non_finite(text).map(|number| arr0(number).into_dyn()).ok_or_else(|| self.not_a_number(pointer))
            }
            Node::List(list) => stack_rows(list).ok_or_else(|| matrix_error(list, pointer)),
            Node::Object(_) | Node::Bool(_) | Node::Null => Err(self.not_a_number(pointer)),
        }
    }

    /// Returns the value as a scalar, vector or matrix, without a copy of a matrix.
    pub fn into_matrix(self, pointer: &str) -> Result<ArrayD<f64>, Error> {
        match self {
            Node::Numbers(numbers) => Ok(numbers),
            other => other.matrix(pointer),
        }
    }

    /// Returns the text of a setting: a string, a number, true or false.
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
    /// Returns the value that a JSON pointer (RFC 6901) leads to.
    pub fn find(&self, pointer: &str) -> Result<Cow<'_, Node<T>>, Error> {
        let mut node = Cow::Borrowed(self);
        let mut passed = String::new();
        for part in pointer.split('/').skip(1) {
            let next = match &node {
                Cow::Borrowed(node) => node.child(part),
                Cow::Owned(node) => node.child(part).map(|child| Cow::Owned(child.into_owned())),
            };
            let target = format!("{passed}/{part}");
            node = match next {
                Some(next) => next,
                None => return Err(missing_array(&target, &node.child_pointers(&passed))),
            };
            passed = target;
        }
        Ok(node)
    }

    /// Returns pointers to the values in this one, for a message.
    pub(super) fn child_pointers(&self, under: &str) -> Vec<String> {
        let count = match self {
            Node::Object(entries) => {
                return entries.iter().map(|(key, _)| format!("{under}/{}", escape(key))).collect();
            }
            Node::List(list) => list.len(),
            Node::Numbers(numbers) => numbers.len_of(Axis(0)),
            _ => 0,
        };
        (0..count.min(30)).map(|index| format!("{under}/{index}")).collect()
    }

    /// Returns the value of a key or at an index.
    pub(crate) fn child(&self, part: &str) -> Option<Cow<'_, Node<T>>> {
        match self {
            Node::Object(entries) => {
                let key = unescape(part);
                entries.iter().find(|(known, _)| *known == key).map(|(_, node)| Cow::Borrowed(node))
            }
            Node::List(list) => list.get(array_index(part)?).map(Cow::Borrowed),
            Node::Numbers(numbers) => {
                let at = array_index(part).filter(|&at| at < numbers.len_of(Axis(0)))?;
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

    /// Returns the error of a value that is not a number.
    pub(crate) fn not_a_number(&self, pointer: &str) -> Error {
        let (message, tip) = match self {
            Node::Text(text) if text.trim().parse::<f64>().is_ok() => {
                (format!("the string \"{}\" is not a number", sanitize(text)), "write the number without quotes")
            }
            Node::Text(text) => (
                format!("the string \"{}\" is not a number", sanitize(text)),
                "write numbers without quotes; only the strings \"NaN\", \"Infinity\" and \"-Infinity\" are numbers",
            ),
            Node::Bool(value) => (format!("{value} is not a number"), "write 1 for true and 0 for false"),
            Node::Null => ("null is not a number".to_owned(), "write \"NaN\" for a missing value"),
            Node::Object(_) => {
                ("expected a number, got an object".to_owned(), "select an array of the object: FILE#/key")
            }
            _ => ("expected a number, got an array".to_owned(), "use rows that hold only numbers"),
        };
        Error::new(Code::NotANumber, message).at(Place::Pointer(pointer.to_owned())).tip(tip)
    }
}

/// Returns the matrix of a list of vectors of one length.
fn stack_rows(list: &[Node]) -> Option<ArrayD<f64>> {
    fn row(node: &Node) -> Option<ArrayViewD<'_, f64>> {
        match node {
            Node::Numbers(row) if row.ndim() == 1 => Some(row.view()),
            _ => None,
        }
    }
    ndarray::stack(Axis(0), &list.iter().map(row).collect::<Option<Vec<_>>>()?).ok()
}

/// Returns the error of an array that is not a matrix: that of the first element which does not fit the ones before it.
fn matrix_error(list: &[Node], pointer: &str) -> Error {
    let mut first = None;
    for (n, element) in list.iter().enumerate() {
        let here = format!("{pointer}/{n}");
        let length = match element {
            Node::Number(_) => None,
            Node::Numbers(row) if row.ndim() == 1 => Some(row.len()),
            Node::Numbers(_) => return rank_error(&here),
            Node::List(row) => return row_error(row, &here),
            other => return other.not_a_number(&here),
        };
        let first = *first.get_or_insert(length);
        if first != length {
            let describe = |length: Option<usize>| {
                length.map_or("is a number".to_owned(), |length| format!("has {}", format_count(length, "column")))
            };
            let message = format!("row {n} {}, but row 0 {}", describe(length), describe(first));
            return Error::new(Code::Ragged, message)
                .at(Place::Pointer(here))
                .tip("write the same number of columns in every row");
        }
    }
    rank_error(pointer)
}

fn row_error(row: &[Node], pointer: &str) -> Error {
    match row.iter().enumerate().find(|(_, element)| !matches!(element, Node::Number(_))) {
        Some((n, Node::Numbers(_) | Node::List(_))) => rank_error(&format!("{pointer}/{n}")),
        Some((n, other)) => other.not_a_number(&format!("{pointer}/{n}")),
        None => rank_error(pointer),
    }
}

fn rank_error(pointer: &str) -> Error {
    Error::new(Code::Rank, "has more than two levels of brackets; expected a matrix of rows")
        .at(Place::Pointer(pointer.to_owned()))
        .tip("select one matrix: FILE#/0")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::parse;

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        parse(text.as_bytes(), "t.json")?.matrix("")
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
    fn errors_have_the_pointer_of_the_value() {
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
            assert_eq!((error.code, error.at.clone()), (code, Some(Place::Pointer(at.to_owned()))), "{text}");
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
}
