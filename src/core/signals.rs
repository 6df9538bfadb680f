//! Handling of signals: Ctrl-C while a child program runs or a file is written, and the file size limit.
//!
//! A program under test has its own process group, so that all of it can be killed, and does not receive Ctrl-C itself. A file
//! being written is removed before this process ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

struct Signals {
    is_default: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// A guard during whose life SIGINT and SIGTERM are recorded and do not end this process.
pub(crate) struct SignalGuard(());

impl SignalGuard {
    pub(crate) fn new() -> SignalGuard {
        SIGNALS.get_or_init(register).is_default.store(false, Ordering::SeqCst);
        SignalGuard(())
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        if let Some(signals) = SIGNALS.get() {
            signals.is_default.store(true, Ordering::SeqCst);
        }
    }
}

fn register() -> Signals {
    let signals = Signals { is_default: Arc::new(AtomicBool::new(true)), received: Arc::new(AtomicUsize::new(0)) };
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // If registration fails, the signal ends this process as by default.
        let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&signals.is_default));
        let number = usize::try_from(signal).unwrap_or_default();
        let _ = signal_hook::flag::register_usize(signal, Arc::clone(&signals.received), number);
    }
    // A write beyond the limit of `ulimit -f` then fails like one to a full disk.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    signals
}

/// Makes a write beyond the file size limit return an error instead of ending this process.
pub(crate) fn ignore_file_size_signal() {
    SIGNALS.get_or_init(register);
}

/// Returns the signal received under a [`SignalGuard`].
pub(crate) fn received() -> Option<i32> {
    let signal = SIGNALS.get()?.received.load(Ordering::SeqCst);
    i32::try_from(signal).ok().filter(|signal| *signal != 0)
}

/// Ends this process by the default action of a signal.
pub(crate) fn terminate_by(signal: i32) {
    #[cfg(unix)]
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    #[cfg(not(unix))]
    let _ = signal;
}
