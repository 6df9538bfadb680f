//! Where a report goes: standard output, or a file that is whole or not there at all.

use crate::core::error::{Code, Error};
use crate::core::signals;
use crate::core::signals::SignalGuard;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its final name and renames it at the end: a failure leaves the old file as it was.
pub fn file(path: &str, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let failed = |error: io::Error| {
        // The temporary file's random name helps nobody.
        let why = error.to_string();
        Error::new(
            Code::WriteFailed,
            format!("cannot be written: {}", why.split(" at path ").next().unwrap_or_default()),
        )
        .with_origin(path)
        .tip("the file is as it was; is there room, and may you write in its folder?")
    };
    // A link stays a link: what it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    match fs::metadata(&target) {
        Ok(meta) if meta.is_dir() => {
            Err(Error::new(Code::WriteFailed, "is a directory").with_origin(path).tip("name a file in it"))
        }
        // A device or pipe has no content to lose, and nothing can take its place.
        Ok(meta) if !meta.is_file() => {
            fs::OpenOptions::new().write(true).open(&target).and_then(|file| fill(file, content)).map_err(failed)
        }
        Ok(meta) => replace(&target, Some(meta.permissions()), content).map_err(failed),
        Err(_) => replace(&target, None, content).map_err(failed),
    }
}

fn replace(
    target: &Path,
    keep: Option<fs::Permissions>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nnlayer-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    let busy = SignalGuard::new();
    let filled = fill(Watched(temporary.as_file()), content);
    drop(busy);
    if let Some(signal) = signals::received() {
        drop(temporary);
        signals::terminate_by(signal);
        return Err(io::ErrorKind::Interrupted.into());
    }
    filled?;
    if let Some(permissions) = keep {
        temporary.as_file().set_permissions(permissions)?;
        // The old file goes only when the new one is on the disk; where there is none, there is nothing to wait for.
        temporary.as_file().sync_all()?;
    }
    temporary.persist(target).map_err(|error| error.error)?;
    Ok(())
}

/// A file that takes nothing more once Ctrl-C was pressed.
struct Watched<'a>(&'a fs::File);

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match signals::received() {
            None => self.0.write(bytes),
            Some(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn fill(file: impl Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()
}
