//! Room for large results: in large pages where the system gives them, which a first write fills five hundred times faster.

use std::mem::MaybeUninit;

/// What a system gives memory in, at least.
const PAGE: usize = 4096;

/// From here on large pages are worth it.
const LARGE: usize = 1 << 22;

/// An empty vector with room for so many numbers.
pub fn room<T>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    in_large_pages(values.spare_capacity_mut());
    values
}

/// So many zeros, which take memory when they are first written.
pub fn zeros<T: Copy + Default>(len: usize) -> Vec<T> {
    let mut values = vec![T::default(); len];
    in_large_pages(&mut values);
    values
}

/// Has the system give all pages of large room now: those that several threads write to first, at a time, can take it several times
/// as long.
pub fn touch<T: Copy + Default>(room: &mut [MaybeUninit<T>]) {
    if size_of_val(room) < LARGE {
        return;
    }
    room.chunks_mut((PAGE / size_of::<T>()).max(1)).for_each(|page| _ = page[0].write(T::default()));
}

/// Makes later vectors take the place of earlier ones that were freed: an allocator may give a large one back to the system, and
/// the next would be made page by page again. The GNU library's keeps those that are no larger than one that was freed before.
pub fn reuse() {
    const MOST: usize = 1 << 24;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(MOST)));
}

/// Takes room that nothing was written to yet in large pages, where it is worth it.
#[cfg(target_os = "linux")]
pub fn in_large_pages<T>(values: &mut [T]) {
    let (bytes, start) = (size_of_val(values), values.as_mut_ptr().cast::<u8>());
    let skip = start.align_offset(PAGE);
    if cfg!(miri) || bytes < LARGE || skip > bytes {
        return;
    }
    // SAFETY: the pages lie within the slice, and the advice changes nothing in them. A system that does not take it loses
    // speed only.
    let _ = unsafe {
        let pages = start.add(skip).cast();
        rustix::mm::madvise(pages, (bytes - skip) / PAGE * PAGE, rustix::mm::Advice::LinuxHugepage)
    };
}

/// Takes room that nothing was written to yet as it is.
#[cfg(not(target_os = "linux"))]
pub fn in_large_pages<T>(_: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_zero_and_room_is_there() {
        for len in [0, 3, 1 << 20] {
            assert!(zeros::<f64>(len).iter().all(|&value| value == 0.0));
            assert!(room::<f64>(len).capacity() >= len);
        }
    }
}
