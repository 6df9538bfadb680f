//! The registry is the only list: a copy of the crate with one layer file and one registry line more has the layer in every
//! command, with parameters of names that no other layer has.

use crate::support::has_program;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Source of a layer y = x∘gamma + delta.
const LAYER: &str = r#"//! Scale and shift: y = x∘gamma + delta.

use super::arrays::{elements, rows, with_shape};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::spec::{LayerSpec, ScalarDout, Slot};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{Array2, ArrayD};

const GAMMA: Name = Name::fixed("gamma");
const DELTA: Name = Name::fixed("delta");

pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "scale-shift",
    about: "y = x∘gamma + delta",
    outputs: &[(Name::Y, "x∘gamma + delta")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×D) or (D)", "dout∘gamma", "input"),
        Slot::parameter(GAMMA, "(D)", "Σ_rows dout∘x", "scale"),
        Slot::parameter(DELTA, "(D)", "Σ_rows dout", "shift"),
    ],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[],
    examples: &[],
    source: "a test",
    build: |_| Ok(Box::new(ScaleShift) as Box<dyn AnyLayer>),
};

struct ScaleShift;

impl Admit for ScaleShift {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let width = rows(given.at.known(&Name::X)).ncols();
        match [GAMMA, DELTA].iter().find(|name| given.at.known(name).shape() != [width]) {
            Some(name) => Err(Error::new(Code::Shape, format!("expected ({width})")).with_operand(name)),
            None => Ok(Vec::new()),
        }
    }

    fn independent_rows(&self, rank: usize) -> bool {
        rank > 1
    }
}

impl<S: ArrayOps> Layer<S> for ScaleShift {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (x, gamma, delta) = (at.known(&Name::X), elements(at.known(&GAMMA)), elements(at.known(&DELTA)));
        let x_rows = rows(x);
        let y = Array2::from_shape_fn(x_rows.dim(), |(n, k)| x_rows[[n, k]] * gamma[k] + delta[k]);
        Forward { results: Tensors::new().with(Name::Y, with_shape(y, x.shape())), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let (x, gamma, dout) = (at.known(&Name::X), elements(at.known(&GAMMA)), rows(dout));
        let dx = move || with_shape(Array2::from_shape_fn(dout.dim(), |(n, k)| dout[[n, k]] * gamma[k]), x.shape());
        let products = move || Array2::from_shape_fn(dout.dim(), |at| dout[at] * rows(x)[at]);
        Gradients::one(Name::DX, dx)
            .with(GAMMA.gradient(), move || S::column_sums(products().view()).into_dyn())
            .with(DELTA.gradient(), move || S::column_sums(dout).into_dyn())
    }
}
"#;

/// The layer as a program for gradcheck.
const PROGRAM: &str = r#"
import json, sys
request = json.loads(sys.stdin.readline())
def answer(point):
    x, gamma, delta = (point["inputs"][name] for name in ("x", "gamma", "delta"))
    y = [[a * g + d for a, g, d in zip(row, gamma, delta)] for row in x]
    reply = {"outputs": {"y": y}}
    if "dout" in point:
        dout = point["dout"]
        reply["gradients"] = {
            "dx": [[d * g for d, g in zip(row, gamma)] for row in dout],
            "dgamma": [sum(d * a for d, a in zip(*columns)) for columns in zip(zip(*dout), zip(*x))],
            "ddelta": [sum(column) for column in zip(*dout)],
        }
    return reply
print(json.dumps({"points": [answer(point) for point in request["points"]]}))
"#;

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            // Not a copy of its permissions: the project may be read-only.
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Replaces text that must be there.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in\n{text}");
    text.replacen(from, to, 1)
}

/// Builds the crate with the layer added, in the target folder of the tests, so that its dependencies are built already. Without
/// the checks of a debug build, which the tests have of the crate itself, it is built sooner.
fn build(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_folder(&root.join("src"), &folder.join("src"));
    fs::write(folder.join("Cargo.lock"), fs::read(root.join("Cargo.lock")).unwrap()).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (package, lints) =
        (manifest.split("[dev-dependencies]").next().unwrap(), manifest.find("[lints.rust]").unwrap());
    // The program must not replace the one that the other tests run.
    let named = replace(package, "name = \"nnlayer\"", "name = \"nnlayer-with-new-layer\"\nautobins = false");
    let targets = "[lib]\nname = \"nnlayer\"\n[[bin]]\nname = \"nnlayer-with-new-layer\"\npath = \"src/main.rs\"\n[workspace]\n\n";
    let profile = "\n[profile.dev.package.nnlayer-with-new-layer]\noverflow-checks = false\ndebug-assertions = false\n";
    fs::write(folder.join("Cargo.toml"), format!("{named}{targets}{}{profile}", &manifest[lints..])).unwrap();

    fs::write(folder.join("src/layer/scale_shift.rs"), LAYER).unwrap();
    let registry = fs::read_to_string(folder.join("src/layer/mod.rs")).unwrap();
    let registry = replace(&registry, "mod tanh;", "mod scale_shift;\nmod tanh;");
    let registry = replace(&registry, "&tanh::SPEC,", "&tanh::SPEC, &scale_shift::SPEC,");
    fs::write(folder.join("src/layer/mod.rs"), registry).unwrap();

    let target = Path::new(env!("CARGO_BIN_EXE_nnlayer")).parent().unwrap().parent().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--offline", "--bins", "--quiet", "--target-dir"])
        .arg(target)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/nnlayer-with-new-layer")
}

