//! A line of NDJSON: it is read where all of it is JSON, and what is carried through is what stood there.
#![no_main]

use nnlayer::format::json::parse;
use nnlayer::format::json::record::{Line, Use, line};
use nnlayer_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let what = |key: &str| match key {
        "x" => Use { take: Some(0), carry: false },
        "t" => Use { take: Some(1), carry: true },
        _ => Use { take: None, carry: true },
    };
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
