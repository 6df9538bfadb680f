//! `nnlayer compare`.

use crate::support::{file, fixture, folder, nnlayer, numbers, piped, shell, ulps};
use nnlayer::check::compare::{Tolerance, compare};
use proptest::prelude::*;

fn lines(args: &[&str]) -> (i32, String) {
    let ran = nnlayer(args);
    assert_eq!(ran.stderr, "", "{args:?}");
    (ran.status, ran.text().to_owned())
}

#[test]
fn equal_results_have_status_0_and_different_ones_status_1() {
    let (status, text) = lines(&["compare", "1,2", "1,2"]);
    assert_eq!(status, 0);
    assert!(text.starts_with("PASS (2): all 2 entries agree"), "{text}");
    let (status, text) = lines(&["compare", "-1,2", "-1,3"]);
    assert_eq!(status, 1);
    assert!(text.starts_with("FAIL (2): 1 of 2 entries differs"), "{text}");
    assert!(text.contains("worst at [1]: a 2, b 3, error 1 "), "{text}");
}

#[test]
fn arrays_of_one_document_only_are_differences_in_the_order_of_their_document() {
    let folder = folder();
    let file = |name: &str, text: &str| file(folder.path(), name, text);
    let a = file("a.json", r#"{"y":[1],"dx":[2],"dw":[3],"dq":[6]}"#);
    let b = file("b.json", r#"{"db":[4],"dw":[3],"dk":[5],"y":[1]}"#);
    let (status, text) = lines(&["compare", &a, &b, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names = |of: &serde_json::Value| of.as_array().unwrap().iter().map(|name| name.to_string()).collect::<String>();
    assert_eq!((status, &json["verdict"]), (1, &"FAIL".into()));
    assert_eq!(names(&json["only_a"]) + &names(&json["only_b"]), r#""dx""dq""db""dk""#);
    let compared: String = json["arrays"].as_array().unwrap().iter().map(|pair| pair["name"].to_string()).collect();
    assert_eq!(compared, r#""y""dw""#);
    // The second document has one name more.
    let c = file("c.json", r#"{"y":[1],"dx":[2],"dw":[3],"dq":[6],"db":[4]}"#);
    let (status, text) = lines(&["compare", &a, &c]);
    assert!(status == 1 && text.contains("FAIL db is only in b\n"), "{text}");
}

#[test]
fn the_tolerance_is_relative_to_b() {
    // |10 − 9| ≤ 0.1·10, but not ≤ 0.1·9.
    assert_eq!(nnlayer(&["compare", "9", "10", "--rtol", "0.1", "--atol", "0"]).status, 0);
    assert_eq!(nnlayer(&["compare", "10", "9", "--rtol", "0.1", "--atol", "0"]).status, 1);
    assert_eq!(nnlayer(&["compare", "10", "9", "--rtol", "0.1", "--atol", "0.1"]).status, 0);
}

#[test]
fn the_default_tolerance_is_smaller_for_doubles_than_for_single_precision() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let out = |name: &str, precision: &str| {
        let ran = nnlayer(&["softmax", "--x", "1,2,4", "--only", "y", "--precision", precision, "--out", &path(name)]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    };
    out("double.npy", "f64");
    out("single.npy", "f32");
    out("single.json", "f32");
    assert_eq!(lines(&["compare", &path("double.npy"), &path("double.npy")]).0, 0);
    assert_eq!(
        lines(&["compare", &path("single.npy"), &path("double.npy")]).0,
        0,
        "f4 implies the tolerance of single precision"
    );
    assert_eq!(lines(&["compare", &path("single.json"), &path("double.npy")]).0, 1, "text implies that of doubles");
}

#[test]
fn ulp_replaces_the_rule_or_adds_to_it() {
    let next = "1.0000000000000002";
    assert_eq!(nnlayer(&["compare", "1", next, "--ulp", "1"]).status, 0);
    assert_eq!(nnlayer(&["compare", "1", next, "--ulp", "0"]).status, 1);
    assert_eq!(nnlayer(&["compare", "1", next, "--ulp", "0", "--rtol", "1e-10"]).status, 0);
}

#[test]
fn nan_and_infinities_agree_only_with_themselves() {
    assert_eq!(nnlayer(&["compare", "nan,inf,-inf", "nan,inf,-inf"]).status, 0);
    for (a, b) in [("nan", "1"), ("1", "nan"), ("inf", "-inf"), ("1", "inf"), ("inf", "1")] {
        let ran = nnlayer(&["compare", a, b, "--json"]);
        assert_eq!(ran.status, 1, "{a} {b}");
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(json["arrays"][0]["worst"]["error"], "Infinity", "{a} {b}");
        assert_eq!(json["arrays"][0]["worst"]["ulp"], serde_json::Value::Null, "{a} {b}");
    }
}

#[test]
fn mean_and_quantiles_summarise_the_differences() {
    // Differences 0, 1, 2, …, 99 in another order.
    let a: Vec<String> = (0..100).map(|n| ((n * 37) % 100).to_string()).collect();
    let zeros = vec!["0"; 100].join(",");
    let ran = nnlayer(&["compare", &a.join(","), &zeros, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let array = &json["arrays"][0];
    assert_eq!(array["mean"].as_f64().map(|mean| (mean - 49.5).abs() < 1e-9), Some(true), "{array}");
    for (percent, value) in [("50", 49.0), ("90", 89.0), ("99", 98.0), ("100", 99.0)] {
        assert_eq!(array["quantiles"][percent], value, "{percent}");
    }
    assert_eq!((&array["entries"], &array["outside"]), (&100.into(), &99.into()));
    assert_eq!(array["worst"]["index"].to_string(), "[27]", "27·37 = 999");
}

#[test]
fn different_shapes_fail_and_a_transpose_is_recognised() {
    let (status, text) = lines(&["compare", "1,2", "1,2,3"]);
    assert_eq!((status, text.as_str()), (1, "FAIL shapes differ: a is (2), b is (3)\n"));
    let (status, text) = lines(&["compare", "1,2,3;4,5,6", "1,4;2,5;3,6"]);
    assert_eq!((status, text.as_str()), (1, "FAIL shapes differ: a is (2×3), b is (3×2): a is b transposed\n"));
    let (_, text) = lines(&["compare", "1,2;3,4", "1,3;2,4"]);
    assert!(text.contains("a is b transposed"), "{text}");
}

#[test]
fn documents_are_compared_name_by_name_in_any_format() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let save = |name: &str, w: &str, b: &[&str]| {
        let out = path(name);
        let args = [&["affine", "--x", "1,2", "--w", w, "--out", &out], b].concat();
        assert_eq!(nnlayer(&args).status, 0);
        out
    };
    let (json, npz) = (save("a.json", "1,2;3,4", &["--b", "1"]), save("a.npz", "1,2;3,4", &["--b", "1"]));
    assert_eq!(lines(&["compare", &json, &npz]).0, 0);
    let other = save("b.npz", "1,2;3,5", &[]);
    let (status, text) = lines(&["compare", &json, &other]);
    assert_eq!(status, 1);
    assert!(text.contains("FAIL dx (2)") && text.contains("PASS dw (2×2)"), "{text}");
    assert!(text.contains("FAIL db is only in a\n"), "{text}");
    assert!(text.ends_with("FAIL: 1 of 4 arrays agree\n"), "{text}");
    assert_eq!(lines(&["compare", &format!("{json}#dw"), &format!("{other}#dw")]).0, 0);
    let both = piped(r#"{"mine":{"y":[1,2]},"theirs":{"y":[1,2]}}"#, &["compare", "-#/mine", "-#/theirs"]);
    assert_eq!((both.status, both.stderr.as_str()), (0, ""));
}

#[test]
fn results_can_be_piped_into_a_comparison() {
    let ran = shell("nnlayer softmax --x 1,2 --forward --json | nnlayer compare - '{\"y\":[]}'");
    assert_eq!(ran.status, 2, "an object is not an argument");
    let ran = shell("nnlayer softmax --x 0,0 --forward --json | nnlayer compare - 0.5,0.5");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert!(ran.text().starts_with("PASS y (2)"), "{}", ran.text());
}

fn report(args: &[&str]) -> serde_json::Value {
    let ran = nnlayer(&[&["compare", "--json"], args].concat());
    assert_eq!(ran.stderr, "", "{args:?}");
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    json["arrays"][0].clone()
}

/// Expected values are by mpmath; fixtures/compare/make.py has the script.
#[test]
fn cosine_correlation_and_largest_entries_are_those_of_an_independent_source() {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture("compare/cases.json")).unwrap()).unwrap();
    for case in &cases {
        let shape: Vec<usize> =
            case["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap() as usize).collect();
        let array = |side: &str| ndarray::ArrayD::from_shape_vec(shape.clone(), numbers(&case[side])).unwrap();
        let entries = compare(&array("a"), &array("b"), Tolerance::default()).entries.unwrap();
        let similarity = entries.similarity.unwrap();
        for (key, value) in [("cosine", similarity.cosine), ("correlation", similarity.correlation)] {
            match case[key].as_f64() {
                Some(expected) => {
                    assert!(ulps(value.unwrap(), expected) <= 1, "{} {key}: {value:?} {expected}", case["name"])
                }
                None => assert!(value.is_err(), "{} {key}: {value:?}", case["name"]),
            }
        }
        let top = entries.top.map(|top| [top.rows, top.agreeing, top.tied, top.nan]);
        let count = |key: &str| case["top1"][key].as_u64().map(|count| count as usize);
        let expected =
            count("rows").map(|rows| [rows, count("agree").unwrap(), count("tied").unwrap(), count("nan").unwrap()]);
        assert_eq!(top, expected, "{}", case["name"]);
    }
}

#[test]
fn the_smallest_tolerances_pass_and_smaller_ones_do_not() {
    for (a, b) in [("1,2,3.5", "1,2,3"), ("1e308", "-1e308"), ("0.1,0.3", "0.1000001,0.30001"), ("5e-324", "1.5e-323")]
    {
        let json = report(&[a, b]);
        for (key, option, other) in [("smallest_rtol", "--rtol", "--atol"), ("smallest_atol", "--atol", "--rtol")] {
            let Some(smallest) = json[key].as_f64() else { continue };
            let status = |value: f64| nnlayer(&["compare", a, b, option, &format!("{value:?}"), other, "0"]).status;
            assert_eq!(status(smallest), 0, "{a} {b} {key}");
            // Products of subnormal numbers have few digits.
            assert!(a == "5e-324" || status(smallest.next_down()) == 1, "{a} {b} {key}");
        }
    }
    let none = report(&["1", "0"]);
    assert_eq!((&none["smallest_rtol"], &none["smallest_atol"]), (&"Infinity".into(), &1.0.into()));
    let none = report(&["1,nan", "1,2"]);
    assert_eq!((&none["smallest_rtol"], &none["smallest_atol"]), (&"Infinity".into(), &"Infinity".into()));
}

/// The tolerances in the text, which are rounded up, pass when they are typed.
#[test]
fn tolerances_that_the_text_names_pass() {
    let (a, b) = ("1,2.7182818,3.1415", "1.0001,2.71829,3.14");
    let text = lines(&["compare", a, b]).1;
    let after = |word: &str| text.split_once(word).unwrap().1.split_whitespace().next().unwrap().to_owned();
    assert_eq!(nnlayer(&["compare", a, b, "--rtol", &after("with rtol "), "--atol", "0"]).status, 0, "{text}");
    assert_eq!(nnlayer(&["compare", a, b, "--atol", &after("or atol "), "--rtol", "0"]).status, 0, "{text}");
    assert!(text.contains("0.0 % of the entries agree") && text.contains("cosine 0.99999"), "{text}");
}

#[test]
fn distances_are_counted_in_the_less_precise_type_of_the_files() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, precision) in [("a.npy", "f32"), ("b.npy", "f64")] {
        let ran = nnlayer(&["relu", "--x", "0.1,1", "--only", "y", "--precision", precision, "--out", &path(name)]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    let json = report(&[&path("a.npy"), &path("b.npy")]);
    assert_eq!(
        ["type_a", "type_b", "ulp_type", "max_ulp"].map(|key| json[key].to_string()),
        ["\"f32\"", "\"f64\"", "\"f32\"", "0"],
        "b is rounded to f32"
    );
    let next = report(&[&path("a.npy"), "0.1,1.0000003"]);
    assert_eq!((&next["max_ulp"], &next["ulp_type"]), (&3.into(), &"f32".into()), "{next}");
    let text = nnlayer(&["compare", &path("a.npy"), "0.1,1.0000003"]);
    assert!(text.text().contains("maximum distance 3 ulp of f32 (a is f32, b is f64)"), "{}", text.text());
    assert_eq!(nnlayer(&["compare", &path("a.npy"), "0.1,1.0000003", "--ulp", "3"]).status, 0);
    assert_eq!(nnlayer(&["compare", &path("a.npy"), "0.1,1.0000003", "--ulp", "2"]).status, 1);
}

/// The files are by NumPy and ml_dtypes; fixtures/compare/make.py has the script.
#[test]
fn distances_are_counted_in_every_type_of_the_files() {
    let expected = std::fs::read_to_string(fixture("compare/ulps.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let [a, b] = ["a", "b"].map(|name| fixture(&format!("compare/{name}.safetensors")));
    let ran = nnlayer(&["compare", &a, &b, "--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let arrays = json["arrays"].as_array().unwrap();
    assert_eq!(arrays.len(), 6);
    for array in arrays {
        let name = array["name"].as_str().unwrap();
        assert_eq!(array["ulp_type"], name);
        assert_eq!(array["max_ulp"], expected[name], "{name}");
        let distance = array["max_ulp"].as_u64().unwrap();
        let status = |ulp: u64| {
            let (a, b) = (format!("{a}#{name}"), format!("{b}#{name}"));
            nnlayer(&["compare", &a, &b, "--ulp", &ulp.to_string()]).status
        };
        assert_eq!((status(distance), status(distance - 1)), (0, 1), "{name}");
    }
}

#[test]
fn an_exchange_of_any_two_axes_and_a_reshape_are_recognised() {
    let array = |shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        ndarray::ArrayD::from_shape_vec(shape, (0..count).map(|n| n as f64).collect()).unwrap()
    };
    let compared = |a: &ndarray::ArrayD<f64>, b: &ndarray::ArrayD<f64>| compare(a, b, Tolerance::default());
    let a = array(&[2, 3, 4]);
    let mut exchanged = a.clone();
    exchanged.swap_axes(0, 2);
    assert_eq!(compared(&a, &exchanged).exchanged_axes, Some([0, 2]));
    assert_eq!(compared(&a, &a).exchanged_axes, None);
    assert!(compared(&a, &array(&[4, 6])).is_reshaped && !compared(&a, &exchanged).is_reshaped);
}

/// Long numbers, shapes and indices are wrapped.
#[test]
fn the_text_fits_80_columns() {
    let numbers = |sign: f64| {
        (0..300).map(|n| format!("{:?}", sign * 1e-123 * (f64::from(n) + 0.1).sin())).collect::<Vec<_>>().join(",")
    };
    let rows = |sign: f64| format!("{0};{0}", numbers(sign));
    for args in [
        vec![],
        vec!["--ulp", "3", "--rtol", "1.2345678901234e-10", "--atol", "1.2345678e-100"],
        vec!["--digits", "17"],
    ] {
        let (_, text) = lines(&[&["compare", &rows(1.0), &rows(-1.1)][..], &args].concat());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("|a − b|") && text.contains("99th"), "{text}");
    }
    let (_, text) = lines(&["compare", "0.123456789", "0.123456788", "--digits", "3"]);
    assert!(text.contains("a 0.123, b 0.123, error 1e-9"), "{text}");
}

proptest! {
    #[test]
    fn comparing_never_panics_and_counts_entries_by_the_rule(
        bits in prop::collection::vec((any::<u64>(), any::<u64>()), 0..12), ulp: Option<u64>, atol in 0.0..1e300, rtol in 0.0..2.0,
    ) {
        let (a, b): (Vec<f64>, Vec<f64>) = bits.iter().map(|(a, b)| (f64::from_bits(*a), f64::from_bits(*b))).unzip();
        let tolerance = Tolerance { atol, rtol, ulp, ..Tolerance::default() };
        let array = |v: &[f64]| ndarray::Array1::from(v.to_vec()).into_dyn();
        let entries = compare(&array(&a), &array(&b), tolerance).entries.unwrap();
        let outside = a.iter().zip(&b).filter(|(a, b)| !tolerance.accepts(**a, **b)).count();
        prop_assert_eq!(entries.outside, outside);
        if let Some(worst) = entries.worst {
            prop_assert_eq!(outside > 0, !tolerance.accepts(worst.a, worst.b));
        }
    }
}
