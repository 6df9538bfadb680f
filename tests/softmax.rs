//! `nnlayer softmax`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

#[test]
fn every_case_is_within_two_ulps_and_gradients_within_their_largest() {
    cases::run("softmax", "softmax", |result, case| match result {
        "y" => Within::Ulps(2),
        _ => Within::Roundings(6.0 * cases::largest(case, "dout").max(1.0)),
    });
}

#[test]
fn a_constant_dout_gives_a_gradient_of_exactly_zero() {
    for dout in ["ones", "0.1,0.1,0.1", "1e300,1e300,1e300"] {
        let json = nnlayer(&["softmax", "--x", "0.3,2.9,4.0", "--dout", dout, "--json"]).json();
        assert_eq!(numbers(&json["dx"]), [0.0; 3], "{dout}");
    }
}

#[test]
fn a_gap_of_seven_hundred_keeps_every_digit_of_the_logarithm() {
    // log softmax of the larger logit is −log1p(e^−700): −e^−700 to double precision.
    let json = nnlayer(&["softmax", "--x", "0,-700", "--log", "--forward", "--json"]).json();
    assert_eq!(numbers(&json["y"]), [-9.859_676_543_759_77e-305, -700.0]);
}

#[test]
fn nothing_but_the_forward_pass_is_done_when_nothing_else_is_shown() {
    let json = nnlayer(&["softmax", "--x", "0,0", "--only", "y", "--json"]).json();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["y"]);
}
