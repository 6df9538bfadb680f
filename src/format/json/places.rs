//! Place in a text of the value that a JSON pointer leads to.
//!
//! Places are found by parsing the text again after an error, so that documents without errors need not store them.

use super::input::Input;
use super::node::array_index;
use super::parse_error::line_and_column;
use super::tree::{MAX_DEPTH, Parser};
use crate::format::selector::unescape;
use crate::format::source::Source;
use std::io::Seek;

/// Returns the line and column, from 1, of a value in a text that is read twice and not kept in memory.
pub fn locate_in(mut source: Source<'_>, pointer: &str) -> Option<(usize, usize)> {
    let offset = value_offset(&mut source, pointer)?;
    source.rewind().ok()?;
    line_and_column(&mut source, offset).ok()
}

/// Returns the line and column, from 1, of a value in a text in memory.
pub fn locate(text: &[u8], pointer: &str) -> Option<(usize, usize)> {
    locate_in(Source::bytes("", text), pointer)
}

fn value_offset(source: &mut Source<'_>, pointer: &str) -> Option<usize> {
    let mut parser = Parser::new(Input::from_source(source));
    for part in pointer.split('/').skip(1) {
        match parser.input.peek()? {
            b'[' => find_element(&mut parser, array_index(part)?)?,
            b'{' => find_member(&mut parser, &unescape(part))?,
            _ => return None,
        }
    }
    parser.input.peek().map(|_| parser.input.offset())
}

fn find_element(parser: &mut Parser<'_>, index: usize) -> Option<()> {
    parser.input.advance(1);
    for _ in 0..index {
        parser.value::<()>(MAX_DEPTH).ok()?;
        parser.input.eat(b',')?;
    }
    (parser.input.peek()? != b']').then_some(())
}

fn find_member(parser: &mut Parser<'_>, key: &str) -> Option<()> {
    parser.input.advance(1);
    while parser.key().ok()?.0 != key {
        parser.value::<()>(MAX_DEPTH).ok()?;
        parser.input.eat(b',')?;
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::input::WINDOW_BYTES;

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "{\n \"é\": [1, 2],\n \"w\": [[1, 2],\n  [3, null]]}";
        assert_eq!(locate(text.as_bytes(), "/w/1/1"), Some((4, 7)));
        assert_eq!(locate(text.as_bytes(), "/é/1"), Some((2, 11)));
        assert_eq!(locate(text.as_bytes(), "/w/2"), None);
    }

    #[test]
    fn a_value_after_many_windows_and_strings_with_brackets_is_found() {
        let filler = format!("[{}\"]}}\\\"[\",\n 1]", "0.25, ".repeat(WINDOW_BYTES / 3));
        let text = format!("\u{feff}{{\"é\": {filler}, \"a\\u0062\": {{\"c\": [[1, 2],\n [3, \"NaN\"]]}}}}");
        assert!(text.len() > 2 * WINDOW_BYTES);
        let at = |pointer: &str| locate(text.as_bytes(), pointer);
        assert_eq!(at("/ab/c/1/1"), Some((3, 6)));
        assert_eq!(at("/ab/c/1"), Some((3, 2)));
        assert_eq!(at("/é"), Some((1, 7)));
        assert_eq!((at("/ab/c/2"), at("/ab/d"), at("/é/x")), (None, None, None));
    }
}
