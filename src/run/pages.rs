//! Writes texts that describe the command line: shell completions and manual pages.

use super::session::Streams;
use super::status::Status;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::report::write_file;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Texts to write.
pub(crate) struct Arguments {
    /// File name and text of each page.
    pub(crate) pages: Vec<(String, Vec<u8>)>,
    /// Folder for the pages; they are written to standard output if there is none.
    pub(crate) folder: Option<String>,
}

/// Writes the pages.
pub(crate) fn run(Arguments { pages, folder }: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let option = Name::new("out");
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| {
            Error::new(Code::WriteFailed, format!("the directory cannot be created: {error}"))
                .with_operand(&option)
                .with_origin(folder)
                .tip("name a directory that can be written")
        })?;
    }
    for (name, page) in pages {
        match folder {
            Some(folder) => {
                let path = Path::new(folder).join(name);
                write_file(&option, &path.to_string_lossy(), |file| file.write_all(page))?;
            }
            None => streams.out.write_all(page)?,
        }
    }
    Ok(Status::Done)
}
