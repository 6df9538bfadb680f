//! Options as the argument parser declares them, and their values.

use super::negative::as_given;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::operand::grammar;
use crate::operand::grammar::OperandSpec;
use crate::run::request::{DoutOption, OperandSpecs};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Returns the option `--name VALUE`.
pub(super) fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// Returns an option that takes one of these words, which the help names.
pub(super) fn choice(
    name: &'static str,
    value: &'static str,
    words: &'static [&'static str],
    help: &'static str,
) -> Arg {
    option(name, value, help).value_parser(PossibleValuesParser::new(words)).hide_possible_values(true)
}

/// Returns an option without a value.
pub(super) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Returns a help text whose indented lines, which are examples, are not wrapped: their spaces become no-break spaces, which
/// [`restore_spaces`] turns back.
pub(super) fn keep_indented_lines(text: &str) -> String {
    let line = |line: &str| if line.starts_with("  ") { line.replace(' ', "\u{a0}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Replaces the no-break spaces of a rendered help text.
pub(super) fn restore_spaces(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

/// Adds options under a heading.
pub(super) fn under(heading: &'static str, options: impl IntoIterator<Item = Arg>, command: Command) -> Command {
    command.args(options.into_iter().map(|option| option.help_heading(heading)))
}

/// Returns true if a flag is given; false if the command does not have it.
pub(super) fn flag_of(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
}

/// Returns the value of an option, if the command has it and it is given.
pub(super) fn text_of<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(|text| as_given(text))
}

/// Parses the operands that are given.
pub(super) fn operands<'a>(
    matches: &ArgMatches,
    names: impl IntoIterator<Item = &'a Name>,
) -> Result<OperandSpecs, Error> {
    names.into_iter().filter_map(|name| Some((name, text_of(matches, name.as_str())?))).map(parse_operand).collect()
}

/// Parses `--dout`.
pub(super) fn dout(matches: &ArgMatches) -> Result<DoutOption, Error> {
    Ok(match text_of(matches, "dout") {
        None => DoutOption::Default,
        Some("ones") => DoutOption::Ones,
        Some(text) => DoutOption::Operand(parse_operand((&Name::DOUT, text))?.1),
    })
}

fn parse_operand((name, text): (&Name, &str)) -> Result<(Name, OperandSpec), Error> {
    Ok((name.clone(), grammar::parse(text).map_err(|error| error.with_operand(name))?))
}
