//! `--expect`: the source's example y = 0.1, 0.1, 0.8, t = 0, 0, 1, whose loss is 0.2231435511892097 and dx [0.1, 0.1, −0.2].

use crate::support::{RunOutput, folder, nnlayer, piped};

const XENT: [&str; 5] = ["xent", "--y", "0.1,0.1,0.8", "--t", "0,0,1"];

/// Compares expected values with the results of the source's example.
fn answers(text: &str, more: &[&str]) -> RunOutput {
    piped(text, &[&XENT, &["--expect", "-"][..], more].concat())
}

#[track_caller]
fn verdict(text: &str, status: i32) -> String {
    let ran = answers(text, &[]);
    assert_eq!((ran.status, ran.stderr.as_str()), (status, ""), "{text}: {}", ran.text());
    ran.text().to_owned()
}

#[test]
fn a_value_rounded_to_its_written_digits_is_right() {
    for right in ["0.22", "0.2", "0.223", "0.2231", "0.22314355", "2.2e-1", "0.2231435511892097", "22.3e-2"] {
        verdict(&format!("{{\"loss\": {right}}}"), 0);
    }
    for wrong in ["0.23", "0.21", "0.3", "0.224", "0.2232", "0.22314356", "2.3e-1", "-0.22", "0.2231435521892097"] {
        let text = verdict(&format!("{{\"loss\": {wrong}}}"), 1);
        assert!(text.starts_with("FAIL loss (scalar): "), "{text}");
    }
}

#[test]
fn an_integer_is_not_a_rounded_value() {
    for wrong in ["0", "0.0", "1e0", "0e5", "2.0e-1"] {
        verdict(&format!("{{\"loss\": {wrong}}}"), 1);
    }
    verdict("{\"loss\": 0.20}", 1);
    let exact = nnlayer(&["affine", "--x", "1,2", "--w", "3;4", "--forward", "--expect", "[11]"]);
    assert_eq!(exact.status, 0, "{}", exact.stderr);
}

#[test]
fn short_numbers_in_an_array_with_long_ones_are_exact() {
    // A program writes all digits, so 0.67 is not a rounded 0.6652….
    let softmax = |answer: &str| nnlayer(&["softmax", "--x", "1,2,3", "--only", "y", "--expect", answer]).status;
    assert_eq!(softmax("[0.09003057317038046, 0.24472847105479767, 0.6652409557748219]"), 0);
    assert_eq!(softmax("[0.09003057317038046, 0.24472847105479767, 0.67]"), 1);
    assert_eq!(softmax("[0.09, 0.24, 0.67]"), 0);
    assert_eq!(softmax("0.09,0.24,0.67"), 0, "typed digits count as well");
    assert_eq!(softmax("0.09,0.25,0.67"), 1);
}

#[test]
fn blanks_and_missing_keys_are_not_compared() {
    let text = verdict("{\"dx\": [0.1, null, -0.2]}", 0);
    assert_eq!(text, "PASS dx (3): all 2 entries are right, 1 blank\n");
    let text = verdict("{\"dx\": [null, null, null], \"loss\": null, \"dy\": null}", 0);
    assert!(text.contains("BLANK loss (scalar): left blank"), "{text}");
    let text = verdict("{\"dx\": [null, 0.2, null], \"loss\": 0.22}", 1);
    assert!(
        text.contains("FAIL dx (3): 1 of 1 entries is wrong, 2 blank\n  [1]: yours 0.2, ours 0.1, error 0.1\n"),
        "{text}"
    );
    assert!(text.contains("PASS loss (scalar): right\n"), "{text}");
}

#[test]
fn null_for_a_row_leaves_its_entries_blank() {
    let affine = |answer: &str| {
        let ran = nnlayer(&["affine", "--x", "1,2;3,4", "--w", "1,0;0,1", "--only", "y", "--expect", answer]);
        (ran.status, ran.text().to_owned())
    };
    assert_eq!(affine("[[1,2],null]"), (0, "PASS y (2×2): all 2 entries are right, 2 blank\n".to_owned()));
    let (status, text) = affine("[[1,3],[2,4]]");
    assert_eq!(status, 1);
    assert!(text.starts_with("FAIL y (2×2): yours is the correct result transposed\n"), "{text}");
    let (status, text) = affine("[1,2,3,4]");
    let expected = "FAIL y (2×2): your shape is (4), ours is (2×2)\n  its values are correct, but its shape is not\n";
    assert_eq!((status, text.as_str()), (1, expected));
}

