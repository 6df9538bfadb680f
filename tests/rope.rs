//! `nnlayer rope`.

use crate::support::cases;
use crate::support::cases::{Within, largest, largest_result};
use crate::support::nnlayer;

#[test]
fn every_case_is_within_an_ulp_and_gradients_of_tables_within_their_sums() {
    cases::run("rope", "rope", |result, case| match result {
        "y" | "dx" => Within::Ulps(1),
        _ => Within::Roundings(4.0 * largest(case, "x") * largest(case, "dout") + largest_result(case, result)),
    });
}

#[test]
fn exact_results_are_rounded_correctly_for_any_position() {
    for layer in ["--pairs halves", "--pairs interleaved"] {
        let [option, pairs] = layer.split_once(' ').map(|(a, b)| [a, b]).unwrap();
        let at = ["rope", "--x", "1,2,3,4;5,6,7,8", "--positions", "3,2147483647", option, pairs, "--json"];
        let (plain, exact) = (nnlayer(&at), nnlayer(&[&at[..], &["--precision", "exact"]].concat()));
        assert_eq!(plain.quiet(), exact.quiet());
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for options in [
        &["--pairs", "interleaved"][..],
        &["--dims", "2", "--base", "3"],
        &["--heads", "2", "--cos", "1;.8", "--sin", "0;.6"],
    ] {
        let checked = nnlayer(&[&["rope", "--x", "1,2,3,4;5,6,7,8.5", "--check"], options].concat());
        assert!(checked.quiet().contains("PASS"), "{}", checked.text());
    }
}

#[test]
fn what_cannot_be_rotated_is_refused() {
    for (options, message) in [
        ("--x 1,2", "--x: must have a row for each position, got (2)"),
        ("--x 1,2,3;4,5,6", "--x: expected rows of pairs, got (2×3)"),
        ("--x 1,2;3,4 --dims 4", "--dims: expected an even number up to 2, got 4"),
        ("--x 1,2;3,4 --heads 3", "--x: expected rows of 3 heads of one length, got (2×2)"),
        ("--x 1,2;3,4 --base 0.5", "--base: expected a number of at least 1, got 0.5"),
        ("--x 1,2;3,4 --cos 1;1", "--sin is required with cos"),
        ("--x 1,2;3,4 --cos 1;1 --sin 0;0 --base 5", "--base: has an effect only without tables"),
        ("--x 1,2;3,4 --cos 1; --sin 0;", "--cos: expected a row for each of 2 positions, got (1×1)"),
        ("--x 1,2;3,4 --cos 1,1;1,1 --sin 0,0;0,0", "--cos: expected rows of 1 numbers, one for each pair, got (2×2)"),
        ("--x 1,2;3,4 --cos 1;1 --sin 0;0;0", "--sin: shape (3×1) does not match cos (2×1)"),
        (
            "--x 1,2;3,4 --cos 1;1 --sin 0;0 --positions 0,2",
            "--positions [1]: 2 is out of range: cos has 2 rows, 0 to 1",
        ),
        ("--x 1,2;3,4 --positions 0,1,2", "--positions: shape (3) does not match x (2×2)"),
        ("--x 1,2;3,4 --positions 0,2147483648", "--positions [1]: 2147483648 is out of range"),
    ] {
        let refused = nnlayer(&std::iter::once("rope").chain(options.split(' ')).collect::<Vec<_>>());
        assert!(refused.refusal().contains(message), "{options}: {}", refused.stderr);
    }
}
