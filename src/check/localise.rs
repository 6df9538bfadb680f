//! Finds a wrong entry of a gradient that is wrong along a random direction, by halving the direction.

use super::function::Direction;
use super::scan::Scan;
use crate::core::error::Error;

/// Most parts that a direction is split into at once.
const MAX_PARTS: usize = 32;

/// Returns the flat index of an entry that contributes most to the error along a direction; `None` if that takes more requests. The
/// direction is split into as many parts as fit into a request, and the part with the largest error is split again. `step` is a
/// step size at which the error was seen.
pub(super) fn find_wrong_entry(
    scan: &mut Scan<'_>,
    direction: &[(usize, f64)],
    step: f64,
    max_requests: usize,
) -> Result<Option<usize>, Error> {
    let mut rest = direction.to_vec();
    let parts = (scan.points_at_once / 2).clamp(2, MAX_PARTS);
    let requests_per_split = (2 * parts).div_ceil(scan.points_at_once.max(1));
    for _ in 0..max_requests / requests_per_split {
        let split: Vec<Direction> = rest
            .chunks(rest.len().div_ceil(parts))
            .map(|entries| Direction { entries: entries.to_vec(), size: 1.0 })
            .collect();
        let errors = scan.errors(&split, step)?;
        let size = |n: &usize| if errors[*n].is_nan() { f64::INFINITY } else { errors[*n].abs() };
        let largest = (0..split.len()).max_by(|a, b| size(a).total_cmp(&size(b)));
        rest = largest.map(|n| split[n].entries.clone()).unwrap_or_default();
        if let [(entry, _)] = rest[..] {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
