//! A layer whose operands are split into chunks of rows.

use super::rows::RowSource;
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::npy::rows::shift_rows;
use crate::layer;
use crate::layer::{AllTargets, AnyLayer, Given, LayerSpec, Precision, Role};
use crate::report::ResultHeader;
use crate::run::dout::Dout;
use crate::run::job::Job;
use crate::run::request::Request;
use crate::run::results::headers;
use ndarray::{ArrayD, Axis, arr0};

/// Number of elements of a chunk; a chunk of each operand and result fits the L2 cache. Chunks are small in debug builds, whose
/// tests need several.
const CHUNK_ELEMENTS: usize = if cfg!(debug_assertions) { 1 << 13 } else { 1 << 18 };

/// Number of samples that chunks of a layer with parameters are a multiple of: the depth of one panel of the matrix product, so
/// that sums over samples are added in the same order as without chunks.
const CHUNK_SAMPLES: usize = 256;

/// A layer whose operands are split into chunks of rows.
pub(crate) struct ChunkedJob {
    /// The layer, the operands that all rows share and the current rows of the others.
    pub(super) job: Job,
    pub(super) precision: Precision,
    pub(super) sources: Vec<(Name, RowSource)>,
    /// The upstream gradient, if gradients are computed: a row for each sample, or one number that fills it.
    pub(super) dout: Option<RowSource>,
    /// Divisor of the mean over all rows, if the results are divided by one.
    pub(super) divisor: Option<f64>,
    /// True if each chunk is admitted when it is read; false if all rows have been admitted.
    pub(super) admits_chunks: bool,
    pub(super) results: Vec<PendingResult>,
    pub(super) next_row: usize,
    /// The upstream gradient of the previous rows, whose memory is used again.
    pub(super) recycled_dout: Option<ArrayD<f64>>,
}

/// A result that will be computed.
#[derive(Clone)]
pub(super) struct PendingResult {
    pub(super) name: Name,
    pub(super) shape: Vec<usize>,
    /// True if it is a sum over the rows; false if it has a row for each sample.
    pub(super) is_sum: bool,
}

impl ChunkedJob {
    /// Returns a job without rows.
    pub(super) fn new(job: Job, precision: Precision) -> ChunkedJob {
        ChunkedJob {
            job,
            precision,
            sources: Vec::new(),
            dout: None,
            divisor: None,
            admits_chunks: false,
            results: Vec::new(),
            next_row: 0,
            recycled_dout: None,
        }
    }

    /// Splits the operands of a job that is in memory; returns the job if it is computed at once.
    pub(crate) fn in_memory(job: Job, request: &Request) -> Result<ChunkedJob, Box<Job>> {
        let at = &job.operands.values;
        let is_row_operand = |role: Role| matches!(role, Role::Input | Role::Target);
        let slots = job.spec.slots.iter().filter(|slot| is_row_operand(slot.role) && at.get(&slot.name).is_some());
        let names: Vec<Name> = slots.map(|slot| slot.name.clone()).collect();
        let Some(x) = names.first().map(|input| at.known(input)).filter(|x| x.ndim() > 1) else {
            return Err(Box::new(job));
        };
        let rows = x.len_of(Axis(0));
        let has_all_rows = |name: &Name| at.known(name).shape().first() == Some(&rows);
        if !has_chunks(job.spec, request.precision)
            || !names.iter().all(has_all_rows)
            || rows <= chunk_rows(job.spec, at, &x.shape()[1..], request.precision)
            || job.dout.as_ref().is_some_and(|dout| dout.is_local)
        {
            return Err(Box::new(job));
        }
        let targets = names.iter().find(|name| **name == Name::T).map(|name| at.known(name));
        let rank = targets.map_or(0, ArrayD::ndim);
        let all = AllTargets { input: x.shape().to_vec(), rank, blocks: &mut targets.into_iter().cloned() };
        let Some(divisor) = shared_divisor(job.layer.as_ref(), at, all, request.precision) else {
            return Err(Box::new(job));
        };
        let mut chunked = ChunkedJob::new(job, request.precision);
        for name in names {
            if let Some(value) = chunked.job.operands.values.take(&name) {
                chunked.sources.push((name, RowSource::in_memory(value)));
            }
        }
        chunked.set_divisor(divisor);
        chunked.dout = chunked.job.dout.as_mut().map(|dout| RowSource::in_memory(dout.take_value()));
        chunked.split();
        Ok(chunked)
    }

