//! `--precision exact`: every printed number is the double nearest to the formula's real value.

use crate::support::cases::arguments;
use crate::support::{fixture, nnlayer, numbers, piped, shape};
use ndarray::{Array1, ArrayD, Axis, IxDyn};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{Outcome, Precision, Settings, Value as Set};
use num_bigint::BigInt;
use proptest::prelude::*;
use serde_json::Value;

fn read(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(path)).unwrap()).unwrap()
}

/// Asserts that every result of a case is the expected double, up to the sign of 0.
fn assert_case(command: &str, options: &Value, expected: &Value) {
    let mut args = arguments(command, options);
    args.extend(["--precision".to_owned(), "exact".to_owned()]);
    let ran = nnlayer(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
    let got = ran.json();
    for (result, want) in expected.as_object().unwrap() {
        assert_eq!(shape(&got[result]), shape(want), "{args:?}: {result}");
        for (k, (got, want)) in numbers(&got[result]).into_iter().zip(numbers(want)).enumerate() {
            assert!(
                got == want || (got.is_nan() && want.is_nan()),
                "{args:?}: {result} entry {k}: {got:e} not {want:e}"
            );
        }
    }
}

#[test]
fn every_hard_case_is_rounded_correctly() {
    let cases = read("exact/cases.json");
    let cases = cases.as_array().unwrap();
    let is_hard = |case: &Value| case["name"].as_str().is_some_and(|name| name == "hard");
    for spec in layer::LAYERS {
        let own = read(&format!("{}/cases.json", spec.name.replace('-', "_")));
        let count = cases.iter().filter(|case| case["command"] == spec.name).count();
        assert!(count >= 3 || own.as_array().unwrap().iter().any(is_hard), "{}", spec.name);
    }
    for case in cases {
        assert_case(case["command"].as_str().unwrap(), &case["options"], &case["expected"]);
    }
}

#[test]
fn every_ordinary_case_is_rounded_correctly() {
    for spec in layer::LAYERS {
        for case in read(&format!("{}/cases.json", spec.name.replace('-', "_"))).as_array().unwrap() {
            assert_case(spec.name, &case["options"], &case["expected"]);
        }
    }
}

/// Returns the sequence of fixtures/exact/make.py.
fn terms(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let integer = (state >> 11) as i64 - (1 << 52);
        integer as f64 * 2f64.powi(((state >> 3) % 64) as i32 - 84)
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn compute(command: &str, settings: &Settings, at: &Tensors<f64>, dout: Option<&ArrayD<f64>>) -> Outcome {
    let layer = (layer::find(command).unwrap().build)(settings).unwrap();
    layer::compute(layer.as_ref(), at, dout, Precision::Exact)
}

fn column(values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(&[values.len(), 1]), values.to_vec()).unwrap()
}

#[test]
fn the_sum_of_100_000_terms_of_both_signs_is_exact() {
    let want = read("exact/long.json");
    let (a, b) = (terms(1, 100_000), terms(2, 100_000));
    let at = Tensors::new().with(Name::X, Array1::from(a.clone()).into_dyn()).with(Name::W, column(&b));
    let outcome = compute("affine", &Settings::default(), &at, None);
    assert_eq!(outcome.results.known(&Name::Y)[[0]], want["product"]);
    let at = Tensors::new()
        .with(Name::X, column(&vec![1.0; a.len()]))
        .with(Name::W, column(&[1.0]))
        .with(Name::B, Array1::zeros(1).into_dyn());
    let outcome = compute("affine", &Settings::default(), &at, Some(&column(&a)));
    assert_eq!(outcome.gradients.known(&Name::DB)[[0]], want["sum"]);
    assert_eq!(outcome.gradients.known(&Name::DW)[[0, 0]], want["sum"]);
}

#[test]
fn a_loss_of_100_000_terms_of_both_signs_is_exact() {
    let want = read("exact/long.json");
    let a = terms(1, 100_000);
    let mut settings = Settings::default();
    settings.set("eps", Set::Number(0.0));
    let loss = |t: &[f64]| {
        let half = ArrayD::from_elem(IxDyn(&[t.len()]), 0.5);
        let at = Tensors::new().with(Name::Y, half).with(Name::T, Array1::from(t.to_vec()).into_dyn());
        compute("xent", &settings, &at, None).results.known(&Name::LOSS)[[]]
    };
    assert_eq!(loss(&a), want["loss"]);
    let cancelling: Vec<f64> =
        a[..50_000].iter().copied().chain([1e-30]).chain(a[..50_000].iter().map(|v| -v)).collect();
    assert_eq!(loss(&cancelling), want["cancelled"]);
}

/// Returns value·2^1100 as an integer.
fn to_integer(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
    let magnitude = BigInt::from(if exponent == 0 { fraction } else { fraction | 1 << 52 }) << (exponent.max(1) + 25);
    if value < 0.0 { -magnitude } else { magnitude }
}

/// Returns true if it is the double nearest to total·2^−2200, ties to even.
fn is_nearest(value: f64, total: &BigInt) -> bool {
    let near = |v: f64| to_integer(v) << 1100usize;
    if value.is_infinite() {
        let limit = near(f64::MAX) + (near(f64::MAX) - near(f64::MAX.next_down())) / 2;
        return if value > 0.0 { *total >= limit } else { *total <= -limit };
    }
    let off = |v: f64| BigInt::from((near(v) - total).magnitude().clone());
    [value.next_up(), value.next_down()].into_iter().filter(|v| v.is_finite()).all(|other| {
        let (mine, theirs) = (off(value), off(other));
        mine < theirs || (mine == theirs && value.to_bits() & 1 == 0)
    })
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3f64,
        2 => (-8i32..8).prop_map(f64::from),
        1 => (-1.0..1.0f64, -500i32..500).prop_map(|(v, k)| v * 2f64.powi(k)),
        1 => (-1i32..=1, 50i32..54).prop_map(|(v, k)| f64::from(v) + 2f64.powi(k)),
        1 => proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
    ]
}

