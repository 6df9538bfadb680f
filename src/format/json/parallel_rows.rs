//! Rows of a large matrix, parsed in parallel, one window of text at a time.
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

/// Appends the rows of `width` numbers that follow the first row of a matrix, each with the comma before it. Returns how
/// many there are.
pub(super) fn read<T: JsonNumber>(input: &mut Input<'_>, width: usize, values: &mut Vec<T>) -> usize {
    let begin = values.len();
    input.fill(SMALL_BYTES);
    let text = &input.rest()[..input.rest().len().min(SMALL_BYTES)];
    let mut lexer = Lexer::new(text, 0);
    let stop = append_rows(&mut lexer, width, values);
    let is_cut = text.len() == SMALL_BYTES && text.len() - stop < NUMBER_BYTES;
    input.advance(lexer.offset);
    if is_cut {
        append_chunks(input, width, values);
    }
    (values.len() - begin) / width
}

fn append_chunks<T: JsonNumber>(input: &mut Input<'_>, width: usize, values: &mut Vec<T>) {
    // The chunks that were cut off and not appended, and how much of the first of them was.
    let (chunks, mut appended) = (RefCell::new(VecDeque::new()), 0);
    let next_chunk = || {
        let chunk = Arc::new(input.cut_chunk()?);
        chunks.borrow_mut().push_back(Arc::clone(&chunk));
        Some(chunk)
    };
    let parse = |chunk: Arc<Vec<u8>>| {
        let (mut lexer, mut values) = (Lexer::new(&chunk, 0), Vec::with_capacity(chunk.len() / 16));
        append_rows::<T>(&mut lexer, width, &mut values);
        let is_complete = lexer.offset == chunk.len();
        (values, lexer.offset, is_complete)
    };
    let append = |(rows, length, is_complete): (Vec<T>, usize, bool)| {
        values.extend_from_slice(&rows);
        if is_complete {
            chunks.borrow_mut().pop_front();
        } else {
            appended = length;
        }
        is_complete
    };
    pipeline::run(next_chunk, parse, append);
    let rest = chunks.take().iter().fold(Vec::new(), |rest, chunk| [rest, chunk.to_vec()].concat());
    input.put_back(&rest[appended..]);
}

/// Appends the complete rows at the lexer, and leaves it after them. Returns where reading stopped.
fn append_rows<T: JsonNumber>(lexer: &mut Lexer<'_>, width: usize, values: &mut Vec<T>) -> usize {
    loop {
        let (begin, count) = (lexer.offset, values.len());
        if append_row(lexer, width, values).is_none() {
            values.truncate(count);
            return std::mem::replace(&mut lexer.offset, begin);
        }
    }
}

#[inline(always)]
fn append_row<T: JsonNumber>(lexer: &mut Lexer<'_>, width: usize, values: &mut Vec<T>) -> Option<()> {
    lexer.eat(b',')?;
    lexer.eat(b'[')?;
    for left in (0..width).rev() {
        lexer.peek();
        values.push(lexer.element()?);
        lexer.eat(if left == 0 { b']' } else { b',' })?;
    }
    Some(())
}
