//! Parses the values of options that are numbers or lists.

use super::args::text_of;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use clap::ArgMatches;

/// Parses the value of an option; `expected` describes a valid value, as in "a non-negative number".
pub(super) fn parse<T>(
    matches: &ArgMatches,
    option: &'static str,
    expected: &str,
    tip: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(text) = text_of(matches, option).map(str::trim) else { return Ok(None) };
    let refuse = || {
        Error::new(Code::Setting, format!("expected {expected}, got {text:?}"))
            .with_operand(&Name::new(option))
            .tip(tip)
    };
    parse(text).map(Some).ok_or_else(refuse)
}

/// Parses an integer from `least` to 2⁵³ − 1, which JSON can hold exactly.
pub(super) fn count(matches: &ArgMatches, option: &'static str, least: u64, default: u64) -> Result<u64, Error> {
    let expected = format!("an integer from {least} to 2⁵³ − 1");
    let tip = format!("use a value such as --{option} {}", default.max(1));
    let number = |text: &str| text.parse().ok().filter(|n| (least..1 << 53).contains(n));
    Ok(parse(matches, option, &expected, &tip, number)?.unwrap_or(default))
}
