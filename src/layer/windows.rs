//! Layers of windows that slide over the spatial axes: convolutions and poolings in one and two dimensions.
//!
//! - Forward: y of each window is a formula of the entries that its taps read (`conv`, `pool`). Along each axis tap t of window o
//!   reads entry o·stride + t·dilation − before. There are ⌊(entries + before + after − (taps − 1)·dilation − 1)/stride⌋ + 1
//!   windows; with `--ceil-mode` ⌈…⌉ + 1, without one that would start behind the last entry. `same-upper` and `same-lower` pad so
//!   that there are ⌈entries/stride⌉, and put the odd one at the end or at the beginning.
//! - Backward: the same windows, tap by tap; an entry that several windows read has the sum.
//! - Shapes: x (N, C, L) or (N, C, H, W); without N it is one sample, and y has the rank of x.
//! - Refuses: settings out of range, windows that are larger than the padded input, padding that windows do not leave.
//! - Accuracy: the error of each entry is at most (n + 8)·2⁻⁵³ times the sum of the magnitudes of its n terms.
//! - Source: `torch.nn` Conv1d, Conv2d, MaxPool1d, MaxPool2d, AvgPool1d and AvgPool2d; Conv, MaxPool and AveragePool of ONNX,
//!   opset 22. Where they differ, the default is PyTorch's, and the option's help says so.

mod conv;
mod pool;
pub(super) mod rows;

use super::settings::{Kind, Setting, Settings, Value};
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{WindowAxis, Windows};

const STRIDE: Setting = Setting {
    name: "stride",
    kind: Kind::Integers,
    doc: "distance of windows (default 1); one number for all axes, or one for each axis: 2,1",
};
/// The stride of a pooling.
const POOL_STRIDE: Setting = Setting {
    doc: "distance of windows (default the kernel); that is PyTorch's default, and 1 is ONNX's; one number for all axes, or one for each axis: 2,1",
    ..STRIDE
};
const DILATION: Setting = Setting {
    name: "dilation",
    kind: Kind::Integers,
    doc: "distance of entries of a window (default 1); one number for all axes, or one for each axis: 2,1",
};
const PADDING: Setting = Setting {
    name: "padding",
    kind: Kind::IntegerRows(&["same", "same-upper", "same-lower"]),
    doc: "padding, on every side (default 0) or by rows; a row before,after for each axis (1,2 for one axis, 1,2;0,1 for two), or same \
          (same-upper) or same-lower, which give ⌈entries/stride⌉ outputs and put the odd one at the end or the beginning",
};
const KERNEL: Setting = Setting {
    name: "kernel",
    kind: Kind::Integers,
    doc: "size of the windows (default 2); as in Keras; one number for all axes, or one for each axis: 3,2",
};
const CEIL_MODE: Setting = Setting {
    name: "ceil-mode",
    kind: Kind::Flag,
    doc: "add a last window that is not full; none starts in the padding behind the last entry",
};

/// Largest number of a setting.
const MAX: i64 = i32::MAX as i64;

/// Padding of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Padding {
    /// Before and after.
    Given(usize, usize),
    /// As much as ⌈entries/stride⌉ windows need, the odd one at the end.
    SameUpper,
    /// As much as ⌈entries/stride⌉ windows need, the odd one at the beginning.
    SameLower,
}

/// The settings of windows, one for each axis.
#[derive(Clone, Debug)]
struct WindowSettings {
    stride: Vec<usize>,
    dilation: Vec<usize>,
    padding: Vec<Padding>,
    ceil: bool,
}

impl WindowSettings {
    /// Returns the settings for a number of axes, with this stride by default.
    fn new(settings: &Settings, axes: usize, stride: &[usize]) -> Result<WindowSettings, Error> {
        Ok(WindowSettings {
            stride: sizes(settings, &STRIDE, axes)?.unwrap_or_else(|| stride.to_vec()),
            dilation: sizes(settings, &DILATION, axes)?.unwrap_or_else(|| vec![1; axes]),
            padding: padding(settings, axes)?,
            ceil: settings.flag(CEIL_MODE.name),
        })
    }

    /// Returns the number of axes.
    fn axes(&self) -> usize {
        self.stride.len()
    }

    /// Returns the windows of a kernel over the last axes of x, which has samples and channels before them, or refuses them.
    fn windows(&self, x: &[usize], kernel: &[usize]) -> Result<Windows, Error> {
        let axes = self.axes();
        if x.len() != axes + 1 && x.len() != axes + 2 {
            let expected = if axes == 1 { "(N×C×L) or (C×L)" } else { "(N×C×H×W) or (C×H×W)" };
            return Err(Error::new(Code::Rank, format!("must be {expected}, not {}", format_shape(x)))
                .with_operand(&Name::X)
                .tip("give x an axis of channels before those that the windows slide along; samples come first"));
        }
        let entries = &x[x.len() - axes..];
        let mut windows = [WindowAxis::SINGLE; 2];
        for n in 0..axes {
            let axis = self.axis(n, entries[n], kernel[n]);
            windows[2 - axes + n] = axis.ok_or_else(|| self.too_large(x, kernel))?;
        }
        Ok(Windows(windows))
    }