/// Draws factors, some of which repeat with the other sign, so that sums cancel.
fn factors() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, f64)> {
    (proptest::collection::vec((double(), double()), 1..40), 0usize..40, double()).prop_map(
        |(mut pairs, repeated, b)| {
            let again: Vec<(f64, f64)> = pairs.iter().take(repeated).map(|&(x, w)| (-x, w)).collect();
            pairs.extend(again);
            let (x, w) = pairs.into_iter().unzip();
            (x, w, b)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn affine_is_the_nearest_double_to_the_exact_sum((x, w, b) in factors()) {
        let total = x.iter().zip(&w).map(|(&x, &w)| to_integer(x) * to_integer(w)).sum::<BigInt>() + (to_integer(b) << 1100usize);
        let at = Tensors::new()
            .with(Name::X, Array1::from(x).into_dyn())
            .with(Name::W, column(&w))
            .with(Name::B, Array1::from(vec![b]).into_dyn());
        let y = compute("affine", &Settings::default(), &at, None).results.known(&Name::Y)[[0]];
        prop_assert!(is_nearest(y, &total), "{:e}", y);
    }
}

#[test]
fn non_finite_operands_give_what_f64_gives() {
    let all = [
        "affine --x 1,inf,2;nan,0,1;-inf,1e308,3 --w 0,1;1e308,0;1,nan --b 1,-inf --dout 1,nan;0,1;inf,2",
        "softmax --x 1,nan,2;0,-inf,3;-inf,5,-inf --dout 1,inf,0;1,2,nan;0,-inf,1",
        "softmax --log --x 1,nan,2;0,-inf,3;-inf,5,-inf --dout 1,inf,0;1,2,nan;0,3,1",
        "softmax-xent --x 1,nan,2;0,-inf,3;-inf,5,-inf --t 0,1,1 --reduction none",
        "softmax-xent --x 0,-inf,3 --t 0.5,0,0.5 --weight 1,inf,2",
        "softmax-xent --x 0,1 --t 0 --ignore-index 0 --reduction mean --empty nan",
        "softmax-xent --x 0,1 --t 0 --ignore-index 0 --reduction mean --empty zero",
        "xent --y 0,1,-0.5;nan,0,1 --t 1,0,0.5;0,0,1 --eps 0",
        "sigmoid --x inf,-inf,nan,0,-0.0 --dout inf,nan,1,inf,-1",
        "tanh --x inf,-inf,nan,0,-0.0 --dout 1,nan,1,inf,-1",
        "relu --x inf,-inf,nan,0,-0.0 --dout inf,nan,1,inf,-1",
    ];
    for command in all {
        let run = |precision: &str| {
            let args: Vec<&str> = command.split(' ').chain(["--json", "--precision", precision]).collect();
            nnlayer(&args).json()
        };
        let (plain, exact) = (run("f64"), run("exact"));
        for (name, plain) in plain.as_object().unwrap() {
            for (k, (p, e)) in numbers(plain).into_iter().zip(numbers(&exact[name])).enumerate() {
                let same =
                    if p.is_finite() { (p - e).abs() <= 1e-15 * p.abs() } else { p == e || p.is_nan() && e.is_nan() };
                assert!(same, "{command}: {name} entry {k}: {p} and {e}");
            }
        }
    }
}

#[test]
fn a_chain_is_exact_in_each_layer_and_its_tape_records_the_precision() {
    let first = nnlayer(&["affine", "--x", "1e16,1,-1e16", "--w", "1,2;0.1,1;1,2", "--tape", "--precision", "exact"]);
    assert!(first.quiet().starts_with("{\"nnlayer-tape\":1,\"precision\":\"exact\","), "{}", first.text());
    let tape = piped(&first.stdout, &["softmax-xent", "--t", "0"]);
    let loss = tape.json()["layers"][1]["outputs"]["loss"].clone();
    // Of the doubles that affine gave, 0.1 and 1.
    assert_case("softmax-xent", &serde_json::json!({"x": [0.1, 1.0], "t": 0}), &serde_json::json!({ "loss": loss }));
    let gradients = piped(&tape.stdout, &["backward", "--json"]).json();
    let dx = &gradients["softmax-xent1"]["dx"];
    let w = serde_json::json!([[1, 2], [0.1, 1], [1, 2]]);
    let affine = serde_json::json!({"x": [1e16, 1, -1e16], "w": w, "dout": dx});
    assert_case(
        "affine",
        &affine,
        &serde_json::json!({"dx": gradients["affine1"]["dx"], "dw": gradients["affine1"]["dw"]}),
    );
    let network = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[1,2],[0.1,1],[1,2]]}},{"kind":"softmax-xent"}]}"#;
    let net = piped(network, &["net", "-", "--x", "1e16,1,-1e16", "--t", "0", "--precision", "exact", "--json"]).json();
    assert_eq!(net["affine1"]["dw"], gradients["affine1"]["dw"]);
    let refused = piped(&first.stdout, &["relu", "--precision", "f64"]);
    assert!(refused.refusal().contains("is f64, but the tape is computed in exact"), "{}", refused.stderr);
}

