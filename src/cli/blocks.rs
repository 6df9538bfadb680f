//! The results of a layer a block of rows at a time: each is computed when it is written, so that of what has a row for each
//! sample no more than a block is there beside what was read. They are the same bits as if they were computed at once, but
//! for sums over the rows: those of the blocks are added one after the other. Exact ones are computed of all rows at once.

use super::job::{Dout, Job};
use super::layer::{heads, width};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::npy::rows;
use crate::layer;
use crate::layer::{AllTargets, AnyLayer, Given, LayerSpec, Precision, Role};
use crate::operand::Operands;
use crate::report::ResultHeader;
use crate::run::request::Request;
use ndarray::{ArrayD, Axis, arr0};
use std::io::Write;

mod batch;
mod results;

pub(super) use batch::Batch;
pub(super) use results::Blocks;

/// Numbers of an operand or result that are computed together: blocks of them stay in a cache near by.
const NUMBERS: usize = 1 << 18;

/// Rows of a layer with parameters are cut into a multiple of these: as many products as the kernel adds up before it goes on
/// to the next so many.
const ROWS: usize = 256;

/// The upstream gradient.
pub(super) enum Upstream {
    None,
    Number(f64),
    Batch(Batch),
}

/// A layer whose operands are cut into blocks of rows.
pub(super) struct Batches {
    pub(super) spec: &'static LayerSpec,
    pub(super) layer: Box<dyn AnyLayer>,
    /// What is there for all rows, and where everything came from.
    pub(super) operands: Operands,
    pub(super) batches: Vec<(Name, Batch)>,
    pub(super) dout: Upstream,
    /// Whether the user said what the upstream gradient is.
    pub(super) said: bool,
    pub(super) precision: Precision,
    /// What the results of all rows are divided by, where they are: the divisor of a mean.
    divisor: Option<f64>,
    /// Whether each block is admitted when it is read; else all were before.
    pub(super) admits: bool,
    /// What was worth saying when blocks were admitted.
    pub(super) notes: Vec<Note>,
    results: Vec<Coming>,
    /// The next row.
    begin: usize,
    /// The upstream gradient of the rows before.
    spent: Option<ArrayD<f64>>,
}

/// A result that will be there.
#[derive(Clone)]
struct Coming {
    name: Name,
    shape: Vec<usize>,
    /// Whether it is a sum over the rows.
    sum: bool,
}

impl Batches {
    /// Nothing is known yet of the results.
    pub(super) fn new(
        spec: &'static LayerSpec,
        layer: Box<dyn AnyLayer>,
        operands: Operands,
        precision: Precision,
    ) -> Batches {
        Batches {
            spec,
            layer,
            operands,
            batches: Vec::new(),
            dout: Upstream::None,
            said: true,
            precision,
            divisor: None,
            admits: false,
            notes: Vec::new(),
            results: Vec::new(),
            begin: 0,
            spent: None,
        }
    }

    /// A job whose operands are in memory; gives it back where it is computed at once.
    pub(super) fn in_memory(mut job: Job, request: &Request) -> Result<Batches, Box<Job>> {
        let at = &job.operands.values;
        let cut: Vec<Name> = job
            .spec
            .slots
            .iter()
            .filter(|slot| matches!(slot.role, Role::Input | Role::Target) && at.get(&slot.name).is_some())
            .map(|slot| slot.name.clone())
            .collect();
        let Some(x) = cut.first().map(|input| at.known(input)).filter(|x| x.ndim() == 2) else {
            return Err(Box::new(job));
        };
        let rows = x.len_of(Axis(0));
        let alike = |name| at.known(name).shape().first() == Some(&rows);
        let whole = !in_blocks(job.spec, request.precision)
            || !cut.iter().all(alike)
            || rows <= height(job.spec, at, x.len_of(Axis(1)), request.precision)
            || job.dout.as_ref().is_some_and(|dout| dout.local);
        if whole {
            return Err(Box::new(job));
        }
        let t = cut.iter().find(|name| **name == Name::T).map(|name| at.known(name));
        let mut targets = t.into_iter().cloned();
        let all = AllTargets { rows, rank: t.map_or(0, ArrayD::ndim), blocks: &mut targets };
        let Some(divided) = divided(job.layer.as_ref(), at, all, request.precision) else {
            return Err(Box::new(job));
        };
        let dout = job.dout.take();
        let mut batches = Batches::new(job.spec, job.layer, job.operands, request.precision);
        for name in cut {
            if let Some(value) = batches.operands.values.take(&name) {
                batches.batches.push((name, Batch::held(value)));
            }
        }
        batches.divide(divided);
        batches.said = dout.as_ref().is_none_or(|dout| dout.said);
        batches.dout = match dout.map(|dout| (dout.fills(), dout)) {
            None => Upstream::None,
            Some((Some(number), _)) => Upstream::Number(number),
            Some((None, dout)) => Upstream::Batch(Batch::held(dout.whole())),
        };
        batches.cut();
        Ok(batches)
    }

