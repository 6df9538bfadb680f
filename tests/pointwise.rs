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

/// Values at the largest doubles, where a number on the way to them overflows.
#[test]
fn numbers_on_the_way_may_overflow_where_the_result_does_not() {
    for (args, result, at, expected) in [
        (&["gelu", "--approximate", "tanh"][..], "dx", "-1e308,1e308,-1e155", &[0.0, 1.0, 0.0][..]),
        (&["gelu", "--approximate", "sigmoid"], "dx", "-1.7e308,1.7e308", &[0.0, 1.0]),
        (&["silu", "--beta", "1e200"], "dx", "-1e155,1e155", &[0.0, 1.0]),
        (&["softplus", "--beta", "1e200"], "y", "-1e155,1e155", &[0.0, 1e155]),
        (&["softsign"], "dx", "-1e155,1e155", &[1e-310, 1e-310]),
        (&["celu", "--alpha", "3"], "y", "-1.7976931348623157e308", &[-3.0]),
        (&["celu", "--alpha", "3"], "dx", "-1.7976931348623157e308", &[0.0]),
        (&["hard-sigmoid"], "y", "-1.7976931348623157e308,1.7976931348623157e308", &[0.0, 1.0]),
        (&["hard-sigmoid"], "dx", "-1.7976931348623157e308,1.7976931348623157e308", &[0.0, 0.0]),
    ] {
        let ran = nnlayer(&[args, &["--x", at, "--json"]].concat());
        let found = numbers(&serde_json::from_str::<serde_json::Value>(ran.quiet()).unwrap()[result]);
        assert_eq!(found, expected, "{args:?} {result} at {at}");
    }
}
