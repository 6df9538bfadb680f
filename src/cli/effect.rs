//! Options that would change nothing, or contradict another, are refused.

use super::args::text_of;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// A rule about an option that is refused in some company.
struct Rule {
    option: &'static str,
    /// The condition under which the option is refused.
    refused: Refused,
    tip: &'static str,
}

/// Conditions under which an option is refused.
enum Refused {
    /// One of these other options is given.
    With(&'static [&'static str]),
    /// None of these other options is given, though the command has one.
    Without(&'static [&'static str]),
    /// Another option has a value that is none of these.
    UnlessValue(&'static str, &'static [&'static str]),
    /// Another option is a file with an extension that is not this one.
    UnlessExtension(&'static str, &'static str),
}

const WRITTEN_AS_JSON: &str = "leave it out: a tape, a network and the results of records are always JSON";
const FILE_INSTEAD: &str = "leave it out: the extension of the file decides its format";
const SHOWN_IN_TEXT: &str = "leave it out: it is about the numbers of results in text";
const OF_A_PROGRAM: &str = "name a program after --, or leave it out: nnlayer's own layers need none";
const OF_RECORDS: &str = "show a single record without --ndjson";
const NEW_NETWORK: &str = "leave it out: a new network has parameters and no results";

/// Every rule, for every command that has the options.
const RULES: &[Rule] = &[
    with("check", &["ndjson"], "check a single record without --ndjson"),
    with("expect", &["ndjson"], "compare a whole file of results with nnlayer compare"),
    with("tape", &["ndjson"], "a tape has one batch: give its rows with --x, without --ndjson"),
    with("name", &["ndjson"], "leave out --name: it names a layer of a tape"),
    with("norms", &["ndjson"], "measure the gradients of a single batch without --ndjson"),
    with("graph", &["ndjson"], "draw a single record without --ndjson"),
    with("steps", &["ndjson"], OF_RECORDS),
    with("jacobian", &["ndjson"], OF_RECORDS),
    with("pretty", &["ndjson"], "leave out --pretty: the results of a record are one line"),
    with("out", &["ndjson"], "redirect standard output instead: > results.ndjson"),
    with("in-format", &["ndjson"], "leave out --in-format: records are JSON"),
    Rule {
        option: "format",
        refused: Refused::Without(&["check", "expect"]),
        tip: "add --check, or use --json for one object in place of text",
    },
    Rule {
        option: "expect",
        refused: Refused::UnlessValue("format", &["json", "text"]),
        tip: "use --format json, or --check for a report in another format",
    },
    with("format", &["steps"], "leave it out: --steps has its own formats, as in --steps markdown"),
    Rule {
        option: "json",
        refused: Refused::UnlessValue("format", &["json"]),
        tip: "leave out one of them: both say the format of the report",
    },
    Rule {
        option: "pretty",
        refused: Refused::UnlessValue("format", &["json"]),
        tip: "leave out one of them: both say the format of the report",
    },
    Rule {
        option: "json",
        refused: Refused::UnlessValue("steps", &["text"]),
        tip: "leave out one of them: both say the format of the steps",
    },
    Rule {
        option: "pretty",
        refused: Refused::UnlessValue("steps", &["text"]),
        tip: "leave out one of them: both say the format of the steps",
    },
    Rule { option: "pretty", refused: Refused::UnlessExtension("out", "json"), tip: FILE_INSTEAD },
    with("json", &["tape", "init", "ndjson"], WRITTEN_AS_JSON),
    with("pretty", &["tape", "init"], WRITTEN_AS_JSON),
    with("digits", &["json", "pretty", "out"], "leave it out: JSON and files have all digits"),
    with("digits", &["tape", "init", "ndjson"], WRITTEN_AS_JSON),
    with("digits", &["check", "norms"], SHOWN_IN_TEXT),
    without("seed", &["init", "training"], "leave it out: without --init or --training nothing is random"),
    with("only", &["init"], NEW_NETWORK),
    with("forward", &["init"], NEW_NETWORK),
    with("dout", &["init"], NEW_NETWORK),
    with("tape", &["init"], NEW_NETWORK),
    with("accumulate", &["template"], "leave it out: a template is a program, not a check"),
    with("rtol", &["template"], "leave it out: a template is a program, not a check"),
    with("atol", &["template"], "leave it out: a template is a program, not a check"),
    with("nondet-tol", &["template"], "leave it out: a template is a program, not a check"),
    without("persistent", &["program", "template"], OF_A_PROGRAM),
    without("timeout", &["program", "template"], OF_A_PROGRAM),
    without("accumulate", &["program", "template"], OF_A_PROGRAM),
    without("nondet-tol", &["program", "template"], OF_A_PROGRAM),
];

/// `--out` decides the format of results, but `train` writes a network there and lines to standard output.
const JSON_AND_OUT: Rule = with("json", &["out"], FILE_INSTEAD);

const fn with(option: &'static str, others: &'static [&'static str], tip: &'static str) -> Rule {
    Rule { option, refused: Refused::With(others), tip }
}

const fn without(option: &'static str, others: &'static [&'static str], tip: &'static str) -> Rule {
    Rule { option, refused: Refused::Without(others), tip }
}

/// Refuses options of a command line that would change nothing.
pub(super) fn refuse(command: &Command, matches: &ArgMatches) -> Result<(), Error> {
    let of_results = (command.get_name() != "train").then_some(&JSON_AND_OUT);
    // Only debug builds of clap tell from the matches which options a command has.
    let known: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    RULES.iter().chain(of_results).find_map(|rule| rule.error(&known, matches)).map_or(Ok(()), Err)
}

impl Rule {
    /// Returns the error, if the rule refuses an option of a command that knows these options.
    fn error(&self, known: &[&str], matches: &ArgMatches) -> Option<Error> {
        let is_given = |option: &str| known.contains(&option) && is_given(matches, option);
        if !is_given(self.option) {
            return None;
        }
        let message = match self.refused {
            Refused::With(others) => {
                format!("cannot be used with --{}", others.iter().find(|other| is_given(other))?)
            }
            Refused::Without(others) => {
                let others: Vec<&str> = others.iter().copied().filter(|other| known.contains(other)).collect();
                let first = others.first().filter(|_| others.iter().all(|other| !is_given(other)))?;
                if *first == "program" {
                    "has an effect only with a program".to_owned()
                } else {
                    format!("has an effect only with --{first}")
                }
            }
            Refused::UnlessValue(other, values) => {
                let found = text_of(matches, other).filter(|found| is_given(other) && !values.contains(found))?;
                format!("cannot be used with --{other} {found}")
            }
            Refused::UnlessExtension(other, extension) => {
                let path = std::path::Path::new(text_of(matches, other)?);
                let found = path.extension().and_then(|found| found.to_str()).unwrap_or_default();
                (!found.eq_ignore_ascii_case(extension)).then(|| format!("cannot be used with a .{found} file"))?
            }
        };
        Some(Error::new(Code::Usage, message).with_operand(&Name::new(self.option)).tip(self.tip))
    }
}

/// Returns true if an option that the command knows is on the command line.
fn is_given(matches: &ArgMatches, option: &str) -> bool {
    matches.value_source(option) == Some(ValueSource::CommandLine)
}
