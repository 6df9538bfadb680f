//! `.npz`: deflate makes at most 1032 bytes of one, and each of them may be a number of one byte, a double in memory.
#![no_main]

use nnlayer::format::npz::Npz;
use nnlayer_fuzz::{read, read_back};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = read(&Npz, bytes, 1032 * 8 + 200) {
        read_back(&Npz, &value);
    }
});
