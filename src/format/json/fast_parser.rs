//! The quick way through a document that has nothing unusual in it: numbers go straight into flat vectors, a matrix's rows
//! over threads, and a file is never in memory as text. At the least doubt it gives up, and the general parser, which words
//! every error, reads the document from its beginning.

use super::{Entry, Node, number};
use crate::parallel::pipeline;
use memchr::memrchr;
use ndarray::{ArrayD, IxDyn};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

/// Bytes of a document that are looked at together.
const WINDOW: usize = 1 << 20;

/// Bytes that are there before a number or key is looked at, where the document does not end before.
const LOOKAHEAD: usize = 1 << 10;

/// Bytes of a matrix that is not worth a thread.
const SMALL: usize = 1 << 14;

/// Deeper documents are left to the general parser, which knows the limit.
const DEEPEST: usize = 60;

/// The words that stand for numbers, as strings and as Python writes them.
const WORDS: [(&[u8], f64); 6] = [
    (b"\"NaN\"", f64::NAN),
    (b"\"Infinity\"", f64::INFINITY),
    (b"\"-Infinity\"", f64::NEG_INFINITY),
    (b"NaN", f64::NAN),
    (b"Infinity", f64::INFINITY),
    (b"-Infinity", f64::NEG_INFINITY),
];

/// The document in memory, or nothing where the general parser should look.
pub(super) fn document<T: Entry>(mut text: &[u8]) -> Option<Node<T>> {
    let length = text.len() as u64;
    stream(&mut text, length)
}

/// The document that a stream gives, of about so many bytes.
pub(super) fn stream<T: Entry>(from: &mut dyn Read, length: u64) -> Option<Node<T>> {
    streamed(from, usize::try_from(length).unwrap_or(WINDOW).clamp(1, WINDOW))
}

fn streamed<T: Entry>(from: &mut dyn Read, size: usize) -> Option<Node<T>> {
    let mut window = Window { text: Vec::new(), from, at: 0, ended: false, size };
    window.need(LOOKAHEAD)?;
    if window.rest().starts_with(b"\xef\xbb\xbf") {
        window.at = 3;
    }
    window.document()
}

/// A part of the document, and where in it the next value begins.
struct Window<'a> {
    text: Vec<u8>,
    from: &'a mut dyn Read,
    at: usize,
    /// Whether the document ends with the window.
    ended: bool,
    size: usize,
}

