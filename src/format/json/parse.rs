//! Text to [`Node`], in one pass; a matrix goes into one flat vector as its rows are read.

use super::{Entry, Node, fast_parser, special};
use crate::core::error::{Code, Error, Place};
use crate::format::{Source, escape, read_error, refuse_utf16, sanitize};
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};
use ndarray::{ArrayD, IxDyn};
use std::collections::HashSet;
use std::io::Seek;

/// Arrays and objects inside each other: deeper than any network, shallow enough for any stack.
pub(super) const DEEPEST: usize = 64;

/// Reads a whole document. Numbers are rounded to nearest; an error's place is [`Place::Text`].
pub fn parse(bytes: &[u8], label: &str) -> Result<Node, Error> {
    fast_parser::document(bytes).map_or_else(|| general(bytes, label), Ok)
}

/// Reads a whole document from a file, without keeping its text where it is an ordinary one.
pub fn read<T: Entry>(mut source: Source<'_>) -> Result<Node<T>, Error> {
    let (label, length) = (source.label, source.len);
    if let Some(node) = fast_parser::stream(&mut source, length) {
        return Ok(node);
    }
    source.rewind().map_err(|error| read_error(label, &error))?;
    general(&source.read_all()?, label)
}

/// Reads any document, and says of one that is none why, and where.
pub(super) fn general<T: Entry>(bytes: &[u8], label: &str) -> Result<Node<T>, Error> {
    let text = after_mark(bytes);
    let node = refuse_utf16(bytes).and_then(|()| Parser::new(text).document().map_err(|trouble| trouble.error(text)));
    node.map_err(|error| error.with_origin(label))
}

