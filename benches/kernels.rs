//! What the machine could do and what the kernels do: `cargo bench`, or `cargo bench -- gemm` for one of the tables.
//!
//! Every figure is a median of alternated runs, beside the peak that was measured in the same run.
//! `kernels race row 2` prints the seconds of runs on two threads, a line each, for benches/peers.py, and `kernels peak 2 1024`
//! the Gflop/s of the three forms of a product of that size on two threads, each beside those of the peak.

#![allow(unsafe_code)] // one call of a function for the instructions that were just detected

use ndarray::Array2;
use nnlayer::kernel::{gemm, threads};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [race, what, count] = &wanted[..]
        && race == "race"
    {
        return threads::with(count.parse().unwrap_or(1), || run(what));
    }
    if let [peak, count, size] = &wanted[..]
        && peak == "peak"
        && let (Ok(count), Ok(size)) = (count.parse(), size.parse())
    {
        return beside_peak(count, &[size], |_, _, flop, most| println!("{flop} {most}"));
    }
    let tables: [(&str, fn()); 2] = [("gemm", gemm_of_peak), ("skinny", skinny_products)];
    for (name, table) in tables {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            table();
        }
    }
}

/// Seconds of each, medians of `runs` alternated runs.
fn medians(runs: usize, works: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut all = vec![Vec::new(); works.len()];
    for _ in 0..runs {
        for (work, times) in works.iter_mut().zip(&mut all) {
            let start = Instant::now();
            work();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    all.iter_mut().map(median).collect()
}

fn matrix(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 31 + c * 17) as f64 * 0.618).sin())
}

fn gemm_of_peak() {
    for count in [1, 2] {
        println!("GEMM, f64, {count} thread(s)\n{:>26} {:>10} {:>10} {:>8}", "", "Gflop/s", "FMA peak", "ratio");
        beside_peak(count, &[512, 1024, 2048, 4096], |size, form, flop, most| {
            println!("{:>26} {flop:>10.1} {most:>10.1} {:>8.3}", format!("{size} {form}"), flop / most);
        });
    }
}

/// Shows size, form, Gflop/s, and those of the peak, for square matrices.
fn beside_peak(count: usize, sizes: &[usize], show: impl Fn(usize, &str, f64, f64)) {
    threads::with(count, || {
        for &size in sizes {
            let (a, b) = (matrix(size, size), matrix(size, size));
            let runs = if size > 2000 { 3 } else { 9 };
            let forms = [("a·b", a.view(), b.view()), ("a·bᵀ", a.view(), b.t()), ("aᵀ·b", a.t(), b.view())];
            for (form, a, b) in forms {
                const STEPS: usize = 10_000_000;
                let seconds = medians(
                    runs,
                    &mut [&mut || drop(black_box(gemm::product(a, b))), &mut || {
                        threads::each(vec![STEPS; count], |steps| black_box(peak(steps)));
                    }],
                );
                let flop = 2.0 * (size as f64).powi(3) / seconds[0] / 1e9;
                show(size, form, flop, peak(1) * (STEPS * count) as f64 / seconds[1] / 1e9);
            }
        }
    });
}

/// The products of layers of a few rows or columns: name, rows, inputs, outputs.
const SKINNY: [(&str, usize, usize, usize); 3] =
    [("row", 1, 784, 10), ("batch", 64, 784, 256), ("narrow", 100_000, 64, 10)];

fn skinny_products() {
    println!("Products of layers, all threads\n{:>30} {:>12} {:>10}", "", "µs", "Gflop/s");
    for (_, n, inputs, outputs) in SKINNY {
        let (x, w, dout) = (matrix(n, inputs), matrix(inputs, outputs), matrix(n, outputs));
        let forms = [("x·W", x.view(), w.view()), ("dout·Wᵀ", dout.view(), w.t()), ("xᵀ·dout", x.t(), dout.view())];
        for (form, a, b) in forms {
            let seconds = medians(51, &mut [&mut || drop(black_box(gemm::product(a, b)))])[0];
            let flop = 2.0 * (n * inputs * outputs) as f64 / seconds / 1e9;
            let what = format!("{n}×{inputs}·{inputs}×{outputs} {form}");
            println!("{what:>30} {:>12.1} {flop:>10.1}", seconds * 1e6);
        }
    }
}

/// One work again and again, the seconds of each on a line.
fn run(what: &str) {
    let print = |work: &mut dyn FnMut()| {
        for _ in 0..7 {
            println!("{}", medians(1, &mut [work])[0]);
        }
    };
    for (name, n, inputs, outputs) in SKINNY {
        if name == what {
            let (x, w, dout) = (matrix(n, inputs), matrix(inputs, outputs), matrix(n, outputs));
            let again = if n == 1 {
                1000
            } else if n == 64 {
                10
            } else {
                1
            };
            print(&mut || {
                for _ in 0..again {
                    drop(black_box(gemm::product(x.view(), w.view())));
                    drop(black_box(gemm::product(dout.view(), w.t())));
                    drop(black_box(gemm::product(x.t(), dout.view())));
                }
            });
        }
    }
}

/// Multiply-adds on nothing but registers, in independent chains; how many operations that were.
fn peak(steps: usize) -> f64 {
    // Variables, not an array: small code keeps its loops, and an array that is walked along is in memory.
    macro_rules! chains {
        ($steps:ident, $set:expr, $fma:expr, $lanes:literal, $($chain:ident)*) => {{
            let (factor, term) = ($set(black_box(0.999_999_9)), $set(black_box(1e-7)));
            $(let mut $chain = $set(black_box(1.0));)*
            for _ in 0..$steps {
                $($chain = $fma($chain, factor, term);)*
            }
            let all = black_box([$($chain),*]);
            (2 * $lanes * all.len() * $steps) as f64
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
        // SAFETY, of both: detected.
        if is_x86_feature_detected!("avx512f") {
            return unsafe { avx512(steps) };
        } else if is_x86_feature_detected!("fma") {
            return unsafe { fma(steps) };
        }
    }
    chains!(steps, |v| v, f64::mul_add, 1, a b c d e f g h i j k l m n o p)
}
