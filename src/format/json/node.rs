//! Tree of a JSON document whose arrays of numbers are flat.

use super::number::parse_non_finite;
use crate::core::error::{Code, Error, Place, format_count, format_shape, sanitize};
use crate::core::size::{array_bytes, check_empty_axes, check_rank};
use crate::format::errors::missing_array;
use crate::format::selector::{escape, unescape};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, arr0};
use std::borrow::{Borrow, Cow};

/// Value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<T = f64> {
    /// A number on its own.
    Number(T),
    /// An array of numbers, or of arrays of one shape, of any rank.
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

/// Returns the sizes in a list of whole numbers.
pub(crate) fn read_shape(node: &Node) -> Option<Vec<usize>> {
    let Node::Numbers(sides) = node else { return None };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and from 0 to 2⁵³
    let side = |&side: &f64| (side.fract() == 0.0 && (0.0..9e15).contains(&side)).then_some(side as usize);
    if sides.ndim() == 1 { sides.iter().map(side).collect() } else { None }
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

    /// Returns the value as an array. `pointer` leads to the value, for the [`Place::Pointer`] of an error.
    pub fn array(&self, pointer: &str) -> Result<ArrayD<f64>, Error> {
        match self {
            Node::Number(number) => Ok(arr0(*number).into_dyn()),
            Node::Numbers(numbers) => check_shape(numbers.shape(), pointer).map(|()| numbers.clone()),
            Node::Text(text) => {
                parse_non_finite(text).map(|number| arr0(number).into_dyn()).ok_or_else(|| self.not_a_number(pointer))
            }
            Node::List(list) => {
                let array = stack(list).ok_or_else(|| ragged_error(list, pointer))?;
                check_shape(array.shape(), pointer).map(|()| array)
            }
            Node::Object(_) if self.is_shaped() => self.shaped(|side| side, pointer),
            Node::Object(_) | Node::Bool(_) | Node::Null => Err(self.not_a_number(pointer)),
        }
    }

    /// Returns the value as an array, and true if it has booleans only, which are ones and zeros.
    pub fn mask(&self, pointer: &str) -> Result<(ArrayD<f64>, bool), Error> {
        match self.booleans() {
            Some(mask) => check_shape(mask.shape(), pointer).map(|()| (mask, true)),
            None => self.array(pointer).map(|numbers| (numbers, false)),
        }
    }

    /// Returns an array of booleans as ones and zeros.
    pub fn booleans(&self) -> Option<ArrayD<f64>> {
        match self {
            Node::Bool(value) => Some(arr0(f64::from(u8::from(*value))).into_dyn()),
            Node::List(list) => stack_arrays(&list.iter().map(Node::booleans).collect::<Option<Vec<_>>>()?),
            _ => None,
        }
    }

    /// Returns the value as an array, without a copy of it.
    pub fn into_array(self, pointer: &str) -> Result<ArrayD<f64>, Error> {
        match self {
            Node::Numbers(numbers) => check_shape(numbers.shape(), pointer).map(|()| numbers),
            other => other.array(pointer),
        }
    }

    /// Returns the text of a setting: that of a word, or of a list or rows of numbers as `2,1` and `1,2;0,1`.
    pub fn setting(&self) -> Option<String> {
        let numbers = match self {
            Node::Numbers(numbers) if (1..=2).contains(&numbers.ndim()) => numbers,
            _ => return self.word(),
        };
        let list = |row: ArrayViewD<'_, f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        Some(if numbers.ndim() == 1 {
            list(numbers.view())
        } else {
            numbers.outer_iter().map(list).collect::<Vec<_>>().join(";")
        })
    }

    /// Returns the text of a string, a number, true or false.
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
    /// Returns the keys and values of an object that does not stand for an array.
    pub fn entries(&self) -> Option<&[(String, Node<T>)]> {
        match self {
            Node::Object(entries) if !self.is_shaped() => Some(entries),
            _ => None,
        }
    }

    /// Returns true for an object that stands for an array: its keys are shape and data, as of an array without entries.
    pub(crate) fn is_shaped(&self) -> bool {
        let Node::Object(entries) = self else { return false };
        entries.len() == 2 && ["shape", "data"].iter().all(|key| entries.iter().any(|(known, _)| known == key))
    }

    /// Returns the array that an object stands for, with its entries in row-major order. `side` reads a size.
    pub(crate) fn shaped(&self, side: impl Fn(T) -> f64, pointer: &str) -> Result<ArrayD<T>, Error> {
        let refuse = |key: &str, message: String| {
            let error = Error::new(Code::Shape, message).at(Place::Pointer(format!("{pointer}/{key}")));
            error.tip(r#"write an array without entries as {"shape":[0,3],"data":[]}"#)
        };
        let numbers = |key: &str| match self.child(key).as_deref() {
            Some(Node::Numbers(numbers)) if numbers.ndim() == 1 => Ok(numbers.clone()),
            _ => Err(refuse(key, format!("the {key} is not a list of numbers"))),
        };
        let sides = Node::Numbers(numbers("shape")?.mapv(side));
        let shape = read_shape(&sides).ok_or_else(|| refuse("shape", "a size is not a whole number".to_owned()))?;
        check_shape(&shape, pointer)?;
        check_empty_axes(&shape).map_err(|error| error.at(Place::Pointer(pointer.to_owned())))?;
        let (data, shown) = (numbers("data")?, format_shape(&shape));
        let count = array_bytes("the array", &shape).map(|bytes| bytes / size_of::<f64>());
        if count != Ok(data.len()) {
            return Err(refuse(
                "data",
                format!("the data has {}, but the shape is {shown}", format_count(data.len(), "number")),
            ));
        }
        let array = data.into_shape_with_order(IxDyn(&shape));
        array.map_err(|_| refuse("shape", format!("the shape {shown} is too large")))
    }

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

    /// Returns pointers to the values in this one, for a message or a choice.
    pub(crate) fn child_pointers(&self, under: &str) -> Vec<String> {
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
            Node::Object(_) => (
                "expected a number, got an object".to_owned(),
                "select an array of the object, FILE#/key, or give the array alone",
            ),
            _ => ("expected a number, got an array".to_owned(), "use rows that hold only numbers"),
        };
        Error::new(Code::NotANumber, message).at(Place::Pointer(pointer.to_owned())).tip(tip)
    }
}