    /// Splits arrays in memory into the chunks that are computed together, if these are large (copying a small chunk takes no
    /// time) or if each is freed once it has been used.
    fn split(&mut self) {
        let is_large = self.job.spec.parameters().next().is_some() && self.precision != Precision::Exact;
        if !is_large && !self.is_single_pass() {
            return;
        }
        let rows = self.chunk_rows();
        let operands = self.sources.iter_mut().map(|(_, source)| source);
        operands.chain(&mut self.dout).for_each(|source| source.split(rows));
    }

    fn set_divisor(&mut self, divisor: Option<f64>) {
        self.divisor = divisor;
        if let Some(divisor) = divisor {
            self.job.operands.values.insert(Name::DIVISOR, arr0(divisor).into_dyn());
        }
    }

    /// Computes the divisor of a mean from the targets of all rows. Returns false if the rows depend on each other.
    pub(super) fn compute_divisor(&mut self) -> Result<bool, Error> {
        let (rows, chunk_rows, mut begin, mut failed) = (self.rows(), self.chunk_rows(), 0, None);
        let input = self.sources.first().map_or(Vec::new(), |(_, x)| x.shape().to_vec());
        let mut targets = self.sources.iter_mut().find(|(name, _)| *name == Name::T).map(|(_, targets)| targets);
        let rank = targets.as_ref().map_or(0, |targets| targets.rank());
        let mut chunks = std::iter::from_fn(|| {
            let targets = targets.as_mut().filter(|_| begin < rows)?;
            let chunk = targets.copy(begin, chunk_rows);
            begin += chunk_rows;
            chunk.map_err(|error| failed = Some(error.with_operand(&Name::T))).ok()
        });
        let all = AllTargets { input, rank, blocks: &mut chunks };
        let divisor = shared_divisor(self.job.layer.as_ref(), &self.job.operands.values, all, self.precision);
        if let Some(error) = failed {
            return Err(error);
        }
        self.rewind()?;
        self.split();
        self.set_divisor(divisor.flatten());
        Ok(divisor.is_some())
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.sources.first().map_or(0, |(_, x)| x.rows())
    }

    /// Number of rows that are computed together.
    pub(super) fn chunk_rows(&self) -> usize {
        let row_shape = self.sources.first().and_then(|(_, x)| x.shape().get(1..)).unwrap_or_default();
        chunk_rows(self.job.spec, &self.job.operands.values, row_shape, self.precision)
    }

