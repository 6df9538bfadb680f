//! Memory of large arrays. Huge pages make the first write to it several hundred times cheaper in page faults.

use std::mem::MaybeUninit;

/// Size of the smallest page of any supported system.
const PAGE_BYTES: usize = 4096;

/// Arrays from this size on are placed in huge pages.
const HUGE_ARRAY_BYTES: usize = 1 << 22;

/// Returns an empty vector with a capacity of `len` elements.
pub fn with_capacity<T>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    advise_huge_pages(values.spare_capacity_mut());
    values
}

/// Returns a vector of `len` zeros, which take physical memory on the first write.
pub fn zeros<T: Copy + Default>(len: usize) -> Vec<T> {
    let mut values = vec![T::default(); len];
    advise_huge_pages(&mut values);
    values
}

/// Writes to each page of a large array, so that the system maps all of them now. Page faults of several threads at the same
/// time take several times as long.
pub fn prefault<T: Copy + Default>(values: &mut [MaybeUninit<T>]) {
    if size_of_val(values) < HUGE_ARRAY_BYTES {
        return;
    }
    values.chunks_mut((PAGE_BYTES / size_of::<T>()).max(1)).for_each(|page| _ = page[0].write(T::default()));
}

/// Makes the allocator keep freed memory of large vectors for later ones, which otherwise fault in page by page again. The GNU
/// library raises its threshold for `mmap` to the size of the largest block that was freed.
pub fn raise_mmap_threshold() {
    const THRESHOLD_BYTES: usize = 1 << 24;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(THRESHOLD_BYTES)));
}

/// Asks the system to place memory that was not written to yet in huge pages, if it is large enough.
#[cfg(target_os = "linux")]
pub fn advise_huge_pages<T>(values: &mut [T]) {
    let (bytes, start) = (size_of_val(values), values.as_mut_ptr().cast::<u8>());
    let skip = start.align_offset(PAGE_BYTES);
    if cfg!(miri) || bytes < HUGE_ARRAY_BYTES || skip > bytes {
        return;
    }
    // SAFETY: `skip` and the length keep the pages within `values`, which this function borrows exclusively, and the advice
    // changes no content. A system that refuses it only loses speed.
    let _ = unsafe {
        let pages = start.add(skip).cast();
        rustix::mm::madvise(pages, (bytes - skip) / PAGE_BYTES * PAGE_BYTES, rustix::mm::Advice::LinuxHugepage)
    };
}

/// Does nothing: only Linux takes this advice.
#[cfg(not(target_os = "linux"))]
pub fn advise_huge_pages<T>(_: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_zero_and_capacities_are_as_requested() {
        for len in [0, 3, 1 << 20] {
            assert!(zeros::<f64>(len).iter().all(|&value| value == 0.0));
            assert!(with_capacity::<f64>(len).capacity() >= len);
        }
    }
}
