//! `nnlayer softmax-xent`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, piped};

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