impl Window<'_> {
    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// Reads on until so many bytes are there, or all.
    #[inline]
    fn need(&mut self, bytes: usize) -> Option<()> {
        if self.ended || self.rest().len() >= bytes { Some(()) } else { self.read(bytes) }
    }

    fn read(&mut self, bytes: usize) -> Option<()> {
        self.text.drain(..self.at);
        self.at = 0;
        let wanted = bytes.max(self.size).saturating_sub(self.text.len());
        self.text.try_reserve(wanted.min(2 * self.size)).ok()?;
        self.ended = (&mut *self.from).take(wanted as u64).read_to_end(&mut self.text).ok()? < wanted;
        Some(())
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            self.need(LOOKAHEAD)?;
            let rest = self.rest();
            let blanks = blanks(rest, 0);
            let (next, all) = (rest.get(blanks).copied(), self.ended);
            self.at += blanks;
            if next.is_some() || all {
                return next;
            }
        }
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Steps over a comma, or over the end of an array or object: then there is no next entry.
    fn step(&mut self, end: u8) -> Option<bool> {
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Some(true),
            next if next == end => Some(false),
            _ => None,
        }
    }

    fn document<T: Entry>(mut self) -> Option<Node<T>> {
        let node = self.value(DEEPEST)?;
        if self.peek().is_none() && self.ended { Some(node) } else { None }
    }

    fn value<T: Entry>(&mut self, levels: usize) -> Option<Node<T>> {
        match self.peek()? {
            b'[' => self.array(levels.checked_sub(1)?),
            b'{' => self.object(levels.checked_sub(1)?),
            b'"' => self.string().map(Node::Text),
            b't' => self.word(b"true", Node::Bool(true)),
            b'f' => self.word(b"false", Node::Bool(false)),
            b'n' => self.word(b"null", Node::Null),
            _ => self.entry().map(Node::Number),
        }
    }

    fn word<T>(&mut self, word: &[u8], node: Node<T>) -> Option<Node<T>> {
        self.rest().starts_with(word).then(|| self.at += word.len())?;
        Some(node)
    }

    /// A number, or a word for one.
    fn entry<T: Entry>(&mut self) -> Option<T> {
        self.need(LOOKAHEAD)?;
        let (value, length) = entry(self.rest())?;
        self.at += length;
        // What ends with the window may go on behind it.
        (self.ended || !self.rest().is_empty()).then_some(value)
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<String> {
        let text = self.rest().strip_prefix(b"\"")?;
        let end = text.iter().take(LOOKAHEAD).position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        let string = std::str::from_utf8(&text[..end]).ok().filter(|_| text[end] == b'"')?.to_owned();
        self.at += end + 2;
        Some(string)
    }

    fn object<T: Entry>(&mut self, levels: usize) -> Option<Node<T>> {
        self.skip(b'{')?;
        let mut entries: Vec<(String, Node<T>)> = Vec::new();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Node::Object(entries));
        }
        loop {
            self.peek()?;
            let key = self.string()?;
            // A key that is there twice is an error; so many that looking takes long are left to the general parser.
            if entries.len() > 100 || entries.iter().any(|(known, _)| *known == key) {
                return None;
            }
            self.skip(b':')?;
            let value = self.value(levels)?;
            entries.push((key, value));
            if !self.step(b'}')? {
                return Some(Node::Object(entries));
            }
        }
    }

    fn array<T: Entry>(&mut self, levels: usize) -> Option<Node<T>> {
        self.skip(b'[')?;
        match self.peek()? {
            b'[' => self.matrix(),
            b']' => {
                self.at += 1;
                flat(&[0], Vec::new())
            }
            b'{' | b't' | b'f' => self.list(levels),
            b'"' | b'n' if entry::<T>(self.rest()).is_none() => self.list(levels),
            _ => {
                let mut values = Vec::new();
                self.row(&mut values)?;
                flat(&[values.len()], values)
            }
        }
    }

    /// An array of what is no number: objects, mostly.
    fn list<T: Entry>(&mut self, levels: usize) -> Option<Node<T>> {
        let mut list = Vec::new();
        loop {
            let entry = match self.peek()? {
                b'"' | b'n' if entry::<T>(self.rest()).is_some() => self.entry().map(Node::Number),
                _ => self.value(levels),
            };
            list.push(entry?);
            if !self.step(b']')? {
                return Some(Node::List(list));
            }
        }
    }

    /// Appends the numbers up to the end of an array, of which there is one at least.
    fn row<T: Entry>(&mut self, values: &mut Vec<T>) -> Option<()> {
        loop {
            self.peek()?;
            values.push(self.entry()?);
            if !self.step(b']')? {
                return Some(());
            }
        }
    }

    /// Rows of one length: the first says how long, the others are read a window at a time over threads.
    fn matrix<T: Entry>(&mut self) -> Option<Node<T>> {
        let mut values = Vec::new();
        self.skip(b'[')?;
        self.peek().filter(|next| *next != b']')?;
        self.row(&mut values)?;
        let width = values.len();
        // A small one is read where it lies: to cut off a window and put it back costs the window, and there may be many.
        let near = &self.rest()[..self.rest().len().min(SMALL)];
        if let Some(Rows { values: others, end: Some(end) }) = rows::<T>(near, width) {
            values.extend(others);
            self.at += end;
            return flat(&[values.len() / width, width], values);
        }
        // What was cut off the document and is not taken yet: what is behind the end of the matrix is put back.
        let pieces = RefCell::new(VecDeque::new());
        let mut end = None;
        let bring = || {
            let piece = Arc::new(self.piece()?);
            pieces.borrow_mut().push_back(Arc::clone(&piece));
            Some(piece)
        };
        let take = |read: Option<Rows<T>>| {
            let Some(rows) = read else { return false };
            values.extend_from_slice(&rows.values);
            end = rows.end;
            end.is_none() && pieces.borrow_mut().pop_front().is_some()
        };
        pipeline::run(bring, |piece: Arc<Vec<u8>>| rows(&piece, width), take);
        let end = end?;
        let behind = pieces.take().iter().fold(Vec::new(), |behind, piece| [behind, piece.to_vec()].concat());
        self.text.splice(..self.at, behind[end..].iter().copied());
        self.at = 0;
        flat(&[values.len() / width, width], values)
    }

    /// Cuts off what ends with the last `]` of the window, or of what is read behind it; nothing where there is none.
    fn piece(&mut self) -> Option<Vec<u8>> {
        self.need(self.size)?;
        loop {
            let rest = self.rest();
            if let Some(last) = memrchr(b']', &rest[..rest.len().min(self.size)]).or_else(|| memrchr(b']', rest)) {
                let piece = rest[..=last].to_vec();
                self.at += piece.len();
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            self.read(2 * self.rest().len())?;
        }
    }
}

