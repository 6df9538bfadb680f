//! The results of a chunked job, in the order of output.

use super::job::{ChunkedJob, PendingResult};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::ArrayStream;
use crate::layer;
use crate::layer::{Precision, Wanted};
use crate::ops::RunningSum;
use crate::parallel::pages;
use crate::parallel::progress::Progress;
use crate::run::request::{Request, width};
use ndarray::{ArrayD, arr0};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Minimum number of chunks for a progress bar; fewer are large, and each reports its own progress.
const MIN_PROGRESS_CHUNKS: usize = 21;

/// Computes and writes the results of a job in memory.
pub(crate) fn write_in_memory(mut chunked: ChunkedJob, request: &Request, out: &mut dyn Write) -> anyhow::Result<()> {
    chunked.infer_results(request)?;
    let headers = chunked.headers();
    request.write_each(&headers, &mut ChunkedResults::new(&mut chunked), width(request.precision), out)
}

/// Results that are computed as they are asked for: each result with a row for each sample in a pass over all rows, or all of
/// them in one pass. Sums are computed in one of these passes.
pub(super) struct ChunkedResults<'a> {
    chunked: &'a mut ChunkedJob,
    progress: Option<Progress>,
    pending: std::vec::IntoIter<PendingResult>,
    /// The result whose rows this pass computes.
    row_result: Option<Name>,
    /// Rows of later results that this pass computes too.
    later: Vec<(Name, VecDeque<ArrayD<f64>>)>,
    /// Sums that no pass has computed yet.
    open_sums: Vec<PendingResult>,
    /// Sums that this pass computes.
    running_sums: Vec<(Name, RunningSum)>,
    /// Sums that have been computed and not yet written.
    finished_sums: Vec<(Name, ArrayD<f64>)>,
    /// The sum that is written next.
    next_sum: Option<ArrayD<f64>>,
}

