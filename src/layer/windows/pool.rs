//! Poolings: y is the largest entry of each window, or the mean of its entries.
//!
//! - Backward: dx of maxpool is dout at the first largest entry of each window, in the order of rows; dx of avgpool is dout divided
//!   as the mean was, at every entry of the window. Entries of several windows get the sum.
//! - Padding: of maxpool −∞. Avgpool counts zeros in the padding as entries, or leaves them out with
//!   `--count-include-pad false`; what `--ceil-mode` reaches beyond the padding never counts.
//! - Refuses: padding of more than half of the kernel that is also more than the input, and a window of padding alone.
//! - A window with NaN has NaN, as in PyTorch. Equal largest entries are a kink: any share of dout is a subgradient.

use super::conv::array;
use super::{KERNEL, PADDING, WindowSettings, output_shape, samples_and_channels, sizes};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::arrays::{count, elements};
use crate::layer::convention::GradientCase;
use crate::layer::gradients::{Forward, Gradients, Run};
use crate::layer::interface::{Admit, Given, Layer};
use crate::layer::settings::{Kind, Setting, Settings};
use crate::ops::{ArrayOps, WindowAxis, Windows};
use ndarray::ArrayD;

pub(super) const COUNT_INCLUDE_PAD: Setting = Setting {
    name: "count-include-pad",
    kind: Kind::Choice(&["true", "false"]),
    doc: "the mean counts padding: true (default), false; true is PyTorch's default, false that of ONNX and TensorFlow",
};

/// The number that is computed of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pooled {
    /// The largest entry.
    Max,
    /// The mean.
    Mean {
        /// True if the padding counts.
        padding: bool,
    },
}

/// A pooling over `AXES` axes.
pub(super) struct Pool<const AXES: usize> {
    settings: WindowSettings,
    kernel: Vec<usize>,
    pooled: Pooled,
}

impl<const AXES: usize> Pool<AXES> {
    pub(super) fn max(settings: &Settings) -> Result<Self, Error> {
        Pool::new(settings, Pooled::Max)
    }

    pub(super) fn mean(settings: &Settings) -> Result<Self, Error> {
        Pool::new(settings, Pooled::Mean { padding: settings.choice(COUNT_INCLUDE_PAD.name) != Some("false") })
    }

    fn new(settings: &Settings, pooled: Pooled) -> Result<Self, Error> {
        let kernel = sizes(settings, &KERNEL, AXES)?.unwrap_or_else(|| vec![2; AXES]);
        Ok(Pool { settings: WindowSettings::new(settings, AXES, &kernel)?, kernel, pooled })
    }

    /// Returns the windows, or refuses x.
    fn try_windows<S>(&self, at: &Tensors<S>) -> Result<Windows, Error> {
        let x = at.known(&Name::X).shape();
        let windows = self.settings.windows(x, &self.kernel)?;
        for axis in &windows.0 {
            let padding = axis.before.unsigned_abs().max(axis.after);
            let message = if padding > axis.extent() / 2 && padding > axis.entries {
                format!(
                    "of {padding} is more than half of the window {} and than the axis {} of x",
                    axis.extent(),
                    axis.entries
                )
            } else if let Some(window) = (0..axis.windows).find(|window| axis.taps_inside(*window) == 0) {
                format!("makes window {window} of {} read no entry of x", axis.windows)
            } else {
                continue;
            };
            return Err(Error::new(Code::Shape, message)
                .with_operand(&Name::new(PADDING.name))
                .with_shape(&Name::X, x)
                .fact(format!("kernel {}", format_shape(&self.kernel)))
                .tip("use padding of at most half of the kernel, on each side"));
        }
        Ok(windows)
    }

    fn windows<S>(&self, at: &Tensors<S>) -> Windows {
        self.try_windows(at).unwrap_or_else(|_| unreachable!("admitted"))
    }
}

impl<const AXES: usize> Admit for Pool<AXES> {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        self.try_windows(given.at).map(|_| Vec::new())
    }

    fn sliding_windows(&self, at: &Tensors<f64>) -> Option<Windows> {
        Some(self.windows(at))
    }

    fn independent_rows(&self, rank: usize) -> bool {
        rank == AXES + 2
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let (_, channels) = samples_and_channels(at.known(&Name::X).shape(), AXES);
        output_shape(at, channels, &self.windows(at), AXES)
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let formula = match self.pooled {
            Pooled::Max => "1 for the first largest entry of the window, else 0",
            Pooled::Mean { .. } => "1/count for the entries of the window, else 0",
        };
        vec![(Name::DX, formula)]
    }
}

impl<S: ArrayOps, const AXES: usize> Layer<S> for Pool<AXES> {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (windows, x) = (self.windows(at), at.known(&Name::X));
        let (samples, channels) = samples_and_channels(x.shape(), AXES);
        let (x_elements, entries, outputs) = (elements(x), windows.entries(), windows.count());
        let y = S::fill_chunks(samples * channels * outputs, outputs, |plane, y| {
            let x = &x_elements[plane * entries..][..entries];
            match self.pooled {
                Pooled::Max => {
                    let entries = |window| windows.entries_of(window).map(|entry| x[entry]);
                    let found = largest(windows, x).enumerate();
                    y.iter_mut().zip(found).for_each(|(y, (window, at))| *y = S::max_of(entries(window), x[at]));
                }
                Pooled::Mean { padding } => {
                    let pairs = windows.all_runs().flat_map(|run| run.pairs());
                    S::add_terms(pairs.map(|(window, entry)| (window, x[entry])), y);
                    y.iter_mut().zip(divisors(windows, padding)).for_each(|(y, divisor)| *y = *y / divisor);
                }
            }
        });
        let shape = output_shape(at, channels, &windows, AXES);
        Forward { results: Tensors::new().with(Name::Y, array(&shape, y)), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let x = at.known(&Name::X);
        Gradients::one(Name::DX, move || gradient(self.pooled, self.windows(at), x, dout))
    }
}

