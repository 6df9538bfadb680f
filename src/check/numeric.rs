//! Derivatives by differences, each with an error bar.
//!
//! Central differences over a ladder of steps, extrapolated to step 0 (Richardson, Ridders); the error bar is what
//! neighbours in the table disagree by, plus the noise of the outputs over the step. Ladders of other sizes follow only
//! for entries whose error bar is not yet small.

use super::{Point, Subject};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{Layer, Precision};
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// A step: the entries of one operand that move, each by its weight times the length.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The operand.
    pub operand: &'a Name,
    /// Flat index and weight of each entry that moves.
    pub entries: &'a [(usize, f64)],
    /// How far.
    pub length: f64,
}

/// A function of named arrays.
pub trait Function {
    /// Its outputs, flat, after each move, and how far a move of one entry really was.
    fn outputs(&mut self, moves: &[Move<'_>]) -> Result<Vec<(Vec<DoubleDouble>, DoubleDouble)>, Error>;
    /// The relative rounding of an output.
    fn unit(&self) -> f64;
    /// The largest step, as a part of the operand's size, and the ratio of steps in a ladder.
    fn ladder(&self) -> Ladder;
}

/// The steps that a derivative is taken with.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    /// The first step over the size of the operand.
    first: f64,
    /// Each step over the next.
    ratio: f64,
    /// How many.
    levels: usize,
}

/// A layer of our own, in double-double.
pub struct Exactly<'a> {
    /// The layer.
    pub layer: &'a dyn Layer<DoubleDouble>,
    /// Where.
    pub at: Tensors<DoubleDouble>,
    /// The output that is differentiated.
    pub output: Name,
    /// Called after each forward pass.
    pub tick: &'a dyn Fn(),
}

impl Function for Exactly<'_> {
    fn outputs(&mut self, moves: &[Move<'_>]) -> Result<Vec<(Vec<DoubleDouble>, DoubleDouble)>, Error> {
        let outputs = moves.iter().map(|step| {
            let mut at = self.at.clone();
            if let Some(values) = at.get_mut(step.operand).and_then(ArrayD::as_slice_mut) {
                for &(entry, weight) in step.entries {
                    values[entry] =
                        values[entry] + DoubleDouble::from_f64(weight) * DoubleDouble::from_f64(step.length);
                }
            }
            let run = self.layer.forward(&at);
            (self.tick)();
            let outputs = run.results.get(&self.output).map(|value| value.iter().copied().collect());
            (outputs.unwrap_or_default(), DoubleDouble::from_f64(step.length))
        });
        Ok(outputs.collect())
    }

    fn unit(&self) -> f64 {
        DOUBLED_UNIT
    }

    fn ladder(&self) -> Ladder {
        Ladder { first: 2f64.powi(-12), ratio: 4.0, levels: 4 }
    }
}

/// Somebody's program, in its own precision.
pub struct Outside<'a> {
    /// The program.
    pub subject: &'a mut dyn Subject,
    /// Where.
    pub at: &'a Tensors<f64>,
    /// The output that is differentiated.
    pub output: Name,
    /// Called after each forward pass.
    pub tick: &'a dyn Fn(),
}

impl Function for Outside<'_> {
    fn outputs(&mut self, moves: &[Move<'_>]) -> Result<Vec<(Vec<DoubleDouble>, DoubleDouble)>, Error> {
        let precision = self.subject.precision();
        let moved: Vec<(Point, DoubleDouble)> = moves.iter().map(|step| moved(self.at, step, precision)).collect();
        let (points, lengths): (Vec<Point>, Vec<DoubleDouble>) = moved.into_iter().unzip();
        let replies = self.subject.ask(&points)?;
        points.iter().for_each(|_| (self.tick)());
        let outputs = |reply: &super::Reply| {
            let value = reply.outputs.get(&self.output);
            value.map(|value| value.iter().map(|&v| DoubleDouble::from_f64(v)).collect()).unwrap_or_default()
        };
        Ok(replies.iter().map(outputs).zip(lengths).collect())
    }

    fn unit(&self) -> f64 {
        super::rounding(self.subject.precision())
    }

    fn ladder(&self) -> Ladder {
        Ladder { first: 0.5, ratio: 2.0, levels: 6 }
    }
}

