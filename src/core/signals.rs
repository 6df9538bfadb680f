//! Signals that end this process: what must not outlive it, a temporary file or a program under test, is undone first.
//!
//! A program under test has its own process group, so that all of it can be killed, and does not receive Ctrl-C itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Undoes what has begun: removes a file, or kills a process. It runs in another thread than what has begun it.
pub(crate) type Undo = Box<dyn Fn() + Send>;

/// Everything that has begun and is not complete. The lock is held wherever a signal must wait.
static BEGUN: Mutex<BTreeMap<u64, Undo>> = Mutex::new(BTreeMap::new());

/// Something that is undone if a signal ends this process before the value is dropped.
pub(crate) struct Undoable(u64);

impl Undoable {
    /// Begins something; a signal that arrives meanwhile finds it begun, with the way to undo it, or not begun at all.
    pub(crate) fn begin<T>(begin: impl FnOnce() -> io::Result<(T, Undo)>) -> io::Result<(T, Undoable)> {
        #[cfg(unix)]
        listener::start();
        let mut begun = lock();
        let (value, undo) = begin()?;
        let key = begun.last_key_value().map_or(0, |(last, _)| last + 1);
        begun.insert(key, undo);
        Ok((value, Undoable(key)))
    }

    /// Takes the last step; a signal that arrives meanwhile finds all of it done, and nothing to undo.
    pub(crate) fn complete<T>(self, last_step: impl FnOnce() -> T) -> T {
        let mut begun = lock();
        let value = last_step();
        begun.remove(&self.0);
        value
    }
}

impl Drop for Undoable {
    fn drop(&mut self) {
        lock().remove(&self.0);
    }
}

/// Undoes what has begun, before the process ends in the middle of anything. Where that is a first or last step, it cannot be
/// undone, and what it left is removed later.
pub(crate) fn undo_all() {
    if let Ok(begun) = BEGUN.try_lock() {
        begun.values().for_each(|undo| undo());
    }
}

fn lock() -> MutexGuard<'static, BTreeMap<u64, Undo>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
mod listener {
    use super::lock;
    use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    use std::sync::Once;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    /// Signals that others send to end this process, and whose default action does.
    const SIGNALS: [i32; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU];
    /// Size of the stack of the thread, which needs little.
    const STACK_BYTES: usize = 1 << 17;

    /// Starts the thread that waits for signals. If it cannot be started, signals end this process as by default.
    pub(super) fn start() {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let (sender, has_registered) = channel();
            let thread = thread::Builder::new().name("signals".to_owned()).stack_size(STACK_BYTES);
            if thread.spawn(|| listen(sender)).is_ok() {
                // The sender is dropped when the handlers are registered.
                let _ = has_registered.recv();
            }
        });
    }

    fn listen(registered: Sender<()>) {
        let ignored = ignored_signals();
        let signals = SIGNALS.iter().filter(|signal| ignored & (1 << (*signal - 1)) == 0);
        let signals = Signals::new(signals);
        drop(registered);
        let Ok(mut signals) = signals else { return };
        for signal in signals.forever() {
            let begun = lock();
            begun.values().for_each(|undo| undo());
            let _ = emulate_default_handler(signal);
        }
    }

    /// Returns the signals that were ignored when this process started, such as SIGHUP under `nohup`: they stay ignored. Only
    /// Linux tells them without unsafe code.
    fn ignored_signals() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn is_undone(undoable: &Undoable) -> bool {
        lock().get(&undoable.0).is_some_and(|undo| {
            undo();
            true
        })
    }

    #[test]
    fn a_signal_undoes_what_has_begun_and_not_what_is_complete() {
        let undone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&undone);
        let must_wait = || BEGUN.try_lock().is_err();
        let (waited, undoable) = Undoable::begin(|| {
            let undo: Undo = Box::new(move || flag.store(true, Ordering::SeqCst));
            Ok((must_wait(), undo))
        })
        .unwrap();
        assert!(waited, "a signal does not wait for the beginning");
        assert!(is_undone(&undoable) && undone.load(Ordering::SeqCst));
        let key = undoable.0;
        assert!(undoable.complete(must_wait), "a signal does not wait for the last step");
        assert!(!lock().contains_key(&key));
        let failed = Undoable::begin(|| Err::<((), Undo), _>(io::ErrorKind::NotFound.into()));
        assert!(failed.is_err());
    }
}
