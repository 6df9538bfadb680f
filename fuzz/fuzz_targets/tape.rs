//! Tapes and networks: a document that is read, written, read and written again has the same bytes both times.
#![no_main]

use nnlayer::core::error::Error;
use nnlayer::format::json;
use nnlayer::network::{Tape, document};
use nnlayer_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(tape) = bounded(bytes.len(), 300, || read(bytes)) {
        let once = to_bytes(&tape);
        let again = read(&once).expect("a written tape is valid");
        assert_eq!(once, to_bytes(&again));
    }
});

fn read(bytes: &[u8]) -> Result<Tape, Error> {
    document::from_json(&json::parse(bytes, "input")?, None)
}

fn to_bytes(tape: &Tape) -> Vec<u8> {
    let mut bytes = Vec::new();
    document::write(tape, &mut bytes).expect("writing to memory cannot fail");
    bytes
}
