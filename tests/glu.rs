//! `nnlayer glu`: gated linear units.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::nnlayer;

#[test]
fn every_case_is_within_an_ulp_and_gradients_too() {
    cases::run("glu", "glu", |_, _| Within::Ulps(1));
}

#[test]
fn gradients_match_numerical_differentiation() {
    for activation in ["sigmoid", "silu", "gelu", "relu", "none"] {
        for more in [&["--gate-half", "first"][..], &["--axis", "0"], &["--gate", "0.5,-1,2,3;1,2,-3,0.25"]] {
            let line = ["glu", "--x", "1,-2,0.5,3;0.25,1.5,-1,2", "--activation", activation, "--check"];
            let checked = nnlayer(&[&line[..], more].concat());
            assert!(checked.quiet().contains("PASS:"), "{activation} {more:?}: {}", checked.text());
        }
    }
}

#[test]
fn halves_and_gates_that_do_not_fit_are_refused() {
    for (line, words) in [
        (&["glu", "--x", "1,2,3"][..], "--x: (3) cannot be split in halves along axis 0"),
        (&["glu", "--x", "1"], "--x: (scalar) cannot be split in halves along axis 0"),
        (&["glu", "--x", "1,2", "--gate", "1"], "--gate: expected the shape of x, (2), got (scalar)"),
        (&["glu", "--x", "1,2", "--gate", "1,2", "--gate-half", "first"], "--gate-half: has no effect with --gate"),
        (&["glu", "--x", "1,2", "--gate", "1,2", "--axis", "0"], "--axis: has no effect with --gate"),
    ] {
        let refused = nnlayer(line);
        assert!(refused.refusal().contains(words), "{line:?}: {}", refused.stderr);
    }
}