#[test]
fn threads_and_records_change_no_bit() {
    let cases = read("exact/cases.json");
    let affine: Vec<&Value> = cases.as_array().unwrap().iter().filter(|case| case["command"] == "affine").collect();
    let records: String = affine.iter().map(|case| format!("{}\n", case["options"])).collect();
    let of =
        |threads: &str| piped(&records, &["affine", "--ndjson", "--precision", "exact", "--threads", threads]).stdout;
    let one = of("1");
    assert_eq!(one, of("3"));
    for (line, case) in std::str::from_utf8(&one).unwrap().lines().zip(&affine) {
        assert_eq!(numbers(&serde_json::from_str::<Value>(line).unwrap()["y"]), numbers(&case["expected"]["y"]));
    }
}

#[test]
fn rows_computed_in_blocks_equal_single_rows() {
    let x = ArrayD::from_shape_fn(vec![70, 600], |at| ((at[0] * 600 + at[1]) as f64 * 0.7).sin() * 9.0);
    let dout = x.map(|x| x * x);
    for command in ["softmax", "relu", "sigmoid", "tanh"] {
        let settings = Settings::default();
        let all = compute(command, &settings, &Tensors::new().with(Name::X, x.clone()), Some(&dout));
        for row in [0, 26, 27, 28, 69] {
            let row_of = |all: &ArrayD<f64>| all.index_axis(Axis(0), row).to_owned();
            let one = compute(command, &settings, &Tensors::new().with(Name::X, row_of(&x)), Some(&row_of(&dout)));
            assert_eq!(row_of(all.results.known(&Name::Y)), one.results.known(&Name::Y), "{command} row {row}");
            assert_eq!(row_of(all.gradients.known(&Name::DX)), one.gradients.known(&Name::DX), "{command} row {row}");
        }
        assert_eq!(all.results.known(&Name::Y).shape(), x.shape());
    }
}

#[test]
fn the_chunks_of_a_gradient_equal_single_rows() {
    let uneven = |shape: [usize; 2], seed: usize| {
        ArrayD::from_shape_fn(&shape[..], |at| ((at[0] * shape[1] + at[1] + seed) as f64 * 0.7).sin() * 9.0)
    };
    let (x, w, dout) = (uneven([3, 700], 1), uneven([700, 500], 2), uneven([3, 500], 3));
    let of = |x: ArrayD<f64>, w: ArrayD<f64>| {
        let at = Tensors::new().with(Name::X, x).with(Name::W, w);
        compute("affine", &Settings::default(), &at, Some(&dout)).gradients.known(&Name::DW).clone()
    };
    let all = of(x.clone(), w.clone());
    assert_eq!(all.shape(), w.shape());
    let rows = |of: &ArrayD<f64>, axis, k: usize| of.slice_axis(Axis(axis), (k..=k).into()).to_owned();
    for k in [0, 1, 523, 524, 575, 576, 577, 699] {
        assert_eq!(rows(&all, 0, k), of(rows(&x, 1, k), rows(&w, 0, k)), "row {k}");
    }
}

#[test]
fn checks_work_in_exact_too() {
    for args in [&["softmax", "--x", "1,2,4"][..], &["affine", "--x", "1,2", "--w", "1,2;3,4", "--b", "1"]] {
        let ran = nnlayer(&[args, &["--check", "--precision", "exact"]].concat());
        assert_eq!((ran.status, ran.text().starts_with("PASS")), (0, true), "{}{}", ran.text(), ran.stderr);
    }
}
