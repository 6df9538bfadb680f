//! Files that NumPy, ml_dtypes and safetensors wrote have the values that these libraries read.

use crate::support::{file, fixture, folder, nnlayer, piped};
use data_encoding::BASE64;
use nnlayer::core::error::Code;
use nnlayer::format::{LoadedArray, Selector, Source, find_by_extension};
use nnlayer::numeric::{E4M3FN, E5M2, FloatType};
use serde_json::Value;

fn cases() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("types/cases.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(number).collect()
}

fn read(case: &Value, format: &str) -> Result<LoadedArray, nnlayer::core::error::Error> {
    let bytes = BASE64.decode(case["bytes"].as_str().unwrap().as_bytes()).unwrap();
    let select = Selector::parse(case["select"].as_str().unwrap_or_default());
    find_by_extension(format).unwrap().read(Source::bytes("file", &bytes), &select, &[])
}

/// Returns true if two numbers have the same bits, or both are NaN.
fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn every_type_and_rank_is_read_as_it_was_written() {
    let cases = cases();
    let files = cases["files"].as_array().unwrap();
    assert!(files.len() > 60);
    for case in files {
        let found = read(case, case["format"].as_str().unwrap()).unwrap();
        let shape: Vec<usize> = numbers(&case["shape"]).iter().map(|side| *side as usize).collect();
        assert_eq!(found.value.shape(), shape, "{case}");
        assert!(found.value.iter().zip(numbers(&case["values"])).all(|(a, b)| is_same(*a, b)), "{case}");
        let element = [FloatType::E4m3fn, FloatType::E5m2].into_iter().chain(FloatType::ALL);
        let element = element.into_iter().find(|element| element.name() == case["element"]);
        assert_eq!(Some(found.element), element, "{case}");
    }
}

#[test]
fn descriptions_of_real_types_are_read_as_numpy_reads_them() {
    for case in cases()["descriptions"].as_array().unwrap() {
        match read(case, "npy") {
            Ok(found) => assert!(case["is_real"] == true && found.value[[0]] == 1.0, "{case}"),
            Err(error) => assert!(case["is_real"] == false && error.code == Code::Dtype, "{case} {error:?}"),
        }
    }
}

#[test]
fn types_of_eight_bits_are_decoded_and_rounded_as_by_ml_dtypes() {
    let cases = cases();
    for (float_type, float8) in [(FloatType::E4m3fn, E4M3FN), (FloatType::E5m2, E5M2)] {
        let case = &cases["eight_bits"][float_type.name()];
        let decoded = numbers(&case["decoded"]);
        assert_eq!(decoded.len(), 256);
        for (bits, value) in (0..=255).zip(decoded) {
            assert!(is_same(float8.decode(bits), value), "{bits} {value} {}", float8.decode(bits));
            assert!(!value.is_finite() || is_same(float_type.round(value), value), "{value}");
        }
        for pair in case["rounded"].as_array().unwrap() {
            let (value, rounded) = (number(&pair[0]), number(&pair[1]));
            assert!(is_same(float_type.round(value), rounded), "{value} {rounded} {}", float_type.round(value));
        }
    }
}

