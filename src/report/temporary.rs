//! Temporary files beside the files that they replace.

use crate::core::signals::{Undo, Undoable};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

/// A file that is written beside another and then replaces it. It is removed if it does not, also when a signal ends this process.
pub(super) struct Temporary {
    file: NamedTempFile,
    /// The file that is replaced, if it exists.
    old: Option<Metadata>,
    undoable: Undoable,
}

impl Temporary {
    /// Creates a file in the folder of a path, and removes those that killed processes left there.
    pub(super) fn create(path: &Path, old: Option<Metadata>) -> io::Result<Temporary> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        #[cfg(unix)]
        stale::remove(folder);
        // WebAssembly has no processes, and the standard library panics if it is asked for the id of one.
        let process = if cfg!(target_family = "wasm") { 0 } else { std::process::id() };
        let prefix = format!("{PREFIX}{process}-");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).rand_bytes(RANDOM_CHARS);
        #[cfg(unix)]
        if old.is_none() {
            // The mode of a new file; one that replaces another is nobody else's to read before it has the mode of the other.
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        let (file, undoable) = Undoable::begin(|| {
            let file = builder.tempfile_in(folder)?;
            let path = file.path().to_owned();
            let undo: Undo = Box::new(move || {
                let _ = fs::remove_file(&path);
            });
            Ok((file, undo))
        })?;
        // The lock tells other processes that this one lives, even where they cannot see it. Where there are no locks, the process
        // id in the name does.
        let _ = file.as_file().try_lock();
        Ok(Temporary { file, old, undoable })
    }

    pub(super) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Renames the file, which is complete.
    pub(super) fn replace(self, path: &Path) -> io::Result<()> {
        let Temporary { file, old, undoable } = self;
        if let Some(old) = old {
            file.as_file().set_permissions(kept_permissions(path, &old, &file.as_file().metadata()?))?;
            // The old file is replaced only after the new one is on the disk.
            file.as_file().sync_all()?;
        }
        undoable.complete(|| file.persist(path)).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Start of the name of a temporary file, before the process id.
const PREFIX: &str = ".nnlayer-";
/// Length of the end of the name, after the process id.
const RANDOM_CHARS: usize = 6;

/// Returns the permissions of a file that replaces another: those of the old one without its set-user-ID, set-group-ID and sticky
/// bits. Where the group of the new file is another, or an access control list of the old file said more, group and others
/// get only what both had.
#[cfg(unix)]
fn kept_permissions(path: &Path, old: &Metadata, new: &Metadata) -> fs::Permissions {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mode = old.mode() & 0o777;
    let both = (mode >> 3) & mode & 0o007;
    let has_same_readers = old.gid() == new.gid() && !has_access_control_list(path);
    let kept = if has_same_readers { mode } else { mode & 0o700 | both << 3 | both };
    fs::Permissions::from_mode(kept)
}

#[cfg(not(unix))]
fn kept_permissions(_path: &Path, old: &Metadata, _new: &Metadata) -> fs::Permissions {
    old.permissions()
}

/// Returns true if the permissions of a file's group are those of an access control list.
#[cfg(target_os = "linux")]
fn has_access_control_list(path: &Path) -> bool {
    let mut no_bytes: [u8; 0] = [];
    rustix::fs::getxattr(path, c"system.posix_acl_access", &mut no_bytes).is_ok()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn has_access_control_list(_path: &Path) -> bool {
    false
}

/// Temporary files of processes that were killed.
#[cfg(unix)]
mod stale {
    use super::{PREFIX, RANDOM_CHARS};
    use rustix::fs::OFlags;
    use rustix::io::Errno;
    use rustix::process::{Pid, geteuid, test_kill_process};
    use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;
    use std::time::Duration;

    /// Number of entries of a folder that are looked at: a folder of many files is not searched for each file that is written.
    const MAX_ENTRIES: usize = 10_000;
    /// Age of a temporary file that is removed where the file system has no locks.
    const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

    /// Removes this user's temporary files that no process writes any more.
    pub(super) fn remove(folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.take(MAX_ENTRIES).flatten().filter(is_stale) {
            let _ = fs::remove_file(entry.path());
        }
    }

    fn is_stale(entry: &DirEntry) -> bool {
        let Some(process) = entry.file_name().to_str().and_then(process_of) else { return false };
        let has_ended = test_kill_process(process) == Err(Errno::SRCH);
        let is_own = |file: &File| file.metadata().is_ok_and(|meta| meta.is_file() && meta.uid() == geteuid().as_raw());
        has_ended && open(&entry.path()).is_some_and(|file| is_own(&file) && is_unlocked(&file))
    }

    /// Returns the process whose id the name of a temporary file has.
    fn process_of(name: &str) -> Option<Pid> {
        let (id, random) = name.strip_prefix(PREFIX)?.split_once('-')?;
        let is_random = random.len() == RANDOM_CHARS && random.chars().all(|c| c.is_ascii_alphanumeric());
        id.parse().ok().filter(|_| is_random).and_then(Pid::from_raw)
    }

    /// Opens a file for reading. Neither a symbolic link nor a pipe is followed or waited for.
    fn open(path: &Path) -> Option<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).ok()
    }

    /// Returns true if no process has locked a file. Where that cannot be known, its age decides.
    fn is_unlocked(file: &File) -> bool {
        let age = || file.metadata().ok()?.modified().ok()?.elapsed().ok();
        match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => age().is_some_and(|age| age > MIN_AGE),
        }
    }
}
