//! The list of file formats.

use super::csv::{CSV, TSV, TXT};
use super::file_format::Format;
use super::idx::Idx;
use super::json::Json;
use super::npy::Npy;
use super::npz::Npz;
use super::safetensors::Safetensors;

/// Every format, in the order in which first bytes are tried.
pub const FORMATS: &[&dyn Format] = &[&Npy, &Npz, &Safetensors, &Idx, &Json, &CSV, &TSV, &TXT];

/// Returns the format with that extension, in any case.
pub fn find_by_extension(extension: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name()[1..].eq_ignore_ascii_case(extension))
}

/// Returns the format whose files may begin with these bytes.
pub fn find_by_first_bytes(first: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.recognizes(first))
}