/// Runs a line of shell in which `nnlayer` is the program; returns its exit status, standard output and standard error.
fn run(program: &Path, folder: &Path, line: &str) -> (Option<i32>, String, String) {
    let script = format!("nnlayer() {{ '{}' \"$@\"; }}\n{line}", program.display());
    let ran = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn a_layer_added_as_one_file_and_one_line_is_in_every_command() {
    if !has_program("cargo") {
        return;
    }
    // The path of the source is part of what Cargo compares, so the folder is the same in each run.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new_layer");
    let _ = fs::remove_dir_all(&folder);
    let program = build(&folder);
    let json = |line: &str| -> Value {
        let (status, stdout, stderr) = run(&program, &folder, line);
        assert_eq!(status, Some(0), "{line}: {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}: {stdout}"))
    };
    let layer = "nnlayer scale-shift --x '1,2;3,4' --gamma 2,3 --delta 1,0.5";
    let (y, dx, dgamma, ddelta) =
        (json!([[3.0, 6.5], [7.0, 12.5]]), json!([[2.0, 3.0], [2.0, 3.0]]), json!([4.0, 6.0]), json!([2.0, 2.0]));
    assert_eq!(json(&format!("{layer} --only dgamma --json")), json!({ "dgamma": dgamma }));
    assert_eq!(json(&format!("{layer} --forward --json")), json!({ "y": y }));
    for precision in ["f64", "f32", "exact"] {
        let (status, stdout, _) = run(&program, &folder, &format!("{layer} --precision {precision} --json"));
        let expected = format!("{{\"y\":{y},\"dx\":{dx},\"dgamma\":{dgamma},\"ddelta\":{ddelta}}}\n");
        assert_eq!((status, stdout), (Some(0), expected), "{precision}");
    }

    let tape = format!("{layer} --tape --name fc");
    let gradients = json!({ "fc": { "dx": dx, "dgamma": dgamma, "ddelta": ddelta } });
    assert_eq!(json(&format!("{tape} | nnlayer backward --json")), gradients);
    let step = json(&format!("{tape} | nnlayer backward --tape | nnlayer step --lr 0.5"));
    assert_eq!(step["layers"][0]["params"], json!({ "gamma": [0.0, 0.0], "delta": [0.0, -0.5] }));

    let shards =
        format!("{layer} --json > a.json; {layer} --dout '1,0;0,1' --json > b.json; nnlayer sum a.json b.json");
    assert_eq!(json(&format!("{shards} --json")), json!({ "dgamma": [5.0, 10.0], "ddelta": [3.0, 3.0] }));

    let network =
        r#"{"nnlayer-tape":1,"layers":[{"kind":"scale-shift","name":"fc","params":{"gamma":[2,3],"delta":[1,0.5]}}]}"#;
    fs::write(folder.join("net.json"), network).unwrap();
    fs::write(folder.join("records.ndjson"), "{\"x\":[[1,2],[3,4]]}\n").unwrap();
    let records = "nnlayer net net.json --ndjson records.ndjson --only fc.dgamma,fc.ddelta";
    assert_eq!(json(records), json!({ "fc.dgamma": dgamma, "fc.ddelta": ddelta }));

    let (status, stdout, stderr) = run(&program, &folder, &format!("{layer} --check"));
    assert!(status == Some(0) && stdout.starts_with("PASS") && stdout.contains("dgamma"), "{stdout}{stderr}");
    if has_program("python3") {
        fs::write(folder.join("scale_shift.py"), PROGRAM).unwrap();
        let operands = layer.strip_prefix("nnlayer scale-shift").unwrap();
        let check = format!("nnlayer gradcheck --layer scale-shift{operands} --format json -- python3 scale_shift.py");
        let report = json(&check);
        assert_eq!(report["verdict"], "PASS", "{report}");
        let findings = report["findings"].as_array().unwrap();
        for name in ["y", "dx", "dgamma", "ddelta"] {
            assert!(findings.iter().any(|finding| finding["result"] == name), "{name}: {report}");
        }
    }
}
