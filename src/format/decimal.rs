//! Decimal numbers with their written digits, which tell how far a number was rounded; null is a blank entry.

use super::arrays::DOUBLE_ROUNDING;
use super::json::{self, JsonNumber, array_index, parse_non_finite, scale_by_power_of_ten};
use super::selector::{escape, unescape};
use crate::core::error::{Code, Error, Place, format_count, format_shape};
use crate::core::name::Name;
use crate::core::size::check_rank;
use ndarray::ArrayD;

/// A number and its written digits. Packed, because a matrix has many.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed(4))]
pub struct Decimal {
    /// Value of the number.
    pub value: f64,
    /// Exponent of half a unit of the last digit, 5·10^place.
    place: i16,
    /// Number of significant digits; 255 stands for more.
    pub significant: u8,
    /// True if the number may have been rounded.
    is_rounded: bool,
}

/// A decimal number, or `None` for a blank entry.
pub type OptionalDecimal = Option<Decimal>;

/// An array of decimal numbers, with blank entries.
#[derive(Clone, Debug, PartialEq)]
pub struct DecimalArray {
    /// Shape of the array.
    pub shape: Vec<usize>,
    elements: Elements,
    /// Unit roundoff of the type that stored the numbers.
    pub rounding: f64,
}

/// The entries in row-major order.
#[derive(Clone, Debug, PartialEq)]
enum Elements {
    /// Numbers of a binary format, without written digits.
    Binary(Vec<f64>),
    Decimal(Vec<OptionalDecimal>),
    /// An array with blank elements of its first axis, the rows: the offset of each other row in `decimals`. A short text may have
    /// many blank rows.
    BlankRows {
        rows: Vec<Option<usize>>,
        width: usize,
        decimals: Vec<OptionalDecimal>,
    },
}

/// The arrays of a file of expected values.
#[derive(Clone, Debug, PartialEq)]
pub enum DecimalArrays {
    /// One array without a name.
    Single(DecimalArray),
    /// Several arrays by name; a value that is not an array is an error only if it is used.
    Named(Vec<(Name, Result<DecimalArray, Error>)>),
}

impl Decimal {
    /// Returns a number with the digits of its text: 0.22 is rounded to two decimals; 22, 22.0 and 1e-3 are exact.
    ///
    /// ```
    /// use nnlayer::format::decimal::Decimal;
    /// assert_eq!(Decimal::new("0.22", 0.22).half_unit(), 0.005);
    /// assert_eq!(Decimal::new("1.50e3", 1500.0).half_unit(), 5.0);
    /// assert_eq!(Decimal::new("2.0", 2.0).half_unit(), 0.0);
    /// ```
    pub fn new(text: &str, value: f64) -> Decimal {
        let text = text.trim().trim_start_matches(['-', '+']);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let significant = match whole.trim_start_matches('0').len() {
            0 => fraction.trim_start_matches('0').len(),
            digits => digits + fraction.len(),
        };
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let place = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX)).saturating_sub(1);
        // Powers of ten beyond these are 0 or infinite as doubles.
        let place = i16::try_from(place.clamp(-400, 400)).unwrap_or(0);
        let is_rounded = !fraction.is_empty() && fraction != "0" && value.is_finite();
        Decimal { value, place, significant: u8::try_from(significant).unwrap_or(u8::MAX), is_rounded }
    }

    /// Returns half a unit of the last digit; 0 for a number that is not rounded, such as an integer.
    pub fn half_unit(&self) -> f64 {
        if self.is_rounded { scale_by_power_of_ten(5, self.place.into()) } else { 0.0 }
    }
}

impl JsonNumber for OptionalDecimal {
    fn from_token(token: &[u8], value: f64) -> OptionalDecimal {
        let token = std::str::from_utf8(token).unwrap_or_default();
        Some(Decimal::new(token, value))
    }

    fn missing() -> Option<OptionalDecimal> {
        Some(None)
    }
}

