//! A large array read a block of rows at a time.

use super::read_header;
use crate::core::error::{Error, Place};
use crate::format::elements::Layout;
use crate::format::unreadable;
use ndarray::ArrayD;
use std::fs::File;
use std::io::{Seek, SeekFrom};

/// The rows of an array that follow, read when they are asked for.
pub struct Rows {
    path: String,
    file: File,
    layout: Layout,
    /// Where the numbers begin.
    begin: u64,
    read: usize,
}

impl Rows {
    /// The rows of a matrix, or the numbers of a vector, of an open file of `len` bytes; nothing where they don't lie in their
    /// order.
    pub fn open(path: String, mut file: File, len: u64) -> Result<Option<Rows>, Error> {
        let header =
            read_header(&mut file, len).and_then(|(layout, begin)| layout.admit(len - begin).map(|()| (layout, begin)));
        let (layout, begin) = header.map_err(|error| error.with_origin(&path))?;
        let rowed = !layout.fortran && !layout.shape.is_empty();
        Ok(rowed.then_some(Rows { path, file, layout, begin, read: 0 }))
    }

    /// The shape of the whole array.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The rounding of the type that the file holds.
    pub fn rounding(&self) -> f64 {
        self.layout.element.rounding()
    }

    /// Goes back to the first row.
    pub fn rewind(&mut self) -> Result<(), Error> {
        self.read = 0;
        self.file.seek(SeekFrom::Start(self.begin)).map_err(|error| unreadable(&self.path, &error))?;
        Ok(())
    }

    /// So many rows more, or those that are left.
    pub fn next(&mut self, rows: usize) -> Result<ArrayD<f64>, Error> {
        let mut block = self.layout.clone();
        block.shape[0] = rows.min(self.layout.shape[0] - self.read);
        let before = self.read;
        self.read += block.shape[0];
        block.read(&mut self.file, true).map_err(|error| later(error, before).with_origin(&self.path))
    }
}

/// An error of a block of rows, as one of the batch that `before` rows of stand in front of it.
pub fn later(error: Error, before: usize) -> Error {
    error.update(|said| {
        let Some(Place::Index(at)) = &mut said.at else { return };
        let Some(row) = at.first_mut() else { return };
        let (here, there) = (format!("row {row}"), format!("row {}", *row + before));
        // The first row that a message names is the one at the index.
        if let Some((front, back)) = said.message.split_once(&here)
            && !back.starts_with(|next: char| next.is_ascii_digit())
        {
            said.message = format!("{front}{there}{back}");
        }
        *row += before;
    })
}
