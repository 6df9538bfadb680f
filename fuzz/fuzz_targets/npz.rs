//! `.npz` files: deflate expands a byte to at most 1032 bytes, and each of these may be an integer that becomes a double.
#![no_main]

use nnlayer::format::npz::Npz;
use nnlayer_fuzz::{read, read_back};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = read(&Npz, bytes, 1032 * 8 + 200) {
        read_back(&Npz, &value);
    }
});
