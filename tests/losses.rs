//! The losses of single entries of one table: mse, l1, huber, smooth-l1, bce, bce-logits and kl-div.

use crate::support::cases;
use crate::support::cases::{Within, largest};
use crate::support::{nnlayer, numbers};

/// All of them.
pub const LAYERS: [&str; 7] = ["mse", "l1", "huber", "smooth-l1", "bce", "bce-logits", "kl-div"];

/// A gradient is a slope, times a weight and dout, divided by a divisor. That of bce-logits is a difference of numbers of at most 1.
#[test]
fn every_case_is_within_two_ulps_and_gradients_within_the_roundings_of_their_factors() {
    for layer in LAYERS {
        cases::run(layer, &layer.replace('-', "_"), |result, case| {
            let factors = ["weight", "pos-weight", "dout"].map(|name| largest(case, name).max(1.0));
            match (layer, result) {
                (_, "loss") => Within::Ulps(2),
                ("bce-logits", _) if case["name"] != "hard" => Within::Roundings(factors.iter().product()),
                _ => Within::Ulps(4),
            }
        });
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for layer in LAYERS {
        let input = if layer == "bce" { "--y" } else { "--x" };
        for reduction in ["sum", "mean", "batchmean", "none"] {
            let line = [layer, input, "0.1,0.7;0.95,0.4", "--t", "0,1;0.25,0.6", "--reduction", reduction, "--check"];
            let checked = nnlayer(&line);
            assert!(checked.quiet().contains("PASS"), "{layer}: {}", checked.text());
        }
    }
}

#[test]
fn targets_of_a_half_type_are_rounded_as_the_input_is() {
    let of_257 =
        nnlayer(&["mse", "--x", "256,257", "--t", "257,1", "--precision", "bf16", "--reduction", "none", "--json"]);
    assert_eq!(of_257.quiet(), "{\"loss\":[0.0,65024.0],\"dx\":[0.0,510.0]}\n");
}

#[test]
fn entries_of_bce_whose_gradient_is_no_derivative_are_not_compared_with_one() {
    let checked = nnlayer(&["bce", "--y", "0,0.25,1,1e-13", "--t", "1,0,1,0", "--check"]);
    assert!(checked.quiet().contains("PASS dy (4)"), "{}", checked.text());
    assert!(checked.text().contains("a definition of the layer, which no derivative checks: 3"), "{}", checked.text());
}

#[test]
fn nan_and_masked_classes_stay_in_their_place() {
    for layer in LAYERS {
        let input = if layer == "bce" { "--y" } else { "--x" };
        let ran = nnlayer(&[layer, input, "1,nan,0", "--t", "1,0,1", "--reduction", "none", "--json"]);
        for result in ["loss", if layer == "bce" { "dy" } else { "dx" }] {
            let found = numbers(&serde_json::from_str::<serde_json::Value>(ran.text()).unwrap()[result]);
            assert_eq!(found.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), [false, true, false], "{layer}: {result}");
        }
    }
    let masked = nnlayer(&["bce-logits", "--x", "-inf,inf", "--t", "0,1", "--json"]);
    assert_eq!(masked.quiet(), "{\"loss\":0.0,\"dx\":[0.0,-0.0]}\n");
    let infinite = nnlayer(&["bce", "--y", "0,1", "--t", "1,1", "--clamp", "-inf", "--reduction", "none", "--json"]);
    assert_eq!(infinite.quiet(), "{\"loss\":[\"Infinity\",0.0],\"dy\":[-1000000000000.0,0.0]}\n");
}

#[test]
fn targets_weights_and_settings_that_do_not_fit_are_refused() {
    for (line, words) in [
        (&["mse", "--x", "1;2;3", "--t", "1,2,3"][..], "expected the shape of x, (3×1), got (3)"),
        (&["mse", "--x", "1,2", "--t", "1"], "expected the shape of x, (2), got (scalar)"),
        (&["bce", "--y", "0.5,1.5", "--t", "0,1"], "contains 1.5, which is not a probability"),
        (&["kl-div", "--x", "-1", "--t", "-2"], "use --log-target if t are logarithms"),
        (&["bce-logits", "--x", "1,2", "--t", "0,1", "--weight", "1,2,3"], "broadcasts to that of x, (2), got (3)"),
        (&["bce-logits", "--x", "1,2", "--t", "0,1", "--pos-weight", "1;2"], "broadcasts to that of x, (2), got (2×1)"),
        (&["huber", "--x", "1", "--t", "0", "--delta", "0"], "expected a positive number, got 0"),
        (&["smooth-l1", "--x", "1", "--t", "0", "--beta", "-1"], "expected a number of at least 0, got -1"),
        (&["bce", "--y", "1", "--t", "0", "--clamp", "5"], "expected a number of at most 0, got 5"),
        (&["l1", "--x", "[]", "--t", "[]", "--reduction", "mean"], "the mean is undefined: x has no entries"),
    ] {
        let refused = nnlayer(line);
        assert!(refused.refusal().contains(words), "{line:?}: {}", refused.stderr);
    }
    let empty = ["l1", "--x", "[]", "--t", "[]", "--reduction", "batchmean", "--empty", "zero", "--json"];
    assert_eq!(nnlayer(&empty).quiet(), "{\"loss\":0.0,\"divisor\":0.0,\"dx\":[]}\n");
    let smooth = nnlayer(&["smooth-l1", "--x", "3,-1", "--t", "1,1", "--beta", "0", "--json"]);
    assert_eq!(smooth.quiet(), "{\"loss\":4.0,\"dx\":[1.0,-1.0]}\n");
}
