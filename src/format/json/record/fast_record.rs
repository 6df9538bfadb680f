//! The records that most are: no escapes, and numbers, rows, matrices and words as values. Anything else is left to the
//! reader of all JSON, which also says what is wrong.

use super::short_number::short;
use super::{Carried, Line, Use};
use crate::format::json::{Node, number};
use ndarray::{ArrayD, IxDyn};

/// More keys than this are no ordinary record's.
const KEYS: usize = 16;

/// Reads an object, where it is an ordinary one.
pub(super) fn line<'a>(text: &'a [u8], places: usize, what: impl Fn(&str) -> Use) -> Option<Line<'a>> {
    let mut scan = Scan::new(text);
    let (mut taken, mut carried) = (vec![None; places], Vec::new());
    let mut seen: [&str; KEYS] = [""; KEYS];
    let mut count = 0;
    scan.sign(b'{')?;
    loop {
        let begin = scan.begin();
        let key = scan.string()?;
        if seen.get(..count)?.contains(&key) {
            return None;
        }
        *seen.get_mut(count)? = key;
        count += 1;
        let key_text = text.get(begin..scan.at)?;
        scan.sign(b':')?;
        let Use { take, carry } = what(key);
        let begin = scan.begin();
        match take {
            Some(place) => *taken.get_mut(place)? = Some(scan.value()?),
            None => scan.skip()?,
        }
        if carry {
            carried.push(Carried { key: key.into(), key_text, value_text: text.get(begin..scan.at)? });
        }
        if scan.sign(b',').is_none() {
            break;
        }
    }
    scan.sign(b'}')?;
    (scan.begin() == text.len()).then_some(Line::Record { taken, carried })
}

/// Goes through a text, piece by piece; what is not there ends it.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scan<'a> {
        Scan { text, at: 0 }
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where the next thing that is no blank begins.
    pub(super) fn begin(&mut self) -> usize {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.at
    }

    pub(super) fn sign(&mut self, sign: u8) -> Option<()> {
        let at = self.begin();
        (self.text.get(at) == Some(&sign)).then(|| self.at += 1)
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.sign(b'"')?;
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).ok()
    }

    pub(super) fn number(&mut self) -> Option<f64> {
        let at = self.begin();
        let (number, length) = number(self.text.get(at..)?)?;
        self.at += length;
        Some(number)
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    /// A number, a row, a matrix, a string or a word.
    fn value(&mut self) -> Option<Node> {
        let at = self.begin();
        match self.text.get(at)? {
            b'[' => self.array(),
            b'"' => self.string().map(|text| Node::Text(text.to_owned())),
            b't' => self.word(b"true").map(|()| Node::Bool(true)),
            b'f' => self.word(b"false").map(|()| Node::Bool(false)),
            b'n' => self.word(b"null").map(|()| Node::Null),
            _ => self.number().map(Node::Number),
        }
    }

    fn array(&mut self) -> Option<Node> {
        self.sign(b'[')?;
        let mut values = Vec::with_capacity(64);
        let at = self.begin();
        if self.text.get(at) != Some(&b'[') {
            self.row(|value| values.push(value))?;
            let count = values.len();
            return ArrayD::from_shape_vec(IxDyn(&[count]), values).ok().map(Node::Numbers);
        }
        let (mut height, mut width) = (0, None);
        loop {
            let before = values.len();
            self.sign(b'[')?;
            self.row(|value| values.push(value))?;
            if *width.get_or_insert(values.len()) != values.len() - before {
                return None;
            }
            height += 1;
            if self.sign(b',').is_none() {
                break;
            }
        }
        self.sign(b']')?;
        ArrayD::from_shape_vec(IxDyn(&[height, width?]), values).ok().map(Node::Numbers)
    }

    /// Numbers up to the bracket that closes, one at least.
    pub(super) fn row(&mut self, mut with: impl FnMut(f64)) -> Option<()> {
        loop {
            with(self.number()?);
            if self.sign(b',').is_none() {
                return self.sign(b']');
            }
        }
    }

    /// As many numbers as there are places, up to the bracket that closes.
    pub(super) fn fill(&mut self, places: &mut [f64]) -> Option<()> {
        let (last, others) = places.split_last_mut()?;
        // What has few digits comes among its like.
        let mut few = true;
        others.iter_mut().try_for_each(|place| self.next::<b','>(&mut few).map(|number| *place = number))?;
        *last = self.next::<b']'>(&mut few)?;
        Some(())
    }

    /// A number, and the sign behind it.
    #[inline(always)]
    fn next<const SIGN: u8>(&mut self, few: &mut bool) -> Option<f64> {
        let at = self.begin();
        let text = self.text.get(at..)?;
        if let Some((number, length)) = few.then(|| short::<SIGN>(text)).flatten() {
            self.at += length;
            return Some(number);
        }
        let number = self.number()?;
        *few = self.at - at < 8;
        self.sign(SIGN)?;
        Some(number)
    }

    /// A value that nobody looks at.
    pub(super) fn skip(&mut self) -> Option<()> {
        let at = self.begin();
        match self.text.get(at)? {
            b'[' => self.array().map(|_| ()),
            b'"' => self.string().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number().map(|_| ()),
        }
    }
}
