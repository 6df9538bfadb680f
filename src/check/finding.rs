//! The findings of a check.

use super::accuracy::Accuracy;
use super::diagnosis::Diagnosis;
use crate::core::name::Name;

/// The verdict on a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The result agrees with its baseline.
    Pass,
    /// The numerical gradient is too inaccurate to tell.
    Inconclusive,
    /// The result differs from its baseline.
    Fail,
}

impl Verdict {
    /// Returns the verdict as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Fail => "FAIL",
        }
    }
}

/// The values that a result is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The numerical gradient of a forward pass.
    NumericalGradient,
    /// nnlayer's own result.
    Reference,
}

impl Baseline {
    /// Returns the baseline's name in JSON and in reports for build servers.
    pub fn as_str(self) -> &'static str {
        match self {
            Baseline::NumericalGradient => "differences",
            Baseline::Reference => "nnlayer",
        }
    }
}

/// An entry, or the projection on a random direction, compared with its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryCheck {
    /// The index of the entry; `None` for a random direction.
    pub index: Option<Vec<usize>>,
    /// The implementation's value.
    pub analytic: f64,
    /// The baseline's value.
    pub numeric: f64,
    /// Error bar of the baseline's value.
    pub error_bar: f64,
    /// The largest accepted difference.
    pub allowed: f64,
    /// The step size of the numerical derivative; 0 if there is none.
    pub step: f64,
}

impl EntryCheck {
    /// Returns |analytic − numeric| / allowed; above 1 the entry is wrong.
    pub fn excess(&self) -> f64 {
        let error = (self.analytic - self.numeric).abs();
        if self.analytic == self.numeric {
            0.0
        } else if self.allowed > 0.0 && !error.is_nan() {
            error / self.allowed
        } else {
            f64::INFINITY
        }
    }
}

/// The comparison of one result with one baseline.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The result.
    pub result: Name,
    /// True if the result is a gradient.
    pub is_gradient: bool,
    /// The baseline.
    pub baseline: Baseline,
    /// The verdict.
    pub verdict: Verdict,
    /// The result's shape.
    pub shape: Vec<usize>,
    /// Number of entries that were checked one by one.
    pub checked: usize,
    /// Number of random directions that were checked.
    pub directions: usize,
    /// Number of wrong entries and directions.
    pub wrong: usize,
    /// The entry with the largest excess.
    pub worst: Option<EntryCheck>,
    /// The accuracy of the entries, for a program.
    pub accuracy: Option<Accuracy>,
    /// Remarks for the report.
    pub notes: Vec<String>,
    /// Known mistakes that produce this result, the most specific first.
    pub diagnoses: Vec<Diagnosis>,
    /// Mistakes that would have passed with these operands.
    pub unnoticed: Vec<&'static str>,
}

impl Finding {
    /// Returns a finding without entries.
    pub fn new(result: &Name, is_gradient: bool, baseline: Baseline, shape: &[usize]) -> Finding {
        Finding {
            result: result.clone(),
            is_gradient,
            baseline,
            verdict: Verdict::Pass,
            shape: shape.to_vec(),
            checked: 0,
            directions: 0,
            wrong: 0,
            worst: None,
            accuracy: None,
            notes: Vec::new(),
            diagnoses: Vec::new(),
            unnoticed: Vec::new(),
        }
    }

    /// Returns true if there were entries and none of them could be checked.
    fn is_skipped(&self) -> bool {
        self.verdict == Verdict::Pass && self.checked + self.directions == 0 && !self.shape.contains(&0)
    }

    /// Adds the finding to those of a report, or only its remarks if nothing could be checked.
    pub(super) fn add_to(self, findings: &mut Vec<Finding>, notes: &mut Vec<String>) {
        if self.is_skipped() {
            notes.extend(self.notes.iter().map(|note| format!("{}: {note}", self.result)));
        } else {
            findings.push(self);
        }
    }

    /// Adds an entry to the verdict, and remembers it if it is the worst.
    pub(super) fn record(&mut self, entry: EntryCheck) {
        let excess = entry.excess();
        if let (Some(accuracy), Some(_)) = (&mut self.accuracy, &entry.index) {
            accuracy.add(entry.analytic, entry.numeric, entry.allowed);
        }
        if excess > 1.0 {
            self.wrong += 1;
            self.verdict = Verdict::Fail;
        }
        if self.worst.as_ref().is_none_or(|worst| excess > worst.excess()) {
            self.worst = Some(entry);
        }
    }
}

/// The report of a check.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// The layer's command, or `custom`.
    pub layer: String,
    /// True if the implementation's own forward pass was differentiated, false if it was nnlayer's.
    pub differentiates_implementation: bool,
    /// The findings, in the order of results.
    pub findings: Vec<Finding>,
    /// Sentences about what could not be checked.
    pub unchecked: Vec<String>,
    /// Seed of the random numbers; `None` if there were none.
    pub seed: Option<u64>,
    /// Remarks on the check as a whole.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Returns the worst verdict of the findings.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Inconclusive)
    }

    /// Returns true if a forward result is wrong.
    pub fn has_wrong_forward(&self) -> bool {
        self.findings.iter().any(|finding| !finding.is_gradient && finding.verdict == Verdict::Fail)
    }
}