    /// Returns the windows along an axis; `None` if a window does not fit.
    fn axis(&self, n: usize, entries: usize, taps: usize) -> Option<WindowAxis> {
        let (stride, dilation) = (self.stride[n], self.dilation[n]);
        let axis = WindowAxis { entries, taps, stride, dilation, before: 0, after: 0, windows: 0 };
        let extent = axis.extent();
        let same = entries.div_ceil(stride);
        let total = (same.saturating_sub(1).saturating_mul(stride)).saturating_add(extent).saturating_sub(entries);
        let (before, after) = match self.padding[n] {
            Padding::Given(before, after) => (before, after),
            Padding::SameUpper => (total / 2, total.div_ceil(2)),
            Padding::SameLower => (total.div_ceil(2), total / 2),
        };
        let room = entries.checked_add(before)?.checked_add(after)?.checked_sub(extent)?;
        let windows = match self.padding[n] {
            Padding::Given(..) if self.ceil => {
                let windows = room.div_ceil(stride) + 1;
                // A window may not start in the padding behind the last entry.
                if (windows - 1) * stride >= entries + before { windows - 1 } else { windows }
            }
            Padding::Given(..) => room / stride + 1,
            _ => same,
        };
        Some(WindowAxis { before: isize::try_from(before).ok()?, after, windows, ..axis })
    }

    /// Returns the error for a kernel that is larger than the padded input.
    fn too_large(&self, x: &[usize], kernel: &[usize]) -> Error {
        let spread: Vec<usize> = kernel
            .iter()
            .zip(&self.dilation)
            .map(|(taps, dilation)| (taps.saturating_sub(1)).saturating_mul(*dilation) + 1)
            .collect();
        let padded: Vec<usize> = x[x.len() - self.axes()..]
            .iter()
            .zip(&self.padding)
            .map(|(entries, padding)| match padding {
                Padding::Given(before, after) => entries + before + after,
                _ => *entries,
            })
            .collect();
        let dilated = if self.dilation.iter().any(|dilation| *dilation > 1) { ", dilated," } else { "" };
        let message = format!(
            "has the windows {}{dilated} that are larger than the padded input {}",
            format_shape(&spread),
            format_shape(&padded)
        );
        Error::new(Code::Shape, message)
            .with_operand(&Name::X)
            .with_shape(&Name::X, x)
            .tip("use a smaller kernel or dilation, or more --padding")
    }
}

/// Returns the positive numbers of a setting, one for each axis, if it is set.
fn sizes(settings: &Settings, setting: &Setting, axes: usize) -> Result<Option<Vec<usize>>, Error> {
    let Some(given) = settings.integers(setting.name) else { return Ok(None) };
    let refuse = |expected: &str| {
        let shown: Vec<String> = given.iter().map(i64::to_string).collect();
        Error::new(Code::Setting, format!("expected {expected}, got {}", shown.join(",")))
            .with_operand(&Name::new(setting.name))
            .tip(setting.doc)
    };
    if given.len() != 1 && given.len() != axes {
        return Err(refuse(if axes == 1 { "one number" } else { "one number, or one for each of 2 axes" }));
    }
    if given.iter().any(|number| !(1..=MAX).contains(number)) {
        return Err(refuse("positive numbers below 2³¹"));
    }
    let number = |n: usize| usize::try_from(given[n.min(given.len() - 1)]).unwrap_or_default();
    Ok(Some((0..axes).map(number).collect()))
}

/// Returns the padding of each axis.
fn padding(settings: &Settings, axes: usize) -> Result<Vec<Padding>, Error> {
    let rows = match settings.get(PADDING.name) {
        None => return Ok(vec![Padding::Given(0, 0); axes]),
        Some(Value::Choice("same-lower")) => return Ok(vec![Padding::SameLower; axes]),
        Some(Value::IntegerRows(rows)) => rows,
        Some(_) => return Ok(vec![Padding::SameUpper; axes]),
    };
    let refuse = |message: String| Error::new(Code::Setting, message).with_operand(&Name::new(PADDING.name));
    if let ([row], 2) = (&rows[..], axes)
        && let [a, b] = row[..]
    {
        return Err(refuse(format!("expected a row for each of 2 axes, got {a},{b} alone"))
            .tip(format!("write {a};{b} for {a} around the rows and {b} around the columns, or {a},{b};{a},{b} for {a} before and {b} after both")));
    }
    if (rows.len() != 1 && rows.len() != axes) || rows.iter().any(|row| row.len() > 2) {
        return Err(refuse(format!(
            "expected a number, or a row before,after for each axis, of which there are {axes}"
        ))
        .tip(PADDING.doc));
    }
    if let Some(wrong) = rows.iter().flatten().find(|number| !(0..=MAX).contains(*number)) {
        return Err(refuse(format!("expected numbers from 0 to 2³¹ − 1, got {wrong}")).tip(PADDING.doc));
    }
    let number = |number: i64| usize::try_from(number).unwrap_or_default();
    let axis = |n: usize| {
        let row = &rows[n.min(rows.len() - 1)];
        Padding::Given(number(row[0]), number(row[row.len() - 1]))
    };
    Ok((0..axes).map(axis).collect())
}

/// Returns the sizes of the axes before the spatial ones: samples, 1 if there is no such axis, and channels.
fn samples_and_channels(x: &[usize], axes: usize) -> (usize, usize) {
    (if x.len() > axes + 1 { x[0] } else { 1 }, x[x.len() - axes - 1])
}

/// Returns the shape of an output: that of x with its channels and windows.
fn output_shape(at: &Tensors<impl Sized>, channels: usize, windows: &Windows, axes: usize) -> Vec<usize> {
    let x = at.known(&Name::X).shape();
    let spatial = windows.0[2 - axes..].iter().map(|axis| axis.windows);
    x[..x.len() - axes - 1].iter().copied().chain([channels]).chain(spatial).collect()
}
