//! Prefetching.

/// Prefetches the cache line of a pointer, which may be invalid.
#[inline(always)]
pub(crate) fn prefetch<T>(pointer: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint of the base instruction set, which neither reads nor faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(pointer.cast())
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}
