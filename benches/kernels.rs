//! Speed of the GEMM compared with the peak of the processor: `cargo bench`, or `cargo bench -- gemm` for one table.
//!
//! Every figure is the median of alternating runs; the peaks are measured in the same runs. The FMA peak is that of multiply-adds
//! on registers. The peak with loads also loads as many numbers from the L1 cache as the microkernel does. If it is lower, the
//! processor lowers its clock under loads, and no GEMM can exceed it.
//! `kernels time row 2` prints the times of runs on two threads in seconds, one per line, for benches/peers.py, and `kernels peak 2 1024`
//! prints the Gflop/s of the three forms of a product of this size on two threads, each with the two peaks.

#![allow(unsafe_code)] // intrinsics that measure the peaks

use ndarray::Array2;
use nnlayer::gemm;
use nnlayer::parallel::{pages, scope};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    pages::raise_mmap_threshold(); // as nnlayer does
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [mode, what, count] = &words[..]
        && mode == "time"
    {
        return scope::with_thread_limit(count.parse().unwrap_or(1), || run(what));
    }
    if let [mode, count, size] = &words[..]
        && mode == "peak"
        && let (Ok(count), Ok(size)) = (count.parse(), size.parse())
    {
        return measure_gemm_and_peaks(count, &[size], |_, _, flop, [most, loading]| {
            println!("{flop} {most} {loading}")
        });
    }
    let tables: [(&str, fn()); 2] = [("gemm", print_gemm_table), ("skinny", print_skinny_table)];
    for (name, table) in tables {
        if words.is_empty() || words.iter().any(|word| word == name) {
            table();
        }
    }
}

/// Returns the median seconds of each function over `runs` alternating runs.
fn medians(runs: usize, functions: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut seconds = vec![Vec::new(); functions.len()];
    for _ in 0..runs {
        for (function, times) in functions.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            function();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    seconds.iter_mut().map(median).collect()
}

fn matrix(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 31 + c * 17) as f64 * 0.618).sin())
}

fn print_gemm_table() {
    for count in [1, 2] {
        println!("GEMM, f64, {count} thread(s)");
        println!("{:>26} {:>10} {:>10} {:>8} {:>10} {:>8}", "", "Gflop/s", "FMA peak", "ratio", "with loads", "ratio");
        measure_gemm_and_peaks(count, &[512, 1024, 2048, 4096], |size, form, flop, [most, loading]| {
            let (of_most, of_loading) = (flop / most, flop / loading);
            let what = format!("{size} {form}");
            println!("{what:>26} {flop:>10.1} {most:>10.1} {of_most:>8.3} {loading:>10.1} {of_loading:>8.3}");
        });
    }
}

/// Measures products of square matrices, and calls `show` with the size, the form, the Gflop/s, and the Gflop/s of the two peaks.
fn measure_gemm_and_peaks(count: usize, sizes: &[usize], show: impl Fn(usize, &str, f64, [f64; 2])) {
    const STEPS: usize = 6_000_000;
    let on_each = |work: fn(usize) -> f64| drop(scope::map_parts(vec![STEPS; count], |steps| black_box(work(steps))));
    let per_step = |work: fn(usize) -> f64| work(STEP) / STEP as f64;
    scope::with_thread_limit(count, || {
        for &size in sizes {
            let (a, b) = (matrix(size, size), matrix(size, size));
            let runs = if size > 2000 { 3 } else { 9 };
            let forms = [("a·b", a.view(), b.view()), ("a·bᵀ", a.view(), b.t()), ("aᵀ·b", a.t(), b.view())];
            for (form, a, b) in forms {
                let seconds = medians(
                    runs,
                    &mut [&mut || drop(black_box(gemm::multiply(a, b))), &mut || on_each(peak), &mut || {
                        on_each(loading_peak)
                    }],
                );
                let rate = |work, seconds| per_step(work) * (STEPS * count) as f64 / seconds / 1e9;
                let flop = 2.0 * (size as f64).powi(3) / seconds[0] / 1e9;
                show(size, form, flop, [rate(peak, seconds[1]), rate(loading_peak, seconds[2])]);
            }
        }
    });
}

/// Products of layers with few rows or columns: name, rows, inputs, outputs.
const SKINNY: [(&str, usize, usize, usize); 3] =
    [("row", 1, 784, 10), ("batch", 64, 784, 256), ("narrow", 100_000, 64, 10)];

fn print_skinny_table() {
    println!("Products of layers, all threads\n{:>30} {:>12} {:>10}", "", "µs", "Gflop/s");
    for (_, n, inputs, outputs) in SKINNY {
        let (x, w, dout) = (matrix(n, inputs), matrix(inputs, outputs), matrix(n, outputs));
        let forms = [("x·W", x.view(), w.view()), ("dout·Wᵀ", dout.view(), w.t()), ("xᵀ·dout", x.t(), dout.view())];
        for (form, a, b) in forms {
            let seconds = medians(51, &mut [&mut || drop(black_box(gemm::multiply(a, b)))])[0];
            let flop = 2.0 * (n * inputs * outputs) as f64 / seconds / 1e9;
            let what = format!("{n}×{inputs}·{inputs}×{outputs} {form}");
            println!("{what:>30} {:>12.1} {flop:>10.1}", seconds * 1e6);
        }
    }
}

