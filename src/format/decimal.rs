//! Numbers as somebody wrote them: how many digits stand there says how far they were rounded; null is a blank.

use super::json;
use super::json::{JsonNumber, array_index, parse_non_finite, scale_by_power_of_ten};
use super::{DOUBLE_ROUNDING, escape, unescape};
use crate::core::error::{Code, Error, Place};
use crate::core::name::Name;
use ndarray::ArrayD;

/// A number and its digits, in few bytes: a matrix has many.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed(4))]
pub struct Decimal {
    /// The number.
    pub value: f64,
    /// Half a unit of its last digit is 5·10^place, where it is rounded.
    place: i16,
    /// Its significant digits; 255 stands for more.
    pub significant: u8,
    rounded: bool,
}

/// A figure, or a blank.
pub type OptionalDecimal = Option<Decimal>;

/// An array of figures, with blanks.
#[derive(Clone, Debug, PartialEq)]
pub struct DecimalArray {
    /// The shape.
    pub shape: Vec<usize>,
    cells: Elements,
    /// The rounding of the type they were stored in.
    pub rounding: f64,
}

/// The entries, row by row.
#[derive(Clone, Debug, PartialEq)]
enum Elements {
    /// Numbers whose digits nobody chose.
    Plain(Vec<f64>),
    Written(Vec<OptionalDecimal>),
    /// Rows of which some are left out: where each begins among what is written. A text of few bytes may leave out many.
    Partly {
        rows: Vec<Option<usize>>,
        width: usize,
        written: Vec<OptionalDecimal>,
    },
}

/// Expected values of a file: one array, or several with names.
#[derive(Clone, Debug, PartialEq)]
pub enum DecimalArrays {
    /// One array without a name.
    Single(DecimalArray),
    /// Several, by name; what is no array is an error only to whoever wants it.
    Named(Vec<(Name, Result<DecimalArray, Error>)>),
}

impl Decimal {
    /// Reads the digits of a number's text: 0.22 has two behind the point, 22, 22.0 and 1e-3 stand for themselves.
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
        // Beyond these there is no double either way.
        let place = i16::try_from(place.clamp(-400, 400)).unwrap_or(0);
        let rounded = !fraction.is_empty() && fraction != "0" && value.is_finite();
        Decimal { value, place, significant: u8::try_from(significant).unwrap_or(u8::MAX), rounded }
    }

    /// Half a unit of its last digit; 0 for a whole number, which stands for itself.
    pub fn half_unit(&self) -> f64 {
        if self.rounded { scale_by_power_of_ten(5, self.place.into()) } else { 0.0 }
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
    /// The entries of an array whose digits nobody chose.
    pub fn from_values(values: ArrayD<f64>, rounding: f64) -> DecimalArray {
        DecimalArray { shape: values.shape().to_vec(), cells: Elements::Plain(flat(values)), rounding }
    }

    /// The entries of an array whose digits stand in a text, separated by commas, semicolons and blanks.
    pub fn from_literal(values: &ArrayD<f64>, text: &str) -> DecimalArray {
        let tokens = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|token| !token.is_empty());
        let cells: Vec<_> = values.iter().zip(tokens).map(|(&value, token)| Some(Decimal::new(token, value))).collect();
        if cells.len() != values.len() {
            return DecimalArray::from_values(values.clone(), DOUBLE_ROUNDING);
        }
        DecimalArray { shape: values.shape().to_vec(), cells: Elements::Written(cells), rounding: DOUBLE_ROUNDING }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |count, &size| count.saturating_mul(size))
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of that number, row by row; blank where there is none.
    pub fn element(&self, n: usize) -> OptionalDecimal {
        match &self.cells {
            Elements::Plain(values) => values.get(n).copied().map(plain),
            Elements::Written(cells) => cells.get(n).copied().flatten(),
            Elements::Partly { rows, width, written } => {
                let begin = rows.get(n.checked_div(*width)?).copied().flatten()?;
                written.get(begin + n % width).copied().flatten()
            }
        }
    }

    /// The entries, row by row.
    pub fn elements(&self) -> impl Iterator<Item = OptionalDecimal> {
        (0..self.len()).map(|n| self.element(n))
    }

    /// The entries that are no blanks.
    pub fn decimals(&self) -> impl Iterator<Item = Decimal> {
        let (values, cells): (&[f64], &[OptionalDecimal]) = match &self.cells {
            Elements::Plain(values) => (values, &[]),
            Elements::Written(cells) | Elements::Partly { written: cells, .. } => (&[], cells),
        };
        values.iter().copied().map(plain).chain(cells.iter().copied().flatten())
    }

    /// The entries of a matrix, column by column.
    pub fn transposed(&self) -> Option<impl Iterator<Item = OptionalDecimal>> {
        let [rows, columns] = self.shape[..] else { return None };
        Some((0..columns).flat_map(move |k| (0..rows).map(move |n| self.element(n * columns + k))))
    }

    /// Blanks all other entries.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        match &mut self.cells {
            Elements::Plain(_) => {
                let kept = self.elements().enumerate().map(|(n, cell)| cell.filter(|_| keep(n))).collect();
                self.cells = Elements::Written(kept);
            }
            Elements::Written(cells) => {
                cells.iter_mut().enumerate().for_each(|(n, cell)| *cell = cell.filter(|_| keep(n)))
            }
            Elements::Partly { rows, width, written } => {
                for (row, begin) in rows.iter().enumerate().filter_map(|(row, begin)| Some((row, (*begin)?))) {
                    let cells = written[begin..].iter_mut().take(*width);
                    cells.enumerate().for_each(|(k, cell)| *cell = cell.filter(|_| keep(row * *width + k)));
                }
            }
        }
    }
}

