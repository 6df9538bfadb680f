//! One line of NDJSON: the values that somebody wants, and the text of all others.

use super::parse::{Parser, Trouble};
use super::{DEEPEST, Node, after_mark};
use crate::core::error::{Code, Error};
use crate::format::{refuse_utf16, sanitize};
use std::borrow::Cow;
use std::collections::HashSet;

mod fast_record;
mod record_template;
mod short_number;

pub use record_template::Form;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Its value is read into this place of [`Line::Record::taken`].
    pub take: Option<usize>,
    /// Its text is kept.
    pub carry: bool,
}

/// A line, read.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// An object.
    Record {
        /// The values that were asked for, each in its place.
        taken: Vec<Option<Node>>,
        /// The keys that go on unread, in the order of the text.
        carried: Vec<Carried<'a>>,
    },
    /// Any other value.
    Bare(Node),
}

/// A key that goes on unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// The key as it is written, in quotes.
    pub key_text: &'a [u8],
    /// The value as it is written.
    pub value_text: &'a [u8],
}

/// Reads a line; `what` says what becomes of each key, `places` how many are taken. All of it is JSON by the rules of
/// [`parse`](super::parse), whether it is looked at or not. An error's place is in the first line.
pub fn line<'a>(bytes: &'a [u8], places: usize, what: impl Fn(&str) -> Use) -> Result<Line<'a>, Error> {
    refuse_utf16(bytes)?;
    let text = after_mark(bytes);
    fast_record::line(text, places, &what).map_or_else(|| general(text, places, what), Ok)
}

/// Reads any record, and says of one that is none why, and where.
fn general<'a>(text: &'a [u8], places: usize, what: impl Fn(&str) -> Use) -> Result<Line<'a>, Error> {
    Parser::new(text).record(places, what).map_err(|trouble| trouble.error(text))
}

/// So few keys are compared with each other faster than they are hashed.
const FEW: usize = 16;

/// The keys so far.
#[derive(Default)]
struct Keys {
    few: Vec<String>,
    many: HashSet<String>,
}

impl Keys {
    /// Whether the key is new.
    fn insert(&mut self, key: &str) -> bool {
        if self.few.len() < FEW {
            let new = self.few.iter().all(|known| known != key);
            if new {
                self.few.push(key.to_owned());
            }
            return new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().cloned());
        }
        self.many.insert(key.to_owned())
    }
}

impl<'j> Parser<'j> {
    fn record(&mut self, places: usize, what: impl Fn(&str) -> Use) -> Result<Line<'j>, Box<Trouble>> {
        if !self.begins_object() {
            return self.document().map(Line::Bare);
        }
        let (mut taken, mut carried, mut keys) = (vec![None; places], Vec::new(), Keys::default());
        let mut before = self.index();
        let mut key = self.first_key()?;
        while let Some(name) = key {
            let key_text = between(self.text, before, self.index());
            if !keys.insert(&name) {
                let at = before + self.text[before..].iter().position(|&byte| byte == b'"').unwrap_or(0);
                let message = format!("has the key \"{}\" twice", sanitize(&name));
                return Err(Trouble::new(Code::DuplicateKey, at, message).under(name));
            }
            let Use { take, carry } = what(&name);
            let begin = self.begin();
            let value = self.any(DEEPEST - 1).map_err(|trouble| trouble.under(&name))?;
            let value_text = &self.text[begin..self.index()];
            if let Some(place) = take.and_then(|place| taken.get_mut(place)) {
                *place = Some(value);
            }
            if carry {
                carried.push(Carried { key: name.into(), key_text, value_text });
            }
            before = self.index();
            key = self.next_key()?;
        }
        self.finish()?;
        Ok(Line::Record { taken, carried })
    }
}

