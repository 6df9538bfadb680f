//! `nnlayer embedding`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::nnlayer;

#[test]
fn every_case_is_exact() {
    cases::run("embedding", "embedding", |_, _| Within::Ulps(0));
}

#[test]
fn gradients_match_numerical_differentiation() {
    let checked = nnlayer(&["embedding", "--ids", "1,0;1,2", "--w", "1,2;3,4;5,6;7,8", "--padding-id", "2", "--check"]);
    assert!(
        checked.quiet().contains("PASS") && checked.text().contains("a definition of the layer"),
        "{}",
        checked.text()
    );
}

#[test]
fn ids_keep_their_value_in_every_precision() {
    let row = |n: usize| format!("{};", n % 7);
    let w: String = (0..300).map(row).collect();
    for precision in ["f32", "f16", "bf16", "exact"] {
        let ran =
            nnlayer(&["embedding", "--ids", "257,299", "--w", &w, "--precision", precision, "--forward", "--json"]);
        assert_eq!(ran.quiet(), "{\"y\":[[5.0],[5.0]]}\n", "{precision}");
    }
}

#[test]
fn ids_that_name_no_row_are_refused_with_index_value_and_range() {
    for (ids, message) in [
        ("2,0,5", "--ids [2]: 5 is out of range: w has 3 rows, 0 to 2"),
        ("0,-1;1,1", "--ids [0,1]: -1 is out of range: w has 3 rows, 0 to 2"),
        ("1.5", "--ids: 1.5 is not an integer"),
        ("nan", "--ids: NaN is not an integer"),
    ] {
        let refused = nnlayer(&["embedding", "--ids", ids, "--w", "1,2;3,4;5,6"]);
        assert!(refused.refusal().contains(message), "{}", refused.stderr);
    }
    assert!(nnlayer(&["embedding", "--ids", "1,3,2", "--w", "1;2;3"]).refusal().contains("subtract 1"));
}
