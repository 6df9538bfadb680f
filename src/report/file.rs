//! Output files, written completely or not at all.

use super::temporary::Temporary;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::streams::Waiting;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes a temporary file in the same folder and renames it, so that an error leaves the old file unchanged.
///
/// Errors name `option`, unless `content` fails with an [`Error`] of its own, or the reader of a pipe has gone: that error is an
/// [`io::Error`], as it is for standard output.
pub fn write_file(
    option: &Name,
    path: &str,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let refuse = |refusal: Refusal| {
        Error::new(Code::WriteFailed, refusal.message).with_operand(option).with_origin(path).tip(refusal.tip)
    };
    let written = match find_target(Path::new(path)).map_err(refuse)? {
        Target::Stream(stream) => write_buffered(Waiting(stream), content),
        Target::File { path, old } => write_and_replace(&path, old, content),
    };
    written.map_err(|error| match error.downcast::<Error>() {
        Ok(error) => error.into(),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => error.into(),
        Err(error) => refuse(Refusal::from(error)).into(),
    })
}

/// Why a file is not written.
struct Refusal {
    message: String,
    tip: &'static str,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        let tip = match error.kind() {
            ErrorKind::NotFound => "create the directory first",
            ErrorKind::NotADirectory => "name a file in a directory; a part of the path is a file",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "check the permissions of the directory; an existing file is unchanged"
            }
            _ => "check the free space and the permissions of the directory; an existing file is unchanged",
        };
        // tempfile appends the temporary path, which is of no use to the reader.
        let error = error.to_string();
        let reason = error.split(" at path ").next().unwrap_or_default();
        Refusal { message: format!("cannot be written: {reason}"), tip }
    }
}

/// The destination of output.
enum Target {
    /// A device, a pipe, or a standard stream. It cannot be replaced.
    Stream(File),
    /// A file, which may exist.
    File { path: PathBuf, old: Option<Metadata> },
}

/// Looks at what a path names. A symbolic link stays, and the file that it points to is replaced.
fn find_target(path: &Path) -> Result<Target, Refusal> {
    let refuse = |message: &str, tip| Err(Refusal { message: message.to_owned(), tip });
    let old = match fs::metadata(path) {
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound && is_link(path) => {
            let tip = "create the file that the link points to, or remove the link";
            return refuse("is a symbolic link to a file that does not exist", tip);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Target::File { path: path.to_owned(), old: None });
        }
        // A link to itself, as a rule.
        Err(error) if error.kind() != ErrorKind::PermissionDenied && is_link(path) => {
            return refuse(
                &format!("cannot be written: {error}"),
                "remove the symbolic link, which does not lead to a file",
            );
        }
        Err(error) => return Err(error.into()),
    };
    if old.is_dir() {
        return refuse("is a directory", "name a file in the directory");
    }
    if let Some(stream) = standard_stream(&old) {
        return Ok(Target::Stream(stream?));
    }
    if old.permissions().readonly() {
        return refuse("is read-only", "make the file writable, or name another one");
    }
    // Fails if this user may not write to the file, though the folder would let it be replaced.
    let stream = fs::OpenOptions::new().write(true).open(path)?;
    if old.is_file() {
        Ok(Target::File { path: fs::canonicalize(path)?, old: Some(old) })
    } else {
        Ok(Target::Stream(stream))
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

/// Returns standard output or standard error if a file is open as that stream, as one that a link to `/dev/stdout` names: others
/// write to it too, before and after this process, so it is not replaced.
fn standard_stream(file: &Metadata) -> Option<io::Result<File>> {
    #[cfg(unix)]
    {
        use std::os::fd::{AsFd, BorrowedFd};
        use std::os::unix::fs::MetadataExt;
        let is_open_as = |stream: BorrowedFd<'_>| {
            rustix::fs::fstat(stream).is_ok_and(|open| (open.st_dev, open.st_ino) == (file.dev() as _, file.ino() as _))
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stream = [stdout.as_fd(), stderr.as_fd()].into_iter().find(|stream| is_open_as(*stream))?;
        Some(stream.try_clone_to_owned().map(File::from))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

fn write_and_replace(
    path: &Path,
    old: Option<Metadata>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = Temporary::create(path, old)?;
    write_buffered(temporary.file(), content)?;
    temporary.replace(path)
}

fn write_buffered(file: impl Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()
}
