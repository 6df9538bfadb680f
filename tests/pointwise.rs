//! The pointwise layers of one table: leaky-relu, elu, selu, celu, gelu, silu, mish, softplus, softsign, log-sigmoid, hard-sigmoid,
//! hard-swish and hard-tanh.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, numbers};

/// All of them.
pub const LAYERS: [&str; 13] = [
    "leaky-relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "log-sigmoid",
    "hard-sigmoid",
    "hard-swish",
    "hard-tanh",
];

#[test]
fn every_case_is_within_an_ulp_and_gradients_too_where_dout_is_one() {
    for layer in LAYERS {
        cases::run(layer, &layer.replace('-', "_"), |result, case| match result {
            "y" => Within::Ulps(1),
            _ => Within::Ulps(if case["options"].get("dout").is_none() { 1 } else { 2 }),
        });
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for layer in LAYERS {
        let checked = nnlayer(&[layer, "--x", "-7.5,-2.25,-0.3,0.2,1.7,2.5,9", "--check"]);
        assert!(checked.quiet().contains("PASS"), "{layer}: {}", checked.text());
    }
}

#[test]
fn nan_stays_in_its_place_and_infinities_have_their_limits() {
    for layer in LAYERS {
        let ran = nnlayer(&[layer, "--x", "1,nan,2", "--json"]);
        for result in ["y", "dx"] {
            let found = numbers(&serde_json::from_str::<serde_json::Value>(ran.text()).unwrap()[result]);
            assert_eq!(found.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), [false, true, false], "{layer}: {result}");
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for args in [
        ["celu", "--alpha=0"],
        ["softplus", "--beta=-1"],
        ["elu", "--alpha=inf"],
        ["hard-tanh", "--min=1"],
        ["silu", "--beta=nan"],
    ] {
        let refused = nnlayer(&[args[0], args[1], "--x", "1"]);
        assert!(refused.refusal().contains("expected a"), "{}", refused.stderr);
    }
}
