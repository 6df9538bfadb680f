//! Out-of-core reading: the rows of a large `.npy` file in chunks.

use super::header::read_header;
use crate::core::error::{Error, Place};
use crate::format::elements::ArrayLayout;
use crate::format::errors::read_error;
use crate::numeric::FloatType;
use ndarray::ArrayD;
use std::fs::File;
use std::io::{Seek, SeekFrom};

/// A reader of an array's rows in chunks.
pub struct RowReader {
    path: String,
    file: File,
    layout: ArrayLayout,
    /// Offset of the first element in bytes.
    begin: u64,
    /// Number of rows read so far.
    read: usize,
    /// Warning of the first integer that a double cannot represent, until it is taken.
    rounded: Option<Error>,
}

impl RowReader {
    /// Opens a file of `len` bytes that holds a matrix, or a vector as rows of one number; `None` for a scalar and for Fortran
    /// order, whose rows are not contiguous.
    pub fn open(path: String, mut file: File, len: u64) -> Result<Option<RowReader>, Error> {
        let header = read_header(&mut file, len)
            .and_then(|(layout, begin)| layout.check_size(len - begin).map(|()| (layout, begin)));
        let (layout, begin) = header.map_err(|error| error.with_origin(&path))?;
        let has_rows = !layout.is_fortran && !layout.shape.is_empty();
        Ok(has_rows.then_some(RowReader { path, file, layout, begin, read: 0, rounded: None }))
    }

    /// Returns the shape of the array.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// Returns the type in the file.
    pub fn element(&self) -> FloatType {
        self.layout.element.float_type()
    }

    /// Seeks back to the first row.
    pub fn rewind(&mut self) -> Result<(), Error> {
        self.read = 0;
        self.file.seek(SeekFrom::Start(self.begin)).map_err(|error| read_error(&self.path, &error))?;
        Ok(())
    }

    /// Reads the next `rows` rows, or as many as are left.
    pub fn read_rows(&mut self, rows: usize) -> Result<ArrayD<f64>, Error> {
        let mut chunk = self.layout.clone();
        chunk.shape[0] = rows.min(self.layout.shape[0] - self.read);
        let before = self.read;
        self.read += chunk.shape[0];
        let place = |error: Error| shift_rows(error, before).with_origin(&self.path);
        let rows = chunk.read(&mut self.file, true).map_err(place)?;
        self.rounded = self.rounded.take().or(rows.rounded.map(place));
        Ok(rows.value)
    }

    /// Takes the warning of the first integer that a double cannot represent, of the rows that have been read.
    pub fn take_rounded(&mut self) -> Option<Error> {
        self.rounded.take()
    }
}

/// Changes the row in an error of a chunk to the row of the array, of which `before` rows precede the chunk.
pub fn shift_rows(error: Error, before: usize) -> Error {
    error.update(|details| {
        let Some(Place::Index(at)) = &mut details.at else { return };
        let Some(row) = at.first_mut() else { return };
        // The first row in a message is the one at the index; "row 1" must not match in "row 12". Rows of more axes are
        // "row [1,2]" or "slice [1,:,2]".
        for prefix in ["row ", "row [", "slice ["] {
            if let Some((front, back)) = details.message.split_once(&format!("{prefix}{row}"))
                && !back.starts_with(|next: char| next.is_ascii_digit())
            {
                details.message = format!("{front}{prefix}{}{back}", *row + before);
                break;
            }
        }
        *row += before;
    })
}
