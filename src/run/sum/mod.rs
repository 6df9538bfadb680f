//! Adds the losses and gradients of shards. Sums are exact and rounded once, so the order of the shards changes no bit.

use super::request::{Request, width};
use super::session::Streams;
use super::status::Status;
use crate::core::error::{Code, Error, Note, format_count, format_shape, join_names};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{LAYERS, LayerSpec};
use crate::numeric::Superaccumulator;
use crate::operand::grammar;
use crate::report::{ChainReport, ResultBlock, ResultHeader};
use indexmap::{IndexMap, IndexSet};
use ndarray::{ArrayD, IxDyn, arr0};
use std::io::Write;

mod shard;

/// Arguments of `sum`.
pub(crate) struct Arguments {
    /// Files of the shards; standard input if there are none.
    pub(crate) shards: Vec<String>,
    pub(crate) request: Request,
}

/// Adds the shards and writes the totals.
pub(crate) fn run(Arguments { shards, mut request }: Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    if shards.is_empty() && streams.reader.stdin.terminal {
        return Err(Error::new(Code::OperandMissing, "no shards are given, and standard input is a terminal")
            .fact("example: nnlayer sum a.json b.json")
            .tip("name the shards, or pipe them in, one JSON object a line")
            .into());
    }
    let replaced = request.warn_of_replaced_input(shards.iter().map(|text| ("a shard", grammar::parse(text))));
    let mut sum = ShardSum { only: request.only.take(), ..ShardSum::default() };
    let stdin = ["-".to_owned()];
    for text in if shards.is_empty() { &stdin[..] } else { &shards } {
        shard::for_each(text, &mut streams.reader, &mut |shard, label| sum.add(shard, label))?;
    }
    if !sum.skipped.is_empty() {
        let verb = if sum.skipped.len() == 1 { "is" } else { "are" };
        let message =
            format!("{} {verb} not summed: each row has its own", join_names(&sum.skipped.iter().collect::<Vec<_>>()));
        streams
            .messages
            .note(&Note::info(Error::new(Code::LeftOut, message).tip("name the results to add with --only")));
    }
    streams.messages.notes(replaced.as_slice(), request.strict)?;
    sum.write(&request, &mut streams.out)?;
    Ok(Status::Done)
}

/// Totals of the shards that were added.
#[derive(Default)]
struct ShardSum {
    only: Option<Vec<String>>,
    /// Number of shards, and the name of the first.
    shards: usize,
    first: String,
    results: IndexMap<Name, ResultTotal>,
    /// Sum of the divisors of means.
    divisor: Option<(Name, Superaccumulator)>,
    /// Per-row results, which are not added.
    skipped: IndexSet<String>,
}

/// Totals of the entries of a result.
struct ResultTotal {
    shape: Vec<usize>,
    totals: Vec<Superaccumulator>,
}

/// Returns the name of a result without the name of its layer.
fn base_name(name: &Name) -> &str {
    name.as_str().rsplit('.').next().unwrap_or_default()
}

fn is_loss(name: &Name) -> bool {
    base_name(name) == Name::LOSS.as_str()
}

/// Returns true if `matches` holds for the result of any layer, because a shard does not state its layer.
fn is_any_layers(result: &Name, matches: fn(&LayerSpec, &Name) -> bool) -> bool {
    let base = Name::new(base_name(result));
    LAYERS.iter().any(|spec| matches(spec, &base))
}

/// Returns true if the mean over a batch divides the result.
fn is_averaged(name: &Name) -> bool {
    is_loss(name) || is_any_layers(name, LayerSpec::is_gradient)
}

/// Returns true if the result is a sum over rows, which is added by default: a loss, or the gradient of a parameter.
fn is_total(name: &Name) -> bool {
    is_loss(name) || is_any_layers(name, LayerSpec::is_parameter_gradient)
}

impl ShardSum {
    /// Returns true if a result is added.
    fn includes(&self, name: &Name) -> bool {
        let base = base_name(name);
        match &self.only {
            Some(names) => names.iter().any(|only| {
                only == base || only == name.as_str() || name.as_str().strip_suffix(base) == Some(&format!("{only}."))
            }),
            None => is_total(name),
        }
    }

    /// Adds a shard that was read from `label`.
    fn add(&mut self, mut shard: Tensors<f64>, label: &str) -> Result<(), Error> {
        let divisor = self.take_divisor(&mut shard, label)?;
        let is_skipped = |name: &&Name| {
            !is_total(name) && is_any_layers(name, |spec, base| spec.formula(base).is_some()) && !self.includes(name)
        };
        let skipped: Vec<String> = shard.names().filter(is_skipped).map(|name| name.as_str().to_owned()).collect();
        self.skipped.extend(skipped);
        shard.retain(|name| self.includes(name));
        if self.shards == 0 {
            self.start(&shard, label)?;
        }
        self.shards += 1;
        if let Some(name) = shard.names().find(|name| !self.results.contains_key(*name)) {
            return Err(self.mismatch(label, format!("has {name}, but {} does not", self.first)));
        }
        if let Some(name) = self.results.keys().find(|name| shard.get(name).is_none()) {
            return Err(self.mismatch(label, format!("has no {name}, but {} does", self.first)));
        }
        for (name, ResultTotal { shape: expected, totals }) in &mut self.results {
            let value = total_loss(name, shard.known(name));
            if *expected != value.shape() {
                let (expected, actual) = (format_shape(&*expected), format_shape(value.shape()));
                let message = format!("{name} has shape {actual}, but shape {expected} in {}", self.first);
                return Err(Error::new(Code::Shape, message)
                    .with_origin(label)
                    .tip("add shards of one layer only: their parameters have the same shapes"));
            }
            // A shard without rows adds nothing, whatever it gives as the mean of nothing.
            let weight = divisor.filter(|_| is_averaged(name));
            if weight != Some(0.0) {
                totals.iter_mut().zip(&value).for_each(|(total, &value)| match weight {
                    Some(weight) => total.add_product(weight, value),
                    None => total.add(value),
                });
            }
        }
        Ok(())
    }

