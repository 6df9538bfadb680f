//! Options of commands that take a stream of records.

use super::args::{flag, flag_of, option, text_of};
use super::negative::file_name;
use crate::run::request::RecordOptions;
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

/// Parses the options of a record stream.
pub(super) fn parse(matches: &ArgMatches) -> Option<RecordOptions> {
    let file = text_of(matches, "ndjson")?;
    Some(RecordOptions {
        file: file.to_owned(),
        keep_going: flag_of(matches, "keep-going"),
        unbuffered: flag_of(matches, "unbuffered"),
    })
}
