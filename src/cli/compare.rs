//! Command line of `nnlayer compare`.

use super::args::{flag, flag_of, keep_indented_lines, option, text_of};
use super::request::{digits, io_options, parse_digits};
use super::value;
use crate::core::error::Error;
use crate::run::compare::{Arguments, Tolerances};
use crate::run::{Command as Run, compare};
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
Two entries agree if |a − b| ≤ atol + rtol·|b|. The defaults are rtol 1e-10 and atol 1e-12, or 1e-5 and 1e-7 if a \
file stores single precision, or 1e-2 and 1e-4 if it stores half precision. --ulp alone replaces this rule by a \
distance in units in the last place; together with --rtol or --atol, either rule suffices. Units in the last place are \
those of the type that the files store, or of the less precise one, to which both are rounded first. NaN agrees with \
NaN. A name that only one file has counts as a difference.

The report has the smallest rtol (with an atol of 0) and the smallest atol (with an rtol of 0) that would pass, the \
cosine and the Pearson correlation, and for arrays of two or more axes the number of rows along the last axis whose \
largest entries are at the same place. Of several largest entries one has to be; rows with NaN are left out. --json \
writes all of it. Exit status: 0 if all entries agree, 1 if any differ.

Example:
  $ nnlayer compare 1,2,3.5 1,2,3
  FAIL (3): 1 of 3 entries differs, |a − b| ≤ 1e-12 + 1e-10·|b|
    worst at [2]: a 3.5, b 3, error 0.5 (1125899906842624 ulp)
    |a − b|: mean 0.167, median 0, 90th percentile 0.5, 99th 0.5, maximum 0.5
    maximum distance 1125899906842624 ulp of f64
    66.6 % of the entries agree, would pass with rtol 0.167 or atol 0.5 alone
    cosine 0.9974086507360697, correlation 0.9933992677987828";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    let position = |name: &'static str, help: &'static str| Arg::new(name).required(true).value_name(name).help(help);
    command
        .about("Compare two results entry by entry")
        .arg(position("A", "result to compare: a file, FILE#KEY, numbers, or - for standard input"))
        .arg(position("B", "result to compare it with, in the same forms"))
        .args([
            option("rtol", "NUMBER", "relative tolerance"),
            option("atol", "NUMBER", "absolute tolerance"),
            option("ulp", "NUMBER", "tolerance in units in the last place"),
            digits(),
            flag("json", "write one JSON object on one line"),
            flag("pretty", "write indented JSON"),
        ])
        .args(io_options())
        .after_long_help(keep_indented_lines(HELP))
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let tip = "an entry agrees if |a − b| ≤ atol + rtol·|b|, or if it is at most ulp units in the last place apart";
    let tolerance = |name: &'static str| {
        let number = |text: &str| text.parse().ok().filter(|number: &f64| *number >= 0.0);
        value::parse(matches, name, "a non-negative number", tip, number)
    };
    let pretty = flag_of(matches, "pretty");
    let arguments = Arguments {
        a: text_of(matches, "A").unwrap_or_default().to_owned(),
        b: text_of(matches, "B").unwrap_or_default().to_owned(),
        tolerances: Tolerances {
            rtol: tolerance("rtol")?,
            atol: tolerance("atol")?,
            ulp: value::parse(matches, "ulp", "a non-negative integer", tip, |text| text.parse().ok())?,
        },
        json: (pretty || flag_of(matches, "json")).then_some(pretty),
        digits: parse_digits(matches)?,
    };
    Ok(Box::new(move |streams| compare::run(&arguments, streams)))
}
