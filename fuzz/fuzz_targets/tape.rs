//! Tapes and networks: what is read is written, and read and written again without a change.
#![no_main]

use nnlayer::network::{Tape, document};
use nnlayer_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(tape) = bounded(bytes.len(), 300, || document::read(bytes, "input", None)) {
        let once = written(&tape);
        let again = document::read(&once, "output", None).expect("what is written is read");
        assert_eq!(once, written(&again));
    }
});

fn written(tape: &Tape) -> Vec<u8> {
    let mut bytes = Vec::new();
    document::write(tape, &mut bytes).expect("memory is no disk");
    bytes
}
