//! Results are the same bits with every instruction set: with AVX-512, with AVX2, and without a fused multiply-add.

use crate::support::{cases, fixture, nnlayer};
use ndarray::Array2;
use nnlayer::simd::dispatch::{IsaLevel, with_isa_limit};
use nnlayer::{gemm, ops::activations, ops::softmax, parallel::scope};
use proptest::prelude::*;
use serde_json::Value;

/// Asserts that `run` returns the same at every ISA level.
#[track_caller]
fn assert_same_at_every_level<T: PartialEq + std::fmt::Debug>(name: &str, run: impl Fn() -> T) {
    let expected = run();
    for level in IsaLevel::available() {
        let found = with_isa_limit(level, &run);
        assert!(found == expected, "{name} at {level:?}:\n{found:?}\n{expected:?}");
    }
}

/// Runs a command and returns its status and all that it printed.
fn output(arguments: &[String]) -> (i32, String, String) {
    let ran = nnlayer(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (ran.status, ran.text().to_owned(), ran.stderr)
}

fn cases_of(folder: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(fixture(&format!("{folder}/cases.json"))).unwrap()).unwrap()
}

#[test]
fn the_fixtures_of_all_layers_have_the_same_bits_at_every_level() {
    let layers = ["affine", "layernorm", "relu", "sigmoid", "softmax", "softmax-xent", "tanh", "xent"];
    for layer in layers {
        for case in cases_of(&layer.replace('-', "_")) {
            // Only products of matrices differ by level in exact precision.
            for precision in ["f64", "f32", "exact"].into_iter().filter(|name| *name != "exact" || layer == "affine") {
                let mut arguments = cases::arguments(layer, &case["options"]);
                if case["options"].get("precision").is_none() {
                    arguments.extend(["--precision".to_owned(), precision.to_owned()]);
                }
                assert_same_at_every_level(&format!("{layer}: {}", case["name"]), || output(&arguments));
            }
        }
    }
}

#[test]
fn exact_results_are_the_same_at_every_level() {
    for case in cases_of("exact").iter().step_by(10) {
        let arguments = cases::arguments(case["command"].as_str().unwrap(), &case["options"]);
        let arguments = [&arguments[..], &["--precision".to_owned(), "exact".to_owned()]].concat();
        assert_same_at_every_level("exact", || output(&arguments));
    }
}

/// Pseudo-random numbers from −1 to 1 times powers of two with exponents up to `spread`.
fn numbers(len: usize, seed: u64, spread: i32) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 * 2f64.powi(-52) - 1.0
    };
    (0..len).map(|_| next() * 2f64.powi((next() * f64::from(spread)) as i32)).collect()
}

fn matrix(rows: usize, columns: usize, seed: u64, spread: i32) -> Array2<f64> {
    Array2::from_shape_vec((rows, columns), numbers(rows * columns, seed, spread)).unwrap()
}

fn bits<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<u64> {
    values.into_iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn products_have_the_same_bits_at_every_level(
        (rows, depth, columns) in (1..40usize, 1..300usize, 1..60usize),
        seed in any::<u64>(),
        spread in prop::sample::select(vec![1, 30, 520]),
    ) {
        let (a, b) = (matrix(rows, depth, seed, spread), matrix(depth, columns, seed + 1, spread));
        assert_same_at_every_level("f64", || bits(&gemm::multiply(a.view(), b.view())));
    }

    #[test]
    fn softmax_and_activations_have_the_same_bits_at_every_level(
        (rows, width) in (1..20usize, 1..200usize),
        seed in any::<u64>(),
        spread in prop::sample::select(vec![1, 5, 9, 60, 900]),
        special in prop::sample::select(vec![None, Some(f64::NEG_INFINITY), Some(f64::NAN), Some(-1e300)]),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut x, dout) = (numbers(rows * width, seed, spread), numbers(rows * width, seed + 1, 3));
        let at = at.index(x.len());
        x[at] = special.unwrap_or(x[at]);
        assert_same_at_every_level("softmax", || {
            let (y, _) = softmax::softmax_rows(&x, width);
            bits(y.iter().chain(&softmax::softmax_gradient(&y, &dout, width)))
        });
        assert_same_at_every_level("log-softmax", || {
            let (y, sums) = softmax::log_softmax_rows(&x, width);
            bits(y.iter().chain(&softmax::log_softmax_gradient(&x, &sums, &dout, width)))
        });
        assert_same_at_every_level("activations", || {
            let mut results = [const { Vec::new() }; 4].map(|_: Vec<f64>| vec![0.0; x.len()]);
            activations::sigmoid(&x, &mut results[0]);
            activations::tanh(&x, &mut results[1]);
            activations::sigmoid_gradient(&x, &dout, &mut results[2]);
            activations::tanh_gradient(&x, &dout, &mut results[3]);
            bits(results.iter().flatten())
        });
    }
}

#[test]
fn worker_threads_inherit_the_limit_of_the_thread_that_starts_them() {
    let limits = || scope::map_parts(vec![(); 3], |()| nnlayer::simd::dispatch::isa_limit());
    assert_eq!(with_isa_limit(IsaLevel::Portable, limits), [IsaLevel::Portable; 3]);
    let (a, b) = (matrix(300, 260, 1, 1), matrix(260, 300, 2, 1));
    assert_same_at_every_level("3 threads", || {
        scope::with_thread_limit(3, || bits(&gemm::multiply(a.view(), b.view())))
    });
}
