//! The loss and accuracy of a training, as a picture, a page and a line of text.

mod axis;
mod page;
mod sparkline;
mod svg;

pub use sparkline::summary_line;

use crate::network::learn::Score;

/// Scores of a training by epoch.
#[derive(Default)]
pub struct History {
    /// The scores of each epoch, in order.
    pub epochs: Vec<EpochScores>,
}

/// Scores of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochScores {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Scores on the batches, during the epoch.
    pub train: Score,
    /// Scores on held-out samples, after the epoch.
    pub held_out: Option<Score>,
}

/// Kinds of files of a training's plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotFormat {
    /// A picture.
    Svg,
    /// A page with the picture and a table of all numbers.
    Html,
}

impl PlotFormat {
    /// Returns the format of that extension.
    pub fn named(extension: &str) -> Option<PlotFormat> {
        match extension.to_ascii_lowercase().as_str() {
            "svg" => Some(PlotFormat::Svg),
            "html" => Some(PlotFormat::Html),
            _ => None,
        }
    }

    /// Draws a training.
    pub fn draw(self, history: &History) -> String {
        match self {
            PlotFormat::Svg => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", svg::element(history)),
            PlotFormat::Html => page::render(history),
        }
    }
}

/// A score of the epochs: the loss or the accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Loss,
    /// In percent.
    Accuracy,
}

impl Measure {
    fn of(self, score: Score) -> Option<f64> {
        match self {
            Measure::Loss => Some(score.loss),
            Measure::Accuracy => score.accuracy.map(|share| 100.0 * share),
        }
    }
}

/// Values of a measure by epoch.
struct Series {
    /// True for held-out samples, false for those that are learnt from.
    is_held_out: bool,
    points: Vec<(u64, f64)>,
}

impl History {
    /// Returns the values of a measure: of the training, then of held-out samples if there are any.
    fn series(&self, measure: Measure) -> Vec<Series> {
        let train = |scores: &EpochScores| Some((scores.epoch, measure.of(scores.train)?));
        let held_out = |scores: &EpochScores| Some((scores.epoch, measure.of(scores.held_out?)?));
        let all = [
            Series { is_held_out: false, points: self.epochs.iter().filter_map(train).collect() },
            Series { is_held_out: true, points: self.epochs.iter().filter_map(held_out).collect() },
        ];
        all.into_iter().filter(|series| !series.points.is_empty()).collect()
    }

    /// Returns the epoch with the lowest held-out loss, the first of equal ones.
    fn best(&self) -> Option<(u64, f64)> {
        let held_out = self.epochs.iter().filter_map(|scores| Some((scores.epoch, scores.held_out?.loss)));
        held_out.reduce(|best, point| if point.1 < best.1 { point } else { best })
    }
}
