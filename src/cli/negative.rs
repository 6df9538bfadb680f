//! Values that begin with a minus, such as `-1,2`, which the argument parser would read as options.

use clap::Arg;
use std::convert::Infallible;
use std::ffi::OsString;

/// Inserts a blank before `-1,2`, `-.5`, `-inf` and `-#key`, up to `--`. The grammar of operands ignores it, and it keeps the
/// argument parser from reading the value as an option.
pub(super) fn guard(args: Vec<OsString>) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let guard = |(n, arg): (usize, OsString)| match arg.to_str() {
        Some(text) if n < end && is_negative(text) => OsString::from(format!(" {text}")),
        _ => arg,
    };
    args.into_iter().enumerate().map(guard).collect()
}

/// Returns an argument whose value is the name of a file as it was given, without the blank of [`guard`].
pub(super) fn file_name(arg: Arg) -> Arg {
    arg.value_parser(|text: &str| Ok::<_, Infallible>(as_given(text).to_owned()))
}

/// Returns the value of an argument as it was given, without the blank of [`guard`].
pub(super) fn as_given(text: &str) -> &str {
    text.strip_prefix(' ').filter(|given| is_negative(given)).unwrap_or(text)
}

fn is_negative(text: &str) -> bool {
    let first = text.split(|c: char| ",;".contains(c) || c.is_whitespace()).next().unwrap_or_default();
    text.starts_with("-#") || (first.starts_with('-') && first.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_are_guarded_and_options_are_not() {
        for text in ["-1,2", "-.5", "-1e-3", "-inf", "-1;2", "-1 2", "-#x", "-#/x"] {
            assert!(is_negative(text), "{text}");
        }
        for text in ["-", "--x", "-h", "1,-2", "-infer", "--1"] {
            assert!(!is_negative(text), "{text}");
        }
    }

    #[test]
    fn arguments_after_two_dashes_are_unchanged() {
        let args = ["nnlayer", "-1", "--", "-1"].map(OsString::from).to_vec();
        assert_eq!(guard(args), ["nnlayer", " -1", "--", "-1"]);
    }
}
