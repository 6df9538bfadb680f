//! The programs of examples/gradcheck reply with what nnlayer computes.

use crate::header::compile;
use crate::support::{folder, has_program};
use ndarray::{ArrayD, array};
use nnlayer::check::program::{ProcessLifetime, Program};
use nnlayer::check::{Evaluation, Implementation, Point};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{Given, Precision, Settings, Value};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gradcheck").join(name)
}

/// The commands that run a layer's program, one for each language that is here.
fn commands(stem: &str, folder: &Path) -> Vec<Vec<OsString>> {
    let mut commands = Vec::new();
    for (tool, extension) in [("python3", "py"), ("node", "js")] {
        if has_program(tool) {
            commands.push(vec![tool.into(), example(&format!("{stem}.{extension}")).into()]);
        }
    }
    if has_program("cc") {
        let binary = folder.join(stem);
        let source = example(&format!("{stem}.c"));
        compile("cc", &["-std=c99"], &source, &binary);
        commands.push(vec![binary.into()]);
    }
    commands
}

fn settings(choices: &[(&'static str, &'static str)]) -> Settings {
    let mut settings = Settings::default();
    for (name, word) in choices {
        settings.set(name, Value::Choice(word));
    }
    settings
}

/// Returns the results of nnlayer at a point.
fn ours(name: &str, settings: &Settings, point: &Point) -> Evaluation {
    let layer = (layer::find(name).unwrap().build)(settings).unwrap();
    layer::admit(layer.as_ref(), &Given { at: &point.operands, rounding: &|_| f64::EPSILON / 2.0, x_was_y: false })
        .unwrap();
    let outcome = layer::compute(layer.as_ref(), &point.operands, point.dout.as_ref(), Precision::F64);
    Evaluation { outputs: outcome.results, gradients: outcome.gradients }
}

#[track_caller]
fn assert_near(theirs: &Tensors<f64>, ours: &Tensors<f64>, what: &str) {
    for (name, value) in ours.iter().filter(|(name, _)| **name != Name::DIVISOR) {
        let theirs = theirs.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
        assert_eq!(theirs.shape(), value.shape(), "{what}: {name}");
        for (a, b) in theirs.iter().zip(value) {
            assert!((a - b).abs() <= 1e-13 * (1.0 + b.abs()), "{what}: {name}: {a} is not {b}");
        }
    }
    assert_eq!(theirs.len(), ours.iter().filter(|(name, _)| **name != Name::DIVISOR).count(), "{what}");
}

/// Evaluates these points with every program, started per request and persistent.
fn check_programs(name: &str, settings: &Settings, points: &[Point]) {
    let folder = folder();
    for command in commands(&name.replace('-', "_"), folder.path()) {
        for lifetime in [ProcessLifetime::PerRequest, ProcessLifetime::Persistent] {
            let what = format!("{command:?} {lifetime:?}");
            let mut program = Program::new(&command, name, settings, lifetime, Duration::from_secs(60));
            for _ in 0..2 {
                let replies = program.evaluate(points).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                for (reply, point) in replies.iter().zip(points) {
                    let ours = ours(name, settings, point);
                    assert_near(&reply.outputs, &ours.outputs, &what);
                    assert_near(&reply.gradients, &ours.gradients, &what);
                }
            }
        }
    }
}

fn point(at: &[(Name, ArrayD<f64>)], dout: Option<ArrayD<f64>>) -> Point {
    Point { operands: at.iter().cloned().collect(), dout }
}

#[test]
fn affine_programs_match_nnlayer_in_every_language() {
    let (x, w) = (
        array![[1.5, -2.0, 0.25], [0.0, 1e-3, 4.0]].into_dyn(),
        array![[1.0, 2.0], [3.0, -4.0], [5.0, 0.5]].into_dyn(),
    );
    let dout = array![[1.0, -0.5], [2.0, 0.125]].into_dyn();
    let one = array![0.5, 1.0, -2.0].into_dyn();
    let points = [
        point(
            &[(Name::X, x.clone()), (Name::W, w.clone()), (Name::B, array![7.0, 0.1].into_dyn())],
            Some(dout.clone()),
        ),
        point(
            &[(Name::X, x.clone()), (Name::W, w.clone()), (Name::B, ndarray::arr0(2.0).into_dyn())],
            Some(dout.clone()),
        ),
        point(&[(Name::X, x.clone()), (Name::W, w.clone())], None),
        point(&[(Name::X, one), (Name::W, w.clone())], Some(array![1.0, 3.0].into_dyn())),
    ];
    check_programs("affine", &Settings::default(), &points);
    let transposed = w.t().as_standard_layout().into_owned().into_dyn();
    let points = [point(&[(Name::X, x), (Name::W, transposed)], Some(dout))];
    check_programs("affine", &settings(&[("w-layout", "out-in")]), &points);
}

#[test]
fn softmax_xent_programs_match_nnlayer_in_every_language() {
    let x = array![[1.0, 2.0, 4.0], [-700.0, 0.5, 0.0]].into_dyn();
    let soft = array![[0.25, 0.0, 0.75], [0.0, 2.0, 0.5]].into_dyn();
    let at = |t: &ArrayD<f64>| [(Name::X, x.clone()), (Name::T, t.clone())];
    let indices = array![2.0, 1.0].into_dyn();
    let single = [(Name::X, array![3.0, -1.0].into_dyn()), (Name::T, ndarray::arr0(1.0).into_dyn())];
    let scalar = |value: f64| Some(ndarray::arr0(value).into_dyn());
    for reduction in ["sum", "mean"] {
        let points = [
            point(&at(&soft), scalar(1.0)),
            point(&at(&indices), scalar(-2.5)),
            point(&single, scalar(1.0)),
            point(&at(&indices), None),
        ];
        check_programs("softmax-xent", &settings(&[("reduction", reduction)]), &points);
    }
    let points = [point(&at(&soft), Some(array![1.0, 3.0].into_dyn())), point(&at(&indices), None)];
    check_programs("softmax-xent", &settings(&[("reduction", "none")]), &points);
}

#[test]
fn the_wrong_program_is_wrong_in_one_gradient_only() {
    if !has_program("python3") {
        return;
    }
    let command = ["python3".into(), example("affine_wrong.py").into()];
    let settings = Settings::default();
    let mut program = Program::new(&command, "affine", &settings, ProcessLifetime::PerRequest, Duration::from_secs(60));
    let point = point(
        &[
            (Name::X, array![[1.0], [2.0]].into_dyn()),
            (Name::W, array![[3.0]].into_dyn()),
            (Name::B, array![0.5].into_dyn()),
        ],
        Some(array![[1.0], [1.0]].into_dyn()),
    );
    let reply = program.evaluate(std::slice::from_ref(&point)).unwrap().remove(0);
    let mut ours = ours("affine", &settings, &point);
    assert_eq!(reply.gradients.known(&Name::DB).shape(), [2, 1]);
    assert_near(&reply.outputs, &ours.outputs, "outputs");
    ours.gradients.insert(Name::DB, array![[1.0], [1.0]].into_dyn());
    assert_near(&reply.gradients, &ours.gradients, "gradients but db");
}

#[test]
fn every_example_has_at_most_70_lines() {
    let entries = std::fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| path.is_file()) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 70, "{} has {lines} lines", path.display());
    }
}
