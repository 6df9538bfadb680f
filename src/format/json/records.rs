//! Reader of one line of NDJSON: parses the values of some keys and keeps the text of others.

use super::input::Input;
use super::node::Node;
use super::parse_error::Parsed;
use super::tree::{MAX_DEPTH, Parser};
use crate::core::error::Error;
use crate::format::errors::refuse_utf16;
use std::borrow::Cow;

/// Use of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Index of the value in [`Line::Record::values`], if it is parsed.
    pub slot: Option<usize>,
    /// True if the text of the key and its value is kept.
    pub is_carried: bool,
    /// True if the key is the one of the slot in another case: its value is parsed where no other key fits, and else carried.
    pub is_in_other_case: bool,
}

/// A parsed line.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// An object.
    Record {
        /// The parsed values, by slot.
        values: Vec<Option<Node>>,
        /// The carried keys, in the order of the text.
        carried: Vec<Carried<'a>>,
    },
    /// Any other value.
    Bare(Node),
}

/// A key that is copied to the output with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// The key in quotes, as it is written.
    pub key_text: &'a [u8],
    /// The value, as it is written.
    pub value_text: &'a [u8],
}

/// Parses a line into `slots` values; `key_use` returns the use of each key. Values that are not used must be JSON too. The
/// place of an error is in line 1.
pub fn parse_line<'a>(bytes: &'a [u8], slots: usize, key_use: impl Fn(&str) -> KeyUse) -> Result<Line<'a>, Error> {
    refuse_utf16(bytes)?;
    record_or_value(bytes, slots, key_use).map_err(|error| error.locate(&mut &bytes[..]))
}

fn record_or_value<'a>(bytes: &'a [u8], slots: usize, key_use: impl Fn(&str) -> KeyUse) -> Parsed<Line<'a>> {
    let mut parser = Parser::new(Input::from_bytes(bytes));
    if parser.input.peek() != Some(b'{') {
        return parser.document().map(Line::Bare);
    }
    let (mut values, mut carried, mut similar) = (vec![None; slots], Vec::new(), Vec::new());
    parser.members(|parser, key, key_range| {
        let KeyUse { slot, is_carried, is_in_other_case } = key_use(&key);
        parser.input.peek();
        let begin = parser.input.offset();
        if is_in_other_case {
            similar.push((slot, begin, carried.len()));
        }
        let parsed = match slot.filter(|_| !is_in_other_case).and_then(|slot| values.get_mut(slot)) {
            Some(value) => parser.value(MAX_DEPTH - 1).map(|node| *value = Some(node)),
            None => parser.value::<()>(MAX_DEPTH - 1).map(|_| ()),
        };
        parsed.map_err(|error| error.under(&key))?;
        if is_carried || is_in_other_case {
            let value_text = &bytes[begin..parser.input.offset()];
            carried.push(Carried { key, key_text: &bytes[key_range], value_text });
        }
        Ok(())
    })?;
    parser.end()?;
    for (slot, begin, at) in similar.iter().rev() {
        let fits = similar.iter().filter(|(other, ..)| other == slot).count() == 1;
        let open = slot.and_then(|slot| values.get_mut(slot)).filter(|value| fits && value.is_none());
        if let Some(value) = open {
            let mut again = Parser::new(Input::from_bytes(bytes));
            again.input.advance(*begin);
            *value = Some(again.value(MAX_DEPTH - 1)?);
            carried.remove(*at);
        }
    }
    Ok(Line::Record { values, carried })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::core::error::Code;
    use proptest::prelude::*;

    pub(in crate::format::json) fn key_use(key: &str) -> KeyUse {
        match key {
            "x" => KeyUse { slot: Some(0), ..KeyUse::default() },
            "X" => KeyUse { slot: Some(0), is_in_other_case: true, ..KeyUse::default() },
            "t" => KeyUse { slot: Some(1), is_carried: true, ..KeyUse::default() },
            "y" => KeyUse::default(),
            _ => KeyUse { is_carried: true, ..KeyUse::default() },
        }
    }

    fn read(text: &str) -> Result<Line<'_>, Error> {
        parse_line(text.as_bytes(), 2, key_use)
    }

    fn carried<'a>(line: &'a Line<'a>) -> Vec<(&'a str, &'a str)> {
        let Line::Record { carried, .. } = line else { panic!("{line:?}") };
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        carried.iter().map(|carried| (text(carried.key_text), text(carried.value_text))).collect()
    }

    #[test]
    fn used_values_are_parsed_and_carried_ones_keep_their_text() {
        let text = "{ \"a\\\"b\" : {\"c\": [1e0, null]} ,\"x\":[1,2],\"y\":3,\"t\":-0.50, \"é\":\"\\u0041\" }\r";
        let line = read(text).unwrap();
        assert_eq!(
            carried(&line),
            [("\"a\\\"b\"", "{\"c\": [1e0, null]}"), ("\"t\"", "-0.50"), ("\"é\"", "\"\\u0041\"")]
        );
        let Line::Record { values, .. } = &line else { panic!() };
        assert_eq!(values[0], Some(Node::Numbers(ndarray::arr1(&[1.0, 2.0]).into_dyn())));
        assert_eq!(values[1], Some(Node::Number(-0.5)));
    }

    #[test]
    fn a_key_in_another_case_is_read_where_no_other_fits() {
        for (text, x, others) in [
            (r#"{"a":1,"X":[1,2]}"#, Some(Node::Numbers(ndarray::arr1(&[1.0, 2.0]).into_dyn())), vec!["a"]),
            (r#"{"X":1,"a":2,"x":3}"#, Some(Node::Number(3.0)), vec!["X", "a"]),
            (r#"{"x":null,"X":1}"#, Some(Node::Null), vec!["X"]),
        ] {
            let line = read(text).unwrap();
            let Line::Record { values, carried } = &line else { panic!("{line:?}") };
            assert_eq!(values[0], x, "{text}");
            assert_eq!(carried.iter().map(|carried| &*carried.key).collect::<Vec<_>>(), others, "{text}");
        }
        assert_eq!(read(r#"{"X":[1,}"#).unwrap_err().code, Code::JsonSyntax);
    }

    #[test]
    fn a_line_may_be_a_value_other_than_an_object() {
        assert_eq!(read("[1]").unwrap(), Line::Bare(Node::Numbers(ndarray::arr1(&[1.0]).into_dyn())));
        assert_eq!(read(" 2 ").unwrap(), Line::Bare(Node::Number(2.0)));
    }

    #[test]
    fn values_that_are_not_used_must_be_json() {
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
    fn duplicates_among_many_keys_are_found() {
        let keys: Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        assert_eq!(carried(&read(&format!("{{{}}}", keys.join(","))).unwrap()).len(), 40);
        for again in ["\"k3\":0", "\"k39\":0"] {
            let text = format!("{{{},{again}}}", keys.join(","));
            assert_eq!(read(&text).unwrap_err().code, Code::DuplicateKey);
        }
    }

    proptest! {
        #[test]
        fn a_record_is_accepted_if_it_is_a_document(text in r#"\{("[a-cx]":([0-9]{1,3}|\[[0-9],"NaN"\]|\{"b":[a-z0-9]\}|),? ?){0,4}\}?"#) {
            let document = crate::format::json::parse(text.as_bytes(), "");
            match (read(&text), document) {
                (Ok(Line::Record { .. }), Ok(Node::Object(_))) => {}
                (Err(a), Err(b)) => prop_assert_eq!((a.code, &a.at), (b.code, &b.at)),
                (a, b) => prop_assert!(false, "{:?} {:?}", a, b),
            }
        }
    }
}
