//! `nnlayer relu`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

#[test]
fn every_case_is_exact() {
    cases::run("relu", "relu", |_, _| Within::Ulps(0));
}

#[test]
fn the_gradient_at_the_kink_is_zero_on_either_zero() {
    let json = nnlayer(&["relu", "--x", "0,-0.0,1e-300,-1e-300", "--dout", "-5,7,9,inf", "--json"]).json();
    assert_eq!(numbers(&json["dx"]), [0.0, 0.0, 9.0, 0.0]);
}

#[test]
fn nan_passes_through_forward_and_backward() {
    let ran = nnlayer(&["relu", "--x", "nan,1", "--json"]);
    assert!(ran.stderr.contains("--x [0]: contains NaN"), "{}", ran.stderr);
    assert_eq!(ran.text(), "{\"y\":[\"NaN\",1.0],\"dx\":[\"NaN\",1.0]}\n");
}