    /// Creates the totals for the results of the first shard.
    fn start(&mut self, shard: &Tensors<f64>, label: &str) -> Result<(), Error> {
        label.clone_into(&mut self.first);
        if shard.is_empty() {
            return Err(Error::new(Code::KeyMissing, "has no results to sum").with_origin(label).tip(
                match self.only {
                    Some(_) => "name results of the shards with --only",
                    None => "write shards (loss, dw, db, …) with the --json option of a layer, backward or net",
                },
            ));
        }
        let total = |(name, value): (&Name, &ArrayD<f64>)| {
            let shape = total_loss(name, value).shape().to_vec();
            let totals = vec![Superaccumulator::default(); shape.iter().product()];
            (name.clone(), ResultTotal { totals, shape })
        };
        self.results = shard.iter().map(total).collect();
        Ok(())
    }

    /// Takes the divisor of the shard's means, and adds it to the total.
    fn take_divisor(&mut self, shard: &mut Tensors<f64>, label: &str) -> Result<Option<f64>, Error> {
        let name = shard.names().find(|name| base_name(name) == Name::DIVISOR.as_str()).cloned();
        let value = name.as_ref().and_then(|name| shard.take(name)).and_then(|value| value.first().copied());
        if let (0, Some(name), Some(_)) = (self.shards, name, value) {
            self.divisor = Some((name, Superaccumulator::default()));
        }
        match (&mut self.divisor, value) {
            (None, None) => Ok(None),
            (Some((_, total)), Some(value)) => {
                total.add(value);
                Ok(Some(value))
            }
            (None, Some(_)) => Err(self.mismatch(label, format!("has a divisor, but {} does not", self.first))),
            (Some(_), None) => Err(self.mismatch(label, format!("has no divisor, but {} does", self.first))),
        }
    }

    fn mismatch(&self, label: &str, message: String) -> Error {
        Error::new(Code::KeyMissing, message)
            .with_origin(label)
            .tip("compute all shards with the same command and options")
    }

    /// Rounds the totals.
    fn blocks(self) -> Result<Vec<ResultBlock>, Error> {
        let shards = format_count(self.shards, "shard");
        let divisor = self.divisor.as_ref().map(|(_, total)| total.round());
        if divisor == Some(0.0) {
            return Err(Error::new(Code::EmptyMean, "nothing to average: the divisors of all shards sum to 0")
                .tip("use shards of --reduction sum, which need no divisor"));
        }
        let mut divisor_block = self.divisor.as_ref().map(|(name, total)| {
            let header = ResultHeader { name: name.clone(), formula: format!("Σ of {shards}"), before: None };
            ResultBlock { header, value: arr0(total.round()).into_dyn() }
        });
        let mut blocks = Vec::new();
        for (name, ResultTotal { shape, totals }) in self.results {
            let weighted = divisor.filter(|_| is_averaged(&name));
            let value =
                |total: &Superaccumulator| weighted.map_or_else(|| total.round(), |divisor| total.quotient(divisor));
            let value = ArrayD::from_shape_vec(IxDyn(&shape), totals.iter().map(value).collect()).unwrap_or_default();
            let formula = match weighted {
                Some(_) => format!("Σ divisor·{} of {shards} / Σ divisor", base_name(&name)),
                None => format!("Σ of {shards}"),
            };
            let is_loss = is_loss(&name);
            blocks.push(ResultBlock { header: ResultHeader { name, formula, before: None }, value });
            // The divisor follows the first loss, as in the results of a layer.
            if is_loss {
                blocks.extend(divisor_block.take());
            }
        }
        blocks.splice(..0, divisor_block);
        Ok(blocks)
    }

    /// Writes the totals, by layer if the shards were.
    fn write(self, request: &Request, out: &mut dyn Write) -> anyhow::Result<()> {
        let blocks = self.blocks()?;
        if !blocks.iter().all(|block| block.header.name.as_str().contains('.')) {
            return request.write(blocks, out);
        }
        let mut sections: IndexMap<String, Vec<ResultBlock>> = IndexMap::new();
        for block in blocks {
            let name = block.header.name.as_str().to_owned();
            let (layer, result) = name.rsplit_once('.').unwrap_or_default();
            let block = ResultBlock { header: ResultHeader { name: Name::new(result), ..block.header }, ..block };
            sections.entry(layer.to_owned()).or_default().push(block);
        }
        let sections = sections.into_iter().collect();
        request.write_sections(ChainReport { sections }, width(request.precision), out)
    }
}

/// Returns the sum of a loss that has a number for each row, because gradients are of that sum; other results as they are.
fn total_loss(name: &Name, value: &ArrayD<f64>) -> ArrayD<f64> {
    if !is_loss(name) || value.ndim() == 0 {
        return value.clone();
    }
    let mut total = Superaccumulator::default();
    value.iter().for_each(|&loss| total.add(loss));
    arr0(total.round()).into_dyn()
}
