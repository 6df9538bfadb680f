//! Elementwise layers of two operands that broadcast: add, mul and prelu.

use crate::support::cases;
use crate::support::cases::{Within, largest};
use crate::support::{nnlayer, piped};

/// All of them.
pub const LAYERS: [&str; 3] = ["add", "mul", "prelu"];

/// A gradient is a sum of at most 24 products of dout and an operand.
#[test]
fn every_case_is_within_an_ulp_and_gradients_within_the_roundings_of_their_terms() {
    for layer in LAYERS {
        cases::run(layer, layer, |result, case| {
            let operand = ["x1", "x2", "x", "a"].map(|name| largest(case, name)).into_iter().fold(1.0, f64::max);
            let terms = 24.0 * operand * largest(case, "dout").max(1.0);
            if result == "y" { Within::Ulps(1) } else { Within::Roundings(terms / 10.0) }
        });
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for line in [
        &["add", "--x1", "[[[1,2,3]],[[4,5,6]]]", "--x2", "0.5;0.25", "--check"][..],
        &["mul", "--x1", "[[[1,2,3]],[[4,5,6]]]", "--x2", "0.5;0.25", "--check"],
        &["mul", "--x1", "3", "--x2", "1,2;3,4", "--check"],
        &["prelu", "--x", "[[[1,-2],[-3,4]],[[5,-6],[-7,-8]]]", "--a", "0.25,-0.5", "--check"],
        &["prelu", "--x", "[[[1,-2],[-3,4]],[[5,-6],[-7,-8]]]", "--a", "0.25;0.5", "--check"],
        &["prelu", "--x", "-1,2,-3", "--a", "0.25", "--check"],
    ] {
        assert!(nnlayer(line).quiet().contains("PASS:"), "{line:?}: {}", nnlayer(line).text());
    }
}

#[test]
fn shapes_that_do_not_broadcast_are_refused_with_both() {
    for (line, words) in [
        (&["add", "--x1", "1,2", "--x2", "1,2,3"][..], "--x2: (3) does not broadcast with x1 (2)"),
        (&["mul", "--x1", "1;2", "--x2", "1;2;3"], "--x2: (3×1) does not broadcast with x1 (2×1)"),
        (
            &["prelu", "--x", "1,2;3,4", "--a", "1,2,3"],
            "expected a scalar or (2), one slope for each channel of x (2×2)",
        ),
        (&["prelu", "--x", "1,2", "--a", "1;2"], "expected a scalar or (2)"),
        (&["prelu", "--x", "1,2;3,4", "--a", "1,2", "--axis", "2"], "expected an axis of x (2×2), got 2"),
    ] {
        let refused = nnlayer(line);
        assert!(refused.refusal().contains(words), "{line:?}: {}", refused.stderr);
    }
    let kink = nnlayer(&["prelu", "--x", "0,-0.0,nan", "--a", "0.25", "--json"]);
    assert_eq!(kink.text(), "{\"y\":[0.0,-0.0,\"NaN\"],\"dx\":[0.25,0.25,0.25],\"da\":\"NaN\"}\n");
    let empty = piped(r#"{"shape":[0,3],"data":[]}"#, &["add", "--x1", "-", "--x2", "1,2,3", "--json"]);
    let none = r#"{"shape":[0,3],"data":[]}"#;
    assert_eq!(empty.quiet(), format!("{{\"y\":{none},\"dx1\":{none},\"dx2\":[0.0,0.0,0.0]}}\n"));
}

#[test]
fn the_output_of_the_layer_before_is_the_first_input() {
    assert_eq!(piped("{\"y\":[1,2]}", &["add", "--x2", "3,4", "--json", "--only", "y"]).quiet(), "{\"y\":[4.0,6.0]}\n");
    let both = piped("{\"x1\":[1,2],\"y\":[9,9],\"x2\":[3,4]}", &["mul", "--json", "--only", "y"]);
    assert_eq!(both.quiet(), "{\"y\":[3.0,8.0]}\n");
}
