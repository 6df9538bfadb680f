//! Output files, written completely or not at all.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::signals::{self, SignalGuard};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a temporary file in the same folder and renames it, so that an error leaves the old file unchanged.
///
/// Errors name `option`, unless `content` fails with an [`Error`] of its own.
pub fn write_file(
    option: &Name,
    path: &str,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    let write_error = |error: io::Error| {
        let error = match error.downcast::<Error>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        // tempfile appends the temporary path, which is of no use to the reader.
        let error = error.to_string();
        let reason = error.split(" at path ").next().unwrap_or_default();
        Error::new(Code::WriteFailed, format!("cannot be written: {reason}"))
            .with_operand(option)
            .with_origin(path)
            .tip("check the free space and the permissions of the directory; an existing file is unchanged")
    };
    // A symbolic link stays, and the file it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    match fs::metadata(&target) {
        Ok(meta) if meta.is_dir() => {
            let error = Error::new(Code::WriteFailed, "is a directory").with_operand(option).with_origin(path);
            Err(error.tip("name a file in the directory"))
        }
        // A device or pipe cannot be replaced, and has no content to lose.
        Ok(meta) if !meta.is_file() => {
            let file = fs::OpenOptions::new().write(true).open(&target);
            file.and_then(|file| write_buffered(file, content)).map_err(write_error)
        }
        Ok(meta) => replace(&target, Some(meta.permissions()), content).map_err(write_error),
        Err(_) => replace(&target, None, content).map_err(write_error),
    }
}

/// Replaces a file. A signal ends this process only when the temporary file has been renamed or removed.
fn replace(
    target: &Path,
    permissions: Option<fs::Permissions>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let guard = SignalGuard::new();
    let replaced = write_and_rename(target, permissions, content);
    drop(guard);
    if let Some(signal) = signals::received() {
        signals::terminate_by(signal);
    }
    replaced
}

fn write_and_rename(
    target: &Path,
    permissions: Option<fs::Permissions>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nnlayer-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    write_buffered(InterruptibleFile(temporary.as_file()), content)?;
    if let Some(permissions) = permissions {
        temporary.as_file().set_permissions(permissions)?;
        // The old file is replaced only after the new one is on the disk.
        temporary.as_file().sync_all()?;
    }
    temporary.persist(target).map_err(|error| error.error)?;
    Ok(())
}

/// A file whose writes fail after Ctrl-C.
struct InterruptibleFile<'a>(&'a fs::File);

impl Write for InterruptibleFile<'_> {
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

fn write_buffered(file: impl Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()
}
