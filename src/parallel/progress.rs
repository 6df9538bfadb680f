//! Progress of long work, reported to a listener.
//!
//! Work names itself and counts its steps on any thread. The listener of the thread that began the work is called when that
//! thread counts. Work within other work is not reported.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A function that takes the name of the work and the fraction that is done; 1 means that it ended.
pub type Listener = Rc<dyn Fn(&str, f64)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    /// True while work of this thread is reported.
    static IS_REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with `listener` as the listener of this thread.
pub fn with_listener<R>(listener: Option<Listener>, work: impl FnOnce() -> R) -> R {
    /// Restores the previous listener, even after a panic.
    struct Restore(Option<Listener>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LISTENER.set(self.0.take());
        }
    }
    let _restore = Restore(LISTENER.replace(listener));
    work()
}

/// The progress of one piece of work, which ends when this is dropped.
#[derive(Debug)]
pub struct Progress {
    name: Cow<'static, str>,
    total: usize,
    done: AtomicUsize,
    is_reported: bool,
}

impl Progress {
    /// Begins work of `total` steps, in any unit.
    pub fn new(name: impl Into<Cow<'static, str>>, total: usize) -> Progress {
        let is_reported = !IS_REPORTING.get() && LISTENER.with_borrow(Option::is_some);
        if is_reported {
            IS_REPORTING.set(true);
        }
        Progress { name: name.into(), total, done: AtomicUsize::new(0), is_reported }
    }

    /// Counts `steps` more steps as done.
    pub fn advance(&self, steps: usize) {
        if self.is_reported {
            let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
            self.report(done.min(self.total.saturating_sub(1)));
        }
    }

    #[allow(clippy::cast_precision_loss)] // a progress bar has few steps
    fn report(&self, done: usize) {
        // Other threads have no listener.
        if let Some(listener) = LISTENER.with_borrow(Clone::clone) {
            listener(&self.name, done as f64 / self.total.max(1) as f64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_reported {
            IS_REPORTING.set(false);
            self.report(self.total.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::scope;

    /// Returns the reports of some work.
    fn reports_of(work: impl FnOnce()) -> Vec<(String, f64)> {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&reports);
        with_listener(Some(Rc::new(move |name, fraction| log.borrow_mut().push((name.to_owned(), fraction)))), work);
        reports.take()
    }

    #[test]
    fn outer_work_is_reported_and_inner_work_is_not() {
        let reports = reports_of(|| {
            let outer = Progress::new("outer", 4);
            outer.advance(1);
            Progress::new("inner", 1).advance(1);
            outer.advance(1);
            drop(outer);
            Progress::new("next", 1).advance(1);
        });
        let reports: Vec<(&str, f64)> = reports.iter().map(|(name, fraction)| (name.as_str(), *fraction)).collect();
        assert_eq!(reports, [("outer", 0.25), ("outer", 0.5), ("outer", 1.0), ("next", 0.0), ("next", 1.0)]);
    }

    #[test]
    fn steps_of_other_threads_are_counted_and_reported_by_this_one() {
        let reports = reports_of(|| {
            let progress = Progress::new("sum", 100);
            scope::map_parts(vec![10, 20, 30], |steps| (0..steps).for_each(|_| progress.advance(1)));
            progress.advance(20);
        });
        assert_eq!(reports[reports.len() - 2..], [("sum".to_owned(), 0.8), ("sum".to_owned(), 1.0)]);
        assert_eq!(reports.len(), 12);
    }

    #[test]
    fn there_is_no_listener_before_and_after() {
        let reports = reports_of(|| ());
        Progress::new("unreported", 1).advance(1);
        assert!(reports.is_empty() && !IS_REPORTING.get());
    }
}