/// The text behind a byte order mark.
pub(super) fn after_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Line and column, in characters, of a byte.
fn line_and_column(text: &[u8], index: usize) -> (usize, usize) {
    let before = &text[..index.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count();
    let begin = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let column = before[begin..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    (line + 1, column + 1)
}

/// What went wrong, and where: the path is put together on the way out.
pub(super) struct Trouble {
    code: Code,
    index: usize,
    message: String,
    tip: Option<&'static str>,
    /// The parts of the pointer, the last first.
    path: Vec<String>,
}

type Parsed<T> = Result<T, Box<Trouble>>;

impl Trouble {
    pub(super) fn new(code: Code, index: usize, message: impl Into<String>) -> Box<Trouble> {
        Box::new(Trouble { code, index, message: message.into(), tip: None, path: Vec::new() })
    }

    pub(super) fn under(mut self: Box<Self>, part: impl ToString) -> Box<Trouble> {
        self.path.push(part.to_string());
        self
    }

    pub(super) fn error(self, text: &[u8]) -> Error {
        let (line, column) = line_and_column(text, self.index);
        let pointer = self.path.iter().rev().map(|part| format!("/{}", escape(part))).collect();
        let error = Error::new(self.code, self.message).at(Place::Text { line, column, pointer });
        match self.tip {
            Some(tip) => error.tip(tip),
            None => error,
        }
    }
}

pub(super) struct Parser<'j> {
    jiter: Jiter<'j>,
    pub(super) text: &'j [u8],
}

/// What a record is read with, value by value.
impl<'j> Parser<'j> {
    pub(super) fn new(text: &'j [u8]) -> Parser<'j> {
        Parser { jiter: Jiter::new(text).with_allow_inf_nan(), text }
    }

    pub(super) fn begins_object(&mut self) -> bool {
        self.jiter.peek().is_ok_and(|peek| peek == Peek::Object)
    }

    pub(super) fn index(&self) -> usize {
        self.jiter.current_index()
    }

    /// The first key of the object that begins here.
    pub(super) fn first_key(&mut self) -> Parsed<Option<String>> {
        let key = self.jiter.known_object().map(|key| key.map(str::to_owned));
        key.map_err(|error| self.syntax(&error))
    }

    pub(super) fn next_key(&mut self) -> Parsed<Option<String>> {
        let key = self.jiter.next_key().map(|key| key.map(str::to_owned));
        key.map_err(|error| self.syntax(&error))
    }

    /// Any value.
    pub(super) fn any<T: Entry>(&mut self, levels: usize) -> Parsed<Node<T>> {
        match self.jiter.peek() {
            Ok(peek) => self.value(peek, levels),
            Err(error) => Err(self.syntax(&error)),
        }
    }

    /// Where the next value or sign begins.
    pub(super) fn begin(&mut self) -> usize {
        // What is wrong here is said by whoever reads on.
        let _ = self.jiter.peek();
        self.jiter.current_index()
    }

    pub(super) fn finish(&mut self) -> Parsed<()> {
        self.jiter.finish().map_err(|error| self.syntax(&error))
    }
}

impl Parser<'_> {
    pub(super) fn document<T: Entry>(&mut self) -> Parsed<Node<T>> {
        let first = match self.jiter.peek() {
            Ok(first) => first,
            Err(_) => return Err(Trouble::new(Code::EmptyValue, 0, "is empty")),
        };
        let node = self.value(first, DEEPEST)?;
        self.finish().map(|()| node)
    }

    fn value<T: Entry>(&mut self, peek: Peek, levels: usize) -> Parsed<Node<T>> {
        match peek {
            Peek::Array => self.array(self.deeper(levels)?),
            Peek::Object => self.object(self.deeper(levels)?),
            Peek::String => Ok(Node::Text(self.string()?)),
            Peek::True | Peek::False => {
                self.jiter.known_bool(peek).map(Node::Bool).map_err(|error| self.syntax(&error))
            }
            Peek::Null => self.jiter.known_null().map(|()| Node::Null).map_err(|error| self.syntax(&error)),
            _ => Ok(Node::Number(self.number(peek)?)),
        }
    }

    /// A value in an array, where strings, and null, may stand for numbers.
    fn entry<T: Entry>(&mut self, peek: Peek, levels: usize) -> Parsed<Node<T>> {
        match self.value(peek, levels)? {
            Node::Text(text) => Ok(match special(&text) {
                Some(number) => Node::Number(T::new(text.as_bytes(), number)),
                None => Node::Text(text),
            }),
            Node::Null => Ok(T::null().map_or(Node::Null, Node::Number)),
            node => Ok(node),
        }
    }

    fn deeper(&self, levels: usize) -> Parsed<usize> {
        let message = || format!("is nested more than {DEEPEST} deep");
        levels.checked_sub(1).ok_or_else(|| Trouble::new(Code::JsonDepth, self.jiter.current_index(), message()))
    }

    fn string(&mut self) -> Parsed<String> {
        match self.jiter.known_str() {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(self.syntax(&error)),
        }
    }

    fn number<T: Entry>(&mut self, peek: Peek) -> Parsed<T> {
        let begin = self.jiter.current_index();
        match self.jiter.known_float(peek) {
            Ok(number) if number.is_infinite() && self.text[begin..].iter().take(2).all(|&byte| byte != b'I') => {
                let digits = String::from_utf8_lossy(self.jiter.slice_to_current(begin));
                let shown: String = digits.chars().take(40).collect();
                Err(Trouble::new(Code::NumberRange, begin, format!("{shown} is too large for a double")))
            }
            Ok(number) => Ok(T::new(self.jiter.slice_to_current(begin), number)),
            Err(error) => Err(self.syntax(&error)),
        }
    }

    fn step(&mut self) -> Parsed<Option<Peek>> {
        self.jiter.array_step().map_err(|error| self.syntax(&error))
    }

    fn first(&mut self) -> Parsed<Option<Peek>> {
        self.jiter.known_array().map_err(|error| self.syntax(&error))
    }

    fn array<T: Entry>(&mut self, levels: usize) -> Parsed<Node<T>> {
        match self.first()? {
            Some(Peek::Array) => self.rows(levels),
            first => {
                let mut flat = Vec::new();
                match self.numbers(first, &mut flat, levels)? {
                    None => Ok(vector(flat)),
                    Some(other) => self.list(flat.into_iter().map(Node::Number).chain([other]).collect(), levels),
                }
            }
        }
    }

    /// Appends the entries of an array up to its end, or up to the first that is no number, which it returns.
    fn numbers<T: Entry>(&mut self, first: Option<Peek>, flat: &mut Vec<T>, levels: usize) -> Parsed<Option<Node<T>>> {
        let (begin, mut next) = (flat.len(), first);
        while let Some(peek) = next {
            let node = match peek.is_num() {
                true => self.number(peek).map(Node::Number),
                false => self.entry(peek, levels),
            };
            match node.map_err(|trouble| trouble.under(flat.len() - begin))? {
                Node::Number(number) => flat.push(number),
                other => return Ok(Some(other)),
            }
            next = self.step()?;
        }
        Ok(None)
    }

    /// An array whose first entry is an array: a matrix as long as rows of numbers of one length follow.
    fn rows<T: Entry>(&mut self, levels: usize) -> Parsed<Node<T>> {
        let (mut flat, mut height, mut width) = (Vec::new(), 0, None);
        let mut next = Some(Peek::Array);
        while let Some(peek) = next {
            let row = match peek {
                Peek::Array => self.row(&mut flat, width, levels),
                _ => self.entry(peek, levels).map(Some),
            };
            if let Some(other) = row.map_err(|trouble| trouble.under(height))? {
                let rows = (0..height).map(|row| flat[row * width.unwrap_or(0)..][..width.unwrap_or(0)].to_vec());
                return self.list(rows.map(vector).chain([other]).collect(), levels);
            }
            height += 1;
            width = width.or(Some(flat.len()));
            next = self.step()?;
        }
        Ok(array(&[height, width.unwrap_or(0)], flat))
    }

    /// Appends a row to a matrix; one that does not fit is taken off again and returned.
    fn row<T: Entry>(&mut self, flat: &mut Vec<T>, width: Option<usize>, levels: usize) -> Parsed<Option<Node<T>>> {
        let (begin, levels) = (flat.len(), self.deeper(levels)?);
        let first = self.first()?;
        match self.numbers(first, flat, levels)? {
            None if width.is_none_or(|width| width == flat.len() - begin) => Ok(None),
            None => Ok(Some(vector(flat.split_off(begin)))),
            Some(other) => {
                let before = flat.split_off(begin).into_iter().map(Node::Number);
                self.list(before.chain([other]).collect(), levels).map(Some)
            }
        }
    }

    /// The rest of an array that is no matrix.
    fn list<T: Entry>(&mut self, mut list: Vec<Node<T>>, levels: usize) -> Parsed<Node<T>> {
        while let Some(peek) = self.step()? {
            let entry = self.entry(peek, levels).map_err(|trouble| trouble.under(list.len()))?;
            list.push(entry);
        }
        Ok(Node::List(list))
    }

    fn object<T: Entry>(&mut self, levels: usize) -> Parsed<Node<T>> {
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        let mut before = self.jiter.current_index();
        let mut key = self.first_key()?;
        while let Some(name) = key {
            if !seen.insert(name.clone()) {
                let quote = self.text[before..].iter().position(|&byte| byte == b'"');
                let message = format!("has the key \"{}\" twice", sanitize(&name));
                return Err(Trouble::new(Code::DuplicateKey, before + quote.unwrap_or(0), message).under(name));
            }
            let value = self.any(levels).map_err(|trouble| trouble.under(&name))?;
            entries.push((name, value));
            before = self.jiter.current_index();
            key = self.next_key()?;
        }
        Ok(Node::Object(entries))
    }

    fn syntax(&self, error: &JiterError) -> Box<Trouble> {
        let message = format!("is no JSON: {}", words(&error.error_type));
        Box::new(Trouble { tip: tip(self.text, error.index), ..*Trouble::new(Code::JsonSyntax, error.index, message) })
    }
}

fn vector<T: Entry>(values: Vec<T>) -> Node<T> {
    array(&[values.len()], values)
}

/// Numbers of a shape that was counted with them; were it wrong they would stay a vector.
fn array<T: Entry>(shape: &[usize], values: Vec<T>) -> Node<T> {
    let flat = ArrayD::from_shape_vec(IxDyn(&[values.len()]), values).unwrap_or_default();
    Node::Numbers(flat.into_shape_with_order(IxDyn(shape)).unwrap_or_default())
}

fn words(error: &JiterErrorType) -> &'static str {
    use JsonErrorType::*;
    let JiterErrorType::JsonError(error) = error else { return "a value is expected here" };
    match error {
        EofWhileParsingList => "it ends inside an array",
        EofWhileParsingObject => "it ends inside an object",
        EofWhileParsingString => "it ends inside a string",
        EofWhileParsingValue => "it ends where a value is expected",
        ExpectedColon => "a : is expected after a key",
        ExpectedListCommaOrEnd => "a , or ] is expected here",
        ExpectedObjectCommaOrEnd => "a , or } is expected here",
        InvalidNumber | NumberOutOfRange => "this number is not of JSON's form",
        InvalidEscape | LoneLeadingSurrogateInHexEscape | UnexpectedEndOfHexEscape => "an unknown escape in a string",
        InvalidUnicodeCodePoint => "a string is not in UTF-8",
        ControlCharacterWhileParsingString => "a string holds a line break or another control character",
        KeyMustBeAString => "a key in double quotes is expected here",
        TrailingComma => "nothing follows a comma",
        TrailingCharacters => "something stands after the end of the document",
        _ => "a value is expected here",
    }
}

