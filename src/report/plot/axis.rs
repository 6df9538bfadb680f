//! Axes: ranges and ticks.

/// Ratio of the largest to the smallest value from which an axis is logarithmic, if all values are positive.
const LOGARITHMIC_RATIO: f64 = 20.0;
/// Number of decades from which a logarithmic axis has ticks at powers of ten only.
const MANY_DECADES: i32 = 3;

/// Number of decades of which each has a tick.
const MAX_DECADE_TICKS: i32 = 9;
/// Difference of two values, relative to the greater, below which they are equal on an axis: ticks have fewer digits.
const EQUAL: f64 = 1e-8;

/// An axis from one value to another.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// The first value, in logarithms if the axis is logarithmic.
    first: f64,
    last: f64,
    pub(super) is_logarithmic: bool,
    /// The values with a tick.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// Returns an axis for values, logarithmic if they are positive and differ by a large factor.
    pub(super) fn new(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let (least, greatest) = range(values);
        if least > 0.0 && greatest / least >= LOGARITHMIC_RATIO {
            return Axis::logarithmic(least, greatest);
        }
        Axis::linear(least, greatest, 5.0)
    }

    /// Returns an axis for numbers of epochs, which begins and ends with one.
    pub(super) fn whole_numbers(first: u64, last: u64) -> Axis {
        let (first, last) = (first as f64, last as f64);
        let step = nice_step((last - first).max(1.0), 8.0).max(1.0).round();
        let mut ticks: Vec<f64> = multiples(first, last, step).collect();
        // Epochs are counted from 1: the first and the last have ticks unless another is close.
        ticks.retain(|tick| (tick - first).abs() >= 0.6 * step && (last - tick).abs() >= 0.6 * step);
        ticks.insert(0, first);
        if last > first {
            ticks.push(last);
        }
        // A single epoch is at the end, where the names of the lines are.
        Axis { first: first.min(last - 1.0), last, is_logarithmic: false, ticks }
    }

    fn linear(least: f64, greatest: f64, count: f64) -> Axis {
        // Equal values are in the middle.
        let differ = greatest - least > EQUAL * greatest.abs().max(least.abs());
        let margin = if differ { 0.0 } else { (0.5 * greatest.abs()).max(1e-300) };
        let (least, greatest) = (least - margin, greatest + margin);
        let step = nice_step(greatest - least, count);
        let (first, last) = ((least / step).floor() * step, (greatest / step).ceil() * step);
        Axis { first, last, is_logarithmic: false, ticks: multiples(first, last, step).collect() }
    }

    fn logarithmic(least: f64, greatest: f64) -> Axis {
        let (first, last) = (libm::log10(least), libm::log10(greatest));
        let (low, high) = (floor(first), ceil(last));
        let mantissas: &[f64] = if high - low > MANY_DECADES { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let stride = ((high - low - 1) / MAX_DECADE_TICKS).max(0) + 1;
        let candidates: Vec<f64> = (low..=high)
            .filter(|exponent| (exponent - low) % stride == 0)
            .flat_map(|exponent| mantissas.iter().map(move |mantissa| decimal(*mantissa, exponent)))
            .collect();
        // The axis ends at the ticks around the values.
        let begin = candidates.iter().rposition(|tick| *tick <= least).unwrap_or(0);
        let end = candidates.iter().position(|tick| *tick >= greatest).unwrap_or(candidates.len() - 1);
        let ticks = candidates[begin..=end].to_vec();
        let (first, last) = (libm::log10(ticks[0]).min(first), libm::log10(ticks[ticks.len() - 1]).max(last));
        Axis { first, last, is_logarithmic: true, ticks }
    }

    /// Returns the position of a value: 0 at the first, 1 at the last.
    pub(super) fn position(&self, value: f64) -> f64 {
        let value = if self.is_logarithmic { libm::log10(value) } else { value };
        (value - self.first) / (self.last - self.first)
    }
}

/// Returns the least and the greatest value.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), value| (least.min(value), greatest.max(value)))
}

/// Returns 1, 2 or 5 times a power of ten, so that a range has about `count` steps.
fn nice_step(range: f64, count: f64) -> f64 {
    let exponent = floor(libm::log10(range / count));
    let steps = [1.0, 2.0, 5.0, 10.0].map(|mantissa| decimal(mantissa, exponent));
    steps.into_iter().find(|step| range / step <= count).unwrap_or(steps[3])
}

/// Returns mantissa·10^exponent as the double closest to it.
fn decimal(mantissa: f64, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().unwrap_or(mantissa)
}

/// Returns the multiples of a step from one number to another.
fn multiples(first: f64, last: f64, step: f64) -> impl Iterator<Item = f64> {
    let begin = (first / step).ceil();
    let rounded = move |n: u32| format!("{:.9e}", (begin + f64::from(n)) * step).parse::<f64>().unwrap_or(first);
    (0..100).map(rounded).take_while(move |tick| *tick <= last + 1e-9 * step)
}

#[allow(clippy::cast_possible_truncation)] // exponents of doubles
fn floor(value: f64) -> i32 {
    value.floor() as i32
}

#[allow(clippy::cast_possible_truncation)] // exponents of doubles
fn ceil(value: f64) -> i32 {
    value.ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        let ticks = |values: &[f64]| Axis::new(values.iter().copied()).ticks;
        assert_eq!(ticks(&[0.0, 2.3]), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(ticks(&[91.2, 97.6]), [90.0, 92.0, 94.0, 96.0, 98.0]);
        assert_eq!(ticks(&[2.3, 0.013]), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]);
        assert_eq!(ticks(&[1e-8, 1.0]).len(), 9);
        assert_eq!(ticks(&[1.0, 1.0]), [0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6]);
        assert_eq!(Axis::whole_numbers(1, 3).ticks, [1.0, 2.0, 3.0]);
        assert_eq!(Axis::whole_numbers(1, 20).ticks, [1.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Axis::whole_numbers(7, 7).ticks, [7.0]);
        assert_eq!((Axis::whole_numbers(7, 7).position(7.0), Axis::whole_numbers(7, 9).position(7.0)), (1.0, 0.0));
    }

    #[test]
    fn positions_are_between_the_ends() {
        for values in [[1e-300, 1e300], [5e-324, 5e-324], [0.0, 0.0], [-1e308, 1e3], [0.1, 0.1 + 1e-16], [1.0, 19.0]] {
            let axis = Axis::new(values.iter().copied());
            assert!(!axis.ticks.is_empty() && axis.ticks.len() < 20, "{values:?} {axis:?}");
            for value in values {
                assert!((-1e-9..=1.0 + 1e-9).contains(&axis.position(value)), "{value} {axis:?}");
            }
        }
    }
}
