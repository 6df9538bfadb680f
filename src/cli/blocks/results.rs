//! The results themselves, in the order of output.

use super::{Batches, Coming};
use crate::fault::Fault;
use crate::format::Arrays;
use crate::kernel::memory;
use crate::kernel::progress::Progress;
use crate::layer::{self, Precision, Wanted};
use crate::name::Name;
use crate::scalar::Running;
use ndarray::{ArrayD, arr0};
use std::borrow::Cow;
use std::io;

/// So few blocks are steps too long for a bar.
const FEW: usize = 20;

/// The results of batches, computed as they are asked for: in a pass over all rows for each that has a row a sample; the sums
/// are made along with the first.
pub(in crate::cli) struct Blocks<'a> {
    of: &'a mut Batches,
    progress: Option<Progress>,
    coming: std::vec::IntoIter<Coming>,
    /// The result whose rows are computed in this pass.
    row: Option<Name>,
    sums: Vec<(Name, Running)>,
    summed: bool,
    /// A sum that is asked for next.
    ready: Option<ArrayD<f64>>,
    /// Why it could not go on.
    pub(in crate::cli) fault: Option<Fault>,
}

impl<'a> Blocks<'a> {
    pub(in crate::cli) fn new(of: &'a mut Batches) -> Blocks<'a> {
        memory::reuse();
        let coming = of.results.clone().into_iter();
        // Few blocks are large ones, of which each says how far it is.
        let progress = (of.count() > FEW).then(|| Progress::new("computing", of.count()));
        Blocks { of, progress, coming, row: None, sums: Vec::new(), summed: false, ready: None, fault: None }
    }

    fn advance(&mut self) -> Result<Option<(Name, Vec<usize>)>, Fault> {
        let Some(Coming { name, shape, sum }) = self.coming.next() else { return Ok(None) };
        self.row = if sum { None } else { Some(name.clone()) };
        if !sum || !self.summed {
            self.of.rewind()?;
        }
        if sum {
            while !self.summed {
                self.block()?;
            }
            let at = self.sums.iter().position(|(known, _)| *known == name);
            self.ready = at.map(|at| self.finished(at));
        }
        Ok(Some((name, shape)))
    }

    /// The sum that stands there among the sums.
    fn finished(&mut self, at: usize) -> ArrayD<f64> {
        let (name, sum) = self.sums.remove(at);
        match self.of.divisor {
            Some(divisor) if name == Name::DIVISOR => arr0(divisor).into_dyn(),
            Some(divisor) if name == Name::LOSS => sum.over(divisor),
            _ => sum.finish(),
        }
    }

    /// Computes the next block, of which it gives the rows and adds the sums.
    fn block(&mut self) -> Result<Option<ArrayD<f64>>, Fault> {
        let sums = self.of.results.iter().filter(|coming| coming.sum && !self.summed);
        let wanted: Vec<Name> = self.row.iter().chain(sums.map(|coming| &coming.name)).cloned().collect();
        let dout = self.of.next(self.of.height(), wanted.iter().any(Name::is_gradient))?;
        let (layer, at, precision) = (self.of.layer.as_ref(), &self.of.operands.values, self.of.precision);
        let made = layer::compute_only(layer, at, dout.as_ref(), precision, Wanted::Only(&wanted));
        let mut rows = None;
        for (name, value) in made.results.into_iter().chain(made.gradients) {
            if self.row.as_ref() == Some(&name) {
                rows = Some(value);
            } else if let Some((_, sum)) = self.sums.iter_mut().find(|(known, _)| *known == name) {
                sum.add(&value);
            } else {
                self.sums.push((name, Running::new(value, precision == Precision::F32)));
            }
        }
        if self.of.begin == self.of.rows() {
            (self.summed, self.of.admits) = (true, false);
        }
        self.progress.iter().for_each(|progress| progress.done(1));
        Ok(rows)
    }

    /// Keeps why it could not go on.
    fn kept<T>(&mut self, made: Result<T, Fault>) -> io::Result<T> {
        made.map_err(|fault| {
            self.fault = Some(fault);
            io::ErrorKind::Other.into()
        })
    }
}

impl Arrays for Blocks<'_> {
    fn next(&mut self) -> io::Result<Option<(Name, Vec<usize>)>> {
        let next = self.advance();
        self.kept(next)
    }

    fn rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>> {
        let left = self.row.is_some() && self.of.begin < self.of.rows();
        let rows = if left { self.block() } else { Ok(self.ready.take()) };
        Ok(self.kept(rows)?.map(Cow::Owned))
    }
}
