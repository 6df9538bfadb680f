//! An ordered pipeline: this thread produces items and consumes results, every thread transforms items, and only a few items
//! are in memory at a time.

use super::scope::{Task, thread_limit, try_spawn, worker};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Result, scope};

/// Calls `produce` until it returns `None` or `consume` returns false, and `transform` on each item. `consume` takes the results
/// in the order of the items. `produce` and `consume` run on this thread only.
pub fn run<T: Send, R: Send>(
    mut produce: impl FnMut() -> Option<T>,
    transform: impl Fn(T) -> R + Sync,
    mut consume: impl FnMut(R) -> bool,
) {
    let transform = worker(transform);
    let Some(first) = produce() else { return };
    // A single item is not worth starting a thread.
    let (threads, second) = (thread_limit(), produce());
    if second.is_none() || threads < 2 {
        let items = [Some(first), second].into_iter().flatten();
        let _ = items.chain(std::iter::from_fn(produce)).all(|item| consume(transform(item)));
        return;
    }
    let queue = WorkQueue::default();
    scope(|scope| {
        // The workers end even if this thread panics.
        let _close = CloseOnDrop(&queue);
        let spawn = |_| {
            let work: Task<'_> = Box::new(|| {
                while let Some((n, item)) = queue.pop_item() {
                    queue.push_result(n, catch_unwind(AssertUnwindSafe(|| transform(item))));
                }
            });
            try_spawn(scope, work)
        };
        // Without workers, this thread transforms all items.
        let threads = 1 + (1..threads).map_while(spawn).count();
        let mut items = [first].into_iter().chain(second).chain(std::iter::from_fn(produce)).enumerate().fuse();
        let mut reorder = ReorderBuffer { consumed: 0, results: VecDeque::new() };
        let mut sent = 0;
        loop {
            for item in items.by_ref().take(2 * threads - (sent - reorder.consumed)) {
                queue.push_item(item);
                sent += 1;
            }
            if reorder.consumed == sent {
                return;
            }
            match reorder.pop_next() {
                Some(Ok(result)) => {
                    if !consume(result) {
                        return;
                    }
                }
                Some(Err(panic)) => resume_unwind(panic),
                // This thread transforms an item instead of waiting.
                None => {
                    if let Some((n, item)) = queue.take_results_or_item(&mut reorder) {
                        reorder.insert(n, Ok(transform(item)));
                    }
                }
            }
        }
    });
}

/// Items that no thread has taken yet, and results that were not collected yet.
struct WorkQueue<T, R> {
    state: Mutex<QueueState<T, R>>,
    item_available: Condvar,
    result_available: Condvar,
}

struct QueueState<T, R> {
    items: VecDeque<(usize, T)>,
    results: Vec<(usize, Result<R>)>,
    is_closed: bool,
}

impl<T, R> Default for WorkQueue<T, R> {
    fn default() -> Self {
        let state = QueueState { items: VecDeque::new(), results: Vec::new(), is_closed: false };
        WorkQueue { state: Mutex::new(state), item_available: Condvar::new(), result_available: Condvar::new() }
    }
}

impl<T, R> WorkQueue<T, R> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push_item(&self, item: (usize, T)) {
        self.lock().items.push_back(item);
        self.item_available.notify_one();
    }

    /// Waits for an item and returns it, or `None` once the queue is closed.
    fn pop_item(&self) -> Option<(usize, T)> {
        let is_waiting = |state: &mut QueueState<T, R>| state.items.is_empty() && !state.is_closed;
        let mut state = self.item_available.wait_while(self.lock(), is_waiting).unwrap_or_else(PoisonError::into_inner);
        if state.is_closed { None } else { state.items.pop_front() }
    }

    fn push_result(&self, n: usize, result: Result<R>) {
        self.lock().results.push((n, result));
        self.result_available.notify_one();
    }

    /// Moves the available results to `reorder`, or returns an item if there are none. Waits while there is neither.
    fn take_results_or_item(&self, reorder: &mut ReorderBuffer<R>) -> Option<(usize, T)> {
        let is_waiting = |state: &mut QueueState<T, R>| state.results.is_empty() && state.items.is_empty();
        let mut state =
            self.result_available.wait_while(self.lock(), is_waiting).unwrap_or_else(PoisonError::into_inner);
        let item = if state.results.is_empty() { state.items.pop_front() } else { None };
        for (n, result) in state.results.drain(..) {
            reorder.insert(n, result);
        }
        item
    }
}

struct CloseOnDrop<'a, T, R>(&'a WorkQueue<T, R>);

impl<T, R> Drop for CloseOnDrop<'_, T, R> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.item_available.notify_all();
    }
}

/// Results that were completed before an earlier one.
struct ReorderBuffer<R> {
    /// Number of results that were consumed.
    consumed: usize,
    /// The results from number `consumed` on.
    results: VecDeque<Option<Result<R>>>,
}

impl<R> ReorderBuffer<R> {
    fn insert(&mut self, n: usize, result: Result<R>) {
        let place = n - self.consumed;
        while self.results.len() <= place {
            self.results.push_back(None);
        }
        self.results[place] = Some(result);
    }

    fn pop_next(&mut self) -> Option<Result<R>> {
        let result = self.results.front_mut()?.take()?;
        self.results.pop_front();
        self.consumed += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::scope::with_thread_limit;

    /// Returns the squares of 0 to `items`, computed on `threads` threads, until `limit` of them were consumed.
    fn squares(threads: usize, items: usize, limit: usize) -> Vec<usize> {
        let (mut items, mut consumed) = (0..items, Vec::new());
        let transform = |n: usize| {
            assert_eq!(thread_limit(), 1, "workers start no threads");
            n * n
        };
        let consume = |square| {
            consumed.push(square);
            consumed.len() < limit
        };
        with_thread_limit(threads, || run(|| items.next(), transform, consume));
        consumed
    }

    #[test]
    fn results_are_consumed_in_the_order_of_the_items() {
        for (threads, items) in [(1, 100), (2, 1000), (3, 1), (3, 0), (4, 2), (4, 999)] {
            assert_eq!(squares(threads, items, usize::MAX), (0..items).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_pipeline_ends_when_consume_returns_false() {
        for threads in [1, 2, 4] {
            assert_eq!(squares(threads, 1000, 3), [0, 1, 4]);
        }
    }

    #[test]
    fn at_most_two_items_per_thread_are_in_memory() {
        let (produced, consumed) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let produce = || {
            assert!(produced.get() - consumed.get() <= 8);
            produced.set(produced.get() + 1);
            (produced.get() < 1000).then_some(())
        };
        let consume = |()| {
            consumed.set(consumed.get() + 1);
            true
        };
        with_thread_limit(4, || run(produce, |()| (), consume));
        assert_eq!(consumed.get(), 999);
    }

    #[test]
    fn a_panic_of_a_worker_is_resumed_on_this_thread() {
        let mut items = 0..100;
        let work = || run(|| items.next(), |n| assert!(n != 50), |()| true);
        assert!(with_thread_limit(3, || catch_unwind(AssertUnwindSafe(work))).is_err());
    }
}
