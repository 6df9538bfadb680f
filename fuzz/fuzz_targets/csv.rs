//! Tables: every array that is read from `.csv`, `.tsv` and `.txt`, with and without a header, survives a round trip, bit for bit.
#![no_main]

use nnlayer::format::Format;
use nnlayer::format::csv::{CSV, TSV, TXT};
use nnlayer_fuzz::{read, read_back};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let tables: [&dyn Format; 3] = [&CSV, &TSV, &TXT];
    for table in tables.into_iter().flat_map(|table| [Some(table), table.with_header()]).flatten() {
        if let Some(value) = read(table, bytes, 100) {
            read_back(&CSV, &value);
        }
    }
});
