//! Convolutions: y[o] = Σ x·w[o] + b[o] over the entries of a window and the channels of a group, which is a cross-correlation: w is
//! not flipped.
//!
//! - Backward: dx, dw and db are the sums of products that the chain rule gives, with the same windows: dx of dout·w, dw of x·dout
//!   over samples and positions, db of dout.
//! - Shapes: w (O, C/groups, …), b (O) or a scalar, y (N, O, …).
//! - Refuses: groups that do not divide C and O, w and b whose shapes do not match.
//! - Padding is zeros that are never multiplied: infinite weights give no NaN there.

use super::{WindowSettings, output_shape, samples_and_channels};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::arrays::elements;
use crate::layer::convention::GradientCase;
use crate::layer::gradients::{Forward, Gradients, Run};
use crate::layer::interface::{Admit, Given, Layer};
use crate::layer::settings::{Kind, Setting, Settings};
use crate::ops::{ArrayOps, Convolution, ConvolutionArray, WindowAxis, Windows};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

pub(super) const GROUPS: Setting = Setting {
    name: "groups",
    kind: Kind::Integer,
    doc: "number of groups of channels (default 1); the outputs of a group read the inputs of the group alone",
};

/// A convolution over `AXES` axes.
pub(super) struct Conv<const AXES: usize> {
    settings: WindowSettings,
    groups: usize,
}

impl<const AXES: usize> Conv<AXES> {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let groups = settings.integer(GROUPS.name).unwrap_or(1);
        let positive = usize::try_from(groups).ok().filter(|groups| *groups > 0);
        let groups = positive.ok_or_else(|| {
            Error::new(Code::Setting, format!("expected a positive number, got {groups}"))
                .with_operand(&Name::new(GROUPS.name))
                .tip(GROUPS.doc)
        })?;
        Ok(Conv { settings: WindowSettings::new(settings, AXES, &[1; AXES])?, groups })
    }

    /// Returns the sizes, or refuses the operands.
    fn try_sizes<S>(&self, at: &Tensors<S>) -> Result<Convolution, Error> {
        let (x, w) = (at.known(&Name::X).shape(), at.known(&Name::W).shape());
        let refuse = |code, operand: &Name, message: String| {
            Error::new(code, message).with_operand(operand).with_shape(&Name::X, x).with_shape(&Name::W, w)
        };
        let [outputs, inputs, kernel @ ..] = w else {
            return Err(rank_error::<AXES>(w));
        };
        if kernel.len() != AXES {
            return Err(rank_error::<AXES>(w));
        }
        let windows = self.settings.windows(x, kernel)?;
        let (samples, channels) = samples_and_channels(x, AXES);
        let groups = self.groups;
        if !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let message =
                format!("{groups} groups do not divide the {channels} channels of x and the {outputs} outputs of w");
            return Err(refuse(Code::Shape, &Name::new(GROUPS.name), message)
                .tip("use a number of groups that divides both, such as 1"));
        }
        if channels / groups != *inputs {
            let per_group = if groups == 1 { String::new() } else { format!(" in each of {groups} groups") };
            let message = format!("expected w to have {} channels{per_group}, got {inputs}", channels / groups);
            let tip = match channels.checked_div(*inputs) {
                Some(groups) if groups > 1 && groups * inputs == channels && outputs.is_multiple_of(groups) => {
                    format!("w fits --groups {groups}; without it, give w one channel for each of x")
                }
                _ => "give w one channel for each channel of x in a group: (O×C/groups×…)".to_owned(),
            };
            return Err(refuse(Code::Shape, &Name::W, message).tip(tip));
        }
        if kernel.contains(&0) {
            return Err(refuse(Code::Shape, &Name::W, "has a kernel without entries".to_owned())
                .tip("give each axis of the kernel one entry or more"));
        }
        if let Some(axis) = windows.0.iter().find(|axis| axis.windows > axis.taps.saturating_mul(axis.entries)) {
            let message = format!(
                "gives {} outputs along an axis of {} entries with a kernel of {}; most would be of the padding alone",
                axis.windows, axis.entries, axis.taps
            );
            return Err(refuse(Code::Shape, &Name::new(super::PADDING.name), message)
                .tip("use padding that is smaller than the kernel"));
        }
        let b = at.get(&Name::B).map(|b| b.shape()).filter(|b| !b.is_empty() && *b != [*outputs]);
        if let Some(b) = b {
            let message = format!("expected ({outputs}), one value for each output channel, got {}", format_shape(b));
            return Err(refuse(Code::Shape, &Name::B, message)
                .with_shape(&Name::B, b)
                .tip("give b one value for each row of w, or one for all"));
        }
        Ok(Convolution { samples, groups, inputs: *inputs, outputs: outputs / groups, windows })
    }

    fn sizes<S>(&self, at: &Tensors<S>) -> Convolution {
        self.try_sizes(at).unwrap_or_else(|_| unreachable!("admitted"))
    }
}

