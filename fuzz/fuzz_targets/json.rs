//! JSON: the reader accepts the same documents as serde_json, and every array that is read survives a round trip.
#![no_main]

use nnlayer::core::error::Code;
use nnlayer::format::Source;
use nnlayer::format::json;
use nnlayer::format::json::{Json, locate, parse};
use nnlayer_fuzz::{bounded, read, read_back, same};
use serde::de::IgnoredAny;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parsed = bounded(bytes.len(), 200, || parse(bytes, "input"));
    match &parsed {
        // The bare words that Python writes are accepted too.
        Ok(_) if [&b"NaN"[..], b"Infinity"].iter().any(|word| bytes.windows(word.len()).any(|part| part == *word)) => {}
        Ok(_) => assert!(is_json(bytes), "accepted"),
        // Half of a surrogate pair is rejected, because it is not a character.
        Err(error) if error.code == Code::JsonSyntax => {
            assert!(!is_json(bytes) || bytes.windows(2).any(|part| part == b"\\u"), "rejected: {}", error.message);
        }
        Err(_) => {}
    }
    // Reading a stream must give the same result as reading the bytes.
    let streamed = bounded(bytes.len(), 200, || json::read::<f64>(Source::bytes("input", bytes)));
    assert_eq!(parsed.is_ok(), streamed.is_ok(), "{parsed:?} and {streamed:?}");
    if let (Ok(Ok(parsed)), Ok(Ok(streamed))) = (parsed.map(|node| node.array("")), streamed.map(|node| node.array(""))) {
        assert!(same(&parsed, &streamed), "{parsed} and {streamed}");
    }
    let _ = locate(bytes, "/0/x");
    if let Some(value) = read(&Json, bytes, 200) {
        read_back(&Json, &value);
    }
});

fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}
