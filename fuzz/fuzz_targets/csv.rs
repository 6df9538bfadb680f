//! `.csv` files: every array that is read survives a round trip, bit for bit.
#![no_main]

use nnlayer::format::csv::CSV;
use nnlayer_fuzz::{read, read_back};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = read(&CSV, bytes, 100) {
        read_back(&CSV, &value);
    }
});
