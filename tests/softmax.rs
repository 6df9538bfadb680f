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

#[test]
fn rows_that_are_masked_throughout_are_zero_or_nan_where_that_is_asked_for() {
    let run = |options: &[&str]| {
        nnlayer(&[&["softmax", "--x", "-inf,0;-inf,0", "--json", "--dout", "1,2;3,4"][..], options].concat())
    };
    assert!(run(&["--axis", "0"]).refusal().contains("column 0 contains only -inf"));
    for precision in ["f64", "exact", "bf16"] {
        let zero = run(&["--axis", "0", "--masked-rows", "zero", "--precision", precision]).json();
        assert_eq!((numbers(&zero["y"]), numbers(&zero["dx"])), (vec![0.0, 0.5, 0.0, 0.5], vec![0.0, -0.5, 0.0, 0.5]));
        let log = run(&["--axis", "0", "--log", "--masked-rows", "zero", "--precision", precision]).json();
        assert_eq!((log["y"][0][0].as_str(), numbers(&log["dx"])[0]), (Some("-Infinity"), 0.0));
        let nan = run(&["--axis", "0", "--masked-rows", "nan", "--precision", precision]).json();
        assert_eq!((nan["y"][0][0].as_str(), nan["y"][0][1].as_f64()), (Some("NaN"), Some(0.5)));
    }
}
