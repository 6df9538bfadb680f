//! How many threads a run may use, and work spread over them.
//!
//! The limit belongs to the thread that set it; a thread that does a part of some work spreads it no further.

use std::cell::Cell;
use std::thread;

thread_local! {
    /// 0 stands for as many as the machine has: asking it costs more than a small job.
    static LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// How many threads work started here may use. Ask where there is work for more than one.
pub fn count() -> usize {
    match LIMIT.get() {
        0 => thread::available_parallelism().map_or(1, usize::from),
        limit => limit,
    }
}

/// Does `work` with at most so many threads.
pub fn with<R>(limit: usize, work: impl FnOnce() -> R) -> R {
    /// Puts the old limit back, also behind a panic.
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _back = Back(LIMIT.replace(limit));
    work()
}

/// Does `work` on each part, a thread for each, the first part on this one; results come in the order of the parts.
pub fn each<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let alone = |part| with(1, || work(part));
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Vec::new() };
    if parts.len() == 0 {
        return vec![alone(first)];
    }
    thread::scope(|scope| {
        let alone = &alone;
        let others: Vec<_> = parts.map(|part| scope.spawn(move || alone(part))).collect();
        let mut results = vec![alone(first)];
        for other in others {
            results.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_parts_and_parts_are_not_split_again() {
        let results = with(3, || each((0..7).collect(), |n| (n * n, count())));
        assert_eq!(results, (0..7).map(|n| (n * n, 1)).collect::<Vec<_>>());
        assert!(each(Vec::<i32>::new(), |n| n).is_empty());
    }

    #[test]
    fn a_limit_ends_with_its_work() {
        let before = count();
        assert_eq!(with(5, count), 5);
        assert_eq!(count(), before);
    }
}
