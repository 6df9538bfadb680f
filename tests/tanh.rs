//! `nnlayer tanh`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

#[test]
fn every_case_is_within_an_ulp_and_gradients_too_where_dout_is_one() {
    cases::run("tanh", "tanh", |result, case| match result {
        "y" => Within::Ulps(1),
        _ => Within::Ulps(if case["options"].get("dout").is_none() { 1 } else { 2 }),
    });
}

#[test]
fn a_tiny_input_is_returned_unchanged() {
    let json = nnlayer(&["tanh", "--x", "5e-324,-1e-300,-0.0,1000,-1000", "--json"]).json();
    assert_eq!(numbers(&json["y"]), [5e-324, -1e-300, -0.0, 1.0, -1.0]);
    assert!(numbers(&json["y"])[2].is_sign_negative());
}

#[test]
fn nan_passes_through() {
    assert!(numbers(&nnlayer(&["tanh", "--x", "nan", "--json"]).json()["dx"])[0].is_nan());
}
