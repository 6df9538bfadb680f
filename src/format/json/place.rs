//! Where in a text a value stands: found by walking it from its beginning, a little of it in memory at a time.

use crate::format::unescape;
use std::io::Read;

/// Bytes that are looked at together.
const WINDOW: usize = 1 << 16;

/// The line and column, from 1, of the value that a JSON pointer leads to in a text that was read before.
pub fn locate_in(text: &mut dyn Read, pointer: &str) -> Option<(usize, usize)> {
    let mut walk = Walk { text, window: vec![0; WINDOW], at: 0, end: 0, line: 1, column: 1 };
    walk.fill();
    if walk.window[..walk.end].starts_with(b"\xef\xbb\xbf") {
        walk.at = 3;
    }
    for part in pointer.split('/').skip(1) {
        match walk.next()? {
            b'[' => walk.entry(super::position(part)?)?,
            b'{' => walk.value_of(&unescape(part))?,
            _ => return None,
        }
    }
    walk.next()?;
    Some((walk.line, walk.column))
}

/// The same in a text that is in memory.
pub fn locate(mut text: &[u8], pointer: &str) -> Option<(usize, usize)> {
    locate_in(&mut text, pointer)
}

/// A text, and where in it the next byte stands.
struct Walk<'a> {
    text: &'a mut dyn Read,
    window: Vec<u8>,
    at: usize,
    end: usize,
    line: usize,
    /// In characters.
    column: usize,
}

impl Walk<'_> {
    fn fill(&mut self) {
        (self.at, self.end) = (0, 0);
        while self.end < WINDOW {
            match self.text.read(&mut self.window[self.end..]) {
                Ok(0) => return,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn peek(&mut self) -> Option<u8> {
        if self.at == self.end {
            self.fill();
        }
        self.window[..self.end].get(self.at).copied()
    }

    fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'\n' => (self.line, self.column) = (self.line + 1, 1),
            byte if byte & 0xc0 != 0x80 => self.column += 1,
            _ => {}
        }
        Some(byte)
    }

    /// The next byte that is no blank, where it now stands.
    fn next(&mut self) -> Option<u8> {
        while self.peek()?.is_ascii_whitespace() {
            self.step();
        }
        self.peek()
    }

    /// Steps over a byte that has to be the next.
    fn over(&mut self, byte: u8) -> Option<()> {
        if self.next()? == byte { self.step().map(drop) } else { None }
    }

    /// Goes to the entry of an array at that index.
    fn entry(&mut self, index: usize) -> Option<()> {
        self.over(b'[')?;
        for _ in 0..index {
            self.skip()?;
            self.over(b',')?;
        }
        (self.next()? != b']').then_some(())
    }

    /// Goes to the value of a key of an object.
    fn value_of(&mut self, wanted: &str) -> Option<()> {
        self.over(b'{')?;
        loop {
            let key = self.key(6 * wanted.len() + 2)?;
            self.over(b':')?;
            if serde_json::from_slice::<String>(&key).is_ok_and(|key| key == wanted) {
                return Some(());
            }
            self.skip()?;
            self.over(b',')?;
        }
    }

    /// A string as it is written, of which no more than so many bytes and one are kept: a longer one is none that is looked for.
    fn key(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.next()? != b'"' {
            return None;
        }
        let (mut key, mut escaped) = (Vec::new(), false);
        loop {
            let byte = self.step()?;
            if key.len() <= most {
                key.push(byte);
            }
            match byte {
                b'"' if !escaped && key.len() > 1 => return Some(key),
                byte => escaped = byte == b'\\' && !escaped,
            }
        }
    }

    /// Steps over a value.
    fn skip(&mut self) -> Option<()> {
        let mut levels = 0usize;
        loop {
            match self.next()? {
                b'"' => self.key(2).map(drop)?,
                b'[' | b'{' => {
                    levels += 1;
                    self.step();
                    continue;
                }
                b']' | b'}' => {
                    levels = levels.checked_sub(1)?;
                    self.step();
                }
                b',' | b':' if levels > 0 => {
                    self.step();
                    continue;
                }
                b',' | b':' => return None,
                _ => {
                    while self.peek().is_some_and(|byte| !b",:]}[{\"".contains(&byte) && !byte.is_ascii_whitespace()) {
                        self.step();
                    }
                }
            }
            if levels == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_value_far_behind_the_window_is_found_among_strings_that_look_like_more() {
        let filler = format!("[{}\"]}}\\\"[\",\n 1]", "0.25, ".repeat(WINDOW / 3));
        let text = format!("\u{feff}{{\"é\": {filler}, \"a\\u0062\": {{\"c\": [[1, 2],\n [3, \"NaN\"]]}}}}");
        assert!(text.len() > 2 * WINDOW);
        let at = |pointer: &str| locate(text.as_bytes(), pointer);
        assert_eq!(at("/ab/c/1/1"), Some((3, 6)));
        assert_eq!(at("/ab/c/1"), Some((3, 2)));
        assert_eq!(at("/é"), Some((1, 7)));
        assert_eq!((at("/ab/c/2"), at("/ab/d"), at("/é/x")), (None, None, None));
    }
}
