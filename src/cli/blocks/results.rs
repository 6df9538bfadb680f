//! The results themselves, in the order of output.

use super::{Batches, Coming};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::ArrayStream;
use crate::layer;
use crate::layer::{Precision, Wanted};
use crate::numeric::Running;
use crate::parallel::pages;
use crate::parallel::progress::Progress;
use ndarray::{ArrayD, arr0};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

/// So few blocks are steps too long for a bar.
const FEW: usize = 20;

/// The results of batches, computed as they are asked for: in a pass over all rows for each that has a row a sample, or in one
/// for all; sums are made along with one of them.
pub(in crate::cli) struct Blocks<'a> {
    of: &'a mut Batches,
    progress: Option<Progress>,
    coming: std::vec::IntoIter<Coming>,
    /// The result whose rows are computed in this pass.
    row: Option<Name>,
    /// Rows of later results that the same pass computes.
    later: Vec<(Name, VecDeque<ArrayD<f64>>)>,
    /// The sums that no pass has made yet, that are made in this one, and that were made.
    open: Vec<Coming>,
    adding: Vec<(Name, Running)>,
    sums: Vec<(Name, ArrayD<f64>)>,
    /// A sum that is asked for next.
    ready: Option<ArrayD<f64>>,
    /// Why it could not go on.
    pub(in crate::cli) error: Option<Error>,
}

impl<'a> Blocks<'a> {
    pub(in crate::cli) fn new(of: &'a mut Batches) -> Blocks<'a> {
        pages::raise_mmap_threshold();
        let coming = of.results.clone().into_iter();
        let open = of.results.iter().filter(|coming| coming.sum).cloned().collect();
        // Few blocks are large ones, of which each says how far it is.
        let progress = (of.count() > FEW).then(|| Progress::new("computing", of.count()));
        Blocks {
            of,
            progress,
            coming,
            row: None,
            later: Vec::new(),
            open,
            adding: Vec::new(),
            sums: Vec::new(),
            ready: None,
            error: None,
        }
    }

    fn advance(&mut self) -> Result<Option<(Name, Vec<usize>)>, Error> {
        let Some(Coming { name, shape, sum }) = self.coming.next() else { return Ok(None) };
        self.row = if sum { None } else { Some(name.clone()) };
        let open = self.open.iter().any(|open| open.name == name);
        if open || !(sum || self.later.iter().any(|(later, _)| *later == name)) {
            self.begin()?;
        }
        if open {
            while self.of.begin < self.of.rows() {
                self.block()?;
            }
        }
        if sum {
            let at = self.sums.iter().position(|(known, _)| *known == name);
            self.ready = at.map(|at| self.sums.remove(at).1);
        }
        Ok(Some((name, shape)))
    }

    /// Begins a pass over all rows, for the rows of a result and the sums that go along, or for all sums that there are still
    /// to be made.
    fn begin(&mut self) -> Result<(), Error> {
        self.of.rewind()?;
        let (row, of) = (self.row.as_ref(), &self.of);
        let now = self.open.extract_if(.., |sum| row.is_none() || of.along(&sum.name) == row);
        let single = of.precision == Precision::F32;
        self.adding = now.map(|sum| (sum.name, Running::new(&sum.shape, single))).collect();
        if self.of.once() {
            let later = self.coming.as_slice().iter().filter(|coming| !coming.sum);
            self.later = later.map(|coming| (coming.name.clone(), VecDeque::new())).collect();
        }
        Ok(())
    }

    /// Ends a pass.
    fn end(&mut self) {
        self.of.admits = false;
        self.sums.extend(self.adding.drain(..).map(|(name, sum)| {
            let sum = match self.of.divisor {
                Some(divisor) if name == Name::DIVISOR => arr0(divisor).into_dyn(),
                Some(divisor) if name == Name::LOSS => sum.over(divisor),
                _ => sum.finish(),
            };
            (name, sum)
        }));
    }

    /// Computes the next block, of which it gives the rows and adds the sums.
    fn block(&mut self) -> Result<Option<ArrayD<f64>>, Error> {
        let (later, adding) = (self.later.iter().map(|(name, _)| name), self.adding.iter().map(|(name, _)| name));
        let wanted: Vec<Name> = self.row.iter().chain(later).chain(adding).cloned().collect();
        let first = self.of.begin == 0;
        let all = self.row.is_none() && self.of.precision == Precision::Exact;
        let count = if all { self.of.rows() } else { self.of.height() };
        let dout = self.of.next(count, wanted.iter().any(|name| self.of.spec.is_gradient(name)))?;
        let (layer, at, precision) = (self.of.layer.as_ref(), &self.of.operands.values, self.of.precision);
        let made = Mutex::new((None, &mut self.later, &mut self.adding));
        let row = self.row.as_ref();
        layer::compute_each(layer, at, dout.as_ref(), precision, Wanted::Only(&wanted), &|name, begin, value| {
            let (rows, later, sums) = &mut *made.lock().unwrap_or_else(PoisonError::into_inner);
            if row == Some(name) {
                *rows = Some(value);
            } else if let Some((_, rows)) = later.iter_mut().find(|(later, _)| later == name) {
                rows.push_back(value);
            } else if let Some((_, sum)) = sums.iter_mut().find(|(known, _)| known == name) {
                sum.add(begin, &value, first);
            }
        });
        let rows = made.into_inner().unwrap_or_else(PoisonError::into_inner).0;
        self.of.spent = dout;
        if self.of.once() {
            self.of.spend();
        }
        if self.of.begin == self.of.rows() {
            self.end();
        }
        self.progress.iter().for_each(|progress| progress.advance(1));
        Ok(rows)
    }

    /// Keeps why it could not go on.
    fn kept<T>(&mut self, made: Result<T, Error>) -> io::Result<T> {
        made.map_err(|error| {
            self.error = Some(error);
            io::ErrorKind::Other.into()
        })
    }
}

impl ArrayStream for Blocks<'_> {
    fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>> {
        let next = self.advance();
        self.kept(next)
    }

    fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>> {
        let later = self.later.iter_mut().find(|(name, _)| Some(name) == self.row.as_ref());
        let rows = match later {
            Some((_, rows)) => Ok(rows.pop_front()),
            None if self.row.is_some() && self.of.begin < self.of.rows() => self.block(),
            None => Ok(self.ready.take()),
        };
        Ok(self.kept(rows)?.map(Cow::Owned))
    }
}
