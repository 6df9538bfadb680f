//! Numbers as somebody wrote them: how many digits stand there says how far they were rounded; null is a blank.

use super::json::{self, scalar_at};
use super::{DOUBLE_ROUNDING, escape};
use crate::fault::{Code, Fault, Place};
use crate::name::Name;
use jiter::{Jiter, Peek};
use ndarray::ArrayD;

/// A number and its digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Half a unit of its last digit; 0 for a whole number, which stands for itself.
    pub half_unit: f64,
    /// Its significant digits.
    pub significant: usize,
}

/// An array of figures, with blanks.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The shape.
    pub shape: Vec<usize>,
    /// The entries, row by row; a blank is nothing.
    pub cells: Vec<Option<Figure>>,
    /// The rounding of the type they were stored in.
    pub rounding: f64,
}

/// What a file of answers holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Sheets {
    /// One array without a name.
    Single(Sheet),
    /// Several, by name; what is no array is a fault only to whoever wants it.
    Named(Vec<(Name, Result<Sheet, Fault>)>),
}

impl Figure {
    /// Reads the digits of a number's text: 0.22 has two behind the point, 22, 22.0 and 1e-3 stand for themselves.
    ///
    /// ```
    /// use nnlayer::format::written::Figure;
    /// assert_eq!(Figure::new("0.22", 0.22).half_unit, 0.005);
    /// assert_eq!(Figure::new("1.50e3", 1500.0).half_unit, 5.0);
    /// assert_eq!(Figure::new("2.0", 2.0).half_unit, 0.0);
    /// ```
    pub fn new(text: &str, value: f64) -> Figure {
        let text = text.trim().trim_start_matches(['-', '+']);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let significant = format!("{whole}{fraction}").trim_start_matches('0').len();
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let place = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX)).saturating_sub(1);
        let rounded = !fraction.is_empty() && fraction != "0" && value.is_finite();
        let half_unit = if rounded { format!("5e{place}").parse().unwrap_or(0.0) } else { 0.0 };
        Figure { value, half_unit, significant }
    }
}

impl Sheet {
    /// The entries of an array whose digits nobody chose.
    pub fn of(values: &ArrayD<f64>, rounding: f64) -> Sheet {
        let figure = |&value: &f64| Some(Figure { value, half_unit: 0.0, significant: 17 });
        Sheet { shape: values.shape().to_vec(), cells: values.iter().map(figure).collect(), rounding }
    }

    /// The entries of an array whose digits stand in a text, separated by commas, semicolons and blanks.
    pub fn typed(values: &ArrayD<f64>, text: &str) -> Sheet {
        let tokens = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|token| !token.is_empty());
        let cells: Vec<_> = values.iter().zip(tokens).map(|(&value, token)| Some(Figure::new(token, value))).collect();
        if cells.len() != values.len() {
            return Sheet::of(values, DOUBLE_ROUNDING);
        }
        Sheet { shape: values.shape().to_vec(), cells, rounding: DOUBLE_ROUNDING }
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(&self) -> Sheet {
        let [rows, columns] = self.shape[..] else { return self.clone() };
        let cells = (0..columns).flat_map(|k| (0..rows).map(move |n| self.cells[n * columns + k])).collect();
        Sheet { shape: vec![columns, rows], cells, rounding: self.rounding }
    }
}

/// Reads a JSON document of answers: an array, or an object with one for each name. `pointer` leads to it.
pub fn read(bytes: &[u8], pointer: &str, label: &str) -> Result<Sheets, Fault> {
    // What is no JSON, too deep, or has a key twice is refused here.
    json::parse(bytes, label)?;
    let refuse = |fault: Fault| place(fault.from(label), bytes);
    let text = json::after_mark(bytes);
    let mut jiter = Jiter::new(text).with_allow_inf_nan();
    let tree = Reader { jiter: &mut jiter, text }.value().ok_or_else(|| unreadable().from(label))?;
    let tree = tree.find(pointer).map_err(refuse)?;
    match tree {
        Tree::Object(entries) => {
            let sheet =
                |name: &str, node: &Tree<'_>| node.sheet(&format!("{pointer}/{}", escape(name))).map_err(refuse);
            let sheets = entries.iter().map(|(name, node)| (Name::new(name.clone()), sheet(name, node)));
            Ok(Sheets::Named(sheets.collect()))
        }
        node => node.sheet(pointer).map(Sheets::Single).map_err(refuse),
    }
}

