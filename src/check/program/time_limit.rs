//! The time that a program has to reply to a request.

use std::fmt;
use std::time::{Duration, Instant};

/// Time from which on a limit has no meaning, and the clock may not represent its end.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The time that a program has to reply to a request, which grows with the number of its points.
pub(super) struct TimeLimit {
    per_point: Duration,
    points: usize,
    /// The end of the time.
    pub(super) deadline: Instant,
}

impl TimeLimit {
    /// Returns the limit for a request of that many points, which begins now.
    pub(super) fn start(per_point: Duration, points: usize) -> TimeLimit {
        let total = total(per_point, points);
        TimeLimit { per_point, points, deadline: Instant::now() + total.min(YEAR) }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", total(self.per_point, self.points).as_secs_f64())?;
        match self.points {
            0 | 1 => Ok(()),
            points => write!(f, " ({} s for each of {points} points)", self.per_point.as_secs_f64()),
        }
    }
}

/// Returns the time for that many points; a request without points has the time of one.
fn total(per_point: Duration, points: usize) -> Duration {
    per_point.saturating_mul(u32::try_from(points.max(1)).unwrap_or(u32::MAX))
}
