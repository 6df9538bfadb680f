//! What a check found.

use super::diagnosis::Diagnosis;
use crate::core::name::Name;

/// Whether something is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is, within what can be known.
    Pass,
    /// The numeric side is too rough to say.
    Inconclusive,
    /// It is not.
    Fail,
}

impl Verdict {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Fail => "FAIL",
        }
    }
}

/// What a result is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Differences of a forward pass.
    Differences,
    /// nnlayer's own result.
    Reference,
}

impl Against {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Against::Differences => "differences",
            Against::Reference => "nnlayer",
        }
    }
}

/// The entry, or direction, that is furthest outside what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Its index; none for a random direction.
    pub index: Option<Vec<usize>>,
    /// What the subject says.
    pub analytic: f64,
    /// What it is held against.
    pub numeric: f64,
    /// What the numeric side may be off by.
    pub error_bar: f64,
    /// How far apart they may be.
    pub allowed: f64,
    /// The step of the differences; 0 where there are none.
    pub step: f64,
}

impl Worst {
    /// How far apart they are, in parts of what is allowed.
    pub fn excess(&self) -> f64 {
        let off = (self.analytic - self.numeric).abs();
        if self.analytic == self.numeric {
            0.0
        } else if off.is_nan() {
            f64::INFINITY
        } else if self.allowed > 0.0 {
            off / self.allowed
        } else {
            f64::INFINITY
        }
    }
}

/// What was found about one result.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The result.
    pub result: Name,
    /// True if the result is a gradient.
    pub is_gradient: bool,
    /// What it was held against.
    pub against: Against,
    /// Whether it is right.
    pub verdict: Verdict,
    /// The result's shape.
    pub shape: Vec<usize>,
    /// How many entries were looked at one by one.
    pub checked: usize,
    /// How many random directions were looked at.
    pub directions: usize,
    /// How many of them are outside what is allowed.
    pub wrong: usize,
    /// The one that is furthest outside, or nearest to it.
    pub worst: Option<Worst>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// Known mistakes that give just this result, the most specific first.
    pub diagnoses: Vec<Diagnosis>,
    /// Mistakes that would have passed here.
    pub unnoticed: Vec<&'static str>,
}

impl Finding {
    /// Nothing found yet.
    pub fn new(result: &Name, is_gradient: bool, against: Against, shape: &[usize]) -> Finding {
        Finding {
            result: result.clone(),
            is_gradient,
            against,
            verdict: Verdict::Pass,
            shape: shape.to_vec(),
            checked: 0,
            directions: 0,
            wrong: 0,
            worst: None,
            notes: Vec::new(),
            diagnoses: Vec::new(),
            unnoticed: Vec::new(),
        }
    }

    /// Whether there were entries, and none of them could be looked at.
    pub fn is_left_out(&self) -> bool {
        let entries: usize = self.shape.iter().product();
        self.verdict == Verdict::Pass && self.checked + self.directions == 0 && entries > 0
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The layer's command, or `custom`.
    pub layer: String,
    /// Whether differences were taken of the subject's own forward pass, and not of nnlayer's.
    pub own_forward: bool,
    /// Each result and what it was held against, in the order of output.
    pub findings: Vec<Finding>,
    /// The seed of what was drawn; none where nothing was.
    pub seed: Option<u64>,
    /// What is to be said of the whole.
    pub notes: Vec<String>,
}

impl Checked {
    /// The worst of the findings.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Inconclusive)
    }

    /// Everything about it is the forward pass, everything but it is not.
    pub fn forward_is_wrong(&self) -> bool {
        self.findings.iter().any(|finding| !finding.is_gradient && finding.verdict == Verdict::Fail)
    }
}