/// Returns dx.
fn gradient<S: ArrayOps>(pooled: Pooled, windows: Windows, x: &ArrayD<S>, dout: &ArrayD<S>) -> ArrayD<S> {
    let (x_elements, dout) = (elements(x), elements(dout));
    let (entries, outputs) = (windows.entries(), windows.count());
    let dx = S::fill_chunks(x_elements.len(), entries, |plane, dx| {
        let (x, dout) = (&x_elements[plane * entries..][..entries], &dout[plane * outputs..][..outputs]);
        match pooled {
            Pooled::Max => S::add_terms(largest(windows, x).zip(dout.iter().copied()), dx),
            Pooled::Mean { padding } => {
                let counts: Vec<S> = divisors(windows, padding).collect();
                // Where all counts are equal, the sum is divided, which is one rounding.
                let common = counts.first().filter(|first| counts.iter().all(|count| count == *first));
                let parts: Vec<S> = match common {
                    Some(_) => dout.to_vec(),
                    None => dout.iter().zip(&counts).map(|(&dout, &count)| dout / count).collect(),
                };
                let pairs = windows.all_runs().flat_map(|run| run.pairs());
                S::add_terms(pairs.map(|(window, entry)| (entry, parts[window])), dx);
                common.into_iter().for_each(|&count| dx.iter_mut().for_each(|dx| *dx = *dx / count));
            }
        }
    });
    array(x.shape(), dx)
}

/// Returns the place of the largest entry of each window, the first of equal ones; NaN is larger than any number.
fn largest<S: ArrayOps>(windows: Windows, x: &[S]) -> impl Iterator<Item = usize> {
    const NONE: usize = usize::MAX;
    let mut found = vec![(S::zero(), NONE); windows.count()];
    for run in windows.all_runs() {
        for (window, entry) in run.pairs() {
            let (value, (best, at)) = (x[entry], &mut found[window]);
            if *at == NONE || value > *best || value.is_nan() {
                (*best, *at) = (value, entry);
            }
        }
    }
    found.into_iter().map(|(_, at)| at)
}

/// Returns the number of entries of each window, with or without those in the padding.
fn divisors<S: ArrayOps>(windows: Windows, padding: bool) -> impl Iterator<Item = S> {
    let counts = |axis: WindowAxis| -> Vec<usize> {
        let count = |window| if padding { axis.taps_in_padded(window) } else { axis.taps_inside(window) };
        (0..axis.windows).map(count).collect()
    };
    let [rows, columns] = windows.0.map(counts);
    rows.into_iter().flat_map(move |row| {
        let counts: Vec<usize> = columns.iter().map(|column| row * column).collect();
        counts.into_iter().map(|entries| S::from_f64(count(entries)))
    })
}

/// Returns the gradient of a mean for other windows that give as many outputs.
pub(super) fn mean_with_windows<const AXES: usize>(
    case: &GradientCase<'_>,
    change: fn(&mut WindowAxis),
) -> Option<ArrayD<f64>> {
    changed(case, Pool::<AXES>::mean(case.settings).ok()?, change)
}

/// Returns the gradient of a maximum for other windows that give as many outputs.
pub(super) fn max_with_windows<const AXES: usize>(
    case: &GradientCase<'_>,
    change: fn(&mut WindowAxis),
) -> Option<ArrayD<f64>> {
    changed(case, Pool::<AXES>::max(case.settings).ok()?, change)
}

fn changed<const AXES: usize>(
    case: &GradientCase<'_>,
    pool: Pool<AXES>,
    change: fn(&mut WindowAxis),
) -> Option<ArrayD<f64>> {
    let mut windows = pool.try_windows(case.operands).ok()?;
    windows.0.iter_mut().for_each(change);
    let inside = |axis: &WindowAxis| (0..axis.windows).all(|window| axis.taps_inside(window) > 0);
    windows.0.iter().all(inside).then(|| gradient(pool.pooled, windows, case.operands.known(&Name::X), case.dout))
}

/// Returns the gradient of a maximum at every one of equal largest entries.
pub(super) fn at_every_largest<const AXES: usize>(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let windows = Pool::<AXES>::max(case.settings).ok()?.try_windows(case.operands).ok()?;
    let (x, y) = (case.operands.get(&Name::X)?, case.output(&Name::Y)?);
    let (entries, outputs) = (windows.entries(), windows.count());
    let dx = f64::fill_chunks(x.len(), entries, |plane, dx| {
        let (x, first) = (&elements(x)[plane * entries..], plane * outputs);
        let pairs = windows.all_runs().flat_map(|run| run.pairs());
        let ties = pairs.filter(|(window, entry)| x[*entry] == elements(&y)[first + window]);
        f64::add_terms(ties.map(|(window, entry)| (entry, elements(case.dout)[first + window])), dx);
    });
    Some(array(x.shape(), dx))
}