/// Repeats one of the skinny products and prints the seconds of each run.
fn run(what: &str) {
    let print = |work: &mut dyn FnMut()| {
        for _ in 0..7 {
            println!("{}", medians(1, &mut [work])[0]);
        }
    };
    for (name, n, inputs, outputs) in SKINNY {
        if name == what {
            let (x, w, dout) = (matrix(n, inputs), matrix(inputs, outputs), matrix(n, outputs));
            let repeats = if n == 1 {
                1000
            } else if n == 64 {
                10
            } else {
                1
            };
            print(&mut || {
                for _ in 0..repeats {
                    drop(black_box(gemm::multiply(x.view(), w.view())));
                    drop(black_box(gemm::multiply(dout.view(), w.t())));
                    drop(black_box(gemm::multiply(x.t(), dout.view())));
                }
            });
        }
    }
}

/// Number of steps after which the panels repeat.
const STEP: usize = 64;

/// Runs multiply-adds on registers in independent chains, and returns the number of operations.
fn peak(steps: usize) -> f64 {
    // Variables stay in registers; an array might not.
    macro_rules! chains {
        ($steps:ident, $set:expr, $fma:expr, $width:literal, $($chain:ident)*) => {{
            let (factor, term) = ($set(black_box(0.999_999_9)), $set(black_box(1e-7)));
            $(let mut $chain = $set(black_box(1.0));)*
            for _ in 0..$steps {
                $($chain = $fma($chain, factor, term);)*
            }
            let all = black_box([$($chain),*]);
            (2 * $width * all.len() * $steps) as f64
        }};
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm256_fmadd_pd, _mm256_set1_pd, _mm512_fmadd_pd, _mm512_set1_pd};
        #[target_feature(enable = "avx512f")]
        fn avx512(steps: usize) -> f64 {
            chains!(steps, _mm512_set1_pd, _mm512_fmadd_pd, 8, a b c d e f g h i j k l m n o p)
        }
        #[target_feature(enable = "avx2,fma")]
        fn fma(steps: usize) -> f64 {
            chains!(steps, _mm256_set1_pd, _mm256_fmadd_pd, 4, a b c d e f g h i j k l)
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the instructions were detected.
            return unsafe { avx512(steps) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the instructions were detected.
            return unsafe { fma(steps) };
        }
    }
    chains!(steps, |v| v, f64::mul_add, 1, a b c d e f g h i j k l m n o p)
}

/// Runs the multiply-adds and loads of a microkernel on panels in the L1 cache: per step, three vector loads of the right factor
/// and one broadcast of the left factor for each row. Returns the number of operations.
fn loading_peak(steps: usize) -> f64 {
    macro_rules! rows {
        ($steps:ident, $load:expr, $set:expr, $fma:expr, $width:literal, $($a:ident $b:ident $c:ident),*) => {{
            const ROWS: usize = [$(stringify!($a)),*].len();
            let (left, right) = (black_box([0.5; ROWS * STEP]), black_box([0.5; 3 * $width * STEP]));
            $(let (mut $a, mut $b, mut $c) = ($set(0.0), $set(0.0), $set(0.0));)*
            for step in 0..$steps {
                let step = step % STEP;
                // SAFETY: the panels have STEP steps of ROWS and of three vectors.
                unsafe {
                    let (mut factor, three) = (left.as_ptr().add(step * ROWS), right.as_ptr().add(step * 3 * $width));
                    let (x, y, z) = ($load(three), $load(three.add($width)), $load(three.add(2 * $width)));
                    $(
                        let f = $set(*factor);
                        ($a, $b, $c) = ($fma(f, x, $a), $fma(f, y, $b), $fma(f, z, $c));
                        factor = factor.add(1);
                    )*
                    let _ = factor;
                }
            }
            black_box([$($a, $b, $c),*]);
            (2 * 3 * ROWS * $width * $steps) as f64
        }};
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm256_fmadd_pd, _mm256_loadu_pd, _mm256_set1_pd};
        use std::arch::x86_64::{_mm512_fmadd_pd, _mm512_loadu_pd, _mm512_set1_pd};
        #[target_feature(enable = "avx512f")]
        #[rustfmt::skip]
        fn avx512(steps: usize) -> f64 {
            rows!(steps, _mm512_loadu_pd, _mm512_set1_pd, _mm512_fmadd_pd, 8,
                a0 b0 c0, a1 b1 c1, a2 b2 c2, a3 b3 c3, a4 b4 c4, a5 b5 c5, a6 b6 c6, a7 b7 c7)
        }
        #[target_feature(enable = "avx2,fma")]
        fn fma(steps: usize) -> f64 {
            rows!(steps, _mm256_loadu_pd, _mm256_set1_pd, _mm256_fmadd_pd, 4, a0 b0 c0, a1 b1 c1, a2 b2 c2, a3 b3 c3)
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the instructions were detected.
            return unsafe { avx512(steps) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the instructions were detected.
            return unsafe { fma(steps) };
        }
    }
    // SAFETY: the macro passes pointers into the panels.
    let load = |from: *const f64| unsafe { *from };
    rows!(steps, load, |v| v, f64::mul_add, 1, a0 b0 c0, a1 b1 c1, a2 b2 c2, a3 b3 c3)
}
