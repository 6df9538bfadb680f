//! IDX files: reading them takes memory within a multiple of their size.
#![no_main]

use nnlayer::format::idx::Idx;
use nnlayer_fuzz::read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read(&Idx, bytes, 40);
});
