//! Lines of NDJSON: a line is accepted if it is a JSON document, carried keys keep their text, and a line that matches the
//! template of another gives the same values as on its own.
#![no_main]

use nnlayer::format::json::{KeyUse, Line, Node, RecordTemplate, parse, parse_line};
use nnlayer_fuzz::bounded;

fn key_use(key: &str) -> KeyUse {
    match key {
        "x" => KeyUse { slot: Some(0), ..KeyUse::default() },
        "t" => KeyUse { slot: Some(1), is_carried: true, ..KeyUse::default() },
        _ => KeyUse { is_carried: true, ..KeyUse::default() },
    }
}

fn bits(node: &Node) -> Vec<u64> {
    node.array("").expect("a template has numbers").iter().map(|value| value.to_bits()).collect()
}

/// Checks that reading a line with the template of another line gives the same values as reading it on its own.
fn compare_with_template(first: &[u8], second: &[u8]) {
    if parse_line(first, 2, key_use).is_err() {
        return;
    }
    let Some(template) = RecordTemplate::new(first, key_use) else { return };
    let (mut columns, mut texts) = (vec![Vec::new(); 2], Vec::new());
    if template.read(second, &mut columns, &mut texts).is_none() {
        return;
    }
    let Ok(Line::Record { values, carried }) = parse_line(second, 2, key_use) else { panic!("the line is not JSON") };
    for (column, node) in columns.iter().zip(&values) {
        let column: Vec<u64> = column.iter().map(|value| value.to_bits()).collect();
        assert_eq!(column, node.as_ref().map_or_else(Vec::new, bits));
    }
    let carried: Vec<_> = carried.iter().map(|member| (member.key_text, member.value_text)).collect();
    assert_eq!(carried, template.carried().zip(texts).collect::<Vec<_>>());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
        compare_with_template(&bytes[..end], &bytes[end + 1..]);
    }
    let line = bounded(bytes.len(), 200, || parse_line(bytes, 2, key_use));
    let document = parse(bytes, "");
    assert_eq!(line.is_ok(), document.is_ok(), "{line:?} and {document:?}");
    let (Ok(Line::Record { values, carried }), Ok(document)) = (line, document) else { return };
    for member in &carried {
        // The texts of a key and its value form a document with the same value.
        let member_document = [b"{", member.key_text, b":", member.value_text, b"}"].concat();
        let parsed = parse(&member_document, "").expect("carried text is JSON");
        let pointer = format!("/{}", nnlayer::format::escape(&member.key));
        assert!(parsed.find(&pointer).is_ok() && document.find(&pointer).is_ok(), "{}", member.key);
    }
    assert!(values.len() == 2);
});
