//! The layers of windows: conv1d, conv2d, maxpool1d, maxpool2d, avgpool1d and avgpool2d.

use crate::support::cases;
use crate::support::cases::{Within, largest};
use crate::support::{folder, nnlayer, numbers, piped, shape};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::json;
use nnlayer::layer;
use nnlayer::layer::{Precision, Settings};
use serde_json::Value;

/// All of them.
pub const LAYERS: [&str; 6] = ["conv1d", "conv2d", "maxpool1d", "maxpool2d", "avgpool1d", "avgpool2d"];

#[test]
fn every_case_is_within_the_bound_of_its_sums() {
    for layer in LAYERS {
        cases::run(layer, layer, |result, case| {
            let factor = match result {
                "dw" => largest(case, "x") * largest(case, "dout").max(1.0),
                "dx" if layer.starts_with("conv") => largest(case, "w") * largest(case, "dout").max(1.0),
                "y" if layer.starts_with("conv") => largest(case, "w") * largest(case, "x"),
                "y" => largest(case, "x"),
                _ => largest(case, "dout").max(1.0),
            };
            if layer.starts_with("max") && result == "y" { Within::Ulps(0) } else { Within::Roundings(factor) }
        });
    }
}

/// Returns the arguments of a layer with small operands of full rank.
fn small(layer: &'static str) -> Vec<&'static str> {
    match layer {
        "conv1d" => vec![
            layer,
            "--x",
            "[[[1,-2,3,0.5],[2,5,-1,4]],[[0,1,7,3],[4,1,1,2]]]",
            "--w",
            "[[[1,2],[3,-1]]]",
            "--b",
            "0.5",
        ],
        "conv2d" => vec![
            layer,
            "--x",
            "[[[[1,-2,3],[2,5,-1]]],[[[0,1,7],[4,3,1]]]]",
            "--w",
            "[[[[1,2],[3,-1]]],[[[0,1],[2,1]]]]",
        ],
        "maxpool1d" | "avgpool1d" => {
            vec![layer, "--x", "[[[1,-2,3,0.5],[2,5,-1,4]],[[0,1,7,3],[4,1,1.5,2]]]", "--padding", "1,0"]
        }
        _ => vec![layer, "--x", "[[[[1,-2,3],[2,5,-1]]],[[[0,1,7],[4,3,1.5]]]]", "--stride", "1"],
    }
}

#[test]
fn gradients_match_numerical_differentiation_in_every_precision() {
    for layer in LAYERS {
        for precision in ["f64", "f32", "exact"] {
            let checked = nnlayer(&[&small(layer)[..], &["--check", "--precision", precision]].concat());
            assert!(checked.text().contains("PASS"), "{layer} {precision}: {} {}", checked.text(), checked.stderr);
        }
    }
}

#[test]
fn graphs_steps_and_jacobians_are_drawn_of_small_windows() {
    for layer in LAYERS {
        for option in ["--graph", "--steps", "--jacobian", "--tape"] {
            let shown = nnlayer(&[&small(layer)[..], &[option]].concat());
            assert_eq!(shown.status, 0, "{layer} {option}: {}", shown.stderr);
        }
    }
    let steps = nnlayer(&["conv1d", "--x", "1,2;", "--w", "[[[3,4]]]", "--padding", "1", "--steps", "--forward"]);
    for line in ["y[0,0] = 1·4       = 4", "y[0,1] = 1·3 + 2·4 = 11"] {
        assert!(steps.text().contains(line), "{line}: {}", steps.text());
    }
}

#[test]
fn a_tie_is_a_kink_and_its_gradient_goes_to_the_first() {
    let x = ["maxpool1d", "--x", "3,3,1,2;"];
    let checked = nnlayer(&[&x[..], &["--check"]].concat());
    assert!(checked.text().contains("PASS") && checked.text().contains("kink at"), "{}", checked.text());
    let expected = nnlayer(&[&x[..], &["--expect", r#"{"dx":[[1,1,0,1]]}"#]].concat());
    assert!(expected.status == 1 && expected.text().contains("equal largest entries"), "{}", expected.text());
}

#[test]
fn lists_of_one_number_and_of_one_for_each_axis_are_the_same() {
    let x = "[[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]]";
    let run =
        |options: &[&str]| nnlayer(&[&["avgpool2d", "--json", "--x", x][..], options].concat()).quiet().to_owned();
    assert_eq!(run(&["--kernel", "2"]), run(&["--kernel", "2,2", "--stride", "2", "--dilation", "1 1"]));
    assert_eq!(run(&["--padding", "1"]), run(&["--padding", "1;1"]));
    assert_eq!(run(&["--padding", "1"]), run(&["--padding", "1,1;1,1"]));
    assert_eq!(run(&["--padding", "same"]), run(&["--padding", "same-upper"]));
}

#[test]
fn settings_survive_a_tape_and_a_record() {
    let options = ["--padding", "1,2;0,1", "--stride", "2,1", "--dilation", "1"];
    let x = "[[[1,2,3,4],[5,6,7,8],[9,10,11,12]]]";
    let tape = nnlayer(&[&["maxpool2d", "--kernel", "3,2", "--x", x, "--tape"][..], &options].concat()).json();
    let settings =
        serde_json::json!({"kernel": [3, 2], "padding": [[1, 2], [0, 1]], "stride": [2, 1], "dilation": [1]});
    assert_eq!(tape["layers"][0]["settings"], settings);
    let folder = folder();
    let path = folder.path().join("tape.json");
    std::fs::write(&path, tape.to_string()).unwrap();
    let net = nnlayer(&["net", path.to_str().unwrap(), "--x", x, "--json", "--forward"]).json();
    let direct = nnlayer(&[&["maxpool2d", "--kernel", "3,2", "--x", x, "--json"][..], &options].concat()).json();
    assert_eq!(net["maxpool2d1"]["y"], direct["y"]);
    let record = format!("{{\"x\":{x},\"kernel\":[3,2],\"padding\":[[1,2],[0,1]],\"stride\":[2,1]}}\n");
    let records = piped(record, &["maxpool2d", "--ndjson"]);
    let first: Value = serde_json::from_str(records.text().lines().next().unwrap()).unwrap();
    assert_eq!(first["y"], direct["y"], "{}", records.stderr);
}

#[test]
fn what_does_not_fit_is_refused_with_the_sizes() {
    let x1 = "[[1,2,3],[4,5,6]]";
    let x2 = "[[[1,2,3],[4,5,6]]]";
    let w1 = "[[[1,2],[3,4]]]";
    for (args, words) in [
        (&["conv1d", "--x", x1, "--w", "[[[1,2,3,4],[1,2,3,4]]]"][..], "(4) that are larger than the padded input (3)"),
        (
            &["conv1d", "--x", x1, "--w", w1, "--dilation", "3"],
            "(4), dilated, that are larger than the padded input (3)",
        ),
        (
            &["conv1d", "--x", x1, "--w", w1, "--groups", "2"],
            "2 groups do not divide the 2 channels of x and the 1 outputs of w",
        ),
        (&["conv1d", "--x", x1, "--w", "[[[1]],[[2]]]"], "expected w to have 2 channels, got 1"),
        (&["conv1d", "--x", x1, "--w", "1,2"], "must be (O×C/groups×k), not (2)"),
        (&["conv1d", "--x", "1,2,3", "--w", w1], "must be (N×C×L) or (C×L), not (3)"),
        (&["conv1d", "--x", x1, "--w", w1, "--b", "1,2"], "expected (1), one value for each output channel, got (2)"),
        (&["conv1d", "--x", x1, "--w", w1, "--stride", "0"], "expected positive numbers"),
        (&["conv1d", "--x", x1, "--w", w1, "--stride", "1,2"], "expected one number, got 1,2"),
        (&["conv1d", "--x", x1, "--w", w1, "--padding", "100"], "gives 202 outputs along an axis of 3 entries"),
        (&["conv1d", "--x", x1, "--w", w1, "--groups", "0"], "expected a positive number, got 0"),
        (&["maxpool2d", "--x", x2, "--padding", "1,2"], "expected a row for each of 2 axes, got 1,2 alone"),
        (&["maxpool2d", "--x", x2, "--padding", "-1"], "got -1"),
        (&["maxpool2d", "--x", x2, "--padding", "1;2;3"], "of which there are 2"),
        (&["maxpool2d", "--x", x2, "--kernel", "3"], "(3×3) that are larger than the padded input (2×3)"),
        (&["maxpool2d", "--x", x2, "--padding", "4", "--kernel", "5"], "of 4 is more than half of the window 5"),
        (&["avgpool1d", "--x", x1, "--padding", "2", "--kernel", "2"], "makes window 0 of"),
        (&["avgpool2d", "--x", x2, "--kernel", "2,2,2"], "one for each of 2 axes, got 2,2,2"),
    ] {
        let refused = nnlayer(args);
        assert!(refused.refusal().contains(words), "{args:?}: {}", refused.stderr);
    }
    let both = nnlayer(&["conv2d", "--x", x2, "--w", "[[[[1]]]]", "--padding", "1,2"]);
    assert!(both.refusal().contains("1;2") && both.refusal().contains("1,2;1,2"), "{}", both.stderr);
    let groups = nnlayer(&["conv1d", "--x", x1, "--w", "[[[1]],[[2]]]"]);
    assert!(groups.refusal().contains("--groups 2"), "{}", groups.stderr);
}

#[test]
fn infinite_weights_are_not_multiplied_by_the_padding() {
    let run = |precision: &str| {
        let args = [
            "conv1d",
            "--x",
            "1,2;",
            "--w",
            "[[[\"Infinity\",1]]]",
            "--padding",
            "1",
            "--json",
            "--precision",
            precision,
        ];
        numbers(&nnlayer(&args).json()["y"])
    };
    assert_eq!(run("f64"), [1.0, f64::INFINITY, f64::INFINITY]);
    assert_eq!(run("exact"), run("f64"));
}

#[test]
fn a_huge_kernel_over_few_entries_takes_no_time() {
    for (kernel, padding) in [("2000000000", "1000000000"), ("2000000000", "same")] {
        let ran = nnlayer(&[
            "avgpool2d",
            "--x",
            "[[[1,2],[3,4]]]",
            "--kernel",
            kernel,
            "--padding",
            padding,
            "--stride",
            "1",
            "--count-include-pad",
            "false",
            "--json",
        ]);
        let y = &ran.json()["y"];
        assert_eq!(numbers(y)[0], 2.5, "{}", shape(y).len());
    }
}

/// Large batches are computed in chunks of samples; sums over the samples are added block after block.
#[test]
fn chunks_of_a_batch_give_what_all_at_once_gives() {
    let number = |n: usize| ((n * 7919) % 1009) as f64 / 37.0 - 13.0;
    let operand = |shape: &[usize], seed: usize| {
        let numbers = (0..shape.iter().product()).map(|n| number(n + seed)).collect();
        ndarray::ArrayD::from_shape_vec(shape, numbers).unwrap()
    };
    let folder = folder();
    let at = Tensors::new().with(Name::X, operand(&[900, 2, 7, 5], 0)).with(Name::W, operand(&[3, 2, 2, 2], 5));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, value) in at.iter() {
        let mut bytes = Vec::new();
        json::write_value(value, &mut bytes).unwrap();
        std::fs::write(path(name.as_str()), bytes).unwrap();
    }
    for layer in ["conv2d", "maxpool2d", "avgpool2d"] {
        let (x, w) = (path("x"), path("w"));
        let mut args = vec![layer, "--json", "--padding", "same-lower", "--x", &x];
        args.extend(["--w", w.as_str()].into_iter().filter(|_| layer == "conv2d"));
        let ran = nnlayer(&args).json();
        let mut settings = Settings::default();
        settings.set("padding", layer::Value::Choice("same-lower"));
        let built = (layer::find(layer).unwrap().build)(&settings).unwrap();
        let dout = ndarray::ArrayD::ones(built.output_shape(&at));
        let whole = layer::compute(built.as_ref(), &at, Some(&dout), Precision::F64);
        for (name, value) in whole.results.iter().chain(whole.gradients.iter()) {
            let near = |a: f64, b: f64| if *name == Name::DW { (a - b).abs() <= 1e-8 } else { a == b };
            let found = numbers(&ran[name.as_str()]);
            assert!(found.iter().zip(value).all(|(&a, &b)| near(a, b)), "{layer} {name}");
        }
    }
}
