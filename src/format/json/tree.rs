//! Parser of a document into a [`Node`], in one pass. Nested arrays of one shape are read into one flat vector.

use super::input::{CONTEXT_BYTES, Input};
use super::lexer::{Lexer, TokenError};
use super::node::Node;
use super::number::{JsonNumber, parse_non_finite};
use super::parallel_rows;
use super::parse_error::{ParseError, Parsed, notation_tip};
use crate::core::error::{Code, Error, sanitize};
use crate::format::errors::{read_error, refuse_utf16};
use crate::format::source::Source;
use ndarray::{ArrayD, IxDyn};
use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Seek;
use std::ops::Range;

/// Maximum depth of nested arrays and objects: more than a network needs, and little enough for any stack.
pub(super) const MAX_DEPTH: usize = 64;

/// Parses a document in memory. Numbers are rounded to the nearest double, and an error has a line and a column.
pub fn parse(bytes: &[u8], label: &str) -> Result<Node, Error> {
    let parsed = refuse_utf16(bytes)
        .and_then(|()| Parser::new(Input::from_bytes(bytes)).document().map_err(|error| error.locate(&mut &bytes[..])));
    parsed.map_err(|error| error.with_origin(label))
}

/// Parses a document as it is read, without its text in memory.
pub fn read<T: JsonNumber>(mut source: Source<'_>) -> Result<Node<T>, Error> {
    let label = source.label;
    let mut parser = Parser::new(Input::from_source(&mut source));
    refuse_utf16(parser.input.rest()).map_err(|error| error.with_origin(label))?;
    let parsed = parser.document();
    if let Some(error) = parser.input.read_error {
        return Err(read_error(label, &error));
    }
    parsed.map_err(|error| {
        // Without its text again the error has the place of the beginning.
        let _ = source.rewind();
        error.locate(&mut source).with_origin(label)
    })
}

/// Stands for the size of the first axis, which is not known before its end.
const ANY_SIZE: usize = usize::MAX;

