//! `nnlayer compare A B`.

use super::request::io_options;
use super::{Other, flag, option};
use crate::check::compare::{Compared, Tolerance, compare};
use crate::core::error::{Code, Error, join_names};
use crate::core::name::Name;
use crate::operand::{Document, Operand, OperandReader};
use crate::report::comparison;
use crate::run::Status;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use std::collections::HashMap;
use std::io::{BufWriter, Write};

const TOLERANCES: &str = "\
An entry agrees when |a − b| ≤ atol + rtol·|b|. Unless you say otherwise rtol is 1e-10 and atol 1e-12; where a file holds single
precision 1e-5 and 1e-7, half precision 1e-2 and 1e-4. --ulp alone replaces the rule by a distance in doubles; with --rtol or --atol
either is enough. NaN agrees with NaN. A name that only one file has is a difference. Status 0: all agree, 1: something differs.";

/// The command.
pub(super) const COMMAND: Other = Other { name: "compare", command, run };

fn command() -> Command {
    let position = |name: &'static str, help: &'static str| Arg::new(name).required(true).value_name(name).help(help);
    Command::new("compare")
        .about("two results, entry by entry: files of any format, arguments or standard input")
        .arg(position("A", "what is looked at: a file, FILE#KEY, numbers, or - for standard input"))
        .arg(position("B", "what it is measured by"))
        .args([
            option("rtol", "NUMBER", "relative tolerance"),
            option("atol", "NUMBER", "absolute tolerance"),
            option("ulp", "NUMBER", "tolerance in units in the last place: so many doubles apart"),
            flag("json", "one JSON object on one line"),
            flag("pretty", "indented JSON"),
        ])
        .args(io_options())
        .disable_help_flag(true)
        .after_help(format!(
            "{TOLERANCES}\n\nExample:\n  $ nnlayer compare 1,2,3.5 1,2,3\n{}",
            concat!(
                "  FAIL (3): 1 of 3 entries differs, |a − b| ≤ 1e-12 + 1e-10·|b|\n",
                "    worst [2]: a 3.5, b 3, apart by 0.5 (1125899906842624 ulp)\n",
                "    |a − b| mean 0.167, 50 % 0, 90 % 0.5, 99 % 0.5, largest 0.5"
            )
        ))
}

/// Runs it.
fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    _messages: &mut Messages,
) -> anyhow::Result<Status> {
    let wanted = Wanted::parse(matches)?;
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    if text("A").trim() == "-" && text("B").trim() == "-" {
        return Err(Error::new(Code::StdinTwice, "standard input cannot be both sides")
            .with_origin("A and B")
            .tip("pipe one object and name its keys: compare -#/A -#/B")
            .into());
    }
    let compared = compared(read(reader, "A", text("A"))?, read(reader, "B", text("B"))?, &wanted)?;
    let mut out = BufWriter::new(out);
    match matches.get_flag("json") || matches.get_flag("pretty") {
        true => comparison::json(&compared, matches.get_flag("pretty"), &mut out)?,
        false => comparison::text(&compared, &mut out)?,
    }
    out.flush()?;
    Ok(if compared.agrees() { Status::Done } else { Status::No })
}

fn read(reader: &mut OperandReader<'_>, side: &str, text: &str) -> Result<Document, Error> {
    // A position is no option: it is named as the file, or as the usage does.
    reader
        .read_document(&Name::new(side), text)
        .map_err(|error| error.update(|said| said.operand = None).with_origin(side))
}

/// The tolerances that were said.
struct Wanted {
    rtol: Option<f64>,
    atol: Option<f64>,
    ulp: Option<u64>,
}

impl Wanted {
    fn parse(matches: &ArgMatches) -> Result<Wanted, Error> {
        let tolerance = |name: &str| -> Result<Option<f64>, Error> {
            let Some(text) = matches.get_one::<String>(name) else { return Ok(None) };
            let number = text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
            number.map(Some).ok_or_else(|| refuse(name, text, "a number from 0 on"))
        };
        let ulp = matches.get_one::<String>("ulp");
        let ulp = ulp.map(|text| text.trim().parse().map_err(|_| refuse("ulp", text, "a whole number from 0 on")));
        Ok(Wanted { rtol: tolerance("rtol")?, atol: tolerance("atol")?, ulp: ulp.transpose()? })
    }

    fn within(&self, a: &Operand, b: &Operand) -> Tolerance {
        let usual = Tolerance::stored(a.rounding.max(b.rounding));
        let or = |said: Option<f64>, usual: f64| said.unwrap_or(if self.ulp.is_some() { 0.0 } else { usual });
        Tolerance { atol: or(self.atol, usual.atol), rtol: or(self.rtol, usual.rtol), ulp: self.ulp }
    }
}

fn refuse(option: &str, text: &str, wanted: &str) -> Error {
    Error::new(Code::Setting, format!("{:?} is not {wanted}", text.trim()))
        .with_operand(&Name::new(option))
        .tip("an entry agrees when |a − b| ≤ atol + rtol·|b|, or when at most ulp doubles lie between")
}

fn compared(a: Document, b: Document, wanted: &Wanted) -> Result<Compared, Error> {
    let pair = |a: &Operand, b: &Operand| compare(&a.value, &b.value, wanted.within(a, b));
    let (a, b) = match (a, b) {
        (Document::Single(a), Document::Single(b)) => {
            return Ok(Compared { pairs: vec![(None, pair(&a, &b))], only_a: vec![], only_b: vec![] });
        }
        (Document::Named(a), Document::Named(b)) => (a, b),
        (Document::Named(named), Document::Single(one)) => {
            return alone(named, "A").map(|(name, a)| single(name, pair(&a, &one)));
        }
        (Document::Single(one), Document::Named(named)) => {
            return alone(named, "B").map(|(name, b)| single(name, pair(&one, &b)));
        }
    };
    fn by_name(these: &[(Name, Operand)]) -> HashMap<&Name, &Operand> {
        these.iter().map(|(name, operand)| (name, operand)).collect()
    }
    let only = |these: &[(Name, Operand)], others: &HashMap<&Name, &Operand>| {
        these.iter().map(|(name, _)| name.clone()).filter(|name| !others.contains_key(name)).collect()
    };
    let (in_a, in_b) = (by_name(&a), by_name(&b));
    let pairs = a.iter().filter_map(|(name, a)| Some((Some(name.clone()), pair(a, in_b.get(name)?)))).collect();
    Ok(Compared { pairs, only_a: only(&a, &in_b), only_b: only(&b, &in_a) })
}

fn single(name: Name, comparison: crate::check::compare::Comparison) -> Compared {
    Compared { pairs: vec![(Some(name), comparison)], only_a: vec![], only_b: vec![] }
}

/// The one array of a document that meets a single array.
fn alone(mut named: Vec<(Name, Operand)>, side: &str) -> Result<(Name, Operand), Error> {
    match (named.pop(), named.len()) {
        (Some(only), 0) => Ok(only),
        (last, _) => {
            let names: Vec<&str> = named
                .iter()
                .map(|(name, _)| name)
                .chain(last.as_ref().map(|(name, _)| name))
                .map(Name::as_str)
                .collect();
            let first = names.first().copied().unwrap_or("y");
            let message = format!("holds {} arrays, the other side one: {}", names.len(), join_names(&names));
            Err(Error::new(Code::KeyMissing, message)
                .with_origin(side)
                .tip(format!("say which one is meant: FILE#{first}")))
        }
    }
}
