//! Rows of a large array, parsed in parallel, one window of text at a time.
//!
//! Only rows of numbers of one length are read. Everything else is left in the input for the parser, which reports errors.

use super::input::Input;
use super::lexer::Lexer;
use super::number::JsonNumber;
use crate::parallel::pipeline;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a matrix that are read in place: cutting off a window and putting it back costs more than parsing them.
const SMALL_BYTES: usize = 1 << 14;

/// Length of a longer number than most.
const NUMBER_BYTES: usize = 64;

/// Reads on after the first of several arrays of that shape: appends the innermost rows that follow, as far as they are nested
/// like its own. Returns true if there are any; then the input is after the last of them, wherever in an array that is.
pub(super) fn read<T: JsonNumber>(input: &mut Input<'_>, shape: &[usize], values: &mut Vec<T>) -> bool {
    let (begin, Some((&width, sizes))) = (values.len(), shape.split_last()) else { return false };
    if begin == 0 {
        return false;
    }
    let mut nest = Nest { sizes, width, rows: begin / width };
    input.fill(SMALL_BYTES);
    let text = &input.rest()[..input.rest().len().min(SMALL_BYTES)];
    let (mut lexer, mut closed) = (Lexer::new(text, 0), Vec::new());
    let stop = nest.parse(&mut lexer, usize::MAX, values, &mut closed);
    let nested = nest.accept(&closed);
    if let Some(rows) = nested {
        values.truncate(begin + rows * width);
        nest.rewind::<T>(&mut lexer, rows);
    }
    let is_cut = nested.is_none() && text.len() == SMALL_BYTES && text.len() - stop < NUMBER_BYTES;
    input.advance(lexer.offset);
    if is_cut {
        append_chunks(input, &mut nest, values);
    }
    values.len() > begin
}

fn append_chunks<T: JsonNumber>(input: &mut Input<'_>, nest: &mut Nest<'_>, values: &mut Vec<T>) {
    // The chunks that were cut off and not appended, and how much of the first of them was.
    let (chunks, mut appended) = (RefCell::new(VecDeque::new()), 0);
    let next_chunk = || {
        let chunk = Arc::new(input.cut_chunk()?);
        chunks.borrow_mut().push_back(Arc::clone(&chunk));
        Some(chunk)
    };
    let rules = *nest;
    let parse = |chunk: Arc<Vec<u8>>| {
        let (mut lexer, mut values, mut closed) =
            (Lexer::new(&chunk, 0), Vec::with_capacity(chunk.len() / 16), Vec::new());
        rules.parse::<T>(&mut lexer, usize::MAX, &mut values, &mut closed);
        let length = lexer.offset;
        (chunk, values, closed, length)
    };
    let append = |(chunk, rows, closed, length): (Arc<Vec<u8>>, Vec<T>, Vec<u8>, usize)| {
        let nested = nest.accept(&closed);
        values.extend_from_slice(&rows[..nested.map_or(rows.len(), |nested| nested * nest.width)]);
        let is_complete = nested.is_none() && length == chunk.len();
        if is_complete {
            chunks.borrow_mut().pop_front();
        } else {
            let mut lexer = Lexer::new(&chunk, length);
            nested.inspect(|nested| nest.rewind::<T>(&mut lexer, *nested));
            appended = lexer.offset;
        }
        is_complete
    };
    pipeline::run(next_chunk, parse, append);
    let rest = chunks.take().iter().fold(Vec::new(), |rest, chunk| [rest, chunk.to_vec()].concat());
    input.put_back(&rest[appended..]);
}

/// Nesting of the innermost rows of an array.
#[derive(Clone, Copy)]
struct Nest<'a> {
    /// Sizes of the axes between the first and the last.
    sizes: &'a [usize],
    /// Size of the last axis.
    width: usize,
    /// Number of rows that were appended.
    rows: usize,
}

impl Nest<'_> {
    /// Appends the complete rows at the lexer, at most `limit`, and for each, unless there is no axis between, the number of brackets
    /// that are closed before it. Leaves the lexer after the rows, and returns where reading stopped.
    fn parse<T: JsonNumber>(
        &self,
        lexer: &mut Lexer<'_>,
        limit: usize,
        values: &mut Vec<T>,
        closed: &mut Vec<u8>,
    ) -> usize {
        for _ in 0..limit {
            let (begin, count) = (lexer.offset, values.len());
            match append_row(lexer, self.sizes.len(), self.width, values) {
                Some(_) if self.sizes.is_empty() => {}
                Some(brackets) => closed.push(brackets),
                None => {
                    values.truncate(count);
                    return std::mem::replace(&mut lexer.offset, begin);
                }
            }
        }
        lexer.offset
    }

    /// Counts the rows that are nested as they must be, given the brackets closed before each. Returns how many there are before
    /// one that is not, or `None` if all are.
    fn accept(&mut self, closed: &[u8]) -> Option<usize> {
        closed.iter().position(|brackets| {
            let is_nested = usize::from(*brackets) == self.closed_before(self.rows);
            self.rows += usize::from(is_nested);
            !is_nested
        })
    }

    /// Moves the lexer to the end of the first rows of its text.
    fn rewind<T: JsonNumber>(&self, lexer: &mut Lexer<'_>, rows: usize) {
        lexer.offset = 0;
        self.parse::<T>(lexer, rows, &mut Vec::new(), &mut Vec::new());
    }

    /// Returns the number of brackets that are closed between a row and the one before it.
    fn closed_before(&self, row: usize) -> usize {
        let mut size = 1;
        let is_end = |side: &&usize| {
            size *= **side;
            row.is_multiple_of(size)
        };
        self.sizes.iter().rev().take_while(is_end).count()
    }
}

/// Appends a row, and returns the number of brackets, at most `levels`, that are closed before it.
#[inline(always)]
fn append_row<T: JsonNumber>(lexer: &mut Lexer<'_>, levels: usize, width: usize, values: &mut Vec<T>) -> Option<u8> {
    let mut closed = 0;
    while usize::from(closed) < levels && lexer.eat(b']').is_some() {
        closed += 1;
    }
    lexer.eat(b',')?;
    for _ in 0..=closed {
        lexer.eat(b'[')?;
    }
    for left in (0..width).rev() {
        lexer.peek();
        values.push(lexer.element()?);
        lexer.eat(if left == 0 { b']' } else { b',' })?;
    }
    Some(closed)
}
