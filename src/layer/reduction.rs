//! How the losses of the rows become one: sum, mean, none.

use super::scalar;
use super::settings::{Kind, Setting, Settings};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{Scalar, Scale};
use ndarray::ArrayD;

/// `--reduction`.
pub(super) const REDUCTION: Setting = Setting {
    name: "reduction",
    kind: Kind::Choice(&["sum", "mean", "none"]),
    doc: "how the rows' losses become one: sum (default), mean, or none: a loss a row, with the gradients of the sum",
};

/// `--empty`.
pub(super) const EMPTY: Setting = Setting {
    name: "empty",
    kind: Kind::Choice(&["error", "nan", "zero"]),
    doc: "the mean of nothing: error (default), nan or zero",
};

/// What becomes of the rows' losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// Their sum.
    Sum,
    /// Their sum over a divisor that the layer defines.
    Mean {
        /// What the mean of nothing is.
        empty: Empty,
    },
    /// One each.
    None,
}

/// What the mean of nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// Refused.
    Error,
    /// NaN, as PyTorch has it.
    Nan,
    /// 0.
    Zero,
}

/// What a mean divides by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Divisor<S> {
    /// What these rows make it, and they are all.
    OfThese(S),
    /// What more rows made it, of which these are a block: their loss is a part of the sum that is yet to be divided.
    OfMore(S),
}

impl<S: Scalar> Divisor<S> {
    /// The one that is given along with a block of rows, else that of the rows.
    pub(super) fn of(at: &Tensors<S>, these: impl FnOnce() -> S) -> Divisor<S> {
        at.get(&Name::DIVISOR).map_or_else(|| Divisor::OfThese(these()), |known| Divisor::OfMore(known[[]]))
    }

    /// The number.
    pub(super) fn value(self) -> S {
        match self {
            Divisor::OfThese(value) | Divisor::OfMore(value) => value,
        }
    }
}

impl Reduction {
    /// From `--reduction` and `--empty`.
    pub(super) fn new(settings: &Settings) -> Reduction {
        let empty = match settings.choice(EMPTY.name) {
            Some("nan") => Empty::Nan,
            Some("zero") => Empty::Zero,
            _ => Empty::Error,
        };
        match settings.choice(REDUCTION.name) {
            Some("mean") => Reduction::Mean { empty },
            Some("none") => Reduction::None,
            _ => Reduction::Sum,
        }
    }

    /// Refuses a mean over nothing.
    pub(super) fn admit(self, divisor: f64, why: &str) -> Result<(), Error> {
        if self != (Reduction::Mean { empty: Empty::Error }) || divisor != 0.0 {
            return Ok(());
        }
        Err(Error::new(Code::EmptyMean, format!("nothing to average: {why}"))
            .with_operand(&Name::new(REDUCTION.name))
            .tip("--empty nan or --empty zero says what the mean of nothing is, --reduction sum needs no divisor"))
    }

    /// The shape of the loss of `rows` rows that came in `rank`.
    pub(super) fn shape(self, rank: usize, rows: usize) -> Vec<usize> {
        if self == Reduction::None && rank == 2 { vec![rows] } else { vec![] }
    }

    /// loss = Σ terms, over the divisor for a mean, but where that is of more rows; for none a loss a row. `terms` gives the
    /// terms of a row, at most `width`.
    pub(super) fn reduce<S: Scalar, T: Iterator<Item = S>>(
        self,
        shape: &[usize],
        (rows, width): (usize, usize),
        divisor: Divisor<S>,
        terms: impl Fn(usize) -> T + Sync,
    ) -> Tensors<S> {
        if shape.len() == 1 {
            let losses = S::sums_of_rows(rows, width, terms);
            return Tensors::new().with(Name::LOSS, ndarray::Array1::from(losses).into_dyn());
        }
        let sum = S::sum_of_rows(rows, width, terms);
        match self {
            Reduction::Mean { .. } => {
                let loss = match divisor {
                    Divisor::OfMore(_) => sum,
                    Divisor::OfThese(divisor) if self.is_nothing(divisor) => S::zero(),
                    Divisor::OfThese(divisor) => sum / divisor,
                };
                Tensors::new().with(Name::LOSS, scalar(loss)).with(Name::DIVISOR, scalar(divisor.value()))
            }
            _ => Tensors::new().with(Name::LOSS, scalar(sum)),
        }
    }

    /// What makes the gradient of the loss of row n that of the reduced loss: times dout, over the divisor for a mean.
    pub(super) fn scale<S: Scalar>(self, dout: &ArrayD<S>, n: usize, divisor: Divisor<S>) -> Scale<S> {
        let dout = if dout.ndim() == 1 { dout[n] } else { dout[[]] };
        let divisor = matches!(self, Reduction::Mean { .. }).then_some(divisor.value());
        let nothing = divisor.filter(|&divisor| self.is_nothing(divisor)).map(|_| S::zero());
        Scale { dout, divisor, nothing }
    }

    /// Whether it is the mean of nothing, and 0.
    fn is_nothing<S: Scalar>(self, divisor: S) -> bool {
        divisor == S::zero() && self == (Reduction::Mean { empty: Empty::Zero })
    }
}
