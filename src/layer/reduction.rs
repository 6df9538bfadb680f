//! Reduction of the rows' losses: sum, mean or none.

use super::arrays::{elements, scalar};
use super::lanes::Lanes;
use super::settings::{Kind, Setting, Settings};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use crate::ops::loss::Scale;
use ndarray::ArrayD;

/// The setting `--reduction`.
pub(super) const REDUCTION: Setting = Setting {
    name: "reduction",
    kind: Kind::Choice(&["sum", "mean", "none"]),
    doc: "reduction: sum (default), mean or none; none gives one loss per row, with the gradients of the sum",
};

/// The setting `--reduction` of a loss of single entries.
pub(super) const ENTRY_REDUCTION: Setting = Setting {
    name: "reduction",
    kind: Kind::Choice(&["sum", "mean", "none", BATCH_MEAN]),
    doc: "reduction: sum (default), mean, batchmean or none; mean divides by the number of entries, batchmean by the size of axis 0, none gives one loss per entry with the gradients of the sum",
};

/// The reduction that divides by the size of axis 0.
pub(super) const BATCH_MEAN: &str = "batchmean";

/// The setting `--empty`.
pub(super) const EMPTY: Setting = Setting {
    name: "empty",
    kind: Kind::Choice(&["error", "nan", "zero"]),
    doc: "mean if no row counts: error (default), nan or zero",
};

/// Reduction of the rows' losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// The sum of the losses.
    Sum,
    /// The sum divided by a divisor that the layer defines.
    Mean {
        /// The mean over no rows.
        empty: Empty,
    },
    /// One loss per row.
    None,
}

/// The mean over no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// An error.
    Error,
    /// NaN, as in PyTorch.
    Nan,
    /// 0.
    Zero,
}

/// Divisor of a mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Divisor<S> {
    /// The divisor of a full batch.
    OfBatch(S),
    /// The divisor of the batch that these rows are a block of: their loss is a part of the undivided sum.
    OfBlock(S),
}

impl<S: ArrayOps> Divisor<S> {
    /// Returns the divisor that is an operand of a block of rows, else that of the rows.
    pub(super) fn new(at: &Tensors<S>, compute: impl FnOnce() -> S) -> Divisor<S> {
        at.get(&Name::DIVISOR).map_or_else(|| Divisor::OfBatch(compute()), |divisor| Divisor::OfBlock(divisor[[]]))
    }

    /// Returns the number.
    pub(super) fn value(self) -> S {
        match self {
            Divisor::OfBatch(value) | Divisor::OfBlock(value) => value,
        }
    }
}

impl Reduction {
    /// Returns the reduction that `--reduction` and `--empty` set; the latter is refused where it would change nothing.
    pub(super) fn new(settings: &Settings) -> Result<Reduction, Error> {
        let empty = match settings.choice(EMPTY.name) {
            Some("nan") => Empty::Nan,
            Some("zero") => Empty::Zero,
            _ => Empty::Error,
        };
        let reduction = match settings.choice(REDUCTION.name) {
            Some("mean" | BATCH_MEAN) => Reduction::Mean { empty },
            Some("none") => Reduction::None,
            _ => Reduction::Sum,
        };
        if settings.choice(EMPTY.name).is_some() && !matches!(reduction, Reduction::Mean { .. }) {
            return Err(Error::new(Code::Setting, "has an effect only with --reduction mean")
                .with_operand(&Name::new(EMPTY.name))
                .tip("add --reduction mean, or leave it out: a sum of no losses is 0"));
        }
        Ok(reduction)
    }

    /// Refuses a mean over no rows, for a `reason`.
    pub(super) fn admit(self, divisor: f64, reason: &str) -> Result<(), Error> {
        if self != (Reduction::Mean { empty: Empty::Error }) || divisor != 0.0 {
            return Ok(());
        }
        Err(Error::new(Code::EmptyMean, format!("the mean is undefined: {reason}"))
            .with_operand(&Name::new(REDUCTION.name))
            .tip("use --empty nan or --empty zero to define it, or use --reduction sum"))
    }

    /// Returns the shape of the loss: that of one number for each lane of classes, or a scalar.
    pub(super) fn shape(self, lanes: &Lanes) -> Vec<usize> {
        if self == Reduction::None { lanes.shape_without_axis() } else { vec![] }
    }

    /// Returns loss = Σ terms, divided for a mean unless the rows are a block of a batch; for none one loss per lane. `terms`
    /// returns the terms of a lane.
    pub(super) fn reduce<S: ArrayOps, T: Iterator<Item = S>>(
        self,
        lanes: &Lanes,
        divisor: Divisor<S>,
        terms: impl Fn(usize) -> T + Sync,
    ) -> Tensors<S> {
        let (rows, width) = (lanes.count(), lanes.len());
        if self == Reduction::None {
            let losses = ArrayD::from_shape_vec(self.shape(lanes), S::sum_each_row(rows, width, terms));
            let losses = losses.unwrap_or_else(|_| unreachable!("there is a loss for each lane"));
            return Tensors::new().with(Name::LOSS, losses);
        }
        self.divided(S::sum_all_rows(rows, width, terms), divisor)
    }

    /// Returns the reduced loss of a sum, divided for a mean unless the rows are a block of a batch.
    pub(super) fn divided<S: ArrayOps>(self, sum: S, divisor: Divisor<S>) -> Tensors<S> {
        match self {
            Reduction::Mean { .. } => {
                let loss = match divisor {
                    Divisor::OfBlock(_) => sum,
                    Divisor::OfBatch(divisor) if self.is_zero_mean(divisor) => S::zero(),
                    Divisor::OfBatch(divisor) => sum / divisor,
                };
                Tensors::new().with(Name::LOSS, scalar(loss)).with(Name::DIVISOR, scalar(divisor.value()))
            }
            _ => Tensors::new().with(Name::LOSS, scalar(sum)),
        }
    }

    /// Returns the scale of lane n: the gradient of the reduced loss is that of its own loss times dout, divided for a mean.
    pub(super) fn scale<S: ArrayOps>(self, dout: &ArrayD<S>, n: usize, divisor: Divisor<S>) -> Scale<S> {
        let dout = elements(dout)[if dout.ndim() > 0 { n } else { 0 }];
        let divisor = matches!(self, Reduction::Mean { .. }).then_some(divisor.value());
        let if_empty = divisor.filter(|&divisor| self.is_zero_mean(divisor)).map(|_| S::zero());
        Scale { dout, divisor, if_empty }
    }

    /// Returns true if it is a mean over no rows that is 0.
    fn is_zero_mean<S: ArrayOps>(self, divisor: S) -> bool {
        divisor == S::zero() && self == (Reduction::Mean { empty: Empty::Zero })
    }
}
