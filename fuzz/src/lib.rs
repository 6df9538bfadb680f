//! Properties that every target checks: a reader ends without a panic and takes no more memory than a fixed multiple of
//! its input.

use ndarray::ArrayD;
use nnlayer::core::tensors::Tensors;
use nnlayer::core::error::Error;
use nnlayer::format::{Format, LoadedArray, InMemoryArrays, Selector, Source, OutputDtype};
use nnlayer::core::name::Name;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Allocator that counts the allocated bytes and forwards to the system allocator.
struct CountingAllocator;

static CURRENT_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to `System` with the same arguments.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK_BYTES.fetch_max(CURRENT_BYTES.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        CURRENT_BYTES.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Bytes that a reader may use for buffers, in addition to the multiple of its input.
pub const BASE_BYTES: usize = 1 << 21;

/// Runs a reader of `len` bytes, and panics if its peak memory exceeds `BASE_BYTES + times·len`.
pub fn bounded<T>(len: usize, times: usize, run: impl FnOnce() -> T) -> T {
    let before = CURRENT_BYTES.load(Relaxed);
    PEAK_BYTES.store(before, Relaxed);
    let value = run();
    let peak = PEAK_BYTES.load(Relaxed).saturating_sub(before);
    assert!(peak <= BASE_BYTES + times * len, "{peak} bytes for an input of {len}");
    value
}

/// Reads all arrays, the array of a selector, and the default array, which it returns.
pub fn read(format: &dyn Format, bytes: &[u8], times: usize) -> Option<ArrayD<f64>> {
    bounded(bytes.len(), times, || {
        let source = || Source::bytes("input", bytes);
        let names = format.read_names(source()).unwrap_or_default();
        let wanted: Vec<Name> = names.iter().take(3).map(Name::new).chain([Name::X]).collect();
        let _: Result<LoadedArray, Error> = format.read(source(), &Selector::parse("w"), &[]);
        let _: Result<Vec<LoadedArray>, Error> = format.read_all_arrays(source());
        format.read(source(), &Selector::Default, &wanted).ok().map(|found| found.value)
    })
}

/// Writes an array in a format, reads it again, and panics if a bit differs.
pub fn read_back(format: &dyn Format, value: &ArrayD<f64>) {
    let mut bytes = Vec::new();
    let values = Tensors::new().with(Name::X, value.clone());
    format.write(&mut InMemoryArrays::from(&values), OutputDtype::F64, &mut bytes).expect("writing to memory cannot fail");
    let again = format.read(Source::bytes("output", &bytes), &Selector::Default, &[Name::X]).expect("a written file is valid");
    assert!(same(value, &again.value), "{value} became {}", again.value);
}

/// Returns true if two arrays have the same shape and bits; all NaNs are equal.
pub fn same(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let equal = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    a.shape() == b.shape() && a.iter().zip(b).all(equal)
}
