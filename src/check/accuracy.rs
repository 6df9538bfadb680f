//! The accuracy of a result: its largest errors, and the tolerances that accept them.

use crate::numeric::FloatType;

/// The relative error of which a check says in how many entries it would pass.
const SMALL_MISTAKE: f64 = 0.01;

/// The accuracy of the entries of a program's result that were compared one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The type that the program computes in.
    pub float_type: FloatType,
    /// Largest error, in units in the last place of the right value.
    pub ulps: f64,
    /// The largest accepted error of that entry, in the same unit.
    pub allowed_ulps: f64,
    /// The smallest relative tolerance that accepts every entry; infinite if a value other than 0 stands for 0.
    pub rtol: f64,
    /// The smallest absolute tolerance that accepts every entry.
    pub atol: f64,
    /// Number of entries, other than 0, that would pass with an error of 1 %.
    pub insensitive: usize,
    /// The largest accepted error of an entry other than 0, relative to its right value.
    pub allowed_part: f64,
}

impl Accuracy {
    /// Returns the accuracy of a result without entries.
    pub(super) fn new(float_type: FloatType) -> Accuracy {
        Accuracy { float_type, ulps: 0.0, allowed_ulps: 0.0, rtol: 0.0, atol: 0.0, insensitive: 0, allowed_part: 0.0 }
    }

    /// Adds an entry with its right value and the largest accepted difference.
    pub(super) fn add(&mut self, value: f64, right: f64, allowed: f64) {
        let error = if value == right { 0.0 } else { (value - right).abs() };
        let error = if error.is_nan() { f64::INFINITY } else { error };
        let (ulp, right) = (self.float_type.ulp(right), right.abs());
        if error / ulp > self.ulps || self.allowed_ulps == 0.0 {
            (self.ulps, self.allowed_ulps) = (error / ulp, allowed / ulp);
        }
        self.rtol = self.rtol.max(if error == 0.0 { 0.0 } else { error / right });
        self.atol = self.atol.max(error);
        if right > 0.0 {
            self.insensitive += usize::from(allowed > SMALL_MISTAKE * right);
            self.allowed_part = self.allowed_part.max(allowed / right);
        }
    }

    /// Returns the smallest type in which an error of 1 % would be noticed in every entry; `None` if there is none.
    pub fn sufficient_type(&self) -> Option<FloatType> {
        let sufficient = self.float_type.unit_roundoff() * SMALL_MISTAKE / self.allowed_part;
        FloatType::ALL.into_iter().rev().find(|float_type| float_type.unit_roundoff() <= sufficient)
    }
}