/// Parser of a document.
pub(super) struct Parser<'a> {
    pub(super) input: Input<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: Input<'a>) -> Parser<'a> {
        Parser { input }
    }

    /// Parses a value and the end of the document after it.
    pub(super) fn document<T: JsonNumber>(&mut self) -> Parsed<Node<T>> {
        if self.input.peek().is_none() {
            return Err(ParseError::new(Code::EmptyValue, 0, "is empty"));
        }
        let node = self.value(MAX_DEPTH)?;
        self.end().map(|()| node)
    }

    /// Requires the end of the document.
    pub(super) fn end(&mut self) -> Parsed<()> {
        match self.input.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("expected the end of the document")),
        }
    }

    /// Parses a value of at most `depth` nested arrays and objects.
    pub(super) fn value<T: JsonNumber>(&mut self, depth: usize) -> Parsed<Node<T>> {
        match self.input.peek() {
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'"') => self.string().map(|string| Node::Text(string.into_owned())),
            Some(b't') => self.name("true").map(|()| Node::Bool(true)),
            Some(b'f') => self.name("false").map(|()| Node::Bool(false)),
            Some(b'n') => self.name("null").map(|()| Node::Null),
            _ => self.number().map(Node::Number),
        }
    }

    /// Parses an element of an array, where strings and null may stand for numbers.
    fn element<T: JsonNumber>(&mut self, depth: usize) -> Parsed<Node<T>> {
        match self.value(depth)? {
            Node::Text(text) => Ok(match parse_non_finite(&text) {
                Some(number) => Node::Number(T::from_token(text.as_bytes(), number)),
                None => Node::Text(text),
            }),
            Node::Null => Ok(T::missing().map_or(Node::Null, Node::Number)),
            node => Ok(node),
        }
    }

    fn deeper(&self, depth: usize) -> Parsed<usize> {
        let message = || format!("has more than {MAX_DEPTH} levels of nested arrays and objects");
        depth.checked_sub(1).ok_or_else(|| ParseError::new(Code::JsonDepth, self.input.offset(), message()))
    }

    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.input.string().map_err(|error| self.error(error))
    }

    fn name(&mut self, name: &str) -> Parsed<()> {
        self.input.token(|lexer| lexer.name(name)).map_err(|error| self.error(error))
    }

    fn number<T: JsonNumber>(&mut self) -> Parsed<T> {
        let number = self.input.token(|lexer: &mut Lexer<'_>| {
            let begin = lexer.offset;
            let value = lexer.number()?;
            Ok(T::from_token(&lexer.text[begin..lexer.offset], value))
        });
        number.map_err(|error| self.error(error))
    }

    fn array<T: JsonNumber>(&mut self, depth: usize) -> Parsed<Node<T>> {
        self.input.advance(1);
        if self.input.peek() == Some(b'[') {
            return self.nested(depth);
        }
        let mut values = Vec::with_capacity(FEW_NUMBERS);
        match self.elements(&mut values, depth)? {
            None => {
                if values.len() < FEW_NUMBERS {
                    values.shrink_to_fit();
                }
                Ok(vector(values))
            }
            Some(other) => self.list(values.into_iter().map(Node::Number).chain([other]).collect(), depth),
        }
    }

    /// Appends the elements of an array to its end, or to the first that is not a number, which is returned.
    fn elements<T: JsonNumber>(&mut self, values: &mut Vec<T>, depth: usize) -> Parsed<Option<Node<T>>> {
        let begin = values.len();
        if self.input.eat(b']').is_some() {
            return Ok(None);
        }
        loop {
            if self.input.elements(values) {
                return Ok(None);
            }
            self.expect_element()?;
            match self.element(depth).map_err(|error| error.under(values.len() - begin))? {
                Node::Number(number) => values.push(number),
                other => return Ok(Some(other)),
            }
            if !self.next_element()? {
                return Ok(None);
            }
        }
    }

    /// Skips the comma before another element, or the end of the array; then there is none.
    fn next_element(&mut self) -> Parsed<bool> {
        let is_next = self.next_or_end(b']', "expected `,` or `]`")?;
        if is_next {
            self.expect_element()?;
        }
        Ok(is_next)
    }

    /// Requires an element: the error of a missing one has the pointer of the array.
    fn expect_element(&mut self) -> Parsed<()> {
        match self.input.peek() {
            None | Some(b']') => Err(self.expected("expected a value")),
            Some(_) => Ok(()),
        }
    }

    fn next_or_end(&mut self, end: u8, message: &'static str) -> Parsed<bool> {
        match self.input.peek() {
            Some(next) if next == b',' || next == end => {
                self.input.advance(1);
                Ok(next == b',')
            }
            _ => Err(self.expected(message)),
        }
    }

    /// Parses an array whose first element is an array. It has one axis more, as long as its elements have one shape.
    fn nested<T: JsonNumber>(&mut self, depth: usize) -> Parsed<Node<T>> {
        let first = match self.element(depth).map_err(|error| error.under(0))? {
            Node::Numbers(first) => first,
            other => return self.list(vec![other], depth),
        };
        let shape = [&[ANY_SIZE], first.shape()].concat();
        let mut values = first.into_raw_vec_and_offset().0;
        let parsed = if parallel_rows::read(&mut self.input, &shape[1..], &mut values) {
            self.rest_of_block(&mut values, 0, &shape, depth)
        } else {
            self.rows(&mut values, 0, &shape, 1, depth)
        };
        parsed.map(|other| other.unwrap_or_else(|| unreachable!("no array has any size")))
    }

    /// Appends an array of that shape, or returns another value that is there.
    fn block<T: JsonNumber>(&mut self, values: &mut Vec<T>, shape: &[usize], depth: usize) -> Parsed<Option<Node<T>>> {
        let (begin, depth) = (values.len(), self.deeper(depth)?);
        self.input.advance(1);
        if shape.len() > 1 {
            return self.rows(values, begin, shape, 0, depth);
        }
        match self.elements(values, depth)? {
            None if values.len() - begin == shape[0] => Ok(None),
            None => Ok(Some(vector(values.split_off(begin)))),
            Some(other) => {
                let before = values.split_off(begin).into_iter().map(Node::Number);
                self.list(before.chain([other]).collect(), depth).map(Some)
            }
        }
    }

    /// Appends the rest of an array of that shape, whose elements begin at `begin`, after any of its innermost rows.
    fn rest_of_block<T: JsonNumber>(
        &mut self,
        values: &mut Vec<T>,
        begin: usize,
        shape: &[usize],
        depth: usize,
    ) -> Parsed<Option<Node<T>>> {
        let row = &shape[1..];
        if row.is_empty() {
            return Ok(None);
        }
        let inner: usize = row.iter().product();
        let last = (values.len() - begin).div_ceil(inner) - 1;
        let deeper = self.deeper(depth)?;
        match self.rest_of_block(values, begin + last * inner, row, deeper).map_err(|error| error.under(last))? {
            None => self.rows(values, begin, shape, last + 1, depth),
            Some(other) => self.ragged(values, begin, row, last, other, depth).map(Some),
        }
    }

    /// Appends the rows of an array of that shape after the first `height`, whose elements begin at `begin`, or returns
    /// another array that is there.
    fn rows<T: JsonNumber>(
        &mut self,
        values: &mut Vec<T>,
        begin: usize,
        shape: &[usize],
        mut height: usize,
        depth: usize,
    ) -> Parsed<Option<Node<T>>> {
        let row = &shape[1..];
        if height == 0 {
            if self.input.eat(b']').is_some() {
                return Ok(Some(vector(Vec::new())));
            }
            self.expect_element()?;
        }
        while height == 0 || self.next_element()? {
            let other = match self.input.peek() {
                Some(b'[') => self.block(values, row, depth),
                _ => self.element(depth).map(Some),
            };
            if let Some(other) = other.map_err(|error| error.under(height))? {
                return self.ragged(values, begin, row, height, other, depth).map(Some);
            }
            height += 1;
        }
        if height == shape[0] {
            return Ok(None);
        }
        Ok(Some(array(&[&[height], row].concat(), values.split_off(begin))))
    }

    /// Parses the elements of an array after `height` arrays of one shape, whose elements begin at `begin`, and `other`.
    fn ragged<T: JsonNumber>(
        &mut self,
        values: &mut Vec<T>,
        begin: usize,
        shape: &[usize],
        height: usize,
        other: Node<T>,
        depth: usize,
    ) -> Parsed<Node<T>> {
        let inner: usize = shape.iter().product();
        let before = values.split_off(begin);
        let rows = (0..height).map(|row| array(shape, before[row * inner..][..inner].to_vec()));
        self.list(rows.chain([other]).collect(), depth)
    }

    /// Parses the elements after those of `list` of an array whose elements differ in shape.
    fn list<T: JsonNumber>(&mut self, mut list: Vec<Node<T>>, depth: usize) -> Parsed<Node<T>> {
        while self.next_element()? {
            let element = self.element(depth).map_err(|error| error.under(list.len()))?;
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn object<T: JsonNumber>(&mut self, depth: usize) -> Parsed<Node<T>> {
        let mut members = Vec::new();
        self.members(|parser, key, _| {
            let value = parser.value(depth).map_err(|error| error.under(&key))?;
            members.push((key.into_owned(), value));
            Ok(())
        })?;
        Ok(Node::Object(members))
    }

    /// Parses an object. `read_value` gets each key and its range in the document, and parses the value.
    pub(super) fn members(
        &mut self,
        mut read_value: impl FnMut(&mut Self, Cow<'a, str>, Range<usize>) -> Parsed<()>,
    ) -> Parsed<()> {
        self.input.advance(1);
        if self.input.eat(b'}').is_some() {
            return Ok(());
        }
        let mut keys = Keys::default();
        loop {
            let (key, range) = self.key()?;
            if !keys.insert(key.clone()) {
                let message = format!("has the key \"{}\" twice", sanitize(&key));
                return Err(ParseError::new(Code::DuplicateKey, range.start, message).under(key));
            }
            read_value(self, key, range)?;
            if !self.next_or_end(b'}', "expected `,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Parses a key and the colon after it. Returns the key and its range in the document.
    pub(super) fn key(&mut self) -> Parsed<(Cow<'a, str>, Range<usize>)> {
        if self.input.peek() != Some(b'"') {
            return Err(self.expected("expected a key in double quotes"));
        }
        let begin = self.input.offset();
        let key = self.string()?;
        let range = begin..self.input.offset();
        match self.input.eat(b':') {
            Some(()) => Ok((key, range)),
            None => Err(self.expected("expected `:` after a key")),
        }
    }

    /// Returns an error at the next byte.
    fn expected(&mut self, message: &'static str) -> Box<ParseError> {
        let error = self.input.token::<()>(|lexer| Err(lexer.expected(message)));
        self.error(error.err().unwrap_or_else(|| unreachable!("the token is an error")))
    }

    fn error(&mut self, error: TokenError) -> Box<ParseError> {
        let TokenError { code, offset, end, message } = error;
        if code == Code::NumberRange {
            let (text, position) = self.input.context(offset);
            let digits = String::from_utf8_lossy(&text[position..end.min(position + 40)]);
            return ParseError::new(code, offset, format!("{digits} is too large for a double"));
        }
        self.input.fill(offset.saturating_sub(self.input.offset()) + CONTEXT_BYTES);
        let (text, position) = self.input.context(offset);
        let got = if position == text.len() { ", got the end of the text" } else { "" };
        let mut error = ParseError::new(code, offset, format!("invalid JSON: {message}{got}"));
        error.tip = notation_tip(text, position);
        error
    }
}

fn vector<T: JsonNumber>(values: Vec<T>) -> Node<T> {
    array(&[values.len()], values)
}

/// Returns numbers as an array whose shape was counted with them.
fn array<T: JsonNumber>(shape: &[usize], values: Vec<T>) -> Node<T> {
    Node::Numbers(ArrayD::from_shape_vec(IxDyn(shape), values).unwrap_or_default())
}

/// Room for the elements of a row at first, so that short rows are not moved while they grow.
const FEW_NUMBERS: usize = 16;

/// Number of keys below which comparing them is faster than hashing.
const FEW_KEYS: usize = 16;

/// Keys of an object, to find duplicates.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// Adds a key; returns false if it is there already.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.len() < FEW_KEYS {
            let is_new = !self.few.contains(&key);
            self.few.push(key);
            return is_new;
        }
        self.many.get_or_insert_with(|| self.few.iter().cloned().collect()).insert(key)
    }
}
