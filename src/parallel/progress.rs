//! How far long work is, for somebody who watches.
//!
//! Work says what it is and how much, and counts what is done, on whatever thread. A listener on the thread that began it hears of
//! it when that thread counts. Of work within work only the outer is heard.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hears what is done, and which part of it; 1 when it ended.
pub type Listener = Rc<dyn Fn(&str, f64)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    static HEARD: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` while the listener hears of what this thread begins.
pub fn listen<R>(listener: Option<Listener>, work: impl FnOnce() -> R) -> R {
    /// Puts the listener before back, also behind a panic.
    struct Back(Option<Listener>);
    impl Drop for Back {
        fn drop(&mut self) {
            LISTENER.set(self.0.take());
        }
    }
    let _back = Back(LISTENER.replace(listener));
    work()
}

/// Work that is under way.
#[derive(Debug)]
pub struct Progress {
    what: Cow<'static, str>,
    all: usize,
    done: AtomicUsize,
    heard: bool,
}

impl Progress {
    /// Begins work of so much, in whatever it is counted.
    pub fn new(what: impl Into<Cow<'static, str>>, all: usize) -> Progress {
        let heard = !HEARD.get() && LISTENER.with_borrow(Option::is_some);
        if heard {
            HEARD.set(true);
        }
        Progress { what: what.into(), all, done: AtomicUsize::new(0), heard }
    }

    /// So much more is done.
    pub fn done(&self, more: usize) {
        if self.heard {
            let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
            self.tell(done.min(self.all.saturating_sub(1)));
        }
    }

    #[allow(clippy::cast_precision_loss)] // a bar has few steps
    fn tell(&self, done: usize) {
        // Other threads have no listener. What hears begins nothing.
        if let Some(listener) = LISTENER.with_borrow(Clone::clone) {
            listener(&self.what, done as f64 / self.all.max(1) as f64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.heard {
            HEARD.set(false);
            self.tell(self.all.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::scope;

    /// What is heard of some work.
    fn heard(work: impl FnOnce()) -> Vec<(String, f64)> {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let ear = Rc::clone(&heard);
        listen(Some(Rc::new(move |what, part| ear.borrow_mut().push((what.to_owned(), part)))), work);
        heard.take()
    }

    #[test]
    fn outer_work_is_heard_and_what_is_within_is_not() {
        let heard = heard(|| {
            let outer = Progress::new("outer", 4);
            outer.done(1);
            Progress::new("inner", 1).done(1);
            outer.done(1);
            drop(outer);
            Progress::new("next", 1).done(1);
        });
        let heard: Vec<(&str, f64)> = heard.iter().map(|(what, part)| (what.as_str(), *part)).collect();
        assert_eq!(heard, [("outer", 0.25), ("outer", 0.5), ("outer", 1.0), ("next", 0.0), ("next", 1.0)]);
    }

    #[test]
    fn what_other_threads_do_counts_and_they_say_nothing() {
        let heard = heard(|| {
            let all = Progress::new("all", 100);
            scope::each(vec![10, 20, 30], |part| (0..part).for_each(|_| all.done(1)));
            all.done(20);
        });
        assert_eq!(heard[heard.len() - 2..], [("all".to_owned(), 0.8), ("all".to_owned(), 1.0)]);
        assert_eq!(heard.len(), 12);
    }

    #[test]
    fn nobody_listens_before_and_after() {
        let heard = heard(|| ());
        Progress::new("unheard", 1).done(1);
        assert!(heard.is_empty() && !HEARD.get());
    }
}
