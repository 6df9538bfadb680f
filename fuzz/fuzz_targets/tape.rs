//! Tapes and networks: a document that is read, written, read and written again has the same bytes both times.
#![no_main]

use nnlayer::network::{Tape, document};
use nnlayer_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(tape) = bounded(bytes.len(), 300, || document::read(bytes, "input", None)) {
        let once = to_bytes(&tape);
        let again = document::read(&once, "output", None).expect("a written tape is valid");
        assert_eq!(once, to_bytes(&again));
    }
});

fn to_bytes(tape: &Tape) -> Vec<u8> {
    let mut bytes = Vec::new();
    document::write(tape, &mut bytes).expect("writing to memory cannot fail");
    bytes
}
