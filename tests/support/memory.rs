//! An allocator that counts the bytes each thread holds, so that a test's count does not depend on other tests.
#![allow(unsafe_code)] // an allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct CountingAllocator;

thread_local! {
    static CURRENT_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` as it came; the counts are beside it and allocate nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = CURRENT_BYTES.get().wrapping_add(layout.size() as isize);
        CURRENT_BYTES.set(now);
        PEAK_BYTES.set(PEAK_BYTES.get().max(now));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        CURRENT_BYTES.set(CURRENT_BYTES.get().wrapping_sub(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Returns the result of `run` and the most bytes that this thread held at once during it.
pub fn peak_bytes<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = CURRENT_BYTES.get();
    PEAK_BYTES.set(before);
    let value = run();
    (value, usize::try_from(PEAK_BYTES.get() - before).unwrap_or(0))
}
