//! NDJSON: one JSON object a line.

pub(crate) mod line_chunks;
