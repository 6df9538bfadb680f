//! The error of a file that does not exist, with the nearest name that does.

use crate::core::error::{Code, Error, edit_distance};
use std::path::Path;

pub(super) fn missing(path: &str) -> Error {
    let error = Error::new(Code::FileMissing, "no such file").with_origin(path);
    let typed = Path::new(path);
    let folder = typed.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return error.tip(format!("the folder {} does not exist either", folder.unwrap_or(typed).display()));
    }
    let Some(name) = typed.file_name().and_then(|name| name.to_str()) else { return error };
    match nearest(folder.unwrap_or(Path::new(".")), name) {
        Some(near) => error.tip(format!("did you mean {}?", typed.with_file_name(near).display())),
        None => error.tip("numbers are written as 1,2;3,4; a path is taken from the current folder"),
    }
}

fn nearest(folder: &Path, name: &str) -> Option<String> {
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Of two equally near names the first in order, so that the tip is the same on every machine.
    names
        .filter_map(|there| Some((edit_distance(&there, name)?, there)))
        .filter(|(distance, _)| *distance < name.len())
        .min()
        .map(|(_, there)| there)
}