/// The point that a move leads to, in numbers that the program's precision holds.
fn moved(at: &Tensors<f64>, step: &Move<'_>, precision: Precision) -> (Point, DoubleDouble) {
    let mut at = at.clone();
    let mut length = DoubleDouble::from_f64(step.length);
    if let Some(values) = at.get_mut(step.operand).and_then(ArrayD::as_slice_mut) {
        for &(entry, weight) in step.entries {
            let before = values[entry];
            let after = super::rounded(before + weight * step.length, precision);
            if step.entries.len() == 1 {
                length =
                    (DoubleDouble::from_f64(after) - DoubleDouble::from_f64(before)) / DoubleDouble::from_f64(weight);
            }
            values[entry] = after;
        }
    }
    (Point { at, dout: None }, length)
}

/// A direction whose derivative is wanted: one entry, or many at once.
#[derive(Clone, Debug)]
pub struct Direction {
    /// Flat index and weight of each entry that moves.
    pub entries: Vec<(usize, f64)>,
    /// The size of the operand there: its magnitude, or 1 where it is 0.
    pub size: f64,
}

/// A derivative by differences.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The derivative.
    pub value: f64,
    /// What it may be off by.
    pub error_bar: f64,
    /// The smallest step it was taken from.
    pub step: f64,
}

impl Estimate {
    const NONE: Estimate = Estimate { value: f64::NAN, error_bar: f64::INFINITY, step: 0.0 };
}

/// An output is rounded so often at least: by its last operation, and by a library's exp or log.
const ROUNDINGS: f64 = 2.0;

/// The relative rounding of double-double, with a few bits to spare.
const DOUBLED_UNIT: f64 = 1.0 / (1u128 << 100) as f64;

/// How the sizes of further ladders follow from the operand's own, the first.
const SIZES: &[fn(f64) -> f64] = &[
    |size| size,
    |_| 1.0,
    |size| size * 2f64.powi(-5),
    |size| size * 2f64.powi(-10),
    |_| 2f64.powi(-10),
    |_| 2f64.powi(-20),
    |_| 2f64.powi(-30),
    |_| 2f64.powi(-40),
    |_| 2f64.powi(-60),
];

/// What is differentiated: L = Σ dout∘output, by one operand.
pub struct Slope<'a> {
    function: &'a mut dyn Function,
    operand: &'a Name,
    dout: Vec<DoubleDouble>,
    /// The noise of each output, absolute.
    noise: Vec<f64>,
    /// The outputs where nothing moved.
    here: Vec<DoubleDouble>,
}