#[test]
fn the_worst_entry_comes_first() {
    let text = verdict("{\"dx\": [0.3, 9.5, -0.2]}", 1);
    let places: Vec<&str> = text.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(places, ["  [1]", "  [0]"]);
}

#[test]
fn binary_files_are_compared_by_value() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (file, precision) in [("all.npz", "f64"), ("single.npz", "f32")] {
        assert_eq!(nnlayer(&[&XENT[..], &["--precision", precision, "--out", &path(file)]].concat()).status, 0);
        let ran = nnlayer(&[&XENT[..], &["--expect", &path(file)]].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.text());
    }
    assert_eq!(nnlayer(&[&XENT[..], &["--only", "dx", "--out", &path("dx.npy")]].concat()).status, 0);
    assert_eq!(nnlayer(&[&XENT[..], &["--only", "dx", "--expect", &path("dx.npy")]].concat()).status, 0);
    assert_eq!(nnlayer(&[&XENT[..], &["--only", "dy", "--expect", &path("dx.npy")]].concat()).status, 1);
}

#[test]
fn the_report_as_json_is_one_object() {
    let ran = answers("{\"dx\": [0.1, null, 0.5]}", &["--json"]);
    assert_eq!(ran.status, 1);
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(json["verdict"], "FAIL");
    let dx = &json["results"]["dx"];
    assert_eq!((&dx["right"], &dx["blank"], &dx["wrong"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(dx["entries"][0]["index"].to_string(), "[2]");
    assert_eq!(dx["entries"][0]["yours"], 0.5);
}

#[test]
fn the_format_of_the_report_is_text_or_json() {
    let with = |format: &str| answers("{\"dx\": [0.1, null, 0.5]}", &["--format", format]);
    assert_eq!(with("json").text(), answers("{\"dx\": [0.1, null, 0.5]}", &["--json"]).text());
    assert_eq!(with("text").text(), answers("{\"dx\": [0.1, null, 0.5]}", &[]).text());
    assert!(with("tap").refusal().contains("cannot be used with --format tap"));
}

#[test]
fn keys_that_are_not_compared_cause_warnings() {
    let ran = answers(
        "{\"loss\": 0.22, \"losss\": [9], \"d_x\": [1], \"foo\": 1, \"y\": 1, \"eps\": 1, \"by\": \"Taro\", \"more\": {\"x\": [[1], 2]}}",
        &[],
    );
    assert_eq!(ran.status, 0);
    let warnings = "warning: --expect: unknown key `losss` is not compared\ntip: did you mean loss?\n\
                    warning: --expect: unknown key `d_x` is not compared\ntip: did you mean dx?\n\
                    warning: --expect: unknown key `foo` is not compared\ntip: the results are loss, dx, dy\n";
    assert_eq!(ran.stderr, warnings);
    let ran = answers("{\"loss\": 0.22, \"dx\": [9]}", &["--forward"]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (
            0,
            "warning: --expect: dx is not compared because this command does not compute it\ntip: the results are loss\n"
        )
    );
}

#[test]
fn single_precision_results_agree_with_double_precision_answers() {
    let args = ["softmax", "--x", "1,2,3", "--precision", "f32", "--only", "y", "--expect"];
    assert_eq!(
        nnlayer(&[&args[..], &["[0.09003057317038046, 0.24472847105479767, 0.6652409557748219]"]].concat()).status,
        0
    );
}

#[test]
fn all_wrong_entries_are_counted_and_the_worst_are_listed() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let count = 5000;
    let row = |value: &dyn Fn(usize) -> usize| {
        format!("[{}]", (0..count).map(|n| value(n).to_string()).collect::<Vec<_>>().join(","))
    };
    std::fs::write(path("x.json"), row(&|n| n)).unwrap();
    // The largest error is in the middle.
    std::fs::write(path("y.json"), row(&|n| n + 1 + n.min(count - n))).unwrap();
    let relu = ["relu", "--x", &path("x.json"), "--forward", "--expect", &path("y.json")];
    let ran = nnlayer(&relu);
    assert!(ran.text().starts_with("FAIL y (5000): 5000 of 5000 entries are wrong\n  [2500]: yours 5001, ours 2500,"));
    let json: serde_json::Value = serde_json::from_slice(&nnlayer(&[&relu[..], &["--json"]].concat()).stdout).unwrap();
    let y = &json["results"]["y"];
    assert_eq!((&y["right"], &y["wrong"]), (&0.into(), &count.into()));
    let places: Vec<u64> = y["entries"].as_array().unwrap().iter().map(|e| e["index"][0].as_u64().unwrap()).collect();
    assert_eq!((places.len(), &places[..5]), (1000, &[2500, 2499, 2501, 2498, 2502][..]));
}

#[test]
fn answers_in_fortran_order_are_compared_by_index() {
    let folder = folder();
    let path = folder.path().join("y.npy").to_str().unwrap().to_owned();
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{:<117}\n", "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }").bytes());
    bytes.extend([1.0f64, 4.0, 2.0, 5.0, 3.0, 6.0].iter().flat_map(|number| number.to_le_bytes()));
    std::fs::write(&path, bytes).unwrap();
    let relu = |x: &str| nnlayer(&["relu", "--x", x, "--forward", "--expect", &path]).text().to_owned();
    assert_eq!(relu("1,2,3;4,5,6"), "PASS y (2×3): all 6 entries are right\n");
    assert_eq!(
        relu("1,4;2,5;3,6"),
        "FAIL y (3×2): your shape is (2×3), ours is (3×2): yours is the correct result transposed\n"
    );
    assert!(relu("1,2,3;4,5,7").starts_with("FAIL y (2×3): 1 of 6 entries is wrong\n  [1,2]: yours 6, ours 7"));
}

#[test]
fn an_unknown_pointer_lists_the_keys() {
    let ran = piped("{\"loss\": 0.22, \"dx\": [0, 0, 0]}", &[&XENT, &["--expect", "-#/los"][..]].concat());
    assert!(
        ran.refusal().contains("has no /los\n  it has /loss, /dx\ntip: did you mean FILE#/loss?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_known_mistake_is_named() {
    let named = |args: &[&str], answer: &str| {
        let ran = nnlayer(&[args, &["--expect", answer]].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{answer}: {}", ran.text());
        ran.text().to_owned()
    };
    for (answer, explanation) in [
        (r#"{"dx": [-0.1, -0.1, 0.2]}"#, "it is the correct gradient with the wrong sign"),
        (r#"{"dx": [-0.1, null, 0.2]}"#, "it is the correct gradient with the wrong sign"),
        (r#"{"dx": [0.0333, 0.0333, -0.0667]}"#, "1 / the number of classes"),
        (r#"{"dx": [0.0, 0.0, 0.0]}"#, "it is 0 everywhere"),
        (r#"{"loss": 0.0969}"#, "it is the correct result times 0.43"),
        (r#"{"loss": 0.0969}"#, "is it a logarithm to base 10?"),
        (r#"{"loss": -0.2231}"#, "it is the correct result with the wrong sign"),
    ] {
        let text = named(&XENT, answer);
        assert!(text.contains(explanation), "{answer}: {text}");
    }
    // Any number is another one times a factor.
    assert!(!named(&XENT, r#"{"loss": 0.5}"#).contains("correct"));
    let relu = ["relu", "--x", "[[[1,2],[3,4]],[[5,6],[7,8]]]", "--only", "y"];
    let text = named(&relu, "[[[1,5],[3,7]],[[2,6],[4,8]]]");
    assert!(text.contains("FAIL y (2×2×2): ") && text.contains("with the axes 0 and 2 exchanged"), "{text}");
    assert!(text.contains("  [1,0,0]: yours 2, ours 5, error 3"), "{text}");
    let affine = ["affine", "--x", "1,2;3,4", "--w", "1,0;0,1", "--b", "1", "--dout", "1,2;3,4", "--only", "db"];
    assert!(named(&affine, "1,2;3,4").contains("one row for each of the 2 samples"));
    let json = nnlayer(&[&XENT[..], &["--json", "--expect", r#"{"dx": [-0.1, -0.1, 0.2]}"#]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["results"]["dx"]["diagnoses"][0]["kind"], "wrong sign", "{json}");
}

#[test]
fn expected_values_may_stand_on_the_command_line() {
    let status = |answer: &str| nnlayer(&[&XENT[..], &["--expect", answer]].concat()).status;
    assert_eq!(status(r#"{"loss": 0.22, "dx": [0.1, null, -0.2]}"#), 0);
    assert_eq!(status(r#" {"loss": 0.23}"#), 1);
    assert!(nnlayer(&[&XENT[..], &["--expect", r#"{"loss": 0.22"#]].concat()).refusal().starts_with("error: --expect"));
    let cube = ["relu", "--x", "[[[1,-2]]]", "--only", "y", "--expect"];
    assert_eq!(nnlayer(&[&cube[..], &["[[[1,null]]]"]].concat()).status, 0);
    let text = nnlayer(&[&cube[..], &["[[1,0]]"]].concat());
    assert!(text.text().contains("your shape is (1×2), ours is (1×1×2)"), "{}", text.text());
}