    /// Cuts what is in memory into the blocks that are computed together, where they are large, as a small one is copied in no
    /// time; and where each is let go of when it was computed.
    fn cut(&mut self) {
        let large = learnt(self.spec).next().is_some() && self.precision != Precision::Exact;
        if !large && !self.once() {
            return;
        }
        let height = self.height();
        let dout = match &mut self.dout {
            Upstream::Batch(dout) => Some(dout),
            _ => None,
        };
        self.batches.iter_mut().map(|(_, batch)| batch).chain(dout).for_each(|batch| batch.cut(height));
    }

    /// Lets rows know what the results of all are divided by.
    pub(super) fn divide(&mut self, by: Option<f64>) {
        self.divisor = by;
        if let Some(divisor) = by {
            self.operands.values.insert(Name::DIVISOR, arr0(divisor).into_dyn());
        }
    }

    /// Looks through the targets for what the results of all rows are divided by; false where the rows are not computed without
    /// each other.
    pub(super) fn settle(&mut self) -> Result<bool, Error> {
        let (rows, height, mut begin, mut failed) = (self.rows(), self.height(), 0, None);
        let mut targets = self.batches.iter_mut().find(|(name, _)| *name == Name::T).map(|(_, targets)| targets);
        let rank = targets.as_ref().map_or(0, |targets| targets.rank());
        let mut blocks = std::iter::from_fn(|| {
            let targets = targets.as_mut().filter(|_| begin < rows)?;
            let block = targets.copy(begin, height);
            begin += height;
            block.map_err(|error| failed = Some(error.with_operand(&Name::T))).ok()
        });
        let all = AllTargets { rows, rank, blocks: &mut blocks };
        let divided = divided(self.layer.as_ref(), &self.operands.values, all, self.precision);
        if let Some(error) = failed {
            return Err(error);
        }
        self.rewind()?;
        self.cut();
        self.divide(divided.flatten());
        Ok(divided.is_some())
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.first().map_or(0, |(_, x)| x.len())
    }

    /// Rows that are computed together.
    fn height(&self) -> usize {
        let width = self.batches.first().map_or(1, |(_, x)| x.shape().get(1).copied().unwrap_or(1));
        height(self.spec, &self.operands.values, width, self.precision)
    }

