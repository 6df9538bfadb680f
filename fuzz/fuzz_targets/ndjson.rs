//! A line of NDJSON: it is read where all of it is JSON, and what is carried through is what stood there. Lines after a first
//! one that are read as it is are read as they are alone.
#![no_main]

use nnlayer::format::json::Node;
use nnlayer::format::json::parse;
use nnlayer::format::json::record::{Form, Line, Use, line};
use nnlayer_fuzz::bounded;

fn what(key: &str) -> Use {
    match key {
        "x" => Use { take: Some(0), carry: false },
        "t" => Use { take: Some(1), carry: true },
        _ => Use { take: None, carry: true },
    }
}

/// The numbers of a value.
fn numbers(node: &Node) -> Vec<u64> {
    node.matrix("").expect("a form has numbers").iter().map(|value| value.to_bits()).collect()
}

/// What is read as the form of another line is what the line holds.
fn alike(first: &[u8], second: &[u8]) {
    if line(first, 2, what).is_err() {
        return;
    }
    let Some(form) = Form::of(first, what) else { return };
    let (mut columns, mut values) = (vec![Vec::new(); 2], Vec::new());
    if form.read(second, &mut columns, &mut values).is_none() {
        return;
    }
    let Ok(Line::Record { taken, carried }) = line(second, 2, what) else { panic!("read as another, and not alone") };
    for (column, node) in columns.iter().zip(&taken) {
        let bits: Vec<u64> = column.iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, node.as_ref().map_or_else(Vec::new, numbers));
    }
    let texts: Vec<_> = carried.iter().map(|entry| (entry.key_text, entry.value_text)).collect();
    assert_eq!(texts, form.carried().zip(values).collect::<Vec<_>>());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
        alike(&bytes[..end], &bytes[end + 1..]);
    }
    let read = bounded(bytes.len(), 200, || line(bytes, 2, what));
    let whole = parse(bytes, "");
    assert_eq!(read.is_ok(), whole.is_ok(), "{read:?} of {whole:?}");
    let Ok(Line::Record { taken, carried }) = read else { return };
    for entry in &carried {
        // Key and value as they were written are a document of their own, with the same value.
        let alone = [b"{", entry.key_text, b":", entry.value_text, b"}"].concat();
        let alone = parse(&alone, "").expect("what was read is read again");
        let pointer = format!("/{}", nnlayer::format::escape(&entry.key));
        let (here, there) = (alone.find(&pointer), whole.as_ref().map(|whole| whole.find(&pointer)));
        assert!(here.is_ok() && there.is_ok_and(|there| there.is_ok()), "{}", entry.key);
    }
    assert!(taken.len() == 2);
});
