//! The interface of a file format.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::selector::Selector;
use super::source::Source;
use crate::core::error::Error;
use crate::core::name::Name;
use std::io;

/// A file format that holds one or several arrays. The caller adds the file's name to an error.
pub trait Format: Sync {
    /// Returns the file extension with its point, which is also the name in messages: `.npy`.
    fn name(&self) -> &'static str;
    /// Returns true if a file of the format may begin with these bytes.
    fn recognizes(&self, _first: &[u8]) -> bool {
        false
    }
    /// Returns true if a file holds several arrays, each with a name.
    fn has_names(&self) -> bool {
        false
    }
    /// Returns the format of tables whose first row has the names of the columns; `None` for a format without such tables.
    fn with_header(&self) -> Option<&'static dyn Format> {
        None
    }
    /// Returns true if the format can be written.
    fn can_write(&self) -> bool {
        true
    }
    /// Reads the selected array, or without a selector the first that has one of `names`.
    fn read(&self, source: Source<'_>, select: &Selector, names: &[Name]) -> Result<LoadedArray, Error>;
    /// Reads the names of the arrays; empty for a format without names.
    fn read_names(&self, _source: Source<'_>) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    /// Reads every named array in one pass; empty for a format without names.
    fn read_all_arrays(&self, _source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        Ok(Vec::new())
    }
    /// Writes all arrays; a format without names writes them one after the other. Text formats ignore `dtype` and write
    /// all digits of the double.
    fn write(&self, arrays: &mut dyn ArrayStream, dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()>;
}