    /// Computes the results of one row to learn their names and shapes, and keeps those that are shown.
    pub(super) fn infer_results(&mut self, request: &Request) -> Result<(), Error> {
        if self.admits_chunks {
            self.recycled_dout = self.advance(self.chunk_rows(), true)?;
            self.rewind()?;
        }
        let dout = self.advance(1, true)?;
        let row = layer::compute(self.job.layer.as_ref(), &self.job.operands.values, dout.as_ref(), Precision::F64);
        self.recycled_dout = dout;
        let results: Vec<(Name, ArrayD<f64>)> = row.results.into_iter().chain(row.gradients).collect();
        request.admit_only(&results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
        let rows = self.rows();
        let pending = |(name, value): (Name, ArrayD<f64>)| {
            let is_sum = value.ndim() == 0 || self.job.spec.is_parameter_gradient(&name);
            let mut shape = value.shape().to_vec();
            if !is_sum {
                shape[0] = rows;
            }
            PendingResult { name, shape, is_sum }
        };
        self.results = results.into_iter().map(pending).filter(|result| request.shows(&result.name)).collect();
        self.rewind()
    }

    /// Returns true if no result has a row for each sample.
    pub(super) fn has_only_sums(&self) -> bool {
        self.results.iter().all(|result| result.is_sum)
    }

    /// Returns true if one pass computes all results: an exact result takes so long that nothing is computed twice. Results that
    /// are written later take the place of the operands, which are not read again.
    pub(super) fn is_single_pass(&self) -> bool {
        self.precision == Precision::Exact && self.job.spec.parameters().next().is_none()
    }

    /// Returns true if results that are written later would have to be kept while the operands are in a file.
    pub(super) fn needs_memory(&self) -> bool {
        self.is_single_pass() && self.reads_file() && self.results.len() > 1
    }

    fn reads_file(&self) -> bool {
        self.sources.iter().any(|(_, source)| matches!(source, RowSource::File(_)))
    }

    /// Returns the result in whose pass over the rows a sum is computed. Gradients of parameters, which are large, have a pass of
    /// their own, unless the rows would be read from a file once more: then they are computed with the first gradient, whose pass
    /// reads the upstream gradient too. An exact sum is computed from all rows at once.
    pub(super) fn pass_of_sum(&self, sum: &Name) -> Option<&Name> {
        let row_results = || self.results.iter().filter(|result| !result.is_sum).map(|result| &result.name);
        if !self.job.spec.is_gradient(sum) {
            return row_results().next();
        }
        let shares_pass = self.reads_file() && self.precision != Precision::Exact;
        row_results()
            .find(|name| self.job.spec.is_gradient(name))
            .or_else(|| row_results().next())
            .filter(|_| shares_pass)
    }

    /// Number of chunks that will be computed, in all passes.
    pub(super) fn chunk_count(&self) -> usize {
        let row_results = self.results.iter().filter(|result| !result.is_sum).count();
        let passes = if self.is_single_pass() { row_results.min(1) } else { row_results };
        let is_first_sum = self.results.first().is_some_and(|first| first.is_sum);
        let has_own_pass = |result: &PendingResult| result.is_sum && self.pass_of_sum(&result.name).is_none();
        let sums_pass = is_first_sum || self.results.iter().any(has_own_pass);
        (passes + usize::from(sums_pass)) * self.rows().div_ceil(self.chunk_rows())
    }

    /// Returns the headings of the results.
    pub(super) fn headers(&self) -> Vec<ResultHeader> {
        let Job { spec, layer, operands, dout, .. } = &self.job;
        let names = self.results.iter().map(|result| &result.name);
        headers(spec, layer.as_ref(), &operands.values, dout.as_ref(), names)
    }

    /// Returns to the first row.
    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        self.next_row = 0;
        let dout_name = Name::DOUT;
        let operands = self.sources.iter_mut().map(|(name, source)| (&*name, source));
        for (name, source) in operands.chain(self.dout.as_mut().map(|dout| (&dout_name, dout))) {
            source.rewind().map_err(|error| error.with_operand(name))?;
        }
        Ok(())
    }

    /// Moves to the next rows, at most `count`, and returns their upstream gradient if `has_gradients`.
    pub(super) fn advance(&mut self, count: usize, has_gradients: bool) -> Result<Option<ArrayD<f64>>, Error> {
        let begin = self.next_row;
        self.next_row = (begin + count).min(self.rows());
        let at = &mut self.job.operands.values;
        for (name, source) in &mut self.sources {
            let recycled = at.take(name);
            at.insert(name.clone(), source.next(begin, count, recycled).map_err(|error| error.with_operand(name))?);
            let rounded = source.take_rounded().map(|error| Note::warning(error.with_operand(name)));
            add_notes(&mut self.job.notes, rounded);
        }
        if self.admits_chunks {
            self.admit(begin)?;
        }
        let Some(dout) = self.dout.as_mut().filter(|_| has_gradients) else { return Ok(None) };
        let (shape, recycled) = (self.job.layer.output_shape(&self.job.operands.values), self.recycled_dout.take());
        if let Some(number) = dout.number() {
            let recycled = recycled.filter(|recycled| recycled.shape() == shape);
            return Ok(Some(recycled.unwrap_or_else(|| ArrayD::from_elem(shape, number))));
        }
        let chunk = dout.next(begin, count, recycled).map_err(|error| error.with_operand(&Name::DOUT))?;
        let rounded = dout.take_rounded().map(|error| Note::warning(error.with_operand(&Name::DOUT)));
        add_notes(&mut self.job.notes, rounded);
        let dout = Dout::new(self.job.spec, &shape, chunk, false).map_err(|error| shift_rows(error, begin))?;
        Ok(Some(dout.into_array()))
    }

