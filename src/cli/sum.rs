//! `nnlayer sum`: the losses and gradients of shards as one, rounded once, in any order.

use super::Other;
use super::request::{self, common_without};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::OutputDtype;
use crate::layer::{LAYERS, LayerSpec};
use crate::numeric::Total;
use crate::operand::OperandReader;
use crate::report::{ChainReport, Report, ResultBlock};
use crate::run::Status;
use crate::run::messages::Messages;
use crate::run::request::Request;
use clap::{Arg, ArgMatches, Command};
use ndarray::{ArrayD, IxDyn};
use std::io::Write;

mod shard;

/// The command.
pub(super) const COMMAND: Other = Other { name: "sum", command, run };

const HELP: &str = "\
A shard is what a layer, backward or net wrote of some of the rows: .json, .npz, or one JSON object a line.
Losses and the gradients of parameters (dw, db) are added without rounding and rounded once at the end: shards
in any order give the same bits. Shards that are means are weighted by their divisors, and these are added;
a loss a row becomes the sum of all rows. y, dx and dy belong to each shard's own rows and are left out. --only
adds what it names, whatever that is.

Example:
  $ nnlayer affine --x '1,2;3,4' --w '1;1' --only dw --json > a.json
  $ nnlayer affine --x 5,6 --w '1;1' --only dw --json > b.json
  $ nnlayer sum a.json b.json
  dw = Σ of 2 shards  (2×1)
  [[ 9]
   [12]]";

fn command() -> Command {
    let shards = Arg::new("shards").value_name("SHARD").num_args(0..);
    Command::new(COMMAND.name)
        .about("the losses and gradients of shards, added in any order and rounded once")
        .arg(shards.help("results of some of the rows; standard input by default, one JSON object a line"))
        .args(common_without(&["forward", "precision", "in-format"]))
        .mut_arg("only", |only| only.help("add these results only, whatever they are: loss,dw"))
        .disable_help_flag(true)
        .after_help(HELP)
}

fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let mut request = request::parse(matches)?;
    let files: Vec<&String> = matches.get_many("shards").into_iter().flatten().collect();
    if files.is_empty() && reader.stdin.terminal {
        return Err(Error::new(Code::OperandMissing, "no shard is given, and standard input is a terminal")
            .fact("example: nnlayer sum a.json b.json")
            .tip("name the shards, or pipe them in, one JSON object a line")
            .into());
    }
    let mut sum = Sum { only: request.only.take(), ..Sum::default() };
    if files.is_empty() {
        shard::each("-", reader, &mut |shard, label| sum.add(shard, label))?;
    }
    for file in &files {
        shard::each(file, reader, &mut |shard, label| sum.add(shard, label))?;
    }
    if !sum.left_out.is_empty() {
        let verb = if sum.left_out.len() == 1 { "is" } else { "are" };
        let message = format!("{} {verb} of each shard's own rows, and {verb} not summed", sum.left_out.join(", "));
        messages.note(&Note::info(Error::new(Code::LeftOut, message).tip("--only adds what it names")));
    }
    sum.write(&request, out)?;
    Ok(Status::Done)
}

/// The sum so far.
#[derive(Default)]
struct Sum {
    only: Option<Vec<String>>,
    /// The number of shards, and the first one's name.
    shards: usize,
    first: String,
    entries: Vec<Entry>,
    /// What the shards' means divide by.
    divisor: Option<(Name, Total)>,
    left_out: Vec<String>,
}

/// One result.
struct Entry {
    name: Name,
    shape: Vec<usize>,
    totals: Vec<Total>,
}

/// The name of a result, without its layer's.
fn own(name: &Name) -> &str {
    name.as_str().rsplit('.').next().unwrap_or_default()
}

/// Whether a mean divides it.
fn is_averaged(name: &Name) -> bool {
    own(name) == Name::LOSS.as_str() || any_layer(name, LayerSpec::is_gradient)
}

