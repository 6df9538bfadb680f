//! The loss of a training in one line of text.

use super::axis::{Axis, range};
use super::history::{History, Measure, Series};
use crate::report::numbers::format_short;

/// Largest number of characters of a sparkline.
const WIDTH: usize = 40;
/// Characters of a sparkline, from the least value to the greatest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Their substitutes for a terminal without these characters.
const ASCII: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// Returns a line for the loss of the training, and one for that of held-out samples: `loss  █▄▂▁  2.4 → 0.11`. A training of one
/// epoch has none.
pub fn summary_line(history: &History, ascii: bool) -> String {
    let series = history.series(Measure::Loss);
    let values = series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
    if history.epochs.len() < 2 {
        return String::new();
    }
    // Both have one scale.
    let (axis, (least, greatest)) = (Axis::new(values.clone()), range(values));
    let position = |value: f64| match axis.position(greatest) - axis.position(least) {
        span if span > 0.0 => (axis.position(value) - axis.position(least)) / span,
        _ => 0.0,
    };
    let scale = if axis.is_logarithmic { ", logarithmic" } else { "" };
    let line = |series: &Series| {
        let label = if series.is_held_out { "held-loss" } else { "loss" };
        let bars: String = shorten(&series.points).into_iter().map(|value| character(position(value), ascii)).collect();
        let [first, last] =
            [series.points.first(), series.points.last()].map(|point| point.map_or(0.0, |(_, value)| *value));
        let arrow = if ascii { "->" } else { "→" };
        format!("{label:<9}  {bars}  {} {arrow} {}{scale}\n", format_short(first), format_short(last))
    };
    series.iter().map(line).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 7
fn character(position: f64, ascii: bool) -> char {
    let bars = if ascii { ASCII } else { BARS };
    bars[(position * 7.0).round().clamp(0.0, 7.0) as usize]
}

/// Returns at most as many values as a line has characters: means of consecutive ones.
#[allow(clippy::cast_precision_loss)] // few values
fn shorten(points: &[(u64, f64)]) -> Vec<f64> {
    let size = points.len().div_ceil(WIDTH).max(1);
    let mean = |chunk: &[(u64, f64)]| chunk.iter().map(|(_, value)| value).sum::<f64>() / chunk.len() as f64;
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::learn::Score;
    use crate::report::plot::history::EpochScores;

    fn history(losses: impl Iterator<Item = f64>, has_held_out: bool) -> History {
        let score = |loss| Score { loss, accuracy: None };
        let scores = |(epoch, loss)| EpochScores {
            epoch,
            train: score(loss),
            held_out: has_held_out.then(|| score(2.0 * loss)),
        };
        History { epochs: (1..).zip(losses).map(scores).collect() }
    }

    #[test]
    fn the_line_has_a_bar_for_each_epoch_or_for_several() {
        let falling = || [1.0, 0.25, 0.0625].into_iter();
        assert_eq!(summary_line(&history(falling(), false), false), "loss       █▂▁  1 → 0.0625\n");
        assert_eq!(summary_line(&history(falling(), false), true), "loss       #._  1 -> 0.0625\n");
        assert_eq!(summary_line(&history([1.0].into_iter(), false), false), "");
        assert_eq!(summary_line(&history([1.0, 1.0].into_iter(), false), false), "loss       ▁▁  1 → 1\n");
        let lines = summary_line(&history((0..2000).map(|n| 0.99f64.powi(n)), true), false);
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].ends_with(", logarithmic") && lines[1].starts_with("held-loss  █"), "{lines:?}");
        assert!(lines.len() == 2 && lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    }
}
