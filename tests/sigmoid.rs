//! `nnlayer sigmoid`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

#[test]
fn every_case_is_within_an_ulp_and_gradients_too_where_dout_is_one() {
    cases::run("sigmoid", "sigmoid", |result, case| match result {
        "y" => Within::Ulps(1),
        _ => Within::Ulps(if case["options"].get("dout").is_none() { 1 } else { 2 }),
    });
}

#[test]
fn nothing_overflows_far_out_and_nan_passes_through() {
    let json = nnlayer(&["sigmoid", "--x", "1e308,-1e308,inf,-inf,nan", "--json"]).json();
    assert_eq!(numbers(&json["y"])[..4], [1.0, 0.0, 1.0, 0.0]);
    assert_eq!(numbers(&json["dx"])[..4], [0.0; 4]);
    assert!(numbers(&json["y"])[4].is_nan() && numbers(&json["dx"])[4].is_nan());
}