/// Returns true if it is true of the result of any layer: a shard does not say which layer it is of.
fn any_layer(result: &Name, is: fn(&LayerSpec, &Name) -> bool) -> bool {
    let own = Name::new(own(result));
    LAYERS.iter().any(|spec| is(spec, &own))
}

/// Returns true if it is added without `--only`: a loss, or the gradient of a parameter.
fn is_total(result: &Name) -> bool {
    own(result) == Name::LOSS.as_str() || any_layer(result, LayerSpec::is_parameter_gradient)
}

impl Sum {
    /// Whether a result is summed.
    fn wants(&self, name: &Name) -> bool {
        let own = own(name);
        match &self.only {
            Some(names) => names.iter().any(|wanted| {
                wanted == own
                    || wanted == name.as_str()
                    || name.as_str().strip_suffix(own) == Some(&format!("{wanted}."))
            }),
            None => is_total(name),
        }
    }

    /// Adds a shard; `label` is where it came from.
    fn add(&mut self, mut shard: Tensors<f64>, label: &str) -> Result<(), Error> {
        let divisor = self.take_divisor(&mut shard, label)?;
        let per_row = |name: &&Name| !is_total(name) && any_layer(name, |spec, own| spec.formula(own).is_some());
        for name in shard.names().filter(per_row) {
            if !self.wants(name) && !self.left_out.iter().any(|known| known == name.as_str()) {
                self.left_out.push(name.to_string());
            }
        }
        let wanted: Vec<(Name, ArrayD<f64>)> = shard.into_iter().filter(|(name, _)| self.wants(name)).collect();
        if self.shards == 0 {
            self.begin(&wanted, label)?;
        }
        self.shards += 1;
        if let Some((name, _)) = wanted.iter().find(|(name, _)| !self.entries.iter().any(|entry| entry.name == *name)) {
            return Err(self.differs(label, format!("has {name}, which {} does not have", self.first)));
        }
        for n in 0..self.entries.len() {
            let entry = &self.entries[n];
            let Some((_, value)) = wanted.iter().find(|(name, _)| *name == entry.name) else {
                return Err(self.differs(label, format!("has no {}, which {} has", entry.name, self.first)));
            };
            let value = total_loss(&entry.name, value);
            if entry.shape != value.shape() {
                let (shape, other) = (format_shape(value.shape()), format_shape(&entry.shape));
                let message = format!("{} has shape {shape}, and in {} it is {other}", entry.name, self.first);
                return Err(Error::new(Code::Shape, message)
                    .with_origin(label)
                    .tip("shards of one layer have parameters of the same shapes"));
            }
            // A shard of nothing adds nothing, whatever the mean of nothing was said to be.
            let weight = divisor.filter(|_| is_averaged(&entry.name));
            if weight != Some(0.0) {
                let totals = self.entries[n].totals.iter_mut();
                totals.zip(&value).for_each(|(total, &value)| match weight {
                    Some(weight) => total.add_product(weight, value),
                    None => total.add(value),
                });
            }
        }
        Ok(())
    }

    fn begin(&mut self, wanted: &[(Name, ArrayD<f64>)], label: &str) -> Result<(), Error> {
        self.first = label.to_owned();
        if wanted.is_empty() {
            return Err(Error::new(Code::KeyMissing, "has nothing to sum").with_origin(label).tip(match self.only {
                Some(_) => "--only names results of the shards",
                None => "shards hold loss, dw, db as a layer, backward or net writes them with --json",
            }));
        }
        self.entries = wanted
            .iter()
            .map(|(name, value)| {
                let shape = total_loss(name, value).shape().to_vec();
                Entry { name: name.clone(), totals: vec![Total::new(); shape.iter().product()], shape }
            })
            .collect();
        Ok(())
    }

