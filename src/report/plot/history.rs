//! The scores of a training by epoch.

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

/// A score of the epochs: the loss or the accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Loss,
    /// In percent.
    Accuracy,
}

impl Measure {
    pub(super) fn value_of(self, score: Score) -> Option<f64> {
        match self {
            Measure::Loss => Some(score.loss),
            Measure::Accuracy => score.accuracy.map(|share| 100.0 * share),
        }
    }
}

/// Values of a measure by epoch.
pub(super) struct Series {
    /// True for held-out samples, false for those that are learnt from.
    pub(super) is_held_out: bool,
    pub(super) points: Vec<(u64, f64)>,
}

impl History {
    /// Returns the values of a measure: of the training, then of held-out samples if there are any.
    pub(super) fn series(&self, measure: Measure) -> Vec<Series> {
        let train = |scores: &EpochScores| Some((scores.epoch, measure.value_of(scores.train)?));
        let held_out = |scores: &EpochScores| Some((scores.epoch, measure.value_of(scores.held_out?)?));
        let all = [
            Series { is_held_out: false, points: self.epochs.iter().filter_map(train).collect() },
            Series { is_held_out: true, points: self.epochs.iter().filter_map(held_out).collect() },
        ];
        all.into_iter().filter(|series| !series.points.is_empty()).collect()
    }

    /// Returns the epoch with the lowest held-out loss, the first of equal ones.
    pub(super) fn best(&self) -> Option<(u64, f64)> {
        let held_out = self.epochs.iter().filter_map(|scores| Some((scores.epoch, scores.held_out?.loss)));
        held_out.reduce(|best, point| if point.1 < best.1 { point } else { best })
    }
}
