//! Ctrl-C while somebody's program runs: the program has a process group of its own, so that all of it can be ended,
//! and therefore does not hear of it; and while a file is written, which is removed before this process ends. And the
//! signal that a file has become too large.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

struct Signals {
    idle: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// As long as it lives, signals are noticed and do not end this process.
pub(crate) struct SignalGuard(());

impl SignalGuard {
    pub(crate) fn new() -> SignalGuard {
        SIGNALS.get_or_init(watch).idle.store(false, Ordering::SeqCst);
        SignalGuard(())
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        if let Some(signals) = SIGNALS.get() {
            signals.idle.store(true, Ordering::SeqCst);
        }
    }
}

fn watch() -> Signals {
    let signals = Signals { idle: Arc::new(AtomicBool::new(true)), seen: Arc::new(AtomicUsize::new(0)) };
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Where they cannot be watched, a signal ends this process as it always does.
        let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&signals.idle));
        let number = usize::try_from(signal).unwrap_or_default();
        let _ = signal_hook::flag::register_usize(signal, Arc::clone(&signals.seen), number);
    }
    // A file that grows beyond what is allowed (`ulimit -f`) is then a write that fails, like one on a full disk.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    signals
}

/// Lets a write that is one too many fail instead of ending this process.
pub(crate) fn ignore_file_size_signal() {
    SIGNALS.get_or_init(watch);
}

/// The signal that came in the meantime.
pub(crate) fn received() -> Option<i32> {
    let signal = SIGNALS.get()?.seen.load(Ordering::SeqCst);
    i32::try_from(signal).ok().filter(|signal| *signal != 0)
}

/// Ends this process as that signal would have.
pub(crate) fn terminate_by(signal: i32) {
    #[cfg(unix)]
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    #[cfg(not(unix))]
    let _ = signal;
}
