//! Errors that several formats share.

use super::selector::Selector;
use crate::core::error::{Code, Error, join_names, sanitize};
use crate::core::name::{Name, edit_distance, find_key};
use std::io;

/// Returns the error of a file that exists but cannot be read.
pub fn read_error(label: &str, error: &io::Error) -> Error {
    unreadable(error).with_origin(label)
}

/// Returns the error of a read that failed while decoding: an operating system error, or content that ends too early.
pub(super) fn decode_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => unreadable(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => damaged("it ends where more bytes are expected"),
        None => damaged("its compressed data are invalid"),
    }
}

fn unreadable(error: &io::Error) -> Error {
    // A decompressor has its own errors.
    if let Some(damaged) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return damaged.clone();
    }
    let unreadable = Error::new(Code::FileUnreadable, format!("cannot be read: {error}"));
    match error.kind() {
        io::ErrorKind::NotConnected => unreadable.tip("leave out <&-, or give a file"),
        io::ErrorKind::NotADirectory => unreadable.tip("name a file in a directory; a part of the path is a file"),
        _ => unreadable,
    }
}

/// Returns the error of a file with invalid content.
pub(super) fn damaged(message: impl std::fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("is damaged: {message}"))
}

/// Returns the error of a file without the array `pointer`; `available` are the arrays it has.
pub fn missing_array(pointer: &str, available: &[String]) -> Error {
    let error = Error::new(Code::KeyMissing, format!("has no {}", sanitize(pointer)));
    let Some(first) = available.first() else {
        return error.fact("it is empty").tip("select a file or object that contains arrays");
    };
    let error = error.fact(format!("it has {}", join_names(available)));
    let typed = pointer.trim_start_matches('/');
    let distance = |key: &String| {
        edit_distance(key.trim_start_matches('/'), typed).filter(|edits| *edits <= 2 && *edits < typed.len())
    };
    match available.iter().take(1000).filter_map(|key| Some((distance(key)?, key))).min_by_key(|(edits, _)| *edits) {
        Some((_, key)) => error.tip(format!("did you mean FILE#{}?", sanitize(key))),
        None => error.tip(format!("select one of them: FILE#{}", sanitize(first))),
    }
}

/// Returns the name of an archive's array: the selected one, or the first of `names` that is available.
pub(super) fn choose_array(select: &Selector, names: &[Name], available: &[String]) -> Result<String, Error> {
    let choices = match select.name() {
        Some(name) => vec![name],
        None => names.iter().map(|name| name.as_str().to_owned()).collect(),
    };
    match choices.iter().find_map(|choice| find_key(available, choice)) {
        Some(at) => Ok(available[at].clone()),
        None => Err(missing_array(&choices.join(" or "), available)),
    }
}

/// Refuses a selector for a format without names.
pub(super) fn refuse_selector(select: &Selector, format: &str) -> Result<(), Error> {
    let Some(name) = select.name() else { return Ok(()) };
    let message = format!("has no {}: a {format} file holds one array without a name", sanitize(&name));
    Err(Error::new(Code::KeyMissing, message).tip("remove the # and the name after it"))
}

/// Refuses UTF-16, which some Windows programs write.
pub(crate) fn refuse_utf16(first: &[u8]) -> Result<(), Error> {
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Err(Error::new(Code::FormatUnknown, "is encoded in UTF-16; expected UTF-8").tip("save it as UTF-8"));
    }
    Ok(())
}