impl<'a> Slope<'a> {
    /// Looks at the function where it stands: its outputs there and their noise.
    pub fn new(
        function: &'a mut dyn Function,
        operand: &'a Name,
        dout: &ArrayD<f64>,
        around: &Direction,
    ) -> Result<Slope<'a>, Error> {
        let spacing = libm::pow(function.unit(), 0.68);
        let moves: Vec<Move<'_>> = (-3i32..=3)
            .map(|n| Move { operand, entries: &around.entries, length: f64::from(n) * spacing * around.size })
            .collect();
        let samples: Vec<Vec<DoubleDouble>> =
            function.outputs(&moves)?.into_iter().map(|(outputs, _)| outputs).collect();
        let here = samples.get(3).cloned().unwrap_or_default();
        let unit = function.unit();
        let noise = (0..here.len())
            .map(|n| {
                let values: Vec<DoubleDouble> = samples.iter().filter_map(|sample| sample.get(n).copied()).collect();
                (ROUNDINGS * unit * here[n].to_f64().abs()).max(3.0 * scatter(values))
            })
            .collect();
        let dout = dout.iter().map(|&v| DoubleDouble::from_f64(v)).collect();
        let mut slope = Slope { function, operand, dout, noise, here };
        if unit > DOUBLED_UNIT {
            slope.look_for_stairs(around)?;
        }
        Ok(slope)
    }

    /// Outputs that were rounded for printing, or by fixed-point hardware, rise in stairs. Where a window of some width
    /// shows two treads, half the riser between them is noise. Along one direction an output may stand still, so four are
    /// looked along.
    fn look_for_stairs(&mut self, around: &Direction) -> Result<(), Error> {
        let turned = |turn: usize| -> Vec<(usize, f64)> {
            let sign = |n: usize| if turn == 0 || (n >> (turn / 2)).is_multiple_of(2) { 1.0 } else { -1.0 };
            around.entries.iter().enumerate().map(|(n, &(entry, weight))| (entry, weight * sign(n))).collect()
        };
        let turns: Vec<Vec<(usize, f64)>> = (0..4).map(turned).collect();
        let lengths = |turn: usize| {
            let widest = around.size / if turn.is_multiple_of(2) { 2.0 } else { 4.0 };
            (0..13).flat_map(move |k| (-4i32..=4).map(move |n| widest / 4f64.powi(k) * f64::from(n) / 4.0))
        };
        let moves: Vec<Move<'_>> = turns
            .iter()
            .enumerate()
            .flat_map(|(turn, entries)| lengths(turn).map(|length| Move { operand: self.operand, entries, length }))
            .collect();
        let samples = self.function.outputs(&moves)?;
        for window in samples.chunks(9) {
            for n in 0..self.noise.len() {
                let values: Vec<DoubleDouble> =
                    window.iter().filter_map(|(outputs, _)| outputs.get(n).copied()).collect();
                self.noise[n] = self.noise[n].max(riser(&values) / 2.0);
            }
        }
        Ok(())
    }

    /// Whether L is a number where nothing moved.
    pub fn is_finite(&self) -> bool {
        self.here.iter().zip(&self.dout).all(|(out, dout)| (*out * *dout).to_f64().is_finite())
    }

    /// The derivative along each direction, to `reach` of the largest where the noise allows.
    pub fn along(&mut self, directions: &[Direction], reach: f64) -> Result<Vec<Estimate>, Error> {
        let mut best = vec![Estimate::NONE; directions.len()];
        for size in SIZES {
            let largest = best.iter().map(|e| e.value.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
            let open: Vec<usize> = (0..best.len())
                .filter(|&n| {
                    !(best[n].error_bar <= reach * largest.max(best[n].value.abs()) || best[n].error_bar == 0.0)
                })
                .collect();
            if open.is_empty() {
                break;
            }
            // A few hundred directions at a time: many points are asked for at once, but never all in memory.
            for open in open.chunks(64) {
                let found = self.ladders(directions, open, *size)?;
                for (&n, found) in open.iter().zip(found) {
                    if found.error_bar < best[n].error_bar {
                        best[n] = found;
                    }
                }
            }
        }
        Ok(best)
    }

    fn ladders(
        &mut self,
        directions: &[Direction],
        open: &[usize],
        size: fn(f64) -> f64,
    ) -> Result<Vec<Estimate>, Error> {
        let ladder = self.function.ladder();
        let length = |n: usize, level: usize| {
            size(directions[n].size.min(4.0)) * ladder.first / ladder.ratio.powi(i32::try_from(level).unwrap_or(0))
        };
        let steps: Vec<(usize, f64)> = open
            .iter()
            .flat_map(|&n| (0..ladder.levels).flat_map(move |level| [(n, length(n, level)), (n, -length(n, level))]))
            .collect();
        let moves: Vec<Move<'_>> = steps
            .iter()
            .map(|&(n, length)| Move { operand: self.operand, entries: &directions[n].entries, length })
            .collect();
        let samples = self.function.outputs(&moves)?;
        Ok(samples
            .chunks(2 * ladder.levels)
            .map(|samples| {
                let pairs = samples.chunks(2).map(|pair| self.difference(&pair[0], &pair[1]));
                extrapolated(&pairs.collect::<Vec<_>>(), ladder.ratio * ladder.ratio)
            })
            .collect())
    }

    /// A difference over its step, and the noise in it.
    fn difference(
        &self,
        ahead: &(Vec<DoubleDouble>, DoubleDouble),
        behind: &(Vec<DoubleDouble>, DoubleDouble),
    ) -> Difference {
        let step = ahead.1 - behind.1;
        if ahead.0.len() != self.dout.len() || behind.0.len() != self.dout.len() || step.to_f64() == 0.0 {
            return Difference { slope: DoubleDouble::from_f64(f64::NAN), noise: f64::INFINITY, step: 0.0 };
        }
        let terms = self.dout.iter().zip(ahead.0.iter().zip(&behind.0));
        // A dout of 0 hides an output, also an infinite one.
        let rise = terms.filter(|(dout, _)| dout.to_f64() != 0.0).map(|(dout, (a, b))| *dout * (*a - *b));
        let rise = DoubleDouble::sum(rise);
        let unit = self.function.unit();
        let (mut noise, mut unmoved) = (0.0, 0.0f64);
        for n in (0..self.dout.len()).filter(|&n| self.dout[n].to_f64() != 0.0) {
            let size = ahead.0[n].to_f64().abs().max(behind.0[n].to_f64().abs());
            let own = self.dout[n].to_f64().abs() * self.noise[n].max(ROUNDINGS * unit * size);
            // Outputs that stay as they are may depend on other entries only: the noisiest stands for all of them.
            if ahead.0[n] == behind.0[n] { unmoved = unmoved.max(own) } else { noise += own }
        }
        noise += unmoved;
        let step_size = step.to_f64().abs();
        Difference { slope: rise / step, noise: 2.0 * noise / step_size, step: step_size / 2.0 }
    }

    /// The derivatives to the left and to the right of where it stands.
    pub fn one_sided(&mut self, direction: &Direction) -> Result<[Estimate; 2], Error> {
        let mut best = [Estimate::NONE; 2];
        let ladder = self.function.ladder();
        for size in SIZES {
            for (side, best) in [-1.0, 1.0].into_iter().zip(&mut best) {
                let length = |level: usize| {
                    side * size(direction.size) * ladder.first / ladder.ratio.powi(i32::try_from(level).unwrap_or(0))
                };
                let moves: Vec<Move<'_>> = (0..ladder.levels)
                    .map(|level| Move { operand: self.operand, entries: &direction.entries, length: length(level) })
                    .collect();
                let here = (self.here.clone(), DoubleDouble::zero());
                let samples = self.function.outputs(&moves)?;
                let slopes: Vec<Difference> = samples.iter().map(|sample| self.difference(sample, &here)).collect();
                let found = extrapolated(&slopes, ladder.ratio);
                if found.error_bar < best.error_bar {
                    *best = found;
                }
            }
        }
        Ok(best)
    }
}

