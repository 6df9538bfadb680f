//! The corpus of right and wrong programs in `tests/corpus/`, which judges `nnlayer gradcheck`. `.ci/run corpus` runs all of
//! it; these tests run a sample.

use crate::support::{compare_section, folder, has_program, shell};
use serde_json::Value;

/// The corpus is verified without nnlayer, in decimal numbers of 60 digits.
#[test]
fn right_programs_are_right_and_wrong_ones_visibly_wrong() {
    if has_program("python3") {
        let verified = shell("python3 tests/corpus/verify.py --seeds 1 --sample 40");
        assert_eq!(verified.status, 0, "{}", verified.text());
    }
}

#[test]
fn no_verdict_on_a_sample_of_the_programs_is_false_and_nine_in_ten_mistakes_are_named() {
    if !has_program("python3") {
        return;
    }
    let folder = folder();
    let results = folder.path().join("results.json");
    let run = shell(&format!("python3 tests/corpus/run.py --sample 40 --quiet --json '{}'", results.display()));
    assert_eq!(run.status, 0, "{}{}", run.text(), run.stderr);
    let results: Value = serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap();
    let total = |name: &str| results["totals"][name].as_u64().unwrap_or(0);
    assert_eq!(total("runs"), 40);
    assert_eq!([total("false pass"), total("false accusation"), total("error")], [0; 3], "{}", run.text());
    let (failed, misnamed) = (total("failed with a known kind"), total("wrong kind") + total("no kind"));
    assert!(failed > 12, "{}", run.text());
    assert!(10 * misnamed <= failed, "{}", run.text());
}

#[test]
fn the_documentation_lists_the_programs() {
    if has_program("python3") {
        let table = shell("python3 tests/corpus/run.py --table");
        compare_section("docs/gradcheck.md", "corpus", table.quiet());
    }
}