    /// Takes what the shard's means divide by.
    fn take_divisor(&mut self, shard: &mut Tensors<f64>, label: &str) -> Result<Option<f64>, Error> {
        let name = shard.names().find(|name| own(name) == Name::DIVISOR.as_str()).cloned();
        let value = name.as_ref().and_then(|name| shard.take(name)).and_then(|value| value.first().copied());
        match (&mut self.divisor, name.zip(value)) {
            (None, None) => Ok(None),
            (Some((_, total)), Some((_, value))) => {
                total.add(value);
                Ok(Some(value))
            }
            (None, Some((name, value))) if self.shards == 0 => {
                let mut total = Total::new();
                total.add(value);
                self.divisor = Some((name, total));
                Ok(Some(value))
            }
            (None, Some(_)) => Err(self.differs(label, format!("holds means, and {} sums", self.first))),
            (Some(_), None) => Err(self.differs(label, format!("has no divisor, and {} holds means", self.first))),
        }
    }

    fn differs(&self, label: &str, message: String) -> Error {
        Error::new(Code::KeyMissing, message)
            .with_origin(label)
            .tip("shards come from one command with the same options")
    }

    fn blocks(self) -> Result<Vec<ResultBlock>, Error> {
        let shards = crate::core::error::format_count(self.shards, "shard");
        let divisor = self.divisor.as_ref().map(|(_, total)| total.round());
        if divisor == Some(0.0) {
            return Err(Error::new(Code::EmptyMean, "nothing to average: the divisors of all shards sum to 0")
                .tip("shards of --reduction sum need no divisor"));
        }
        let mut blocks = Vec::new();
        for Entry { name, shape, totals } in self.entries {
            let weighted = divisor.filter(|_| is_averaged(&name));
            let value = |total: &Total| weighted.map_or_else(|| total.round(), |divisor| total.quotient(divisor));
            let values = totals.iter().map(value).collect();
            let formula = match weighted {
                Some(_) => format!("Σ divisor·{} of {shards} / Σ divisor", own(&name)),
                None => format!("Σ of {shards}"),
            };
            let value = ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap_or_default();
            let loss = own(&name) == Name::LOSS.as_str();
            blocks.push(ResultBlock { formula, name, value, before: None });
            // Where it stands in the results of a loss.
            if let Some((name, total)) = self.divisor.as_ref().filter(|_| loss) {
                blocks.push(divisor_block(name, total, &shards));
            }
        }
        match &self.divisor {
            Some((name, total)) if !blocks.iter().any(|block| block.name == *name) => {
                blocks.insert(0, divisor_block(name, total, &shards));
            }
            _ => {}
        }
        Ok(blocks)
    }

    /// By layer where the shards were.
    fn write(self, request: &Request, out: &mut dyn Write) -> anyhow::Result<()> {
        let blocks = self.blocks()?;
        if !blocks.iter().all(|block| block.name.as_str().contains('.')) {
            return request.write(Report { blocks, width: OutputDtype::F64 }, out);
        }
        let mut sections: Vec<(String, Vec<ResultBlock>)> = Vec::new();
        for block in blocks {
            let name = block.name.to_string();
            let (layer, own) = name.rsplit_once('.').unwrap_or_default();
            let block = ResultBlock { name: Name::new(own), ..block };
            match sections.iter_mut().find(|(known, _)| known == layer) {
                Some((_, blocks)) => blocks.push(block),
                None => sections.push((layer.to_owned(), vec![block])),
            }
        }
        request.write_sections(ChainReport { sections, width: OutputDtype::F64 }, out)
    }
}

fn divisor_block(name: &Name, total: &Total, shards: &str) -> ResultBlock {
    let value = ndarray::arr0(total.round()).into_dyn();
    ResultBlock { name: name.clone(), formula: format!("Σ of {shards}"), value, before: None }
}

/// A loss a row as their sum, which the gradients are of; anything else as it is.
fn total_loss(name: &Name, value: &ArrayD<f64>) -> ArrayD<f64> {
    if own(name) != Name::LOSS.as_str() || value.ndim() == 0 {
        return value.clone();
    }
    let mut total = Total::new();
    value.iter().for_each(|&loss| total.add(loss));
    ndarray::arr0(total.round()).into_dyn()
}