impl DecimalArray {
    /// Returns an array without written digits.
    pub fn from_values(values: ArrayD<f64>, rounding: f64) -> DecimalArray {
        DecimalArray { shape: values.shape().to_vec(), elements: Elements::Binary(flatten(values)), rounding }
    }

    /// Returns an array with the digits in a text, separated by commas, semicolons and blanks.
    pub fn from_literal(values: &ArrayD<f64>, text: &str) -> DecimalArray {
        let tokens = text.split(|c: char| ",;[]".contains(c) || c.is_whitespace()).filter(|token| !token.is_empty());
        let cells: Vec<_> = values.iter().zip(tokens).map(|(&value, token)| Some(Decimal::new(token, value))).collect();
        if cells.len() != values.len() {
            return DecimalArray::from_values(values.clone(), DOUBLE_ROUNDING);
        }
        DecimalArray { shape: values.shape().to_vec(), elements: Elements::Decimal(cells), rounding: DOUBLE_ROUNDING }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |count, &size| count.saturating_mul(size))
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entry at a row-major position; `None` if it is blank or does not exist.
    pub fn element(&self, n: usize) -> OptionalDecimal {
        match &self.elements {
            Elements::Binary(values) => values.get(n).copied().map(without_digits),
            Elements::Decimal(cells) => cells.get(n).copied().flatten(),
            Elements::BlankRows { rows, width, decimals } => {
                let begin = rows.get(n.checked_div(*width)?).copied().flatten()?;
                decimals.get(begin + n % width).copied().flatten()
            }
        }
    }

    /// Returns the entries in row-major order.
    pub fn elements(&self) -> impl Iterator<Item = OptionalDecimal> {
        (0..self.len()).map(|n| self.element(n))
    }

    /// Returns the entries that are not blank.
    pub fn decimals(&self) -> impl Iterator<Item = Decimal> {
        let (values, cells): (&[f64], &[OptionalDecimal]) = match &self.elements {
            Elements::Binary(values) => (values, &[]),
            Elements::Decimal(cells) | Elements::BlankRows { decimals: cells, .. } => (&[], cells),
        };
        values.iter().copied().map(without_digits).chain(cells.iter().copied().flatten())
    }

    /// Returns the entries of a matrix in column-major order.
    pub fn transposed(&self) -> Option<impl Iterator<Item = OptionalDecimal>> {
        let [rows, columns] = self.shape[..] else { return None };
        Some((0..columns).flat_map(move |k| (0..rows).map(move |n| self.element(n * columns + k))))
    }

    /// Makes the entries blank whose position `keep` does not accept.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        match &mut self.elements {
            Elements::Binary(_) => {
                let kept = self.elements().enumerate().map(|(n, cell)| cell.filter(|_| keep(n))).collect();
                self.elements = Elements::Decimal(kept);
            }
            Elements::Decimal(cells) => {
                cells.iter_mut().enumerate().for_each(|(n, cell)| *cell = cell.filter(|_| keep(n)))
            }
            Elements::BlankRows { rows, width, decimals } => {
                for (row, begin) in rows.iter().enumerate().filter_map(|(row, begin)| Some((row, (*begin)?))) {
                    let cells = decimals[begin..].iter_mut().take(*width);
                    cells.enumerate().for_each(|(k, cell)| *cell = cell.filter(|_| keep(row * *width + k)));
                }
            }
        }
    }
}

/// Returns a number without written digits.
fn without_digits(value: f64) -> Decimal {
    Decimal { value, place: 0, significant: 17, is_rounded: false }
}

/// Returns the entries in row-major order, without a copy if they are stored so.
fn flatten<T: Copy>(values: ArrayD<T>) -> Vec<T> {
    if values.is_standard_layout() { values.into_raw_vec_and_offset().0 } else { values.iter().copied().collect() }
}

/// A JSON value whose numbers have their digits.
pub type Node = json::Node<OptionalDecimal>;

