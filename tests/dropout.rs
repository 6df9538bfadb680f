//! `nnlayer dropout`.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{folder, nnlayer, piped, shell_in};

#[test]
fn every_case_is_exact() {
    cases::run("dropout", "dropout", |_, _| Within::Ulps(0));
}

#[test]
fn gradients_match_numerical_differentiation() {
    let checked = nnlayer(&["dropout", "--x", "1,2,3;4,5.5,6", "--seed", "3", "--p", "0.3", "--check"]);
    assert!(checked.quiet().contains("PASS"), "{}", checked.text());
}

#[test]
fn a_mask_is_read_from_booleans_everywhere() {
    let want = "{\"y\":[2.0,0.0,6.0],\"dx\":[2.0,0.0,2.0]}\n";
    let folder = folder();
    std::fs::write(folder.path().join("m.json"), "{\"mask\":[true,false,true]}").unwrap();
    let record = "{\"x\":[1,2,3],\"mask\":[true,false,true]}";
    for line in [
        "nnlayer dropout --json --x 1,2,3 --mask '[true,false,true]'".to_owned(),
        "nnlayer dropout --json --x 1,2,3 --mask m.json".to_owned(),
        format!("echo '{record}' | nnlayer dropout --json"),
        format!("echo '{record}' | nnlayer dropout --ndjson"),
    ] {
        assert_eq!(shell_in(folder.path(), &line).quiet(), want, "{line}");
    }
}

#[test]
fn booleans_are_numbers_in_masks_only() {
    for args in [["--x", "[true,false]", "--mask", "1,0"], ["--x", "1,2", "--mask", "[true,0]"]] {
        let refused = nnlayer(&[&["dropout"], &args[..]].concat());
        assert!(refused.refusal().contains("true is not a number"), "{}", refused.stderr);
    }
    let refused = piped("{\"x\":[true,false],\"mask\":[true,false]}", &["dropout"]);
    assert!(refused.refusal().contains("--x standard input:1:7 (/x/0): true is not a number"), "{}", refused.stderr);
}

#[test]
fn what_would_change_nothing_or_divide_by_zero_is_refused() {
    for (options, message) in [
        (&["--mask", "1,0", "--seed", "3"][..], "--seed: has an effect only without --mask"),
        (&["--mask", "1,0", "--p", "1"], "--mask [0]: is 1 where p is 1"),
        (&["--mask", "1,0.5"], "--mask [1]: contains 0.5"),
        (&["--mask", "1,0,1"], "--mask: shape (3) does not match x (2)"),
        (&["--p", "1.5"], "--p: expected a probability, from 0 to 1, got 1.5"),
    ] {
        let refused = nnlayer(&[&["dropout", "--x", "1,2"], options].concat());
        assert!(refused.refusal().contains(message), "{}", refused.stderr);
    }
}
