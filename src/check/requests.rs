//! The number and the size of requests to a program.

use crate::core::tensors::Tensors;
use crate::numeric::FloatType;

/// Largest size of a request in bytes. A point that is larger is a request of its own.
pub(super) const REQUEST_BYTES: usize = 8 << 20;
/// Most times that a program is started for one check, if it is started for each request.
pub(super) const MAX_STARTS: usize = 20;

/// Returns how many points of operands fit into a request.
pub(super) fn points_per_request(operands: &Tensors<f64>, float_type: FloatType) -> usize {
    let number_bytes = match float_type {
        FloatType::F64 => 24,
        FloatType::F32 => 14,
        _ => 12,
    };
    let numbers: usize = operands.iter().map(|(_, value)| value.len()).sum();
    (REQUEST_BYTES / (number_bytes * numbers.max(1))).max(1)
}