    /// Frees the current rows.
    pub(super) fn free_rows(&mut self) {
        for (name, _) in &self.sources {
            self.job.operands.values.take(name);
        }
        if self.dout.as_ref().is_some_and(|dout| dout.number().is_none()) {
            self.recycled_dout = None;
        }
    }

    fn admit(&mut self, begin: usize) -> Result<(), Error> {
        let Job { layer, operands, notes, .. } = &mut self.job;
        let rounding = |name: &Name| operands.rounding(name);
        let given = Given { at: &operands.values, rounding: &rounding, x_was_y: false };
        let is_operand = |name: &Name| *name != Name::DIVISOR;
        let admitted = layer::admit_new(layer.as_ref(), &given, is_operand);
        let new = admitted.map_err(|error| shift_rows(error, begin))?.into_iter();
        add_notes(notes, new.map(|note| Note { error: shift_rows(note.error, begin), ..note }));
        Ok(())
    }
}

/// Adds the notes of a chunk that none of the chunks before had.
fn add_notes(notes: &mut Vec<Note>, new: impl IntoIterator<Item = Note>) {
    for note in new {
        let (code, operand) = (note.error.code, &note.error.operand);
        if !notes.iter().any(|known| known.error.code == code && known.error.operand == *operand) {
            notes.push(note);
        }
    }
}

/// Returns the divisor that the results of all rows share: `Some(None)` if there is none, `None` if the rows depend on each other.
fn shared_divisor(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    all: AllTargets<'_>,
    precision: Precision,
) -> Option<Option<f64>> {
    if layer.independent_rows(all.input.len()) {
        return Some(None);
    }
    // An empty mean is not divided.
    layer.divisor(at, all, precision).filter(|divisor| *divisor != 0.0).map(Some)
}

/// Returns true if a layer is computed in chunks; an exact loss is computed from all rows at once.
pub(super) fn has_chunks(spec: &'static LayerSpec, precision: Precision) -> bool {
    precision != Precision::Exact || !spec.is_loss()
}

/// Number of rows of a chunk, each of that shape. Chunks are larger with parameters, which each product reads again; less so in
/// exact precision, whose numbers take more memory than a parameter does.
fn chunk_rows(spec: &'static LayerSpec, at: &Tensors<f64>, row_shape: &[usize], precision: Precision) -> usize {
    let width: usize = row_shape.iter().product();
    let samples = width / row_shape.last().copied().unwrap_or(1).max(1);
    let parameters = || spec.parameters().filter_map(|slot| at.get(&slot.name));
    let longest_axis = parameters().flat_map(|value| value.shape()).copied().max().unwrap_or(1);
    let longest_row = width.max(longest_axis.saturating_mul(samples)).max(1);
    let elements = match parameters().map(ArrayD::len).max() {
        None => return (CHUNK_ELEMENTS / longest_row).max(1),
        Some(_) if precision == Precision::Exact => CHUNK_ELEMENTS,
        Some(largest) => CHUNK_ELEMENTS.max(largest / 2),
    };
    // A row has a number of samples, and a chunk a multiple of CHUNK_SAMPLES of them.
    let multiple = (1..=CHUNK_SAMPLES)
        .find(|rows| (rows * (samples % CHUNK_SAMPLES)).is_multiple_of(CHUNK_SAMPLES))
        .unwrap_or(CHUNK_SAMPLES);
    (elements / longest_row).next_multiple_of(multiple).max(multiple)
}
