//! `nnlayer attention`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{folder, nnlayer, numbers, piped, shell_in};

#[test]
fn every_case_is_within_the_error_of_its_scores() {
    // A score is off by a few roundings of its magnitude, and so is the exponent of its power.
    cases::run("attention", "attention", |result, case| {
        let [q, k, v, dout] = ["q", "k", "v", "dout"].map(|option| cases::largest(case, option).max(1.0));
        let scores = (q * k * 4.0).max(1.0);
        let (weights, rows) = (v.max(dout), 4.0);
        Within::Roundings(match result {
            "y" => scores * v,
            "dv" => rows * scores * dout,
            "dmask" => rows * scores * weights * weights,
            _ => rows * scores * weights * weights * q.max(k),
        })
    });
}

#[test]
fn gradients_match_numerical_differentiation() {
    for options in [
        "--mask 0.5,0;-inf,1",
        "--causal top-left --softcap 2",
        "--mask [[true,false],[true,true]] --scale 3",
        "--heads 2 --kv-heads 1 --k 1;2 --v 3;4",
    ] {
        let mut args = vec!["attention", "--check", "--q", "1,0.25;0,1"];
        args.extend(options.split(' '));
        if !options.contains("--k ") {
            args.extend(["--k", "1,0.5;0,1", "--v", "1;3"]);
        }
        assert!(nnlayer(&args).quiet().contains("PASS"), "{options}");
    }
}

#[test]
fn a_mask_is_boolean_when_its_type_is() {
    let folder = folder();
    std::fs::write(folder.path().join("m.json"), "[[true,false],[true,true]]").unwrap();
    let operands = "--q '1,0;0,1' --k '1,0;0,1' --v '1;3' --json";
    let want =
        nnlayer(&["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1;3", "--causal", "top-left", "--json"]);
    for mask in [
        "--mask '[[true,false],[true,true]]'",
        "--mask m.json",
        "--mask '1,0;1,1' --mask-kind boolean",
        "--mask '0,1;0,0' --mask-kind boolean --mask-true ignore",
        "--mask '[[false,true],[false,false]]' --mask-true ignore",
    ] {
        assert_eq!(
            shell_in(folder.path(), &format!("nnlayer attention {operands} {mask}")).quiet(),
            want.quiet(),
            "{mask}"
        );
    }
    let record = "{\"q\":[[1,0],[0,1]],\"k\":[[1,0],[0,1]],\"v\":[[1],[3]],\"mask\":[[true,false],[true,true]]}\n";
    assert_eq!(piped(record, &["attention", "--ndjson"]).quiet(), want.quiet());
    assert_eq!(piped(record, &["attention", "--json"]).quiet(), want.quiet());
    let additive =
        nnlayer(&["attention", "--q", "1,0", "--k", "1,0;0,1", "--v", "1;3", "--mask", "1,0", "--q", "1,0;", "--json"]);
    assert_ne!(additive.stderr, "");
}

#[test]
fn rows_without_a_key_are_refused_nan_or_zero() {
    let at = ["attention", "--q", "1,0;0,1", "--k", "1,0;", "--v", "3;", "--causal", "bottom-right", "--json"];
    assert!(nnlayer(&at).refusal().contains("--causal: masks every key of query row 0"));
    let zero = nnlayer(&[&at[..], &["--masked-rows", "zero"]].concat()).json();
    assert_eq!(numbers(&zero["y"]), [0.0, 3.0]);
    assert_eq!(numbers(&zero["dv"]), [1.0]);
    let nan = nnlayer(&[&at[..], &["--masked-rows", "nan"]].concat()).json();
    assert!(numbers(&nan["y"])[0].is_nan() && numbers(&nan["y"])[1] == 3.0);
}

#[test]
fn what_does_not_match_is_refused() {
    for (options, message) in [
        ("--q 1,2;3,4 --k 1,2,3; --v 1;", "--k: heads of 3 elements do not match those of q, 2"),
        ("--q 1,2;3,4 --k 1,2; --v 1;2", "--v: shape (2×1) does not match k (1×2)"),
        ("--q 1,2 --k 1,2; --v 1;", "--q: must have a row for each query, got (2)"),
        ("--q 1,2; --k [[[1,2]]] --v 1;", "--k: must have as many axes as q, got (1×1×2) and (1×2)"),
        ("--q 1,2; --k 1,2; --v 1; --heads 3", "--q: expected rows of 3 heads of one length, got (1×2)"),
        ("--q 1,2; --k 1,2; --v 1; --kv-heads 3", "--kv-heads: has an effect only with --heads"),
        ("--q 1,2; --k 1,2; --v 1; --heads 3 --kv-heads 2", "--kv-heads: expected a divisor of the 3 heads, got 2"),
        (
            "--q [[[1]],[[1]],[[1]]] --k [[[1]],[[1]]] --v [[[1]],[[1]]]",
            "--k: the 3 heads of q are no multiple of the 2 of k",
        ),
        ("--q 1,2; --k 1,2; --v 1; --mask 1,2", "--mask: shape (2) does not broadcast to the scores (1×1)"),
        ("--q 1,2; --k 1,2; --v 1; --mask inf", "--mask: contains +inf"),
        ("--q 1,2; --k 1,2; --v 1; --mask 2 --mask-kind boolean", "--mask: contains 2; a boolean mask has 0 and 1"),
        ("--q 1,2; --k 1,2; --v 1; --mask-true ignore", "--mask-true: has an effect only on a boolean mask"),
        ("--q 1,2; --k 1,2; --v 1; --softcap 0", "--softcap: expected a positive number, got 0"),
        (
            "--q 1,2; --k {\"shape\":[0,2],\"data\":[]} --v {\"shape\":[0,1],\"data\":[]}",
            "--k: must have a key and an element at least, got (0×2)",
        ),
    ] {
        let refused = nnlayer(&std::iter::once("attention").chain(options.split(' ')).collect::<Vec<_>>());
        assert!(refused.refusal().contains(message), "{options}: {}", refused.stderr);
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    use ndarray::ArrayD;
    use nnlayer::core::name::Name;
    use nnlayer::core::tensors::Tensors;
    use nnlayer::layer;
    use nnlayer::parallel::scope::with_thread_limit;
    let attention = (layer::find("attention").unwrap().build)(&layer::Settings::default()).unwrap();
    let uneven = |shape: &[usize], seed: usize| {
        let number = |n: usize| (((n + seed) * 7919) % 1009) as f64 / 500.0 - 1.0;
        ArrayD::from_shape_vec(shape, (0..shape.iter().product()).map(number).collect()).unwrap()
    };
    let operands = [("q", 1, 4, 150), ("k", 2, 2, 60), ("v", 3, 2, 60)];
    let operands = operands.map(|(name, seed, heads, rows)| (Name::fixed(name), uneven(&[heads, rows, 32], seed)));
    let at: Tensors<f64> = operands.into_iter().collect();
    let dout = uneven(&[4, 150, 32], 4);
    let compute = |threads| {
        with_thread_limit(threads, || {
            let outcome = layer::compute(attention.as_ref(), &at, Some(&dout), layer::Precision::F64);
            outcome.results.into_iter().chain(outcome.gradients).collect::<Tensors<f64>>()
        })
    };
    let alone = compute(1);
    assert_eq!(alone.len(), 4);
    for threads in [2, 3] {
        assert_eq!(compute(threads), alone, "{threads}");
    }
}
