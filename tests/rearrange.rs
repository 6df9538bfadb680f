//! Layers that move entries: reshape, flatten, transpose and concat.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, piped};
use serde_json::json;

/// All of them.
pub const LAYERS: [&str; 4] = ["reshape", "flatten", "transpose", "concat"];

#[test]
fn every_entry_is_moved_without_a_change() {
    for layer in LAYERS {
        cases::run(layer, layer, |_, _| Within::Ulps(0));
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for line in [
        &["reshape", "--x", "1,2,3;4,5,6", "--shape", "3,-1", "--check"][..],
        &["flatten", "--x", "[[[1,2],[3,4]]]", "--axis", "2", "--check"],
        &["transpose", "--x", "[[[1,2],[3,4],[5,6]]]", "--axes", "1,2,0", "--check"],
        &["concat", "--x1", "1,2", "--x2", "[3]", "--x5", "4,5", "--check"],
    ] {
        assert!(nnlayer(line).quiet().contains("PASS:"), "{line:?}: {}", nnlayer(line).text());
    }
}

#[test]
fn shapes_and_axes_that_do_not_fit_are_refused() {
    for (line, words) in [
        (&["reshape", "--x", "1,2,3", "--shape", "2,2"][..], "--shape: 2,2 does not hold the 3 entries of x (3)"),
        (&["reshape", "--x", "1,2,3", "--shape", "2,-1"], "2,-1 does not hold the 3 entries of x (3)"),
        (&["reshape", "--x", "1,2,3", "--shape", "-1,-1"], "-1,-1 has more than one length of -1"),
        (&["reshape", "--x", "1,2,3", "--shape", "3,0"], "3,0 keeps axis 1, which x (3) does not have"),
        (&["reshape", "--x", "1,2,3", "--shape", "-3"], "-3 has a length of -3"),
        (&["reshape", "--x", "1", "--shape", "1,1,1,1,1,1,1,1,1"], "has 9 axes"),
        (&["reshape", "--x", "1", "--shape", "4611686018427387904,4"], "does not hold the 1 entries"),
        (
            &["reshape", "--x", "[]", "--shape", "0,4611686018427387904"],
            "--shape: has the shape (0×4611686018427387904) without elements",
        ),
        (&["reshape", "--x", "[]", "--shape", "4611686018427387904,0"], "keeps axis 1"),
        (&["reshape", "--x", "[[]]", "--shape", "4611686018427387904,0"], "at most 1048576 rows"),
        (&["flatten", "--x", "1,2", "--axis", "2"], "expected an axis of x (2), got 2"),
        (&["flatten", "--x", "5"], "expected an axis of x (scalar), got 1"),
        (&["transpose", "--x", "1,2;3,4", "--axes", "0,0"], "--axes: expected each of 2 axes once, got 0,0"),
        (&["transpose", "--x", "1,2;3,4", "--axes", "0"], "expected each of 2 axes once, got 0"),
        (&["concat", "--x1", "1,2", "--x2", "1,2;3,4"], "--x2: (2×2) does not fit x1 (2) in all axes but axis 0"),
        (&["concat", "--x1", "1,2;3,4", "--x2", "1,2,3;4,5,6"], "--x2: (2×3) does not fit x1 (2×2)"),
        (&["concat", "--x1", "1,2", "--x2", "3,4", "--axis", "1"], "expected an axis of x1 (2), got 1"),
        (&["concat", "--x1", "1", "--x2", "3"], "--axis"),
    ] {
        let refused = nnlayer(line);
        assert!(refused.refusal().contains(words), "{line:?}: {}", refused.stderr);
    }
}

#[test]
fn arrays_without_entries_have_shapes_too() {
    let empty = |shape: [usize; 2]| json!({"shape": shape, "data": []});
    for (line, expected) in [
        (&["transpose", "--x", "-"][..], empty([3, 0])),
        (&["flatten", "--x", "-"], empty([0, 3])),
        (&["reshape", "--x", "-", "--shape", "0,3"], empty([0, 3])),
        (&["concat", "--x1", "-", "--x2", "1,2,3;4,5,6"], json!([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])),
    ] {
        let ran = piped(empty([0, 3]).to_string(), &[line, &["--json"]].concat());
        assert_eq!(ran.json()["y"], expected, "{line:?}");
    }
}
