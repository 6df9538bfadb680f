//! JSON: the text of a document ↔ named arrays.
//!
//! `lexer` reads tokens, with numbers by `number` and `short_number`. `tree` parses a document into a `node` through the
//! window of an `input`, large matrices by `parallel_rows`; `document` selects arrays from it. `records` and
//! `record_template` read lines of NDJSON, `places` finds the line and column of a value, and `writer` writes.

use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::arrays::{ArrayStream, LoadedArray, OutputDtype};
use crate::format::file_format::Format;
use crate::format::printed;
use crate::format::selector::Selector;
use crate::format::source::Source;
use std::io;

mod document;
mod input;
mod integers;
mod lexer;
mod node;
mod number;
mod parallel_rows;
mod parse_error;
mod places;
mod record_template;
mod records;
mod short_number;
mod tree;
mod writer;

pub use document::Document;
pub use integers::{RoundedInteger, find_rounded, first_rounded, may_have_rounded};
pub use node::Node;
pub(super) use node::array_index;
pub(crate) use node::read_shape;
pub use number::{JsonNumber, number};
pub(super) use number::{parse_non_finite, scale_by_power_of_ten};
pub use places::{locate, locate_in};
pub use record_template::RecordTemplate;
pub use records::{Carried, KeyUse, Line, parse_line};
pub use tree::{parse, read};
pub use writer::{Matrix, push_number, push_row, write_nested_object, write_object, write_value};