/// Returns the arrays of a JSON document at `pointer`: an array, or an object of arrays. `locate` adds the position of an error.
pub fn decimal_arrays(document: Node, pointer: &str, locate: impl Fn(Error) -> Error) -> Result<DecimalArrays, Error> {
    // `find` words the error of a missing key with the keys that exist; `take_node` cannot.
    document.find(pointer).map_err(&locate)?;
    let node = take_node(document, pointer).unwrap_or(Node::Null);
    let is_shaped = node.is_shaped();
    match node {
        Node::Object(entries) if !is_shaped => {
            let named = entries.into_iter().map(|(name, node)| {
                let array = decimal_array(node, &format!("{pointer}/{}", escape(&name))).map_err(&locate);
                (Name::new(name), array)
            });
            Ok(DecimalArrays::Named(named.collect()))
        }
        node => decimal_array(node, pointer).map(DecimalArrays::Single).map_err(locate),
    }
}

/// Takes the value at a pointer out of the document.
fn take_node(mut node: Node, pointer: &str) -> Option<Node> {
    for part in pointer.split('/').skip(1) {
        node = match node {
            Node::Object(entries) => {
                let key = unescape(part);
                entries.into_iter().find(|(known, _)| *known == key)?.1
            }
            Node::List(list) => list.into_iter().nth(array_index(part)?)?,
            other => other.child(part)?.into_owned(),
        };
    }
    Some(node)
}

fn decimal_array(node: Node, pointer: &str) -> Result<DecimalArray, Error> {
    let node = match node {
        Node::Object(_) if node.is_shaped() => {
            Node::Numbers(node.shaped(|side| side.map_or(f64::NAN, |side| side.value), pointer)?)
        }
        other => other,
    };
    let (shape, elements) = match node {
        Node::Numbers(numbers) => {
            check_rank(numbers.shape()).map_err(|error| error.at(Place::Pointer(pointer.to_owned())))?;
            (numbers.shape().to_vec(), Elements::Decimal(flatten(numbers)))
        }
        Node::List(list) if list.iter().any(is_array) => blocks(list, pointer)?,
        Node::List(list) => (vec![list.len()], Elements::Decimal(entries(list, pointer)?)),
        scalar => (vec![], Elements::Decimal(vec![parse_entry(&scalar, pointer)?])),
    };
    Ok(DecimalArray { shape, elements, rounding: DOUBLE_ROUNDING })
}

fn parse_entry(node: &Node, pointer: &str) -> Result<OptionalDecimal, Error> {
    match node {
        Node::Number(cell) => Ok(*cell),
        Node::Null => Ok(None),
        Node::Text(text) => parse_non_finite(text)
            .map(|number| Some(Decimal::new(text, number)))
            .ok_or_else(|| node.not_a_number(pointer)),
        Node::Bool(_) => Err(node.not_a_number(pointer)),
        Node::Numbers(_) | Node::List(_) | Node::Object(_) => Err(rank_error(pointer)),
    }
}

fn rank_error(pointer: &str) -> Error {
    Error::new(Code::Rank, "expected a number, got an array or object")
        .at(Place::Pointer(pointer.to_owned()))
        .tip("write a number, a row, or rows of one length; null leaves an entry blank")
}

fn entries(list: Vec<Node>, pointer: &str) -> Result<Vec<OptionalDecimal>, Error> {
    list.iter().enumerate().map(|(n, node)| parse_entry(node, &format!("{pointer}/{n}"))).collect()
}

fn is_array(node: &Node) -> bool {
    matches!(node, Node::Numbers(_) | Node::List(_))
}