impl<'a> ChunkedResults<'a> {
    pub(super) fn new(chunked: &'a mut ChunkedJob) -> ChunkedResults<'a> {
        pages::raise_mmap_threshold();
        let pending = chunked.results.clone().into_iter();
        let open_sums = chunked.results.iter().filter(|result| result.is_sum).cloned().collect();
        let chunks = chunked.chunk_count();
        let progress = (chunks >= MIN_PROGRESS_CHUNKS).then(|| Progress::new("computing", chunks));
        ChunkedResults {
            chunked,
            progress,
            pending,
            row_result: None,
            later: Vec::new(),
            open_sums,
            running_sums: Vec::new(),
            finished_sums: Vec::new(),
            next_sum: None,
        }
    }

    fn next_result(&mut self) -> Result<Option<(Name, Vec<usize>)>, Error> {
        let Some(PendingResult { name, shape, is_sum }) = self.pending.next() else { return Ok(None) };
        self.row_result = if is_sum { None } else { Some(name.clone()) };
        let is_open_sum = self.open_sums.iter().any(|open| open.name == name);
        if is_open_sum || !(is_sum || self.later.iter().any(|(later, _)| *later == name)) {
            self.begin_pass()?;
        }
        if is_open_sum {
            while self.chunked.next_row < self.chunked.rows() {
                self.compute_chunk()?;
            }
        }
        if is_sum {
            let at = self.finished_sums.iter().position(|(known, _)| *known == name);
            self.next_sum = at.map(|at| self.finished_sums.remove(at).1);
        }
        Ok(Some((name, shape)))
    }

    /// Begins a pass over all rows for a result and the sums that belong to its pass, or for all sums that are still open.
    fn begin_pass(&mut self) -> Result<(), Error> {
        self.chunked.rewind()?;
        let (row_result, chunked) = (self.row_result.as_ref(), &self.chunked);
        let belongs = |sum: &mut PendingResult| row_result.is_none() || chunked.pass_of_sum(&sum.name) == row_result;
        let sums = self.open_sums.extract_if(.., belongs);
        self.running_sums = sums.map(|sum| (sum.name, RunningSum::new(&sum.shape))).collect();
        if chunked.is_single_pass() {
            let later = self.pending.as_slice().iter().filter(|result| !result.is_sum);
            self.later = later.map(|result| (result.name.clone(), VecDeque::new())).collect();
        }
        Ok(())
    }

    fn end_pass(&mut self) {
        self.chunked.admits_chunks = false;
        let (divisor, precision) = (self.chunked.divisor, self.chunked.precision);
        self.finished_sums.extend(self.running_sums.drain(..).map(|(name, sum)| {
            let mut sum = match divisor {
                Some(divisor) if name == Name::DIVISOR => arr0(divisor).into_dyn(),
                Some(divisor) if name == Name::LOSS => sum.divided_by(divisor),
                _ => sum.finish(),
            };
            precision.round(&mut sum);
            (name, sum)
        }));
    }

    /// Computes the next chunk: returns the rows of this pass's result and adds to the sums.
    fn compute_chunk(&mut self) -> Result<Option<ArrayD<f64>>, Error> {
        let (later, sums) = (self.later.iter().map(|(name, _)| name), self.running_sums.iter().map(|(name, _)| name));
        let names: Vec<Name> = self.row_result.iter().chain(later).chain(sums).cloned().collect();
        let is_first = self.chunked.next_row == 0;
        let is_exact_sum = self.row_result.is_none() && self.chunked.precision == Precision::Exact;
        let count = if is_exact_sum { self.chunked.rows() } else { self.chunked.chunk_rows() };
        let dout = self.chunked.advance(count, names.iter().any(|name| self.chunked.job.spec.is_gradient(name)))?;
        let (layer, at, precision) =
            (self.chunked.job.layer.as_ref(), &self.chunked.job.operands.values, self.chunked.precision);
        let computed = Mutex::new((None, &mut self.later, &mut self.running_sums));
        let row_result = self.row_result.as_ref();
        layer::compute_in_chunks(
            layer,
            at,
            dout.as_ref(),
            precision,
            Wanted::Only(&names),
            &|name, begin, mut value| {
                let (rows, later, sums) = &mut *computed.lock().unwrap_or_else(PoisonError::into_inner);
                if row_result == Some(name) {
                    precision.round(&mut value);
                    *rows = Some(value);
                } else if let Some((_, rows)) = later.iter_mut().find(|(later, _)| later == name) {
                    precision.round(&mut value);
                    rows.push_back(value);
                } else if let Some((_, sum)) = sums.iter_mut().find(|(known, _)| known == name) {
                    sum.add(begin, &value, is_first);
                }
            },
        );
        let rows = computed.into_inner().unwrap_or_else(PoisonError::into_inner).0;
        self.chunked.recycled_dout = dout;
        if self.chunked.is_single_pass() {
            self.chunked.free_rows();
        }
        if self.chunked.next_row == self.chunked.rows() {
            self.end_pass();
        }
        self.progress.iter().for_each(|progress| progress.advance(1));
        Ok(rows)
    }

    /// Computes results that are all sums.
    pub(super) fn compute_sums(&mut self) -> Result<Vec<(Name, ArrayD<f64>)>, Error> {
        let mut sums = Vec::new();
        while let Some((name, _)) = self.next_result()? {
            sums.extend(self.next_sum.take().map(|sum| (name, sum)));
        }
        Ok(sums)
    }
}

impl ArrayStream for ChunkedResults<'_> {
    fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>> {
        self.next_result().map_err(io::Error::other)
    }

    fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>> {
        let later = self.later.iter_mut().find(|(name, _)| Some(name) == self.row_result.as_ref());
        let rows = match later {
            Some((_, rows)) => Ok(rows.pop_front()),
            None if self.row_result.is_some() && self.chunked.next_row < self.chunked.rows() => self.compute_chunk(),
            None => Ok(self.next_sum.take()),
        };
        Ok(rows.map_err(io::Error::other)?.map(Cow::Owned))
    }
}
