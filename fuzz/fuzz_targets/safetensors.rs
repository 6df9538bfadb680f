//! `.safetensors` files, which nnlayer reads and does not write.
#![no_main]

use nnlayer::format::safetensors::Safetensors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    nnlayer_fuzz::read(&Safetensors, bytes, 200);
});