    /// Computes one row of everything: what results there are, of which those stay that are asked for.
    pub(super) fn look(&mut self, request: &Request) -> Result<(), Error> {
        if self.admits {
            self.spent = self.next(self.height(), true)?;
            self.rewind()?;
        }
        let dout = self.next(1, true)?;
        let row = layer::compute(self.layer.as_ref(), &self.operands.values, dout.as_ref(), Precision::F64);
        self.spent = dout;
        let results: Vec<(Name, ArrayD<f64>)> = row.results.into_iter().chain(row.gradients).collect();
        request.admit_only(&results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
        let rows = self.rows();
        let coming = |(name, value): (Name, ArrayD<f64>)| {
            let sum = value.ndim() == 0 || self.spec.is_parameter_gradient(&name);
            let mut shape = value.shape().to_vec();
            if !sum {
                shape[0] = rows;
            }
            Coming { name, shape, sum }
        };
        self.results = results.into_iter().map(coming).filter(|coming| request.wants(&coming.name)).collect();
        self.rewind()
    }

    /// Computes and writes what is in memory.
    pub(super) fn write(mut self, request: &Request, out: &mut dyn Write) -> anyhow::Result<()> {
        self.look(request)?;
        let heads = self.heads();
        request.write_each(&heads, &mut Blocks::new(&mut self), width(request), out)
    }

    /// Whether no result has a row for each sample.
    pub(super) fn sums_only(&self) -> bool {
        self.results.iter().all(|coming| coming.sum)
    }

    /// Whether one pass computes all results: an exact number takes so long that no part of the way to it is gone twice. What is
    /// written later takes the place of the operands, which nobody reads again.
    fn once(&self) -> bool {
        self.precision == Precision::Exact && learnt(self.spec).next().is_none()
    }

    /// Whether that takes the place of operands that are in a file.
    pub(super) fn wants_memory(&self) -> bool {
        self.once() && self.read() && self.results.len() > 1
    }

    /// Whether rows are read from a file.
    fn read(&self) -> bool {
        self.batches.iter().any(|(_, batch)| matches!(batch, Batch::Read(_)))
    }

    /// The result with whose rows a sum is made. Gradients of parameters, which are large, have a pass of their own, but where
    /// rows would be read once more: there they go along with the first gradient, whose pass reads the upstream one too. An
    /// exact sum is of all rows together.
    fn along(&self, sum: &Name) -> Option<&Name> {
        let rows = || self.results.iter().filter(|coming| !coming.sum).map(|coming| &coming.name);
        if !self.spec.is_gradient(sum) {
            return rows().next();
        }
        let along = self.read() && self.precision != Precision::Exact;
        rows().find(|row| self.spec.is_gradient(row)).or_else(|| rows().next()).filter(|_| along)
    }

    /// How many blocks will be computed.
    pub(super) fn count(&self) -> usize {
        let rows = self.results.iter().filter(|coming| !coming.sum).count();
        let passes = if self.once() { rows.min(1) } else { rows };
        let first = self.results.first().is_some_and(|first| first.sum);
        let own = self.results.iter().any(|coming| coming.sum && self.along(&coming.name).is_none());
        (passes + usize::from(first || own)) * self.rows().div_ceil(self.height())
    }

    /// What is said of the results.
    pub(super) fn heads(&self) -> Vec<ResultHeader> {
        let dout = match self.dout {
            Upstream::None => None,
            _ => Some(Dout { said: self.said, ..Dout::ones(&[]) }),
        };
        let names = self.results.iter().map(|coming| &coming.name);
        heads(self.spec, self.layer.as_ref(), &self.operands.values, dout.as_ref(), names)
    }
}

/// What the results of all rows are divided by, if they are; none where rows are not computed without each other.
fn divided(layer: &dyn AnyLayer, at: &Tensors<f64>, all: AllTargets<'_>, precision: Precision) -> Option<Option<f64>> {
    if layer.independent_rows() {
        return Some(None);
    }
    // The mean of nothing is not divided.
    layer.divisor(at, all, precision).filter(|divisor| *divisor != 0.0).map(Some)
}

/// Whether a layer is computed in blocks of rows: an exact loss is the sum of all.
pub(super) fn in_blocks(spec: &'static LayerSpec, precision: Precision) -> bool {
    precision != Precision::Exact || !spec.is_loss()
}

fn learnt(spec: &'static LayerSpec) -> impl Iterator<Item = &'static Name> {
    spec.slots.iter().filter(|slot| slot.role == Role::Parameter).map(|slot| &slot.name)
}

/// Rows of so many numbers that are computed together. With parameters they are no few: a product reads all of them. Of an exact
/// number there is more to remember than of a parameter.
fn height(spec: &'static LayerSpec, at: &Tensors<f64>, width: usize, precision: Precision) -> usize {
    let parameters = || learnt(spec).filter_map(|name| at.get(name));
    let widest = parameters().flat_map(|value| value.shape()).copied().fold(width, usize::max).max(1);
    match parameters().map(ArrayD::len).max() {
        Some(_) if precision == Precision::Exact => (NUMBERS / widest).next_multiple_of(ROWS).max(ROWS),
        Some(largest) => (NUMBERS.max(largest / 2) / widest).next_multiple_of(ROWS).max(ROWS),
        None => (NUMBERS / widest).max(1),
    }
}

impl Batches {
    fn rewind(&mut self) -> Result<(), Error> {
        self.begin = 0;
        for (name, batch) in &mut self.batches {
            batch.rewind().map_err(|error| error.with_operand(name))?;
        }
        match &mut self.dout {
            Upstream::Batch(batch) => batch.rewind().map_err(|error| error.with_operand(&Name::DOUT)),
            _ => Ok(()),
        }
    }

    /// Goes on to the next rows, so many or those that are left, and gives their upstream gradient where it is looked at.
    fn next(&mut self, count: usize, backward: bool) -> Result<Option<ArrayD<f64>>, Error> {
        let begin = self.begin;
        self.begin = (begin + count).min(self.rows());
        let at = &mut self.operands.values;
        for (name, batch) in &mut self.batches {
            let spent = at.take(name);
            at.insert(name.clone(), batch.next(begin, count, spent).map_err(|error| error.with_operand(name))?);
        }
        if self.admits {
            self.admit(begin)?;
        }
        let shape = self.layer.output_shape(&self.operands.values);
        Ok(match &mut self.dout {
            Upstream::Number(number) if backward => {
                let same = self.spent.take().filter(|spent| spent.shape() == shape);
                Some(same.unwrap_or_else(|| ArrayD::from_elem(shape, *number)))
            }
            Upstream::Batch(batch) if backward => {
                let block =
                    batch.next(begin, count, self.spent.take()).map_err(|error| error.with_operand(&Name::DOUT))?;
                let dout = Dout::new(self.spec, &shape, block, false).map_err(|error| rows::later(error, begin))?;
                Some(dout.whole())
            }
            _ => None,
        })
    }

    /// Lets go of the rows that were given last.
    fn spend(&mut self) {
        for (name, _) in &self.batches {
            self.operands.values.take(name);
        }
        if matches!(self.dout, Upstream::Batch(_)) {
            self.spent = None;
        }
    }

    fn admit(&mut self, begin: usize) -> Result<(), Error> {
        let rounding = |name: &Name| self.operands.rounding(name);
        let given = Given { at: &self.operands.values, rounding: &rounding, x_was_y: false };
        let new = |name: &Name| *name != Name::DIVISOR;
        for note in layer::admit_anew(self.layer.as_ref(), &given, new).map_err(|error| rows::later(error, begin))? {
            let said = |known: &Note| known.error.code == note.error.code && known.error.operand == note.error.operand;
            if !self.notes.iter().any(said) {
                self.notes.push(Note { error: rows::later(note.error, begin), ..note });
            }
        }
        Ok(())
    }
}
