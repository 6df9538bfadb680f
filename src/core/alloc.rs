//! The allocator of the program: an allocation that the system refuses ends the program with a message and status 2.
//!
//! What is reserved within [`may_fail`] is excepted: there a failure is an ordinary error.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

thread_local! {
    /// True while an allocation of this thread may fail.
    static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
    /// True while this thread ends the program.
    static IS_ENDING_HERE: Cell<bool> = const { Cell::new(false) };
}

/// True while a thread ends the program.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// The message, in the two parts before and after the number of megabytes. It is prepared, because nothing can be allocated then.
static MESSAGE: OnceLock<[String; 2]> = OnceLock::new();

/// The status of an error.
const ERROR_STATUS: i32 = 2;

/// The allocator of the system, whose failures end the program.
pub struct Allocator;

/// Sets the message of a failed allocation, in the two parts before and after the number of megabytes.
pub(crate) fn set_message(parts: [String; 2]) {
    MESSAGE.get_or_init(|| parts);
}

/// Returns the result of `reserve`, whose allocations may fail.
pub(crate) fn may_fail<R>(reserve: impl FnOnce() -> R) -> R {
    let before = MAY_FAIL.replace(true);
    let reserved = reserve();
    MAY_FAIL.set(before);
    reserved
}

/// Returns the address of an allocation of `bytes`; if it is null and may not be, ends the program.
fn check(address: *mut u8, bytes: usize) -> *mut u8 {
    if address.is_null() && !MAY_FAIL.get() {
        end(bytes);
    }
    address
}

/// Standard error without its lock, which may be held.
#[cfg(unix)]
struct StandardError;

#[cfg(unix)]
impl fmt::Write for StandardError {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        rustix::io::write(rustix::stdio::stderr(), text.as_bytes()).map(|_| ()).map_err(|_| fmt::Error)
    }
}

/// Ends the program with the message that `bytes` could not be allocated; elsewhere than on Unix, the caller ends it.
#[cold]
fn end(bytes: usize) {
    if IS_ENDING_HERE.replace(true) {
        // There is not even memory to undo what has begun.
        #[cfg(unix)]
        signal_hook::low_level::exit(ERROR_STATUS);
    }
    while IS_ENDING.swap(true, Ordering::SeqCst) {
        thread::sleep(Duration::from_secs(1));
    }
    let megabytes = bytes.div_ceil(1_000_000);
    let parts = MESSAGE.get().map(|parts| parts.each_ref().map(String::as_str));
    let [before, after] = parts.unwrap_or(["error: the command needs ", " MB of memory\n"]);
    #[cfg(unix)]
    {
        let _ = fmt::Write::write_fmt(&mut StandardError, format_args!("{before}{megabytes}{after}"));
        super::signals::undo_all();
        signal_hook::low_level::exit(ERROR_STATUS);
    }
}

// SAFETY: every call goes to `System` with the arguments it came with, and returns what that returns.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is that of `System`.
        check(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        check(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        check(unsafe { System.realloc(address, layout, size) }, size)
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(address, layout) }
    }
}
