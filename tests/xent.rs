//! `nnlayer xent`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

#[test]
fn every_case_equals_the_formula_in_high_precision() {
    cases::run("xent", "xent", |result, case| match result {
        "dy" => Within::Ulps(2),
        "dx" => Within::Roundings(6.0 * cases::largest(case, "t").max(1.0)),
        _ => Within::Roundings(6.0 * cases::largest_result(case, "loss").max(1e-10)),
    });
}

#[test]
fn the_loss_of_probability_zero_without_eps_is_infinite() {
    let json = nnlayer(&["xent", "--y", "0,1", "--t", "0", "--eps", "0", "--json"]).json();
    assert_eq!(json["loss"], "Infinity");
    assert_eq!(json["dy"][0], "-Infinity");
}

#[test]
fn nan_in_a_class_without_target_is_not_hidden() {
    let ran = nnlayer(&["xent", "--y", "nan,1", "--t", "1", "--json"]);
    assert!(ran.stderr.contains("--y [0]: contains NaN"), "{}", ran.stderr);
    assert!(numbers(&ran.json()["loss"])[0].is_nan());
}

#[test]
fn warnings_name_the_row_and_strict_makes_them_errors() {
    let options = ["xent", "--y", "0.5,0.5;0.5,0.6", "--t", "0,1"];
    let ran = nnlayer(&options);
    assert!(ran.stderr.starts_with("warning: --y [1]: row 1 sums to 1.1 instead of 1"), "{}", ran.stderr);
    assert_eq!(ran.status, 0);
    let strict = nnlayer(&[&options[..], &["--strict"]].concat());
    assert!(strict.refusal().starts_with("error: --y [1]: row 1 sums to 1.1"));
}
