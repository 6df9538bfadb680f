//! Documents of every kind, for every layer, follow the schemas that `nnlayer schema` prints.

use crate::support::schemas::{Documents, KINDS};
use crate::support::{folder, has_program, nnlayer, piped, shell};
use nnlayer::check::inputs;
use nnlayer::core::rng::SplitMix64;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::json::write_value;
use nnlayer::layer::{LAYERS, LayerSpec, Settings};
use nnlayer::numeric::FloatType;
use serde_json::{Value, json};

/// Returns the command of a layer with operands that a check draws.
fn command(spec: &'static LayerSpec) -> Vec<String> {
    let (settings, given) = (Settings::default(), Tensors::new());
    let drawn = inputs::draw_operands(spec, &settings, &given, &[], FloatType::F64, &mut SplitMix64::new(1)).unwrap();
    let mut command = vec![spec.name.to_owned()];
    for (name, value) in drawn.iter() {
        let mut text = Vec::new();
        write_value(value, &mut text).unwrap();
        command.extend([format!("--{name}"), String::from_utf8(text).unwrap()]);
    }
    command
}

fn run(command: &[String], options: &[&str]) -> Value {
    nnlayer(&command.iter().map(String::as_str).chain(options.iter().copied()).collect::<Vec<_>>()).json()
}

#[test]
fn results_tapes_networks_and_reports_of_every_layer_follow_their_schemas() {
    let mut documents = Documents::default();
    for spec in LAYERS {
        let (name, command) = (spec.name, command(spec));
        let results = run(&command, &["--json"]);
        let named = format!("result#/$defs/{name}");
        documents.add("result", name, results.clone());
        documents.add(&named, name, results.clone());
        documents.add(&named, format!("{name} --jacobian"), run(&command, &["--jacobian", "--json"]));
        if spec.settings.iter().any(|setting| setting.name == "reduction") {
            documents.add(&named, format!("{name} mean"), run(&command, &["--reduction", "mean", "--json"]));
        }
        // The report has the same keys for every layer; derivatives of many entries take seconds without optimization.
        if command.iter().map(String::len).sum::<usize>() < 1000 {
            documents.add("report#/$defs/check", format!("{name} --check"), run(&command, &["--check", "--json"]));
        }
        documents.add("steps", format!("{name} --steps"), run(&command, &["--steps", "--json"]));
        let expected = results.to_string();
        documents.add("report", format!("{name} --expect"), run(&command, &["--expect", &expected, "--json"]));
        let tape = run(&command, &["--tape"]);
        documents.add("tape", format!("{name} --tape"), tape.clone());
        let gradients = piped(tape.to_string(), &["backward", "--json"]).json();
        documents.add("result", format!("{name} backward"), gradients);
        let norms = piped(tape.to_string(), &["backward", "--norms", "--json"]).json();
        documents.add("report#/$defs/norms", format!("{name} backward --norms"), norms);
        // A network is a tape without values.
        let mut network = tape;
        let layer = network["layers"][0].as_object_mut().unwrap();
        layer.retain(|key, _| !["inputs", "outputs"].contains(&key.as_str()));
        documents.add("network", format!("{name} network"), network);
    }
    documents.assert_valid();
}