/// JSON text.
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        ".json"
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        let text = text.trim_ascii_start();
        // What programs print is read in place of JSON.
        matches!(text.first(), Some(b'[' | b'{'))
            || std::str::from_utf8(&text[..text.len().min(20)]).is_ok_and(printed::is_call)
    }

    fn read(&self, source: Source<'_>, select: &Selector, names: &[Name]) -> Result<LoadedArray, Error> {
        let found = Document::new(tree::read(source)?).take(select, names, false)?;
        Ok(found.unwrap_or_else(|| unreachable!("a new document is complete")))
    }

    fn has_names(&self) -> bool {
        true
    }

    fn write(&self, arrays: &mut dyn ArrayStream, _dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        write_object(&[], arrays, false, out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::input::{Input, WINDOW_BYTES};
    use super::tree::Parser;
    use super::*;
    use crate::core::error::Code;
    use crate::format::decimal::OptionalDecimal;
    use crate::parallel::scope::with_thread_limit;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::fmt::Debug;

    /// Parses a text in windows of that size, to a text, in which NaN is equal to NaN.
    fn parse_windows<T: JsonNumber + Debug>(mut text: &[u8], window_bytes: usize) -> String {
        format!("{:?}", Parser::new(Input::from_reader(&mut text, window_bytes)).document::<T>())
    }

    fn assert_windows_agree<T: JsonNumber + Debug>(text: &[u8], sizes: &[usize]) {
        let expected = format!("{:?}", Parser::new(Input::from_bytes(text)).document::<T>());
        for &size in sizes {
            let parsed = parse_windows::<T>(text, size);
            assert!(parsed == expected, "windows of {size}: {parsed:.300} instead of {expected:.300}");
        }
    }

    /// Compares with serde_json, and compares windows of several sizes.
    fn assert_as_serde_json(text: &[u8]) {
        assert_windows_agree::<f64>(text, &[1, 7, 300]);
        assert_windows_agree::<OptionalDecimal>(text, &[1, 300]);
        match (parse(text, ""), serde_json::from_slice::<Value>(text)) {
            (Ok(node), Ok(value)) => assert!(is_same(&node, &value), "{node:?} and {value:?}"),
            (Err(error), Ok(_)) => assert_eq!(error.code, Code::DuplicateKey, "{error:?}"),
            // serde_json has no NaN.
            (Ok(node), Err(error)) => assert!(format!("{node:?}").contains(['N', 'I', 'i']), "{node:?} and {error}"),
            (Err(_), Err(_)) => {}
        }
    }

    fn is_same(node: &Node, value: &Value) -> bool {
        let number = |value: &Value| value.as_str().map_or(value.as_f64(), parse_non_finite);
        let is_equal = |a: &f64, b: Option<f64>| b.is_some_and(|b| a.to_bits() == b.to_bits());
        match (node, value) {
            (Node::Number(a), b) => is_equal(a, number(b)),
            (Node::Numbers(a), Value::Array(b)) if a.ndim() == 1 => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, number(b)))
            }
            (Node::Numbers(a), Value::Array(b)) => {
                a.shape()[0] == b.len()
                    && a.outer_iter().zip(b).all(|(a, b)| is_same(&Node::Numbers(a.to_owned().into_dyn()), b))
            }
            (Node::List(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
            (Node::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
            }
            (Node::Text(a), Value::String(b)) => a == b,
            (Node::Bool(a), Value::Bool(b)) => a == b,
            (Node::Null, Value::Null) => true,
            _ => false,
        }
    }

    #[test]
    fn documents_of_every_kind_are_read_as_by_serde_json() {
        for text in [
            " [ ] ",
            "[[1,2],[3,4]]",
            "[ [ 1 , 2 ] ,\n [ 3 , NaN ] ]\n",
            r#"{"x":[["NaN",-0.0],["-Infinity",1e5]],"kind":"affine","b":[{"w":[[1]],"n":null}],"s":["a","NaN",false]}"#,
            r#"["\u004eaN", "\ud83d\ude00", "é\n"]"#,
            "[[1,2],[3]]",
            "[[1],[]]",
            "[[1],2]",
            "[1,[2]]",
            "[[1,2],[3,4],null]",
            "[[1],[2],{\"a\":[[3]]},[4]]",
            "[[[1,2],[3,4]],[[5,6],[7,8]]]",
            "[[[1,2],[3,4]],[[5,6],[7]]]",
            "[[[1,2],[3,4]],[[5,6]]]",
            "[[[1,2],[3,4]],[[5,6],[7,8],[9,9]]]",
            "[[[1,2],[3,4]],[5,6],7]",
            "[[[1,2],[3,4]],[[5,6],[7,null]],[[\"a\"]]]",
            "[[[[1]],[[2]]],[[[3]],[[4]]],[[[5]],[6]]]",
            "[[[]],[[]],[[],[]]]",
            "[[[1]],[[2]],]",
            "[[[1]],[[2],]]",
            "[[[1]],[[,2]]]",
            "[[1],[2,]]",
            "[[1],[2]",
            "\"a",
            "{a:1}",
        ] {
            assert_as_serde_json(text.as_bytes());
        }
    }

    #[test]
    fn large_matrices_are_read_in_parallel() {
        let row = |n: usize| format!("[{n}.25,-1e-{},\"NaN\",12345678901234567]", n % 300);
        assert_large_matrix_is_read::<f64>(row);
        assert_large_matrix_is_read::<OptionalDecimal>(row);
        assert_large_matrix_is_read::<OptionalDecimal>(|n| format!("[{n}.250,null,\"NaN\",{}]", n % 300));
        assert_large_matrix_is_read::<f64>(|n| if n == 15_000 { "[1,2,3]".to_owned() } else { row(n) });
        assert_large_matrix_is_read::<f64>(|n| if n == 15_000 { "[1,2,3,1.]".to_owned() } else { row(n) });
    }

    #[test]
    fn large_arrays_of_more_axes_are_read_in_parallel() {
        let nested = |sides: &[usize], last: &str| {
            let row = format!("[{},\"NaN\",12345678901234567]", "1.5e-3,".repeat(7));
            let text = sides.iter().rev().fold(row, |inner, &side| format!("[{}]", vec![inner; side].join(", ")));
            format!("{{\"x\":[[1]],\"y\":{}{last}}}", &text[..text.len() - sides.len()])
        };
        for (sides, last) in [
            (&[50, 40, 5][..], "]]]"),
            (&[2000, 3], "]]"),
            (&[3, 5000], "]]"),
            (&[3, 5000], ",[1]]]"),
            (&[3, 5000], "],[[1]]]"),
            (&[50, 40, 5], "],[[1]]],[[[2]]]]"),
            (&[700, 2, 3], ",null]]]"),
            (&[700, 2, 3], ",1.]]]"),
        ] {
            let text = nested(sides, last);
            for threads in [1, 3] {
                with_thread_limit(threads, || {
                    assert_windows_agree::<f64>(text.as_bytes(), &[3000, 1 << 17]);
                    assert_windows_agree::<OptionalDecimal>(text.as_bytes(), &[1 << 15]);
                });
            }
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                assert!(is_same(&parse(text.as_bytes(), "").unwrap(), &value), "{sides:?}");
            }
        }
    }

    fn assert_large_matrix_is_read<T: JsonNumber + Debug>(row: impl Fn(usize) -> String) {
        let rows: Vec<String> = (0..20_000).map(row).collect();
        let text = format!("{{\"x\": [{}], \"w\": [[1]], \"long\": [[{}1]]}}", rows.join(", "), "2, ".repeat(30_000));
        for threads in [1, 3] {
            with_thread_limit(threads, || {
                assert_windows_agree::<T>(text.as_bytes(), &[3000, 1 << 17, WINDOW_BYTES]);
            });
        }
    }

    fn number_text() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:?}")),
            4 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
            1 => Just("null".to_owned()),
            1 => prop::sample::select(["\"NaN\"", "\"-Infinity\"", "NaN", "Infinity"].map(str::to_owned).to_vec()),
        ]
    }

    fn whitespace() -> impl Strategy<Value = String> {
        prop_oneof![8 => Just(String::new()), 1 => "[ \n\r\t]{1,3}"]
    }

    fn joined(elements: Vec<String>, space: &str) -> String {
        format!("[{space}{}{space}]", elements.join(&format!("{space},{space}")))
    }

    fn document() -> impl Strategy<Value = String> {
        let row = |width: usize| {
            (prop::collection::vec(number_text(), width), whitespace()).prop_map(|(row, space)| joined(row, &space))
        };
        let matrix = (0usize..5)
            .prop_flat_map(move |width| (prop::collection::vec(row(width), 0..6), whitespace()))
            .prop_map(|(rows, space)| joined(rows, &space));
        let leaf = prop_oneof![4 => matrix, 1 => number_text(), 1 => prop::sample::select(vec!["true", "null", "\"é\"", "\"\\u00e9\"", "[]"]).prop_map(str::to_owned)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), whitespace())
                    .prop_map(|(list, space)| joined(list, &space)),
                (prop::collection::vec(("[a-d]{0,2}", inner), 0..4), whitespace()).prop_map(|(elements, space)| {
                    let elements: Vec<String> =
                        elements.into_iter().map(|(key, value)| format!("\"{key}\"{space}:{space}{value}")).collect();
                    format!("{{{space}{}{space}}}", elements.join(&format!("{space},")))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn valid_and_broken_documents_are_read_as_by_serde_json(text in document(), at: prop::sample::Index, new in prop::sample::select(&b"[]{},:\"0.e-N \n\\\xff"[..]), cut: prop::sample::Index) {
            assert_as_serde_json(text.as_bytes());
            let mut bytes = text.clone().into_bytes();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes.insert(at, new);
                assert_as_serde_json(&bytes);
                bytes.remove(at);
                bytes[at] = new;
                assert_as_serde_json(&bytes);
                bytes.remove(at);
                assert_as_serde_json(&bytes);
                bytes.truncate(cut.index(text.len()));
                assert_as_serde_json(&bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(bytes: Vec<u8>, near in r#"[\[\]{},:"0-9eE.+\- a-z\\]{0,60}"#) {
            let _ = parse(&bytes, "");
            let _ = parse(near.as_bytes(), "").map(|node| node.array(""));
            let _ = locate(near.as_bytes(), "/0/1");
        }
    }
}
