//! `nnlayer matmul`: the matrix product of two inputs.

use crate::support::cases;
use crate::support::cases::{Within, largest};
use crate::support::{nnlayer, piped, shape};

#[test]
fn every_case_is_within_the_roundings_of_its_terms() {
    cases::run("matmul", "matmul", |result, case| {
        let [x1, x2, dout] = ["x1", "x2", "dout"].map(|name| largest(case, name));
        let dout = if dout == 0.0 { 1.0 } else { dout };
        Within::Roundings(match result {
            "y" => 3.0 * x1 * x2,
            "dx1" => 4.0 * dout * x2,
            _ => 4.0 * dout * x1,
        })
    });
}

#[test]
fn shapes_are_those_of_numpy_and_gradients_pass_for_each() {
    for (x1, x2, y) in [
        ("[1,2]", "[3,4]", &[][..]),
        ("[1,2]", "[[3],[4]]", &[1]),
        ("[[1,2]]", "[3,4]", &[1]),
        ("[[[1,2]],[[3,4]]]", "[[3],[4]]", &[2, 1, 1]),
        ("[[[1,2]],[[3,4]]]", "[[[3],[4]],[[5],[6]]]", &[2, 1, 1]),
        ("[[1,2]]", "[[[3],[4]],[[5],[6]]]", &[2, 1, 1]),
        ("[1,2]", "[[[3],[4]],[[5],[6]]]", &[2, 1]),
        ("[[[1,2]],[[3,4]]]", "[[[[3],[4]]]]", &[1, 2, 1, 1]),
    ] {
        let line = ["matmul", "--x1", x1, "--x2", x2];
        assert_eq!(shape(&nnlayer(&[&line[..], &["--json"]].concat()).json()["y"]), y, "{x1} {x2}");
        let checked = nnlayer(&[&line[..], &["--check"]].concat());
        assert!(checked.quiet().contains("PASS:"), "{x1} {x2}: {}", checked.text());
    }
    let empty =
        piped(r#"{"shape":[0,3],"data":[]}"#, &["matmul", "--x1", "[[],[]]", "--x2", "-", "--json", "--only", "y"]);
    assert_eq!(empty.quiet(), "{\"y\":[[0.0,0.0,0.0],[0.0,0.0,0.0]]}\n");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for (x1, x2, words) in [
        ("1,2", "1,2,3", "--x2: (3) has an inner axis of 3, but that of x1 (2) has 2"),
        ("2", "1,2", "--x1: must be a vector or a matrix, not a scalar"),
        (
            "[[[1]],[[2]]]",
            "[[[1]],[[2]],[[3]]]",
            "the leading axes of (3×1×1) do not broadcast with those of x1 (2×1×1)",
        ),
    ] {
        let refused = nnlayer(&["matmul", "--x1", x1, "--x2", x2]);
        assert!(refused.refusal().contains(words), "{x1} {x2}: {}", refused.stderr);
    }
}