#[test]
fn requests_for_every_layer_and_replies_follow_their_schemas() {
    if !has_program("python3") {
        return;
    }
    let folder = folder();
    let log = folder.path().join("log");
    let mut documents = Documents::default();
    for (n, spec) in LAYERS.iter().enumerate() {
        // A program that writes down its request of each form of arrays.
        let hello = if n % 2 == 0 { r#"{"nnlayer":2,"arrays":"base64"}"# } else { r#"{"nnlayer":2}"# };
        let script = format!("read -r a; echo '{hello}'; read -r b; printf '%s\\n' \"$a\" \"$b\" >'{}'", log.display());
        let precision = ["f64", "f32", "f16", "bf16"][n % 4];
        let setting = spec.settings.iter().find(|setting| setting.name == "reduction").map(|_| ["--reduction", "mean"]);
        let options = setting.unwrap_or(["--precision", precision]);
        let program = ["--persistent", "--", "sh", "-c", &script];
        assert_eq!(nnlayer(&[&["gradcheck", "--layer", spec.name], &options[..], &program[..]].concat()).status, 2);
        for request in std::fs::read_to_string(&log).unwrap().lines() {
            documents.add("request", spec.name, serde_json::from_str(request).unwrap());
        }
        documents.add("hello", hello, serde_json::from_str(hello).unwrap());
    }
    let request = |arrays: &str| format!(r#"{{"nnlayer":2,"layer":"relu","settings":{{}},"points":[{arrays}]}}"#);
    let array = r#"{"shape":[2],"dtype":"f32","base64":"AACAPwAAAMA="}"#;
    let point = format!(r#"{{"inputs":{{"x":{array}}},"dout":{array}}}"#);
    let replies = shell(&format!(
        "printf '%s\\n' '{}' '{}' | python3 examples/gradcheck/relu_base64.py",
        request(""),
        request(&point)
    ));
    let replies: Vec<Value> = replies.quiet().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    documents.add("hello", "the example's hello", replies[0].clone());
    documents.add("reply", "the example's reply", replies[1].clone());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gradcheck-protocol.md")).unwrap();
    for block in page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let document: Value = serde_json::from_str(block).unwrap();
        let kind = match (document.get("layer"), document["points"].is_array()) {
            (Some(_), _) => "request",
            (None, true) => "reply",
            (None, false) => "hello",
        };
        documents.add(kind, block, document);
    }
    documents.assert_valid();
}

#[test]
fn documents_of_networks_programs_records_and_steps_follow_their_schemas() {
    if !has_program("python3") {
        return;
    }
    let mut documents = Documents::default();
    let layers = "conv2d 2 3x3 same, batchnorm, relu, maxpool2d 2, flatten, dropout, affine 3, softmax-xent";
    for init in [&["net", "--init", "2,3,2"][..], &["net", "--init", layers, "--input", "1x4x4"]] {
        documents.add("network", init.join(" "), nnlayer(init).json());
    }
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("net.json"), nnlayer(&["net", "--init", "2,3,2"]).quiet()).unwrap();
    let (net, trained) = (path("net.json"), path("trained.json"));
    let data = ["--x", "1,2;3,4;5,6", "--t", "0,1,0"];
    let train = ["train", &net, "--epochs", "2", "--optimizer", "adam", "--out", &trained];
    let ran = nnlayer(&[&train[..], &data[..]].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    documents.add("network", "a checkpoint", serde_json::from_slice(&std::fs::read(&trained).unwrap()).unwrap());
    let held = ["--held-x", "1,2;3,4", "--held-t", "1,0", "--json"];
    for options in [&["--json"][..], &held] {
        let lines = nnlayer(&[&train[..], &data[..], options].concat());
        for line in lines.quiet().lines() {
            documents.add("epoch", format!("train {options:?}"), serde_json::from_str(line).unwrap());
        }
    }
    let ran = nnlayer(&[&["net", &trained][..], &data[..], &["--json"]].concat());
    documents.add("result", "net --json", ran.json());
    let tape = nnlayer(&[&["net", &trained][..], &data[..], &["--tape"]].concat()).json();
    documents.add("tape", "net --tape", tape.clone());
    documents.add("tape", "backward --tape", piped(tape.to_string(), &["backward", "--tape"]).json());
    documents.add(
        "report",
        "net --check",
        nnlayer(&[&["net", &net][..], &data[..], &["--check", "--json"]].concat()).json(),
    );
    for (a, b) in [("1,2,3", "1,2,3"), ("1,2;3,4", "1,3;2,nan"), ("1,2", "1,2,3"), ("[]", "[]")] {
        let ran = nnlayer(&["compare", a, b, "--json"]);
        documents.add(
            "report#/$defs/compare",
            format!("compare {a} {b}"),
            serde_json::from_slice(&ran.stdout).unwrap(),
        );
    }
    let graded = nnlayer(&["relu", "--x", "1,-2", "--expect", "{\"y\":[1,2],\"dx\":[0]}", "--json"]);
    documents.add("report#/$defs/expect", "--expect", serde_json::from_slice(&graded.stdout).unwrap());
    for program in ["affine.py", "affine_wrong.py"] {
        let ran = shell(&format!("nnlayer gradcheck --layer affine --json -- python3 examples/gradcheck/{program}"));
        documents.add("report", program, serde_json::from_slice(&ran.stdout).unwrap());
    }
    let records = piped("{\"id\":\"a\",\"x\":[1,-2]}\n", &["relu", "--ndjson"]);
    documents.add("result#/$defs/record", "a record", records.json());
    let failed = piped("{\"x\":[\"a\"]}\n", &["relu", "--ndjson", "--keep-going"]);
    for schema in ["result", "result#/$defs/failed"] {
        documents.add(schema, "a bad record", serde_json::from_slice(&failed.stdout).unwrap());
    }
    for (name, yours) in [("right", "[1,0]"), ("wrong", "[1,2]"), ("a shape", "[1]")] {
        let graded = nnlayer(&["relu", "--x", "1,-2", "--steps", "--expect", &format!("{{\"y\":{yours}}}"), "--json"]);
        documents.add("steps", name, serde_json::from_slice(&graded.stdout).unwrap());
    }
    documents.add("steps", "a chain", piped(tape.to_string(), &["backward", "--steps", "--json"]).json());
    documents.add("layers", "layers", nnlayer(&["layers"]).json());
    documents.assert_valid();
}

#[test]
fn a_document_that_breaks_its_schema_is_noticed() {
    let mut documents = Documents::default();
    let tape = nnlayer(&["affine", "--x", "1,2", "--w", "1;2", "--tape"]).json();
    let mut change = |pointer: &str, value: Value| {
        let mut changed = tape.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        documents.add("tape", format!("tape {pointer}"), changed);
    };
    change("/nnlayer-tape", json!(2));
    change("/layers/0/kind", json!("afine"));
    change("/layers/0/params/w", json!("w.json"));
    change("/layers/0/inputs", json!({"x": [1, 2], "z": 1}));
    change("/layers/0/outputs", json!({"yy": [1]}));
    change("/layers/0", json!({"kind": "affine", "inputs": {}, "outputs": {}, "setings": {}}));
    change("/layers/0", json!({"kind": "affine", "inputs": {}, "outputs": {}, "settings": {"w-layout": "io"}}));
    documents.add("result#/$defs/relu", "result", json!({"y": [1], "dw": [1]}));
    documents.add("result", "null", json!({"y": [null]}));
    documents.add(
        "request",
        "setting",
        json!({"nnlayer": 1, "layer": "softmax", "settings": {"axis": "1"}, "points": []}),
    );
    documents.add("hello", "hello", json!({"nnlayer": 3}));
    documents.add(
        "reply",
        "reply",
        json!({"points": [{"outputs": {"y": {"shape": [1], "dtype": "f8", "base64": ""}}}]}),
    );
    documents.add("error", "error", json!({"error": {"code": "usage"}}));
    documents.add("report", "report", json!({"verdict": "PASS", "layer": "relu"}));
    documents.add("steps", "steps", json!({"steps": [], "verdict": "PASS"}));
    documents.add("epoch", "epoch", json!({"epoch": 1, "loss": 0.5, "accuracy": 99}));
    documents.add("layers", "layers", json!({"version": "0.2.0", "precisions": [], "layers": [{"name": "relu"}]}));
    // Versions of `jsonschema` before 4.24 accept the four unknown keys (tests/harness/validate.py).
    if let Some((errors, version)) = documents.errors().zip(Documents::validator_version()) {
        assert_eq!(errors.len(), if version < (4, 24) { 13 } else { 17 }, "{}", errors.join("\n"));
    }
}

#[test]
fn schemas_are_listed_and_written_into_a_folder() {
    let list = nnlayer(&["schema"]);
    let listed: Vec<&str> = list.quiet().lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(listed, KINDS);
    let folder = folder();
    nnlayer(&["schema", "--out", folder.path().to_str().unwrap()]).quiet();
    for kind in KINDS {
        let printed = nnlayer(&["schema", kind]);
        let written = std::fs::read_to_string(folder.path().join(format!("{kind}.json"))).unwrap();
        assert_eq!(written, printed.quiet());
        let schema = printed.json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let id = schema["$id"].as_str().unwrap();
        assert!(id.starts_with(&format!("urn:nnlayer:schema:{kind}:")), "{id}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{kind}");
    }
    Documents::assert_schemas();
    assert!(nnlayer(&["schema", "tapes"]).refusal().contains("tape"));
}