fn place(fault: Fault, bytes: &[u8]) -> Fault {
    let Some(Place::Pointer(pointer)) = &fault.at else { return fault };
    let pointer = pointer.clone();
    match json::locate(bytes, &pointer) {
        Some((line, column)) => fault.at(Place::Text { line, column, pointer }),
        None => fault,
    }
}

fn unreadable() -> Fault {
    Fault::new(Code::JsonSyntax, "is no JSON")
}

/// A document whose scalars are still text.
enum Tree<'a> {
    Token(&'a str),
    List(Vec<Tree<'a>>),
    Object(Vec<(String, Tree<'a>)>),
}

struct Reader<'r, 'a> {
    jiter: &'r mut Jiter<'a>,
    text: &'a [u8],
}

impl<'a> Reader<'_, 'a> {
    /// The next value; the document was parsed before, so that there is one.
    fn value(&mut self) -> Option<Tree<'a>> {
        match self.jiter.peek().ok()? {
            Peek::Array => {
                let (mut list, mut next) = (Vec::new(), self.jiter.known_array().ok()?);
                while next.is_some() {
                    list.push(self.value()?);
                    next = self.jiter.array_step().ok()?;
                }
                Some(Tree::List(list))
            }
            Peek::Object => {
                let mut entries = Vec::new();
                let mut key = self.jiter.known_object().ok()?.map(str::to_owned);
                while let Some(name) = key {
                    entries.push((name, self.value()?));
                    key = self.jiter.next_key().ok()?.map(str::to_owned);
                }
                Some(Tree::Object(entries))
            }
            peek => {
                let begin = self.jiter.current_index();
                self.jiter.known_skip(peek).ok()?;
                std::str::from_utf8(self.text.get(begin..self.jiter.current_index())?).ok().map(Tree::Token)
            }
        }
    }
}

impl Tree<'_> {
    fn find(&self, pointer: &str) -> Result<&Self, Fault> {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let next = match node {
                Tree::Object(entries) => {
                    let key = super::unescape(part);
                    entries.iter().find(|(known, _)| *known == key).map(|(_, node)| node)
                }
                Tree::List(list) => part.parse::<usize>().ok().and_then(|at| list.get(at)),
                Tree::Token(_) => None,
            };
            node = next.ok_or_else(|| super::missing(pointer, &[]))?;
        }
        Ok(node)
    }

    fn sheet(&self, pointer: &str) -> Result<Sheet, Fault> {
        let (shape, cells) = match self {
            Tree::List(list) if list.iter().any(|node| matches!(node, Tree::List(_))) => matrix(list, pointer)?,
            Tree::List(list) => (vec![list.len()], row(list, pointer)?),
            scalar => (vec![], vec![scalar.cell(pointer)?]),
        };
        Ok(Sheet { shape, cells, rounding: DOUBLE_ROUNDING })
    }

    fn cell(&self, pointer: &str) -> Result<Option<Figure>, Fault> {
        let Tree::Token(text) = self else {
            return Err(Fault::new(Code::Rank, "a number is expected here, there is an array or object")
                .at(Place::Pointer(pointer.to_owned()))
                .tip("answers are numbers, rows, or rows of one length; null leaves one out"));
        };
        if *text == "null" {
            return Ok(None);
        }
        let value = scalar_at(text, pointer)?;
        Ok(Some(Figure::new(text.trim_matches('"'), value)))
    }
}

fn row(list: &[Tree<'_>], pointer: &str) -> Result<Vec<Option<Figure>>, Fault> {
    list.iter().enumerate().map(|(n, node)| node.cell(&format!("{pointer}/{n}"))).collect()
}

type Cells = (Vec<usize>, Vec<Option<Figure>>);

/// Rows of one length; a row that is null is blank.
fn matrix(list: &[Tree<'_>], pointer: &str) -> Result<Cells, Fault> {
    let width = list.iter().find_map(|node| match node {
        Tree::List(row) => Some(row.len()),
        _ => None,
    });
    let width = width.unwrap_or(0);
    let mut cells = Vec::new();
    for (n, node) in list.iter().enumerate() {
        let here = format!("{pointer}/{n}");
        match node {
            Tree::Token("null") => cells.extend(std::iter::repeat_n(None, width)),
            Tree::List(entries) if entries.len() == width => cells.extend(row(entries, &here)?),
            other => {
                let what = match other {
                    Tree::List(entries) => format!("row {n} has {} columns, the first has {width}", entries.len()),
                    _ => format!("row {n} is no row"),
                };
                return Err(Fault::new(Code::Ragged, what)
                    .at(Place::Pointer(here))
                    .tip("every row needs the same number of columns; null stands for an entry that is left out"));
            }
        }
    }
    Ok((vec![list.len(), width], cells))
}