/// Numbers of whole rows, and where the matrix ended, if it did.
struct Rows<T> {
    values: Vec<T>,
    end: Option<usize>,
}

/// The rows of a text between rows, up to its end or to the end of the matrix.
fn rows<T: Entry>(text: &[u8], width: usize) -> Option<Rows<T>> {
    let (mut values, mut at) = (Vec::with_capacity(text.len() / 16), 0);
    loop {
        at = blanks(text, at);
        match text.get(at) {
            None => return Some(Rows { values, end: None }),
            Some(b']') => return Some(Rows { values, end: Some(at + 1) }),
            Some(b',') => at = blanks(text, at + 1),
            Some(_) => return None,
        }
        if text.get(at) != Some(&b'[') {
            return None;
        }
        at += 1;
        for left in (0..width).rev() {
            at = blanks(text, at);
            let (value, length) = entry(text.get(at..)?)?;
            values.push(value);
            at = blanks(text, at + length);
            if text.get(at) != Some(if left == 0 { &b']' } else { &b',' }) {
                return None;
            }
            at += 1;
        }
    }
}

/// The number, or word for one, that a text begins with, and its length.
#[inline]
fn entry<T: Entry>(text: &[u8]) -> Option<(T, usize)> {
    match number(text) {
        Some((value, length)) => Some((T::new(&text[..length], value), length)),
        None => word(text),
    }
}

#[cold]
#[inline(never)]
fn word<T: Entry>(text: &[u8]) -> Option<(T, usize)> {
    if text.starts_with(b"null") {
        return T::null().map(|null| (null, 4));
    }
    WORDS.iter().find(|(word, _)| text.starts_with(word)).map(|(word, value)| (T::new(word, *value), word.len()))
}