fn rank_error<const AXES: usize>(w: &[usize]) -> Error {
    let expected = if AXES == 1 { "(O×C/groups×k)" } else { "(O×C/groups×kh×kw)" };
    Error::new(Code::Rank, format!("must be {expected}, not {}", format_shape(w)))
        .with_operand(&Name::W)
        .tip("write an axis of length 1 where there is one output or channel")
}

impl<const AXES: usize> Admit for Conv<AXES> {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        self.try_sizes(given.at).map(|_| Vec::new())
    }

    fn sliding_windows(&self, at: &Tensors<f64>) -> Option<Windows> {
        Some(self.sizes(at).windows)
    }

    fn independent_rows(&self, rank: usize) -> bool {
        rank == AXES + 2
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        output_shape(at, at.known(&Name::W).shape()[0], &self.sizes(at).windows, AXES)
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        if at.get(&Name::B).is_some() { Vec::new() } else { vec![(Name::Y, "Σ x·w")] }
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![
            (Name::DX, "w of the tap that reads the entry, else 0"),
            (Name::DW, "x of the entry that the tap reads, else 0"),
            (Name::DB, "1 for the channel of the output, else 0"),
        ]
    }
}

impl<S: ArrayOps, const AXES: usize> Layer<S> for Conv<AXES> {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (sizes, x, w) = (self.sizes(at), at.known(&Name::X), at.known(&Name::W));
        let mut y = S::convolve(&sizes, ConvolutionArray::Y, [elements(x), elements(w)]);
        if let Some(b) = at.get(&Name::B).map(elements) {
            let count = sizes.windows.count().max(1);
            for (n, plane) in y.chunks_mut(count).enumerate() {
                let b = b[n % w.shape()[0] % b.len()];
                plane.iter_mut().for_each(|y| *y = *y + b);
            }
        }
        let shape = output_shape(at, w.shape()[0], &sizes.windows, AXES);
        Forward { results: Tensors::new().with(Name::Y, array(&shape, y)), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        gradients(self.sizes(at), at, dout)
    }
}

/// Returns the gradients of a convolution of these sizes.
fn gradients<'a, S: ArrayOps>(sizes: Convolution, at: &'a Tensors<S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
    let (x, w) = (at.known(&Name::X), at.known(&Name::W));
    let dout = elements(dout);
    let dx = move || array(x.shape(), S::convolve(&sizes, ConvolutionArray::X, [elements(w), dout]));
    let dw = move || array(w.shape(), S::convolve(&sizes, ConvolutionArray::W, [elements(x), dout]));
    let db = move || {
        let (channels, count) = (w.shape()[0], sizes.windows.count());
        let terms = |channel: usize| {
            (0..sizes.samples).flat_map(move |sample| &dout[(sample * channels + channel) * count..][..count]).copied()
        };
        array(&[channels], S::sum_each_row(channels, sizes.samples * count, terms))
    };
    Gradients::one(Name::DX, dx).with(Name::DW, dw).with_if(at.get(&Name::B).is_some(), Name::DB, db)
}

pub(super) fn array<S>(shape: &[usize], elements: Vec<S>) -> ArrayD<S> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), elements);
    array.unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

/// Returns the gradient for other windows that give as many outputs.
pub(super) fn with_windows<const AXES: usize>(
    case: &GradientCase<'_>,
    change: fn(&mut WindowAxis),
) -> Option<ArrayD<f64>> {
    let mut sizes = Conv::<AXES>::new(case.settings).ok()?.try_sizes(case.operands).ok()?;
    sizes.windows.0.iter_mut().for_each(change);
    gradients(sizes, case.operands, case.dout).compute().get(case.name).cloned()
}

/// Returns the gradient of a convolution whose kernel is flipped.
pub(super) fn with_flipped_kernel(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let flip = |w: &ArrayD<f64>| {
        let mut flipped = w.view();
        (2..w.ndim()).for_each(|axis| flipped.invert_axis(Axis(axis)));
        flipped.as_standard_layout().into_owned()
    };
    match *case.name == Name::DW {
        true => Some(flip(case.right)),
        false => {
            let w = flip(case.operands.get(&Name::W)?);
            case.recompute(|_, operands| operands.insert(Name::W, w))
        }
    }
}

/// Returns the gradient of a convolution in which every output reads the channels of the first group.
pub(super) fn without_groups<const AXES: usize>(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let (x, w) = (case.operands.get(&Name::X)?, case.operands.get(&Name::W)?);
    let channels = Axis(x.ndim().checked_sub(AXES + 1)?);
    let first = Slice::from(..w.shape().get(1).copied()?.min(x.len_of(channels)));
    let read = x.slice_axis(channels, first).as_standard_layout().into_owned();
    let gradient = case.recompute(|settings, operands| {
        settings.unset(GROUPS.name);
        operands.insert(Name::X, read);
    })?;
    if *case.name != Name::DX {
        return Some(gradient);
    }
    let mut dx = ArrayD::zeros(x.raw_dim());
    dx.slice_axis_mut(channels, first).assign(&gradient);
    Some(dx)
}