/// Refuses the shape of an array at a pointer.
fn check_shape(shape: &[usize], pointer: &str) -> Result<(), Error> {
    check_rank(shape).map_err(|error| error.at(Place::Pointer(pointer.to_owned())))
}

/// Returns the array of a list of arrays of one shape, which the parser left as a list because it fits none around it.
fn stack(list: &[Node]) -> Option<ArrayD<f64>> {
    let arrays = list.iter().map(|node| match node {
        Node::Numbers(numbers) => Some(Cow::Borrowed(numbers)),
        Node::List(list) => stack(list).map(Cow::Owned),
        _ => None,
    });
    stack_arrays(&arrays.collect::<Option<Vec<_>>>()?)
}

/// Returns arrays of one shape along a new first axis.
fn stack_arrays(arrays: &[impl Borrow<ArrayD<f64>>]) -> Option<ArrayD<f64>> {
    let views: Vec<_> = arrays.iter().map(|array| array.borrow().view()).collect();
    let stacked = ndarray::stack(Axis(0), &views).ok()?;
    Some(if stacked.is_standard_layout() { stacked } else { stacked.as_standard_layout().into_owned() })
}

/// Returns the error of a list that is not an array: that of the first element which does not fit the ones before it.
fn ragged_error(list: &[Node], pointer: &str) -> Error {
    let mut first = None;
    for (n, element) in list.iter().enumerate() {
        let here = format!("{pointer}/{n}");
        let shape = match element {
            Node::Number(_) => Vec::new(),
            Node::Numbers(numbers) => numbers.shape().to_vec(),
            Node::List(list) => match stack(list) {
                Some(array) => array.shape().to_vec(),
                None => return ragged_error(list, &here),
            },
            other => return other.not_a_number(&here),
        };
        let first = first.get_or_insert_with(|| shape.clone());
        if *first != shape {
            let describe = |shape: &[usize]| match shape {
                [] => "is a number".to_owned(),
                [length] => format!("has {}", format_count(*length, "column")),
                _ => format!("has the shape {}", format_shape(shape)),
            };
            let message = format!("row {n} {}, but row 0 {}", describe(&shape), describe(first));
            let tip = if shape.len() == 1 && first.len() == 1 {
                "write the same number of columns in every row"
            } else {
                "give every element of an array the same shape"
            };
            return Error::new(Code::Ragged, message).at(Place::Pointer(here)).tip(tip);
        }
    }
    Error::new(Code::Ragged, "is not an array of numbers").at(Place::Pointer(pointer.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::parse;

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        parse(text.as_bytes(), "t.json")?.into_array("")
    }

    #[test]
    fn arrays_of_every_rank_keep_their_shape() {
        for (text, shape) in [
            ("1", &[][..]),
            ("[]", &[0]),
            ("[1,2]", &[2]),
            ("[[],[]]", &[2, 0]),
            ("[[1,2,3]]", &[1, 3]),
            ("[[[]],[[]]]", &[2, 1, 0]),
            ("[[[1],[2]],[[3],[\"NaN\"]]]", &[2, 2, 1]),
            ("[[[[[[[[1,2]]]]]]]]", &[1, 1, 1, 1, 1, 1, 1, 2]),
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
            ("[[[1,2],[3,4]],[[5,6],[7]]]", Code::Ragged, "/1/1"),
            ("[[[1,2],[3,4]],[[5,6]]]", Code::Ragged, "/1"),
            ("[[[1,2],[3,4]],[[5],[6]]]", Code::Ragged, "/1"),
            ("[[[1,2],[3,4]],[[5,6],[7,8],[9,9]]]", Code::Ragged, "/1"),
            ("[[[1,2],[3,4]],[5,6]]", Code::Ragged, "/1"),
            ("[[[1,2],[3,4]],[[5,6],[7,[8]]]]", Code::Ragged, "/1/1/1"),
            ("[[[1,2],[3,4]],[[5,6],[7,null]]]", Code::NotANumber, "/1/1/1"),
            ("[[[]],[[1]]]", Code::Ragged, "/1"),
            ("[[[[[[[[[1]]]]]]]]]", Code::Rank, ""),
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
