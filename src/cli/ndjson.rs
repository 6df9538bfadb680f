//! Options of commands that take a stream of records.

use super::args::{flag, flag_of, option, text_of};
use super::negative::file_name;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::run::request::RecordOptions;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};

/// Returns the options of record streams.
pub(super) fn options() -> [Arg; 3] {
    [
        file_name(option("ndjson", "FILE", "read records, one JSON object a line, and write their results"))
            .long_help(
                "read records from FILE or standard input, one JSON object a line with operands as keys, and write one \
                 object of results a line, in order; other keys are copied first",
            )
            .num_args(0..=1)
            .default_missing_value("-"),
        flag("keep-going", "continue after a bad record")
            .long_help(
                "write {\"error\":{…},\"line\":N} for a bad record and continue; the exit status is 1 at the end",
            )
            .hide_short_help(true)
            .requires("ndjson"),
        flag("unbuffered", "write the results of each record at once")
            .long_help("write the results of each record before the next is read; the default on a terminal")
            .hide_short_help(true)
            .requires("ndjson"),
    ]
}

/// Options that do not apply to single records, and what to do instead.
const INCOMPATIBLE: &[(&str, &str)] = &[
    ("check", "check a single record without --ndjson"),
    ("expect", "compare a whole file of results with nnlayer compare"),
    ("tape", "a tape has one batch: give its rows with --x, without --ndjson"),
    ("name", "leave out --name: it names a layer of a tape"),
    ("graph", "draw a single record without --ndjson"),
    ("steps", "show a single record without --ndjson"),
    ("jacobian", "show a single record without --ndjson"),
    ("pretty", "leave out --pretty: the results of a record are one line"),
    ("out", "redirect standard output instead: > results.ndjson"),
    ("in-format", "leave out --in-format: records are JSON"),
    ("header", "leave out --header: records are JSON"),
];

/// Parses the options of a record stream, and refuses options that do not apply to records.
pub(super) fn parse(matches: &ArgMatches) -> Result<Option<RecordOptions>, Error> {
    let Some(file) = text_of(matches, "ndjson") else { return Ok(None) };
    let is_given = |option: &str| {
        matches.try_contains_id(option).unwrap_or_default()
            && matches.value_source(option) == Some(ValueSource::CommandLine)
    };
    if let Some((option, tip)) = INCOMPATIBLE.iter().find(|(option, _)| is_given(option)) {
        return Err(Error::new(Code::Usage, "cannot be used with --ndjson")
            .with_operand(&Name::new(*option))
            .tip(*tip));
    }
    Ok(Some(RecordOptions {
        file: file.to_owned(),
        keep_going: flag_of(matches, "keep-going"),
        unbuffered: flag_of(matches, "unbuffered"),
    }))
}