/// Where the blanks from `at` on end.
#[inline(always)]
fn blanks(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

fn flat<T>(shape: &[usize], values: Vec<T>) -> Option<Node<T>> {
    ArrayD::from_shape_vec(IxDyn(shape), values).ok().map(Node::Numbers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::decimal::Cell;
    use crate::format::json::parse::general;
    use proptest::prelude::*;

    /// Through windows of that size.
    fn quick<T: Entry>(mut text: &[u8], size: usize) -> Option<Node<T>> {
        streamed(&mut text, size)
    }

    /// What the quick way reads is what the general one reads, as numbers and with their digits and blanks.
    fn agree(text: &[u8]) {
        agree_in::<f64>(text);
        agree_in::<Cell>(text);
    }

    /// NaN is equal to NaN in what is shown.
    fn agree_in<T: Entry + std::fmt::Debug>(text: &[u8]) {
        let expected = general::<T>(text, "");
        for size in [1, 300, WINDOW] {
            if let Some(read) = quick::<T>(text, size) {
                assert_eq!(
                    format!("{:?}", Ok::<_, crate::core::error::Error>(read)),
                    format!("{expected:?}"),
                    "{:?}",
                    String::from_utf8_lossy(text)
                );
            }
        }
    }

    #[test]
    fn ordinary_documents_are_read_and_odd_ones_left_alone() {
        for text in [
            "1",
            " [ ] ",
            "[1,2.5]",
            "[[1,2],[3,4]]",
            "[ [ 1 , 2 ] ,\n [ 3 , NaN ] ]\n",
            "\"x\"",
            "true",
            r#"{"x":[["NaN",-0.0],["-Infinity",1e5]],"kind":"affine","b":[{"w":[[1]],"n":null}],"s":["a","NaN",false]}"#,
            "{}",
        ] {
            assert!(quick::<f64>(text.as_bytes(), WINDOW).is_some(), "{text}");
            agree(text.as_bytes());
        }
        for text in [
            "",
            " ",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[[1],]",
            "[[1]",
            "[[1,2],[3]]",
            "[[1],[]]",
            "[01]",
            "[1e999]",
            "{\"a\":1,\"a\":2}",
            "{\"a\"}",
            "[1] 2",
            "[\"a\\n\"]",
            "[[1],2]",
            "[1,[2]]",
            "nul",
            "[+1]",
            "{a:1}",
            "[1.]",
            "\"a",
        ] {
            assert!(quick::<f64>(text.as_bytes(), WINDOW).is_none(), "{text}");
        }
        for text in ["[null]", "[1,null]", "{\"y\":[[null, 0.5],[1,null]],\"t\":null}", "[\"a\",null]"] {
            assert!(quick::<Cell>(text.as_bytes(), WINDOW).is_some(), "{text}");
            agree(text.as_bytes());
        }
        assert!(document::<f64>(("[".repeat(63) + &"]".repeat(63)).as_bytes()).is_none());
    }

    #[test]
    fn a_long_matrix_is_read_over_threads_and_windows() {
        let row = |n: usize| format!("[{n}.25,-1e-{},\"NaN\",12345678901234567]", n % 300);
        long_matrix::<f64>(row);
        long_matrix::<Cell>(row);
        long_matrix::<Cell>(|n| format!("[{n}.250,null,\"NaN\",{}]", n % 300));
    }

    fn long_matrix<T: Entry + std::fmt::Debug>(row: impl Fn(usize) -> String) {
        let rows: Vec<String> = (0..40_000).map(row).collect();
        let text = format!("{{\"x\": [{}], \"w\": [[1]], \"long\": [[{}1]]}}", rows.join(", "), "2, ".repeat(30_000));
        let expected = format!("{:?}", general::<T>(text.as_bytes(), "").unwrap());
        for size in [3000, 1 << 20, WINDOW] {
            for threads in [1, 3] {
                let read =
                    crate::parallel::scope::with_thread_limit(threads, || quick::<T>(text.as_bytes(), size)).unwrap();
                assert!(format!("{read:?}") == expected, "windows of {size}, {threads} threads");
            }
        }
    }

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:?}")),
            4 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
            1 => Just("null".to_owned()),
            1 => prop::sample::select(WORDS.map(|(word, _)| String::from_utf8(word.to_vec()).unwrap()).to_vec()),
        ]
    }

    fn blank() -> impl Strategy<Value = String> {
        prop_oneof![8 => Just(String::new()), 1 => "[ \n\r\t]{1,3}"]
    }

    fn joined(entries: Vec<String>, blank: &str) -> String {
        format!("[{blank}{}{blank}]", entries.join(&format!("{blank},{blank}")))
    }

    fn node() -> impl Strategy<Value = String> {
        let row = |width: usize| {
            (prop::collection::vec(number(), width), blank()).prop_map(|(row, blank)| joined(row, &blank))
        };
        let matrix = (0usize..5)
            .prop_flat_map(move |width| (prop::collection::vec(row(width), 0..6), blank()))
            .prop_map(|(rows, blank)| joined(rows, &blank));
        let leaf = prop_oneof![4 => matrix, 1 => number(), 1 => prop::sample::select(vec!["true", "null", "\"é\"", "\"\\u00e9\"", "[]"]).prop_map(str::to_owned)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), blank()).prop_map(|(list, blank)| joined(list, &blank)),
                (prop::collection::vec(("[a-d]{0,2}", inner), 0..4), blank()).prop_map(|(entries, blank)| {
                    let entries: Vec<String> =
                        entries.into_iter().map(|(key, value)| format!("\"{key}\"{blank}:{blank}{value}")).collect();
                    format!("{{{blank}{}{blank}}}", entries.join(&format!("{blank},")))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn both_ways_agree_on_valid_and_broken_documents(text in node(), at: prop::sample::Index, new in prop::sample::select(&b"[]{},:\"0.e-N \n\\\xff"[..]), cut: prop::sample::Index) {
            agree(text.as_bytes());
            let mut bytes = text.clone().into_bytes();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes.insert(at, new);
                agree(&bytes);
                bytes.remove(at);
                bytes[at] = new;
                agree(&bytes);
                bytes.remove(at);
                agree(&bytes);
                bytes.truncate(cut.index(text.len()));
                agree(&bytes);
            }
        }
    }
}