/// The key in quotes that stands between the end of what was before it and the colon behind it.
fn between(text: &[u8], before: usize, colon: usize) -> &[u8] {
    let part = &text[before..colon];
    let begin = part.iter().position(|&byte| byte == b'"').unwrap_or(0);
    let end = part.iter().rposition(|&byte| byte == b'"').map_or(part.len(), |at| at + 1);
    &part[begin..end.max(begin)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uses(key: &str) -> Use {
        match key {
            "x" => Use { take: Some(0), carry: false },
            "both" => Use { take: Some(1), carry: true },
            "drop" => Use::default(),
            _ => Use { take: None, carry: true },
        }
    }

    fn read(text: &str) -> Result<Line<'_>, Error> {
        line(text.as_bytes(), 2, uses)
    }

    fn carried<'a>(line: &'a Line<'a>) -> Vec<(&'a str, &'a str)> {
        let Line::Record { carried, .. } = line else { panic!("{line:?}") };
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        carried.iter().map(|carried| (text(carried.key_text), text(carried.value_text))).collect()
    }

    #[test]
    fn what_is_wanted_is_read_and_the_rest_keeps_its_text() {
        let text = "{ \"a\\\"b\" : {\"c\": [1e0, null]} ,\"x\":[1,2],\"drop\":3,\"both\":-0.50, \"é\":\"\\u0041\" }\r";
        let line = read(text).unwrap();
        assert_eq!(
            carried(&line),
            [("\"a\\\"b\"", "{\"c\": [1e0, null]}"), ("\"both\"", "-0.50"), ("\"é\"", "\"\\u0041\"")]
        );
        let Line::Record { taken, .. } = &line else { panic!() };
        assert_eq!(taken[0], Some(Node::Numbers(ndarray::arr1(&[1.0, 2.0]).into_dyn())));
        assert_eq!(taken[1], Some(Node::Number(-0.5)));
    }

    #[test]
    fn what_is_no_object_is_a_value_on_its_own() {
        assert_eq!(read("[1]").unwrap(), Line::Bare(Node::Numbers(ndarray::arr1(&[1.0]).into_dyn())));
        assert_eq!(read(" 2 ").unwrap(), Line::Bare(Node::Number(2.0)));
    }

    #[test]
    fn what_is_not_looked_at_must_be_json_all_the_same() {
        for (text, code) in [
            ("{\"a\":[1,}", Code::JsonSyntax),
            ("{\"a\":1} 2", Code::JsonSyntax),
            ("{\"a\":1,}", Code::JsonSyntax),
            ("{\"a\"}", Code::JsonSyntax),
            ("{\"a\":", Code::JsonSyntax),
            ("{\"a\":1,\"\\u0061\":2}", Code::DuplicateKey),
            ("{\"a\":{\"b\":1,\"b\":2}}", Code::DuplicateKey),
            (&format!("{{\"a\":{}", "[".repeat(1000)), Code::JsonDepth),
            ("", Code::EmptyValue),
        ] {
            assert_eq!(read(text).unwrap_err().code, code, "{text:.30}");
        }
    }

    #[test]
    fn many_keys_are_compared_too() {
        let keys: Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        assert_eq!(carried(&read(&format!("{{{}}}", keys.join(","))).unwrap()).len(), 40);
        for again in ["\"k3\":0", "\"k39\":0"] {
            let text = format!("{{{},{again}}}", keys.join(","));
            assert_eq!(read(&text).unwrap_err().code, Code::DuplicateKey);
        }
    }

    #[test]
    fn ordinary_records_are_read_the_short_way() {
        for text in ["{\"x\":[1,-2.5e3],\"t\":0}", " { \"x\" : [ [1] , [2] ] , \"s\":\"é\",\"b\":true,\"n\":null } \r"]
        {
            assert!(fast_record::line(text.as_bytes(), 2, uses).is_some(), "{text}");
        }
        for text in [
            "{}",
            "[1]",
            "{\"x\":[]}",
            "{\"x\":[\"NaN\"]}",
            "{\"x\":[1,]}",
            "{\"x\":[[1],[1,2]]}",
            "{\"x\":01}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":{}}",
            "{\"\\u0061\":1}",
            "{\"x\":1} 2",
            "{\"x\":1e999}",
            "{\"x\":nullx}",
        ] {
            assert!(fast_record::line(text.as_bytes(), 2, uses).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_does(
            text in r#" ?\{("([axé]|both|drop)" ?:(-?[0-9]{1,20}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?|\[[0-9], ?2\]|\[\[1\],\[[0-9]\]\]|"[ -~é]{0,3}"|true|null|\{\}),? ?){1,4}\} ?"#
        ) {
            let text = text.replace(",}", "}").replace(", }", "}");
            if let Some(short) = fast_record::line(text.as_bytes(), 2, uses) {
                prop_assert_eq!(short, general(text.as_bytes(), 2, uses).unwrap());
            }
        }

        #[test]
        fn a_record_is_read_as_the_document_that_it_is(text in r#"\{("[a-cx]":([0-9]{1,3}|\[[0-9],"NaN"\]|\{"b":[a-z0-9]\}|),? ?){0,4}\}?"#) {
            let document = crate::format::json::parse(text.as_bytes(), "");
            match (read(&text), document) {
                (Ok(Line::Record { .. }), Ok(Node::Object(_))) => {}
                (Err(a), Err(b)) => prop_assert_eq!((a.code, &a.at), (b.code, &b.at)),
                (a, b) => prop_assert!(false, "{:?} {:?}", a, b),
            }
        }
    }
}
