//! Work that comes in parts and goes out in their order: this thread brings the parts and takes the results, every thread
//! works on them, and no more than a few parts are there at a time.

use super::scope::{count, with};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Result, scope};

/// Brings parts with `bring` until there are none or `take` returns false; works on each with `make`; `take` gets the
/// results in the order of the parts. `bring` and `take` run on this thread only.
pub fn run<T: Send, R: Send>(
    mut bring: impl FnMut() -> Option<T>,
    make: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> bool,
) {
    let alone = |part| with(1, || make(part));
    // A thread is not worth it for one part.
    let Some(first) = bring() else { return };
    let (threads, second) = (count(), bring());
    if second.is_none() || threads < 2 {
        let rest = [Some(first), second].into_iter().flatten();
        let _ = rest.chain(std::iter::from_fn(bring)).all(|part| take(alone(part)));
        return;
    }
    let belt = Belt::default();
    scope(|scope| {
        // However this thread leaves, the helpers end.
        let _end = End(&belt);
        for _ in 1..threads {
            scope.spawn(|| {
                while let Some((n, part)) = belt.part() {
                    belt.done(n, catch_unwind(AssertUnwindSafe(|| alone(part))));
                }
            });
        }
        let mut parts = [first].into_iter().chain(second).chain(std::iter::from_fn(bring)).enumerate().fuse();
        let mut order = Order { taken: 0, ready: VecDeque::new() };
        let mut sent = 0;
        loop {
            for part in parts.by_ref().take(2 * threads - (sent - order.taken)) {
                belt.send(part);
                sent += 1;
            }
            if order.taken == sent {
                return;
            }
            match order.next() {
                Some(Ok(result)) => {
                    if !take(result) {
                        return;
                    }
                }
                Some(Err(panic)) => resume_unwind(panic),
                // Rather than wait, this thread helps.
                None => {
                    if let Some((n, part)) = belt.look(&mut order) {
                        order.keep(n, Ok(alone(part)));
                    }
                }
            }
        }
    });
}

/// Parts that nobody works on yet and results that nobody took yet.
struct Belt<T, R> {
    state: Mutex<State<T, R>>,
    parts: Condvar,
    results: Condvar,
}

struct State<T, R> {
    parts: VecDeque<(usize, T)>,
    results: Vec<(usize, Result<R>)>,
    ended: bool,
}

impl<T, R> Default for Belt<T, R> {
    fn default() -> Self {
        let state = State { parts: VecDeque::new(), results: Vec::new(), ended: false };
        Belt { state: Mutex::new(state), parts: Condvar::new(), results: Condvar::new() }
    }
}

impl<T, R> Belt<T, R> {
    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, part: (usize, T)) {
        self.lock().parts.push_back(part);
        self.parts.notify_one();
    }

    /// The next part, or the end.
    fn part(&self) -> Option<(usize, T)> {
        let waits = |state: &mut State<T, R>| state.parts.is_empty() && !state.ended;
        let mut state = self.parts.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.ended { None } else { state.parts.pop_front() }
    }

    fn done(&self, n: usize, result: Result<R>) {
        self.lock().results.push((n, result));
        self.results.notify_one();
    }

    /// Takes what is done; a part, where nothing is done but something left to do, and waits where there is neither.
    fn look(&self, order: &mut Order<R>) -> Option<(usize, T)> {
        let waits = |state: &mut State<T, R>| state.results.is_empty() && state.parts.is_empty();
        let mut state = self.results.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let part = if state.results.is_empty() { state.parts.pop_front() } else { None };
        for (n, result) in state.results.drain(..) {
            order.keep(n, result);
        }
        part
    }
}

struct End<'a, T, R>(&'a Belt<T, R>);

impl<T, R> Drop for End<'_, T, R> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.parts.notify_all();
    }
}

/// Results that came before their turn.
struct Order<R> {
    taken: usize,
    ready: VecDeque<Option<Result<R>>>,
}

impl<R> Order<R> {
    fn keep(&mut self, n: usize, result: Result<R>) {
        let at = n - self.taken;
        while self.ready.len() <= at {
            self.ready.push_back(None);
        }
        self.ready[at] = Some(result);
    }

    fn next(&mut self) -> Option<Result<R>> {
        let result = self.ready.front_mut()?.take()?;
        self.ready.pop_front();
        self.taken += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The squares of the first numbers, made over threads, up to so many.
    fn squares(threads: usize, parts: usize, until: usize) -> Vec<usize> {
        let (mut parts, mut taken) = (0..parts, Vec::new());
        let make = |n: usize| {
            assert_eq!(count(), 1, "a part is not split again");
            n * n
        };
        let take = |square| {
            taken.push(square);
            taken.len() < until
        };
        with(threads, || run(|| parts.next(), make, take));
        taken
    }

    #[test]
    fn results_come_in_the_order_of_the_parts() {
        for (threads, parts) in [(1, 100), (2, 1000), (3, 1), (3, 0), (4, 2), (4, 999)] {
            assert_eq!(squares(threads, parts, usize::MAX), (0..parts).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_ends_when_no_more_is_taken() {
        for threads in [1, 2, 4] {
            assert_eq!(squares(threads, 1000, 3), [0, 1, 4]);
        }
    }

    #[test]
    fn few_parts_are_there_at_a_time() {
        let (brought, taken) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let bring = || {
            assert!(brought.get() - taken.get() <= 8);
            brought.set(brought.get() + 1);
            (brought.get() < 1000).then_some(())
        };
        let take = |()| {
            taken.set(taken.get() + 1);
            true
        };
        with(4, || run(bring, |()| (), take));
        assert_eq!(taken.get(), 999);
    }

    #[test]
    fn a_panic_of_a_helper_is_passed_on() {
        let mut parts = 0..100;
        let work = || run(|| parts.next(), |n| assert!(n != 50), |()| true);
        assert!(with(3, || catch_unwind(AssertUnwindSafe(work))).is_err());
    }
}
