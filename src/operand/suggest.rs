//! The error of a file that does not exist, with the most similar name that does.

use crate::core::error::{Code, Error, edit_distance};
use std::path::Path;

pub(super) fn missing_file(path: &str) -> Error {
    let error = Error::new(Code::FileMissing, "no such file").with_origin(path);
    if path.contains('#') {
        return error.tip("after @, a # belongs to the name of the file; select an array with #/, as in @FILE#/KEY");
    }
    let typed = Path::new(path);
    let folder = typed.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return error.tip(format!("the directory {} does not exist", folder.unwrap_or(typed).display()));
    }
    let Some(name) = typed.file_name().and_then(|name| name.to_str()) else { return error };
    match suggest_name(folder.unwrap_or(Path::new(".")), name) {
        Some(similar) => error.tip(format!("did you mean {}?", typed.with_file_name(similar).display())),
        None => error.tip("write numbers as 1,2;3,4; paths are relative to the current directory"),
    }
}

/// Returns the most similar file name; of two at the same distance the first in order, to be independent of the file system.
fn suggest_name(folder: &Path, name: &str) -> Option<String> {
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|existing| Some((edit_distance(&existing, name)?, existing)))
        .filter(|(distance, _)| *distance < name.len())
        .min()
        .map(|(_, existing)| existing)
}
