//! `nnlayer softmax-xent`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers, piped};

#[test]
fn every_case_equals_the_formula_in_high_precision() {
    cases::run("softmax-xent", "softmax_xent", |result, case| match result {
        "y" => Within::Ulps(2),
        "dx" => {
            Within::Roundings(2.0 * cases::largest(case, "weight").max(1.0) * cases::largest(case, "dout").max(1.0))
        }
        _ => Within::Roundings(cases::largest_result(case, "loss")),
    });
}

#[test]
fn the_mean_over_no_rows_is_refused_or_set_by_empty() {
    let options =
        ["softmax-xent", "--x", "1,2;3,4", "--t", "9,9", "--ignore-index", "9", "--reduction", "mean", "--json"];
    assert!(nnlayer(&options).refusal().contains("the mean is undefined"));
    let with = |empty| nnlayer(&[&options[..], &["--empty", empty]].concat()).json();
    assert_eq!(with("nan")["loss"], "NaN");
    assert_eq!(with("zero")["loss"], 0.0);
    assert_eq!(with("zero")["dx"][0][0], 0.0);
}

#[test]
fn probabilities_piped_as_logits_are_suspected() {
    let softmax = nnlayer(&["softmax", "--x", "1,2,3", "--json"]);
    let ran = piped(&softmax.stdout, &["softmax-xent", "--t", "1"]);
    assert!(ran.stderr.contains("softmax would be applied twice"), "{}", ran.stderr);
    let logits = nnlayer(&["affine", "--x", "1,2,3", "--w", "[[1,0],[0,1],[1,1]]", "--json"]);
    assert_eq!(piped(&logits.stdout, &["softmax-xent", "--t", "1"]).stderr, "");
}

#[test]
fn rows_that_are_masked_throughout_are_refused_or_nan_or_zero_and_count_for_nothing_where_they_are_ignored() {
    let row = ["softmax-xent", "--x", "-inf,-inf;0,0", "--json"];
    let run = |options: &[&str]| nnlayer(&[&row[..], options].concat());
    let refusal = run(&["--t", "0,1"]);
    assert!(refusal.refusal().contains("row 0 contains only -inf"), "{}", refusal.stderr);
    let zero = run(&["--t", "0,1", "--masked-rows", "zero"]).json();
    assert_eq!(numbers(&zero["y"]), [0.0, 0.0, 0.5, 0.5]);
    assert_eq!(numbers(&zero["dx"]), [0.0, 0.0, 0.5, -0.5]);
    assert_eq!(zero["loss"], std::f64::consts::LN_2);
    let nan = run(&["--t", "0,1", "--masked-rows", "nan"]).json();
    assert_eq!(nan["loss"], "NaN");
    assert_eq!(nan["dx"].to_string(), "[[\"NaN\",\"NaN\"],[0.5,-0.5]]");
    for masked_rows in ["error", "nan", "zero"] {
        for precision in ["f64", "exact", "f32"] {
            let settings = ["--masked-rows", masked_rows, "--precision", precision, "--reduction", "mean"];
            let ignored = run(&[&["--t", "9,1", "--ignore-index", "9"], &settings[..]].concat()).json();
            assert_eq!(numbers(&ignored["dx"]), [0.0, 0.0, 0.5, -0.5], "{settings:?}");
            assert!((numbers(&ignored["loss"])[0] - std::f64::consts::LN_2).abs() < 1e-7, "{settings:?}");
        }
    }
}
