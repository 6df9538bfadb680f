//! Tips that name a file of the user's, or a command that reads one.

use std::borrow::Cow;

/// Returns the tip to read a source as the format `.other`. Its name in messages is `label`; the extension `.own` made it another
/// format, unless it has none.
pub(super) fn read_as(label: &str, own: &str, other: &str) -> String {
    let (stem, compression) = split_compression(label);
    match strip_extension(stem, own) {
        Some(stem) => format!("rename the file to {stem}{other}{compression}"),
        None => format!("use --in-format {}", &other[1..]),
    }
}

/// Returns the name of a file without an extension in it, but with that of a compressed file; `None` if it has another extension.
pub fn without_extension(label: &str, extension: &str) -> Option<String> {
    let (stem, compression) = split_compression(label);
    strip_extension(stem, extension).map(|stem| format!("{stem}{compression}"))
}

/// Returns the tip to convert a source by a command that reads standard input, into a file of the format `.other`.
pub fn convert(label: &str, command: &str, own: &str, other: &str) -> String {
    if is_stream(label) {
        return format!("pipe it through `{command}`");
    }
    let converted = converted_name(label, own, other);
    let (file, converted) = (quote(label), quote(&converted));
    match split_compression(label).1 {
        "" => format!("convert it: `{command} < {file} > {converted}`"),
        _ => format!("convert it: `gzip -dc < {file} | {command} > {converted}`"),
    }
}

/// Returns the tip to decompress a source by a command that reads standard input.
pub(super) fn decompress(label: &str, command: &str) -> String {
    match label.rsplit_once('.') {
        Some((stem, _)) if !is_stream(label) => {
            format!("decompress it: `{command} < {} > {}`", quote(label), quote(stem))
        }
        _ => format!("pipe it through `{command}`"),
    }
}

/// Returns the name of the file that a source is converted to.
pub(super) fn converted_name(label: &str, own: &str, other: &str) -> String {
    let (stem, _) = split_compression(label);
    if is_stream(label) {
        return format!("converted{other}");
    }
    // A file of another kind has an extension of its own.
    let other_extension =
        || stem.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty() && !stem.ends_with('/'));
    let own_extension = strip_extension(stem, own).filter(|_| !own.is_empty());
    format!("{}-converted{other}", own_extension.or_else(other_extension).unwrap_or(stem))
}

/// Returns true for standard input and other files that have no content to come back to.
fn is_stream(label: &str) -> bool {
    label == "standard input" || label.starts_with("/dev/")
}

/// Returns true if a name has an extension, before that of a compressed file.
pub(super) fn has_extension(label: &str, extension: &str) -> bool {
    strip_extension(split_compression(label).0, extension).is_some()
}

/// Splits `.gz` from the end of a name.
fn split_compression(label: &str) -> (&str, &str) {
    match strip_extension(label, ".gz") {
        Some(stem) => label.split_at(stem.len()),
        None => (label, ""),
    }
}

/// Removes an extension in any case.
fn strip_extension<'a>(name: &'a str, extension: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(extension.len())?)?;
    end.eq_ignore_ascii_case(extension).then_some(stem)
}

/// Returns a text as one word of a shell.
pub(super) fn quote(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=:@".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('-') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}