/// What people write who know other notations.
fn tip(text: &[u8], index: usize) -> Option<&'static str> {
    let index = index.min(text.len());
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let begin = text[..index].iter().rposition(|byte| !word(byte)).map_or(0, |at| at + 1);
    let token = &text[begin..];
    let end = token.iter().position(|byte| !word(byte) && *byte != b'\'').unwrap_or(token.len()).min(20);
    let token = String::from_utf8_lossy(&token[..end]).to_ascii_lowercase();
    match token.as_str() {
        token if token.starts_with('\'') => Some("JSON's strings and keys stand in double quotes"),
        token if token.starts_with("nan") || token.starts_with("-nan") => Some("write \"NaN\""),
        token if token.starts_with("inf") || token.starts_with("+inf") => Some("write \"Infinity\""),
        token if token.starts_with("-inf") => Some("write \"-Infinity\""),
        token if token.starts_with(['.', '+']) || token.starts_with("-.") || token.ends_with('.') => {
            Some("JSON's numbers have digits on both sides of the point and no plus sign: 0.5, 1.0")
        }
        token if matches!(token.trim_start_matches('-').as_bytes(), [b'0', b'0'..=b'9', ..]) => {
            Some("JSON's numbers do not begin with a zero before other digits")
        }
        token if token.starts_with("true") || token.starts_with("false") || token.starts_with("none") => {
            Some("JSON's words are true, false and null")
        }
        _ => None,
    }
}
