//! Test vectors: their cases, the agreement of their files, and programs that are run over them.

use crate::support::schemas::Documents;
use crate::support::{console, folder, has_program, nnlayer, project, python_with_numpy, shell};
use ndarray::array;
use nnlayer::check::vectors::{Expected, compare};
use nnlayer::check::{Evaluation, Point};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer::{Kind, LAYERS, LayerSpec};
use nnlayer::numeric::FloatType;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Writes vectors of a layer and returns the content of each file by its name.
pub fn written(layer: &str, options: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    nnlayer(&[&["vectors", layer, "--out", path], options].concat()).quiet();
    let mut files = BTreeMap::new();
    collect(folder.path(), "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

pub fn cases(files: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let read = |case: &Value| serde_json::from_slice(&files[case["file"].as_str().unwrap()]).unwrap();
    index["cases"].as_array().unwrap().iter().map(read).collect()
}

fn names(layer: &str) -> Vec<String> {
    nnlayer(&["vectors", layer]).quiet().lines().map(str::to_owned).collect()
}

#[test]
fn every_layer_has_cases_for_its_settings_operands_and_traps() {
    for spec in LAYERS {
        let names = names(spec.name);
        let unique: HashSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        assert_eq!(names[0], "default", "{}", spec.name);
        let is_portable = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        assert!(names.iter().all(is_portable), "{names:?}");
        for slot in spec.slots.iter().filter(|slot| slot.optional) {
            let (with, without) = (format!("with-{}", slot.name), format!("without-{}", slot.name));
            assert!(names.contains(&with) || names.contains(&without), "{} {}: {names:?}", spec.name, slot.name);
        }
        let missing = missing_values(spec, &names);
        assert!(missing.is_empty(), "{missing:?}: {names:?}");
        let count = ["odd-17", "no-batch", "more-axes", "ties", "all-equal", "zeros", "large", "tiny", "inexact"];
        let count = count.iter().filter(|trap| names.contains(&(**trap).to_owned())).count();
        assert!(count >= 2, "{}: {names:?}", spec.name);
    }
    assert!(names("mse").contains(&"empty-batch-empty-zero".to_owned()));
    assert!(names("softmax").contains(&"infinite-row-masked-rows-zero".to_owned()));
    assert!(names("maxpool1d").contains(&"ties".to_owned()));
    assert!(names("conv2d").contains(&"groups-2".to_owned()));
}

/// Returns the words and flags of settings without a case of their own.
fn missing_values(spec: &LayerSpec, names: &[String]) -> Vec<String> {
    let of_setting = |setting: &nnlayer::layer::Setting| -> Vec<String> {
        match setting.kind {
            Kind::Flag => vec![setting.name.to_owned()],
            Kind::Choice(words) | Kind::IntegerRows(words) => {
                words.iter().map(|word| format!("{}-{word}", setting.name)).collect()
            }
            Kind::Integer | Kind::Number(_) | Kind::Integers => Vec::new(),
        }
    };
    let all = spec.settings.iter().flat_map(of_setting).filter(|name| !names.contains(name));
    all.map(|name| format!("{} {name}", spec.name)).collect()
}

#[test]
fn cases_of_every_layer_follow_the_schema() {
    let mut documents = Documents::default();
    for (n, spec) in LAYERS.iter().enumerate() {
        let names = names(spec.name);
        // Two cases of each layer: the default one, and another.
        let other = &names[n % (names.len() - 1) + 1];
        let precision = ["f64", "f32", "f16", "bf16"][n % 4];
        let files = written(spec.name, &["--cases", &format!("default,{other}"), "--precision", precision]);
        documents.add("vectors#/$defs/index", spec.name, serde_json::from_slice(&files["index.json"]).unwrap());
        for case in cases(&files) {
            documents.add("vectors#/$defs/vector", format!("{} {}", spec.name, case["name"]), case);
        }
    }
    documents.assert_valid();
}

#[test]
fn a_folder_is_small_and_has_the_same_bytes_again() {
    let files = written("layernorm", &[]);
    let size: usize = files.values().map(Vec::len).sum();
    assert!(size < 600_000, "{size}");
    let options: [&[&str]; 2] = [&["--seed", "1", "--precision", "f64"], &["--cases", "all"]];
    for options in options {
        assert_eq!(written("layernorm", options), files);
    }
    let fewer = written("layernorm", &["--cases", "ties,eps-2"]);
    for name in ["ties/case.json", "eps-2/case.json", "ties/test_data_set_0/input_1.pb"] {
        assert_eq!(fewer[name], files[name], "{name}");
    }
    assert_eq!(cases(&fewer).len(), 2);
    // What is listed is written.
    for layer in ["mish", "maxpool1d"] {
        let index: Value = serde_json::from_slice(&written(layer, &[])["index.json"]).unwrap();
        let listed = index["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap().to_owned());
        assert_eq!(listed.collect::<Vec<_>>(), names(layer));
    }
    assert_ne!(written("layernorm", &["--seed", "2", "--cases", "ties,eps-2"]), fewer);
}

#[test]
fn results_are_those_of_the_layer_command_with_exact_precision() {
    for case in cases(&written("softmax-xent", &["--cases", "settings-first,with-weight,inexact"])) {
        let mut args = vec!["softmax-xent".to_owned(), "--precision".into(), "exact".into(), "--json".into()];
        for (name, value) in case["inputs"].as_object().unwrap() {
            args.extend([format!("--{name}"), value.to_string()]);
        }
        for (name, value) in case["settings"].as_object().unwrap() {
            args.extend([format!("--{name}"), value.as_str().map_or(value.to_string(), str::to_owned)]);
        }
        if case["dout"].is_array() {
            args.extend(["--dout".to_owned(), case["dout"].to_string()]);
        }
        let computed = nnlayer(&args.iter().map(String::as_str).collect::<Vec<_>>()).json();
        for group in ["outputs", "gradients"] {
            for (name, value) in case[group].as_object().unwrap() {
                assert_eq!(&computed[name], value, "{} {name}", case["name"]);
            }
        }
    }
}

#[test]
fn files_of_arrays_have_the_numbers_of_the_cases() {
    let Some(python) = python_with_numpy() else { return };
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    nnlayer(&["vectors", "prelu", "--cases", "default,ties,zeros,empty-batch", "--out", path]).quiet();
    let script = r#"
import json, numpy as np, sys
folder = sys.argv[1]
def walk(case):
    for group in ["inputs", "outputs", "gradients", "alternatives"]:
        for name, value in case.get(group, {}).items():
            yield f"{group}/{name}", value
    yield "dout", case["dout"]
    for type, arrays in case["tolerances"].items():
        for name, value in arrays.items():
            yield f"tolerances/{type}/{name}", value
names = []
with np.load(folder + "/prelu.npz") as arrays:
    for entry in json.load(open(folder + "/index.json"))["cases"]:
        for name, value in walk(json.load(open(folder + "/" + entry["file"]))):
            expected = np.zeros(value["shape"]) if isinstance(value, dict) else np.array(value, dtype=float)
            stored = arrays[entry["name"] + "/" + name]
            assert stored.dtype == np.float64 and stored.shape == expected.shape, name
            assert stored.tobytes() == expected.tobytes(), name
            names.append(entry["name"] + "/" + name)
    assert sorted(names) == sorted(arrays.files)
"#;
    let ran = shell(&format!("{python} - '{path}' <<'END'\n{script}END"));
    assert_eq!(ran.quiet(), "");
    for format in ["npz", "safetensors"] {
        let file = format!("{path}/prelu.{format}#zeros/gradients/dx");
        let ran = nnlayer(&[
            "compare",
            &file,
            &format!("{path}/zeros/case.json#/gradients/dx"),
            "--atol",
            "0",
            "--rtol",
            "0",
        ]);
        assert_eq!(ran.status, 0, "{}{}", ran.text(), ran.stderr);
    }
}

#[test]
fn a_program_passes_or_fails_each_case() {
    if !has_program("python3") {
        return;
    }
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    nnlayer(&["vectors", "relu", "--precision", "f32", "--out", path]).quiet();
    let verify =
        |options: &str, program: &str| shell(&format!("nnlayer vectors --verify '{path}' {options} -- {program}"));
    let right = "python3 examples/gradcheck/relu_base64.py";
    let ran = verify("--persistent", right);
    let count = names("relu").len();
    assert!(ran.quiet().ends_with(&format!("\nPASS: all {count} cases of relu in f32\n")), "{}", ran.text());
    let mut documents = Documents::default();
    documents.add("report", "a right program", verify("--persistent --json", right).json());
    // Any slope from 0 to 1 is right at the kink, and no other.
    let program = |slope: &str| {
        format!(
            r#"python3 -c "
import json, sys
flat = lambda v: [w for u in v for w in flat(u)] if isinstance(v, list) else [v]
def same(v, f): return [same(u, f) for u in v] if isinstance(v, list) else f(float(v))
def both(v, w, f): return [both(a, b, f) for a, b in zip(v, w)] if isinstance(v, list) else f(float(v), float(w))
points = json.loads(sys.stdin.readline())['points']
slope = lambda v: {slope} if v == 0 else float(v > 0)
replies = [dict(outputs=dict(y=same(p['inputs']['x'], lambda v: max(v, 0.0))),
                gradients=dict(dx=both(p['inputs']['x'], p['dout'], lambda v, d: d * slope(v)))) for p in points]
print(json.dumps(dict(points=replies)))
""#
        )
    };
    assert_eq!(verify("--cases zeros,default", &program("0.25")).status, 0);
    let ran = verify("--cases zeros,default --json", &program("1.25"));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    documents.add("report", "a wrong program", report.clone());
    assert_eq!((ran.status, &report["verdict"]), (1, &json!("FAIL")), "{report}");
    let verdicts: Vec<&Value> = report["cases"].as_array().unwrap().iter().map(|case| &case["verdict"]).collect();
    assert_eq!(verdicts, ["PASS", "FAIL"], "{report}");
    // A crash is a failure of the case, and a program that never replies an error of the command.
    let once = program("0.25").replace("import json, sys", "import json, os, sys; os.mkdir('once')");
    let ran = verify("--cases zeros,default", &once);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.text().contains("FAIL zeros\n  exited with status 1\n"), "{}", ran.text());
    let refusal = verify("--cases zeros,default", "false").refusal().to_owned();
    assert!(refusal.contains("exited with status 1\n  none of the 2 cases got a reply\n"), "{refusal}");
    assert!(verify("", "./no-such-program").refusal().contains("no-such-program"));
    documents.assert_valid();
}

#[test]
fn errors_of_vectors_say_what_to_do() {
    assert!(nnlayer(&["vectors", "relu", "--cases", "tie"]).refusal().contains("use some of default, "));
    assert!(nnlayer(&["vectors", "rellu"]).refusal().contains("relu"));
    assert!(nnlayer(&["vectors"]).refusal().contains("nnlayer vectors relu"));
    assert!(nnlayer(&["vectors", "--verify", "x", "--", "true"]).refusal().contains("index.json"));
    assert!(nnlayer(&["vectors", "relu", "--json"]).refusal().contains("verify"));
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    for index in [
        "",
        "[]",
        "{}",
        r#"{"layer":"relu","precision":"f64","cases":[1]}"#,
        r#"{"layer":"no","precision":"f64","cases":[]}"#,
        r#"{"layer":"relu","precision":"f64","cases":[{"name":"a","file":"../a"}]}"#,
        r#"{"layer":"relu","precision":"f64","cases":[{"name":"a","file":"/dev/zero"}]}"#,
    ] {
        std::fs::write(folder.path().join("index.json"), index).unwrap();
        nnlayer(&["vectors", "--verify", path, "--", "true"]).refusal();
    }
}

fn expected() -> Expected {
    let y = array![1.0, f64::INFINITY, 0.0].into_dyn();
    let of = |name: &str, value: ndarray::ArrayD<f64>| Tensors::new().with(Name::new(name), value);
    Expected {
        point: Point { operands: Tensors::new(), dout: None },
        outputs: of("y", y.clone()),
        gradients: of("dx", array![1.0, 2.0, 70_000.0].into_dyn()),
        tolerances: of("y", array![0.25, 0.0, 0.0].into_dyn()).with(Name::DX, array![0.0, 0.5, 1.0].into_dyn()),
        alternatives: of("dx", array![[0.0, -1.0, 0.0]].into_dyn()),
    }
}

#[test]
fn values_are_right_within_tolerances_at_alternatives_and_where_they_overflow() {
    let verdicts = |y: [f64; 3], dx: [f64; 3], float_type: FloatType| {
        let evaluation = Evaluation {
            outputs: Tensors::new().with(Name::Y, array![y[0], y[1], y[2]].into_dyn()),
            gradients: Tensors::new().with(Name::DX, array![dx[0], dx[1], dx[2]].into_dyn()),
        };
        let (compared, missing) = compare(&expected(), &evaluation, float_type);
        assert!(missing.is_empty());
        [compared[0].wrong, compared[1].wrong]
    };
    let (y, dx) = ([1.0, f64::INFINITY, 0.0], [1.0, 2.0, 70_000.0]);
    assert_eq!(verdicts(y, dx, FloatType::F64), [0, 0]);
    assert_eq!(verdicts([1.25, f64::INFINITY, -0.0], [-0.5, 2.5, 69_999.0], FloatType::F64), [0, 0]);
    assert_eq!(verdicts([1.26, f64::MAX, 1e-300], [0.5, 2.51, f64::INFINITY], FloatType::F64), [3, 3]);
    assert_eq!(verdicts(y, [1.0, 2.0, f64::INFINITY], FloatType::F16), [0, 0]);
    assert_eq!(verdicts(y, [1.0, f64::INFINITY, f64::NEG_INFINITY], FloatType::F16), [0, 2]);
    assert_eq!(verdicts([f64::NAN; 3], [f64::NAN; 3], FloatType::F64), [3, 3]);
    let evaluation =
        Evaluation { outputs: Tensors::new().with(Name::Y, array![[1.0]].into_dyn()), ..Evaluation::default() };
    let (compared, missing) = compare(&expected(), &evaluation, FloatType::F64);
    assert_eq!(
        (compared[0].mismatch.as_deref(), &missing[..]),
        (Some("expected shape (3), got (1×1)"), &[Name::DX][..])
    );
}

#[test]
fn the_commands_of_the_page_on_vectors_print_what_it_shows() {
    if has_program("python3") && has_program("cc") && has_program("node") {
        console::run(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/vectors.md")), project().path());
    }
}
