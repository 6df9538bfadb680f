//! The error of a file that does not exist, with the most similar name that does, and links that lead nowhere.

use crate::core::error::{Code, Error};
use crate::core::name::edit_distance;
use std::path::Path;

pub(super) fn missing_file(path: &str) -> Error {
    let error = Error::new(Code::FileMissing, "no such file").with_origin(path);
    if path.contains('#') {
        return error.tip("after @, a # belongs to the name of the file; select an array with #/, as in @FILE#/KEY");
    }
    if let Some(tip) = index_tip(path) {
        return error.tip(tip);
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

pub(super) fn is_broken_link(path: &str) -> bool {
    Path::new(path).is_symlink() && !Path::new(path).exists()
}

/// Returns the tip for an index after the name of a file, as in `x.npy[3]`.
fn index_tip(path: &str) -> Option<String> {
    let (file, index) = path.strip_suffix(']')?.split_once('[')?;
    if !Path::new(file).is_file() {
        return None;
    }
    let is_index = !index.is_empty() && index.chars().all(|c| c.is_ascii_digit() || "-:, .".contains(c));
    let load = match Path::new(file).extension().and_then(|extension| extension.to_str())? {
        _ if !is_index => return None,
        "npy" => "numpy.load(sys.argv[1])",
        "csv" => "numpy.loadtxt(sys.argv[1], delimiter=',')",
        "txt" | "tsv" => "numpy.loadtxt(sys.argv[1])",
        "json" => "numpy.array(json.load(open(sys.argv[1])))",
        _ => return Some("select a part of an array in Python, and save it with numpy.save".to_owned()),
    };
    let program = format!("import json, sys, numpy; numpy.save('part.npy', {load}[{index}])");
    Some(format!("select a part of an array with NumPy: `python3 -c \"{program}\" {file}`, and use part.npy"))
}

/// Returns the most similar file name; of two at the same distance the first in order, to be independent of the file system.
fn suggest_name(folder: &Path, name: &str) -> Option<String> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).filter(|entry| entry.path().is_file());
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|existing| Some((edit_distance(&existing, name)?, existing)))
        .filter(|(distance, _)| *distance < name.len())
        .min()
        .map(|(_, existing)| existing)
}