/// A number whose digits nobody chose.
fn plain(value: f64) -> Decimal {
    Decimal { value, place: 0, significant: 17, rounded: false }
}

/// The entries row by row, where they are where they lie so.
fn flat<T: Copy>(values: ArrayD<T>) -> Vec<T> {
    if values.is_standard_layout() { values.into_raw_vec_and_offset().0 } else { values.iter().copied().collect() }
}

/// A value of a document whose numbers keep their digits.
pub type Node = json::Node<OptionalDecimal>;

/// The answers of a JSON document: an array, or an object with one for each name. `pointer` leads to it, and `locate`
/// finds the place of an error with a pointer.
pub fn decimal_arrays(document: Node, pointer: &str, locate: impl Fn(Error) -> Error) -> Result<DecimalArrays, Error> {
    // What is not there is said with what is.
    document.find(pointer).map_err(&locate)?;
    match taken(document, pointer).unwrap_or(Node::Null) {
        Node::Object(entries) => {
            let named = entries.into_iter().map(|(name, node)| {
                let sheet = sheet(node, &format!("{pointer}/{}", escape(&name))).map_err(&locate);
                (Name::new(name), sheet)
            });
            Ok(DecimalArrays::Named(named.collect()))
        }
        node => sheet(node, pointer).map(DecimalArrays::Single).map_err(locate),
    }
}

