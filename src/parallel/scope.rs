//! Limits the number of threads, and spreads work over them.
//!
//! The limit belongs to the thread that set it. A worker thread has a limit of 1, so work is never spread twice.

use crate::simd::accuracy::{accuracy, with_accuracy};
use crate::simd::dispatch::{isa_limit, with_isa_limit};
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::thread;

thread_local! {
    /// 0 stands for the number of CPUs. It is looked up on demand, because the query takes longer than a small job.
    static THREAD_LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// Returns how many threads work on this thread may use. Only call it when there is enough work for several threads.
pub fn thread_limit() -> usize {
    match THREAD_LIMIT.get() {
        0 => thread::available_parallelism().map_or(1, usize::from),
        limit => limit,
    }
}

/// Runs `work` with at most `limit` threads; 0 stands for the number of CPUs.
pub fn with_thread_limit<R>(limit: usize, work: impl FnOnce() -> R) -> R {
    /// Restores the previous limit, even after a panic.
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREAD_LIMIT.set(self.0);
        }
    }
    let _restore = Restore(THREAD_LIMIT.replace(limit));
    work()
}

/// Returns `work` for worker threads: with one thread, and with the ISA limit and the accuracy of this thread.
pub(super) fn worker<T, R>(work: impl Fn(T) -> R) -> impl Fn(T) -> R {
    let (isa_limit, accuracy) = (isa_limit(), accuracy());
    move |part| with_thread_limit(1, || with_isa_limit(isa_limit, || with_accuracy(accuracy, || work(part))))
}

/// Applies `work` to each part, the first one on this thread and each other one on a thread of its own, if it can be started. Returns the
/// results in the order of the parts.
pub fn map_parts<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    map_parts_by(parts, &work)
}

/// Does the same for a trait object, so that the code is compiled once for all work on such parts.
fn map_parts_by<T: Send, R: Send>(parts: Vec<T>, work: &(dyn Fn(T) -> R + Sync)) -> Vec<R> {
    let run = worker(work);
    if parts.len() < 2 {
        return parts.into_iter().map(run).collect();
    }
    let mut results: Vec<Option<R>> = parts.iter().map(|_| None).collect();
    let tasks = parts.into_iter().zip(&mut results);
    run_tasks(tasks.map(|(part, result)| -> Task<'_> { Box::new(|| *result = Some(run(part))) }).collect());
    results.into_iter().flatten().collect()
}

/// Work that is run once. A trait object, so that the code that starts threads is compiled once.
pub(super) type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Starts a thread in `scope`; returns `None` if the system has no resources for it.
pub(super) fn try_spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).ok()
}

/// Runs the first task on this thread and each other one on a thread of its own, or on this thread if none can be started for it.
fn run_tasks(tasks: Vec<Task<'_>>) {
    let tasks: Vec<Mutex<Option<Task<'_>>>> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    let run = |task: &Mutex<Option<Task<'_>>>| {
        let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
        task.into_iter().for_each(|task| task());
    };
    thread::scope(|scope| {
        let workers: Vec<_> = tasks.iter().skip(1).map_while(|task| try_spawn(scope, move || run(task))).collect();
        tasks.first().into_iter().chain(&tasks[workers.len() + 1..]).for_each(run);
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_parts_and_workers_have_a_limit_of_one() {
        let results = with_thread_limit(3, || map_parts((0..7).collect(), |n| (n * n, thread_limit())));
        assert_eq!(results, (0..7).map(|n| (n * n, 1)).collect::<Vec<_>>());
        assert!(map_parts(Vec::<i32>::new(), |n| n).is_empty());
    }

    #[test]
    fn the_limit_is_restored_after_the_work() {
        let before = thread_limit();
        assert_eq!(with_thread_limit(5, thread_limit), 5);
        assert_eq!(thread_limit(), before);
    }
}