/// Returns the bytes of a .npy and of a .safetensors file of integers of 64 bits.
fn files_of_integers(integers: &[i64]) -> [(&'static str, Vec<u8>); 2] {
    let data: Vec<u8> = integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
    let header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}", integers.len());
    let npy = [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:117}\n").as_bytes(), &data].concat();
    let length = data.len();
    let header = format!(r#"{{"x":{{"dtype":"I64","shape":[{}],"data_offsets":[0,{length}]}}}}"#, integers.len());
    let safetensors = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    [("x.npy", npy), ("x.safetensors", safetensors)]
}

/// Expected numbers are those of Python's `float`.
#[test]
fn integers_that_no_double_holds_are_rounded_with_a_warning_in_every_format() {
    let folder = folder();
    let integers = [1, (1 << 53) + 2, -(1 << 53) - 1, i64::MAX];
    let expected = "{\"y\":[1.0,9007199254740994.0,-9007199254740992.0,9.223372036854776e18]}\n".replace("e18", "e+18");
    let json = format!("{integers:?}").into_bytes();
    let object = format!("{{\"a\":[],\"x\":{integers:?}}}").into_bytes();
    let files = files_of_integers(&integers).into_iter().chain([("x.json", json), ("object.json", object)]);
    for (name, bytes) in files {
        let place = match name {
            "x.json" => "x.json:1:23 (/2)",
            "object.json" => "object.json:1:35 (/x/2)",
            _ => &format!("{name} [2]"),
        };
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        let command = ["leaky-relu", "--slope", "1", "--x", path, "--forward", "--json"];
        let (ran, strict) = (nnlayer(&command), nnlayer(&[&command[..], &["--strict"]].concat()));
        assert_eq!((ran.status, ran.text()), (0, expected.as_str()), "{name}");
        let warning = format!("{place}: the integer is rounded to the nearest double, -9007199254740992\n");
        assert!(ran.stderr.starts_with("warning: --x ") && ran.stderr.contains(&warning), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
        assert!(strict.refusal().contains(&warning), "{}", strict.stderr);
        let compared = nnlayer(&["compare", path, path]);
        assert!(compared.status == 0 && compared.stderr.contains(&warning), "{}", compared.stderr);
        let pipe = piped(&bytes, &["leaky-relu", "--slope", "1", "--forward", "--json"]);
        assert!(pipe.text() == expected && pipe.stderr.contains("to the nearest double, -9007199254740992"), "{name}");
    }
    // The tip: floating-point numbers, and integers less an offset.
    let quiet =
        ["[9007199254740993.0]", "[9.007199254740993e15]", "[9007199254740994]", "[100000000000000000000]", "[1]"];
    for text in quiet {
        nnlayer(&["relu", "--x", text]).quiet();
    }
    let inline = nnlayer(&["relu", "--x", "[[0],[9007199254740993]]"]);
    assert!(inline.stderr.starts_with("warning: --x 1:7 (/1/0): the integer is rounded"), "{}", inline.stderr);
}

/// The expected number is that of Python's `float`.
#[test]
fn integers_in_typed_numbers_and_tables_are_rounded_with_a_warning() {
    let folder = folder();
    let file = |name: &str, text: &str| file(folder.path(), name, text);
    let csv = file("x.csv", "1,2\n3,-9007199254740993\n");
    let txt = file("x.txt", "1 2\n3 -9007199254740993 # last\n");
    let header = file("header.csv", "a,b\n1,2\n3,-9007199254740993\n");
    let column = format!("{header}#b");
    let printed = file("printed", "array([[1, 2],\n       [3, -9007199254740993]])");
    for (arguments, place) in [
        (vec!["--x", "1,-9007199254740993"], "--x: the integer"),
        (vec!["--x", &csv], "x.csv [1,1]: the integer"),
        (vec!["--x", &txt], "x.txt [1,1]: the integer"),
        (vec!["--x", &column, "--header"], "header.csv [1]: the integer"),
        (vec!["--x", "[1 -9007199254740993]"], "--x (/1): the integer"),
        (vec!["--x", "tensor([[1, 2], [3, -9007199254740993]])"], "--x (/1/1): the integer"),
        (vec!["--x", &printed], "printed (/1/1): the integer"),
    ] {
        let command = [&["relu", "--forward"][..], &arguments].concat();
        let (ran, strict) = (nnlayer(&command), nnlayer(&[&command[..], &["--strict"]].concat()));
        let warning = format!("{place} is rounded to the nearest double, -9007199254740992\n");
        assert!(ran.status == 0 && ran.stderr.contains(&warning), "{arguments:?}: {}", ran.stderr);
        assert!(strict.refusal().contains(&warning), "{arguments:?}: {}", strict.stderr);
    }
    let ran = piped("1,-9007199254740993", &["relu", "--forward"]);
    assert!(ran.stderr.starts_with("warning: standard input: the integer is rounded"), "{}", ran.stderr);
    for text in ["9007199254740994", "+9007199254740992", "9007199254740993.0", "9.007199254740993e15", "1,2"] {
        nnlayer(&["relu", "--x", text, "--forward"]).quiet();
    }
}

#[test]
fn integers_that_no_double_holds_are_named_in_records_networks_and_chunks() {
    let folder = folder();
    let records = [r#"{"x":[1,2]}"#; 40].join("\n") + &"\n{\"x\":[1,9007199254740993]}".repeat(2);
    let ran = piped(&records, &["relu", "--ndjson", "-", "--forward"]);
    assert!(ran.status == 0 && ran.text().ends_with("{\"y\":[1.0,9007199254740992.0]}\n"), "{}", ran.text());
    assert!(ran.stderr.contains(":41:9 (/x/1): the integer is rounded to the nearest double"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 more record has the warning number-range"), "{}", ran.stderr);
    let strict = piped(&records, &["relu", "--ndjson", "-", "--forward", "--strict"]);
    assert!(strict.status == 2 && strict.stderr.contains(":41:9 (/x/1): the integer"), "{}", strict.stderr);
    let network = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[9007199254740993]]}}]}"#;
    let ran = piped(network, &["net", "-", "--x", "1", "--forward"]);
    assert!(
        ran.stderr.starts_with("warning: standard input:1:62 (/layers/0/params/w/0/0): the integer"),
        "{}",
        ran.stderr
    );
    // A file that is read in chunks of rows.
    let mut integers = vec![0; 200_000];
    integers[150_001] = i64::MAX;
    let [(_, npy), _] = files_of_integers(&integers);
    let rows = "'shape': (50000, 4), }";
    let begin = npy.windows(rows.len()).position(|text| text.starts_with(b"'shape'")).unwrap();
    let [mut npy, path] = [npy, folder.path().join("x.npy").into_os_string().into_encoded_bytes()];
    npy[begin..begin + rows.len()].copy_from_slice(rows.as_bytes());
    let path = String::from_utf8(path).unwrap();
    std::fs::write(&path, npy).unwrap();
    let out = folder.path().join("y.npy");
    let command = ["relu", "--x", &path, "--forward", "--out", out.to_str().unwrap()];
    let strict = nnlayer(&[&command[..], &["--strict"]].concat());
    assert!(strict.refusal().contains("x.npy [37500,1]: the integer is rounded") && !out.exists(), "{}", strict.stderr);
    let ran = nnlayer(&command);
    assert!(ran.status == 0 && ran.stderr.contains("x.npy [37500,1]: the integer is rounded"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
}
