//! `.npy` files: every array that is read survives a round trip, bit for bit.
#![no_main]

use nnlayer::format::npy::Npy;
use nnlayer_fuzz::{read, read_back};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = read(&Npy, bytes, 40) {
        read_back(&Npy, &value);
    }
});