/// Returns the shape and entries of a list of arrays of one shape; an array that is null is blank.
fn blocks(list: Vec<Node>, pointer: &str) -> Result<(Vec<usize>, Elements), Error> {
    let mut first: Option<Vec<usize>> = None;
    let (mut rows, mut decimals) = (Vec::with_capacity(list.len()), Vec::new());
    for (n, node) in list.into_iter().enumerate() {
        let here = format!("{pointer}/{n}");
        let is_blank = matches!(node, Node::Number(None) | Node::Null);
        rows.push(Some(decimals.len()).filter(|_| !is_blank));
        let shape = match node {
            Node::Numbers(block) if first.as_deref().is_none_or(|first| first == block.shape()) => {
                first.get_or_insert_with(|| block.shape().to_vec());
                decimals.extend(flatten(block));
                continue;
            }
            Node::Numbers(block) => Some(block.shape().to_vec()),
            Node::List(list) => Some(decimal_array(Node::List(list), &here)?.shape),
            _ if is_blank => continue,
            _ => None,
        };
        let what = match (shape.as_deref(), first.as_deref()) {
            (None, _) => format!("row {n} is not an array"),
            (Some([length]), Some([width])) if length != width => {
                format!("row {n} has {}, but row 0 has {width}", format_count(*length, "column"))
            }
            (Some(shape), Some(first)) if shape != first => {
                format!("row {n} has the shape {}, but row 0 {}", format_shape(shape), format_shape(first))
            }
            _ => format!("row {n} has a row that is null; null stands for a number or for a row of the whole array"),
        };
        return Err(Error::new(Code::Ragged, what)
            .at(Place::Pointer(here))
            .tip("give every row the same number of columns; null leaves an entry blank"));
    }
    let shape = [&[rows.len()], &first.unwrap_or_default()[..]].concat();
    check_rank(&shape).map_err(|error| error.at(Place::Pointer(pointer.to_owned())))?;
    let width = shape[1..].iter().product();
    Ok((shape, Elements::BlankRows { rows, width, decimals }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::Source;
    use ndarray::arr2;
    use proptest::prelude::*;

    fn read_arrays(text: &str, pointer: &str) -> Result<DecimalArrays, Error> {
        decimal_arrays(json::read(Source::bytes("t.json", text.as_bytes()))?, pointer, |error| error)
    }

    /// Returns the shape and entries of a document with one array.
    fn single(text: &str) -> (Vec<usize>, Vec<Option<f64>>) {
        match read_arrays(text, "").unwrap() {
            DecimalArrays::Single(array) => {
                (array.shape.clone(), array.elements().map(|cell| cell.map(|decimal| decimal.value)).collect())
            }
            named => panic!("{named:?}"),
        }
    }

    #[test]
    fn an_entry_takes_twelve_bytes() {
        assert_eq!(size_of::<OptionalDecimal>(), 12);
    }

    #[test]
    fn leading_zeros_are_not_significant() {
        let long = format!("0.0{}", "1".repeat(1000));
        for (text, digits) in [("0.0022", 2), ("-100.50", 5), ("0", 0), ("0.000", 0), ("1.50e3", 3), (&long, 255)] {
            assert_eq!(Decimal::new(text, 1.0).significant, digits, "{text}");
        }
    }

    #[test]
    fn half_a_unit_is_rounded_to_the_closest_double() {
        for exponent in -380..380 {
            let expected: f64 = format!("5e{}", exponent - 3).parse().unwrap();
            assert_eq!(Decimal::new(&format!("1.25e{exponent}"), 1.25).half_unit(), expected, "{exponent}");
        }
        for (text, expected) in
            [("1.25e-99999999999999999999", 0.005), ("0.00e99999", f64::INFINITY), ("0.00e-9999", 0.0)]
        {
            assert_eq!(Decimal::new(text, 0.0).half_unit(), expected, "{text}");
        }
    }

    #[test]
    fn null_is_a_blank_entry_or_a_blank_row() {
        let some = Some(1.0);
        for (text, shape, cells) in [
            ("null", &[][..], vec![None]),
            ("1", &[], vec![some]),
            ("[]", &[0], vec![]),
            ("[null,1]", &[2], vec![None, some]),
            ("[null,null]", &[2], vec![None, None]),
            ("[[1,null],[null,1]]", &[2, 2], vec![some, None, None, some]),
            ("[null,[1,1],null]", &[3, 2], vec![None, None, some, some, None, None]),
            ("[[1,1],[1,1],null]", &[3, 2], vec![some, some, some, some, None, None]),
            ("[[],null]", &[2, 0], vec![]),
            ("[[[1],[null]]]", &[1, 2, 1], vec![some, None]),
            ("[null,[[1],[1]]]", &[2, 2, 1], vec![None, None, some, some]),
            (r#"{"shape":[0,2],"data":[]}"#, &[0, 2], vec![]),
        ] {
            assert_eq!(single(text), (shape.to_vec(), cells), "{text}");
        }
    }

    #[test]
    fn entries_that_are_not_retained_are_blank() {
        for text in ["[[1,2],[3,4]]", "[[1,2],[3,4],null]", "[null,[1,2],[3,4]]"] {
            let DecimalArrays::Single(mut array) = read_arrays(text, "").unwrap() else { panic!() };
            let before: Vec<OptionalDecimal> = array.elements().collect();
            array.retain(|n| n % 3 == 0);
            let kept = before.iter().enumerate().map(|(n, cell)| cell.filter(|_| n % 3 == 0));
            assert!(array.elements().eq(kept) && array.decimals().count() < 3, "{text}");
        }
    }

    #[test]
    fn a_value_that_is_not_an_array_is_an_error_of_its_name_only() {
        let DecimalArrays::Named(named) =
            read_arrays(r#"{"y":[1,null],"a/b":[[[1],null],[[2],[3]]],"c":[[1],2],"d":{},"e":[[1],["x"]]}"#, "")
                .unwrap()
        else {
            panic!()
        };
        let errors: Vec<_> =
            named.iter().map(|(_, array)| array.as_ref().err().map(|f| (f.code, f.at.clone().unwrap()))).collect();
        let at = |code, pointer: &str| Some((code, Place::Pointer(pointer.to_owned())));
        let ragged = at(Code::Ragged, "/c/1");
        let (blank, object) = (at(Code::Ragged, "/a~1b/0"), at(Code::Rank, "/d"));
        assert_eq!(errors, [None, blank, ragged, object, at(Code::NotANumber, "/e/1/0")]);
    }

    #[test]
    fn a_pointer_selects_an_array() {
        let text = r#"{"a/b":[{"w":[[1,2.50],[null,4]]}]}"#;
        let shape = |pointer: &str| match read_arrays(text, pointer) {
            Ok(DecimalArrays::Single(array)) => Ok(array.shape),
            Ok(named) => panic!("{named:?}"),
            Err(error) => Err(error.code),
        };
        assert_eq!(shape("/a~1b/0/w"), Ok(vec![2, 2]));
        assert_eq!(shape("/a~1b/0/w/1"), Ok(vec![2]));
        assert_eq!(shape("/a~1b/0/w/0/1"), Ok(vec![]));
        for none in ["/a", "/a~1b/1", "/a~1b/0/w/2", "/a~1b/0/w/0/1/0"] {
            assert_eq!(shape(none), Err(Code::KeyMissing), "{none}");
        }
    }

    #[test]
    fn an_array_in_fortran_order_has_its_entries_in_row_major_order() {
        let array = DecimalArray::from_values(
            arr2(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).reversed_axes().into_dyn(),
            DOUBLE_ROUNDING,
        );
        let values = |cells: &mut dyn Iterator<Item = OptionalDecimal>| {
            cells.map(|cell| cell.unwrap().value).collect::<Vec<_>>()
        };
        assert_eq!(
            (&array.shape[..], values(&mut array.elements())),
            (&[2, 3][..], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
        );
        assert_eq!(values(&mut array.transposed().unwrap()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in r#"[\[\]{},:"0-9eE.+\- nul]{0,60}"#, near in r#"\[(\[?(null|1\.5|"NaN"|\{\})?,? ?\]?){0,6}\]"#, pointer in "(/[0-9y~]{0,3}){0,3}") {
            let _ = read_arrays(&text, &pointer);
            let _ = read_arrays(&near, &pointer);
        }
    }
}