struct Difference {
    slope: DoubleDouble,
    noise: f64,
    step: f64,
}

/// Extrapolates differences, the largest step first, to step 0; the error falls by `factor` from one to the next.
fn extrapolated(differences: &[Difference], factor: f64) -> Estimate {
    let mut best = Estimate::NONE;
    let mut before: Vec<DoubleDouble> = Vec::new();
    for difference in differences {
        let mut row = vec![difference.slope];
        let mut power = 1.0;
        for (m, &above) in before.iter().enumerate() {
            power *= factor;
            let last = row[m];
            let next = last + (last - above) / DoubleDouble::from_f64(power - 1.0);
            let off = (next - last).abs().to_f64().max((next - above).abs().to_f64());
            let error_bar = 2.0 * off + 1.5 * difference.noise;
            if error_bar < best.error_bar {
                best = Estimate { value: next.to_f64(), error_bar, step: difference.step };
            }
            row.push(next);
        }
        before = row;
    }
    // The value itself is rounded to a double.
    Estimate { error_bar: best.error_bar + best.value.abs() * f64::EPSILON, ..best }
}

/// The largest rise that has a level tread on either side; a kink has one on one side only.
fn riser(values: &[DoubleDouble]) -> f64 {
    let level = |n: &usize| values[*n] == values[*n + 1];
    let steps = 0..values.len().saturating_sub(1);
    let (Some(first), Some(last)) = (steps.clone().find(level), steps.clone().rfind(level)) else { return 0.0 };
    let between = steps.filter(|n| (first..last).contains(n) && !level(n));
    between.map(|n| (values[n + 1] - values[n]).to_f64().abs()).filter(|rise| rise.is_finite()).fold(0.0, f64::max)
}

/// The noise of seven values at equal distances: what their fourth differences have that no smooth function would
/// (Moré and Wild's ECnoise, one order of it).
fn scatter(mut values: Vec<DoubleDouble>) -> f64 {
    const ORDER: usize = 4;
    if values.len() <= ORDER {
        return 0.0;
    }
    for _ in 0..ORDER {
        values = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    // The variance of a fourth difference is (8 choose 4) = 70 times that of a value.
    let largest = values.iter().map(|v| v.to_f64().abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
    largest / 70f64.sqrt()
}
