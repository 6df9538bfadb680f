//! The accuracy that kernels compute with.

use std::cell::Cell;

/// The accuracy of exponentials and sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accuracy {
    /// Results are within about an ulp of a double.
    Double,
    /// Relative errors are about 10⁻¹²: enough for results that are rounded to 24 bits or fewer, and faster.
    Single,
}

thread_local! {
    static ACCURACY: Cell<Accuracy> = const { Cell::new(Accuracy::Double) };
}

/// Returns the accuracy that kernels on this thread compute with.
pub fn accuracy() -> Accuracy {
    ACCURACY.get()
}

/// Runs `work` with kernels of that accuracy, on this thread and on the threads that `parallel` starts for it.
pub fn with_accuracy<R>(accuracy: Accuracy, work: impl FnOnce() -> R) -> R {
    /// Restores the previous accuracy, even after a panic.
    struct Restore(Accuracy);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACCURACY.set(self.0);
        }
    }
    let _restore = Restore(ACCURACY.replace(accuracy));
    work()
}