/// Takes the node at a pointer out of the document.
fn taken(mut node: Node, pointer: &str) -> Option<Node> {
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

fn sheet(node: Node, pointer: &str) -> Result<DecimalArray, Error> {
    let (shape, cells) = match node {
        Node::Numbers(numbers) => (numbers.shape().to_vec(), Elements::Written(flat(numbers))),
        Node::List(list) if list.iter().any(|node| length(node).is_some()) => matrix(list, pointer)?,
        Node::List(list) => (vec![list.len()], Elements::Written(entries(list, pointer)?)),
        scalar => (vec![], Elements::Written(vec![cell(&scalar, pointer)?])),
    };
    Ok(DecimalArray { shape, cells, rounding: DOUBLE_ROUNDING })
}

fn cell(node: &Node, pointer: &str) -> Result<OptionalDecimal, Error> {
    match node {
        Node::Number(cell) => Ok(*cell),
        Node::Null => Ok(None),
        Node::Text(text) => parse_non_finite(text)
            .map(|number| Some(Decimal::new(text, number)))
            .ok_or_else(|| node.not_a_number(pointer)),
        Node::Bool(_) => Err(node.not_a_number(pointer)),
        Node::Numbers(_) | Node::List(_) | Node::Object(_) => Err(no_cell(pointer)),
    }
}

fn no_cell(pointer: &str) -> Error {
    Error::new(Code::Rank, "a number is expected here, there is an array or object")
        .at(Place::Pointer(pointer.to_owned()))
        .tip("answers are numbers, rows, or rows of one length; null leaves one out")
}

fn entries(list: Vec<Node>, pointer: &str) -> Result<Vec<OptionalDecimal>, Error> {
    list.iter().enumerate().map(|(n, node)| cell(node, &format!("{pointer}/{n}"))).collect()
}

/// The number of entries of an array.
fn length(node: &Node) -> Option<usize> {
    match node {
        Node::Numbers(numbers) => numbers.shape().first().copied(),
        Node::List(list) => Some(list.len()),
        _ => None,
    }
}

/// Rows of one length; a row that is null is blank.
fn matrix(list: Vec<Node>, pointer: &str) -> Result<(Vec<usize>, Elements), Error> {
    let width = list.iter().find_map(length).unwrap_or(0);
    let (mut rows, mut written) = (Vec::with_capacity(list.len()), Vec::new());
    for (n, node) in list.into_iter().enumerate() {
        let here = format!("{pointer}/{n}");
        let blank = matches!(node, Node::Number(None) | Node::Null);
        rows.push(Some(written.len()).filter(|_| !blank));
        match (length(&node), node) {
            (None, _) if blank => {}
            (Some(length), Node::Numbers(row)) if length == width && row.ndim() == 1 => written.extend(row),
            (Some(length), Node::List(row)) if length == width => written.extend(entries(row, &here)?),
            (Some(length), _) if length == width => return Err(no_cell(&format!("{here}/0"))),
            (length, _) => {
                let what = match length {
                    Some(length) => format!("row {n} has {length} columns, the first has {width}"),
                    None => format!("row {n} is no row"),
                };
                return Err(Error::new(Code::Ragged, what)
                    .at(Place::Pointer(here))
                    .tip("every row needs the same number of columns; null stands for an entry that is left out"));
            }
        }
    }
    Ok((vec![rows.len(), width], Elements::Partly { rows, width, written }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::Source;
    use ndarray::arr2;
    use proptest::prelude::*;

    fn answers(text: &str, pointer: &str) -> Result<DecimalArrays, Error> {
        decimal_arrays(json::read(Source::bytes("t.json", text.as_bytes()))?, pointer, |error| error)
    }

    /// The shape and the entries of a document of one array; a blank is nothing.
    fn single(text: &str) -> (Vec<usize>, Vec<Option<f64>>) {
        match answers(text, "").unwrap() {
            DecimalArrays::Single(sheet) => {
                (sheet.shape.clone(), sheet.elements().map(|cell| cell.map(|figure| figure.value)).collect())
            }
            named => panic!("{named:?}"),
        }
    }

    #[test]
    fn a_cell_takes_twelve_bytes() {
        assert_eq!(size_of::<OptionalDecimal>(), 12);
    }

    #[test]
    fn digits_count_from_the_first_that_is_not_0() {
        let long = format!("0.0{}", "1".repeat(1000));
        for (text, digits) in [("0.0022", 2), ("-100.50", 5), ("0", 0), ("0.000", 0), ("1.50e3", 3), (&long, 255)] {
            assert_eq!(Decimal::new(text, 1.0).significant, digits, "{text}");
        }
    }

    #[test]
    fn half_a_unit_is_the_double_nearest_to_it() {
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
    fn blanks_stand_for_numbers_and_for_rows() {
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
        ] {
            assert_eq!(single(text), (shape.to_vec(), cells), "{text}");
        }
    }

    #[test]
    fn what_is_not_kept_is_blank() {
        for text in ["[[1,2],[3,4]]", "[[1,2],[3,4],null]", "[null,[1,2],[3,4]]"] {
            let DecimalArrays::Single(mut sheet) = answers(text, "").unwrap() else { panic!() };
            let before: Vec<OptionalDecimal> = sheet.elements().collect();
            sheet.retain(|n| n % 3 == 0);
            let kept = before.iter().enumerate().map(|(n, cell)| cell.filter(|_| n % 3 == 0));
            assert!(sheet.elements().eq(kept) && sheet.decimals().count() < 3, "{text}");
        }
    }

    #[test]
    fn what_is_no_sheet_is_a_fault_of_its_name_only() {
        let DecimalArrays::Named(named) =
            answers(r#"{"y":[1,null],"a/b":[[[1]],[[2]]],"c":[[1],2],"d":{},"e":[[1],["x"]]}"#, "").unwrap()
        else {
            panic!()
        };
        let errors: Vec<_> =
            named.iter().map(|(_, sheet)| sheet.as_ref().err().map(|f| (f.code, f.at.clone().unwrap()))).collect();
        let at = |code, pointer: &str| Some((code, Place::Pointer(pointer.to_owned())));
        let ragged = at(Code::Ragged, "/c/1");
        let (rank, object) = (at(Code::Rank, "/a~1b/0/0"), at(Code::Rank, "/d"));
        assert_eq!(errors, [None, rank, ragged, object, at(Code::NotANumber, "/e/1/0")]);
    }

    #[test]
    fn a_pointer_leads_to_a_sheet() {
        let text = r#"{"a/b":[{"w":[[1,2.50],[null,4]]}]}"#;
        let shape = |pointer: &str| match answers(text, pointer) {
            Ok(DecimalArrays::Single(sheet)) => Ok(sheet.shape),
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
    fn an_array_that_lies_by_columns_is_a_sheet_by_rows() {
        let sheet = DecimalArray::from_values(
            arr2(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).reversed_axes().into_dyn(),
            DOUBLE_ROUNDING,
        );
        let values = |cells: &mut dyn Iterator<Item = OptionalDecimal>| {
            cells.map(|cell| cell.unwrap().value).collect::<Vec<_>>()
        };
        assert_eq!(
            (&sheet.shape[..], values(&mut sheet.elements())),
            (&[2, 3][..], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
        );
        assert_eq!(values(&mut sheet.transposed().unwrap()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{},:"0-9eE.+\- nul]{0,60}"#, near in r#"\[(\[?(null|1\.5|"NaN"|\{\})?,? ?\]?){0,6}\]"#, pointer in "(/[0-9y~]{0,3}){0,3}") {
            let _ = answers(&text, &pointer);
            let _ = answers(&near, &pointer);
        }
    }
}
