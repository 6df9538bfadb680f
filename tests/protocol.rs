//! Version 2 of the protocol of programs under test: the hello, and arrays in base64.

use crate::support::{folder, has_program, nnlayer};
use ndarray::{ArrayD, array};
use nnlayer::check::program::{ProcessLifetime, Program};
use nnlayer::check::{Implementation, Point};
use nnlayer::core::error::Code;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer::Settings;
use nnlayer::numeric::FloatType;
use std::ffi::OsString;
use std::time::Duration;

const REPLY: &str = r#"{"points":[{"outputs":{"y":[1,2]}}]}"#;

fn persistent(script: &str) -> Program {
    let command = ["sh", "-c", script].map(OsString::from);
    let program =
        Program::new(&command, "affine", &Settings::default(), ProcessLifetime::Persistent, Duration::from_secs(60));
    program.with_precision(FloatType::F32)
}

fn point(x: ArrayD<f64>) -> [Point; 1] {
    [Point { operands: Tensors::new().with(Name::X, x), dout: None }]
}

/// Returns "start" for each start of a program, and the lines that it receives: it says `hello` to the request without points, and then replies at one point.
fn received(hello: &str, x: ArrayD<f64>) -> Vec<String> {
    let folder = folder();
    let log = folder.path().join("log");
    let script = format!(
        r#"log='{}'; echo start >>"$log"
        while read -r line; do
            echo "$line" >>"$log"
            case $line in *'"points":[]'*) {hello};; *) echo '{REPLY}';; esac
        done"#,
        log.display()
    );
    let mut program = persistent(&script);
    let evaluations = program.evaluate(&point(x)).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(evaluations[0].outputs.known(&Name::Y).shape(), [2]);
    std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

const HEAD: &str = r#""layer":"affine","settings":{},"precision":"f32","points":["#;

#[test]
fn the_hello_selects_version_2_and_the_form_of_arrays() {
    let request = |version: u32, x: &str| format!(r#"{{"nnlayer":{version},{HEAD}{{"inputs":{{"x":{x}}}}}]}}"#);
    let without_points = format!(r#"{{"nnlayer":1,{HEAD}]}}"#);
    let base64 = r#"{"shape":[2,1],"dtype":"f32","base64":"AACAPwAAAMA="}"#;
    for (hello, version, x) in [
        (r#"echo '{"nnlayer":2,"arrays":"base64"}'"#, 2, base64),
        (r#"echo '{"points":[],"arrays":"base64","layers":["relu","affine"],"nnlayer":2,"more":1}'"#, 2, base64),
        (r#"echo '{"nnlayer":2,"arrays":"lists"}'"#, 2, "[[1.0],[-2.0]]"),
        (r#"echo '{"nnlayer":2}'"#, 2, "[[1.0],[-2.0]]"),
        (r#"echo '{"points":[]}'"#, 1, "[[1.0],[-2.0]]"),
        (r#"echo '{"nnlayer":1,"points":[]}'"#, 1, "[[1.0],[-2.0]]"),
    ] {
        let expected = ["start".to_owned(), without_points.clone(), request(version, x)];
        assert_eq!(received(hello, array![[1.0], [-2.0]].into_dyn()), expected, "{hello}");
    }
}

#[test]
fn a_number_that_the_declared_type_rounds_is_sent_as_a_double() {
    let lines = received(r#"echo '{"nnlayer":2,"arrays":"base64"}'"#, array![0.1, 1.0].into_dyn());
    assert!(lines[2].contains(r#"{"shape":[2],"dtype":"f64","base64":"mpmZmZmZuT8AAAAAAADwPw=="}"#), "{lines:?}");
}

#[test]
fn a_program_that_fails_without_points_is_started_again_without_that_request() {
    for failure in
        ["exit 1", "kill -SEGV $$", "echo oh dear", "echo ']}'", "echo '{\"y\":1}'", &format!("echo '{REPLY}'")]
    {
        let lines = received(failure, array![1.0].into_dyn());
        let request = |points: &str| format!(r#"{{"nnlayer":1,{HEAD}{points}]}}"#);
        let asked = [request(""), request(r#"{"inputs":{"x":[1.0]}}"#)];
        assert_eq!(lines, ["start", &asked[0], "start", &asked[1]], "{failure}");
    }
}

#[test]
fn every_process_is_greeted_until_one_fails() {
    let folder = folder();
    let log = folder.path().join("log");
    // A process replies to one request after its hello, and then ends.
    let script = format!(
        r#"read -r line; echo "$line" >>'{}'; echo '{{"nnlayer":2}}'; read -r line; echo '{REPLY}'"#,
        log.display()
    );
    let mut program = persistent(&script);
    let x = point(array![1.0].into_dyn());
    program.evaluate(&x).unwrap();
    assert_eq!((program.evaluate(&x).unwrap_err().code, program.protocol_version()), (Code::ProgramCrash, 2));
    program.evaluate(&x).unwrap();
    assert_eq!(std::fs::read_to_string(log).unwrap().matches(r#""points":[]"#).count(), 2);
}

#[test]
fn a_wrong_hello_is_an_error() {
    for (hello, words) in [
        (r#"{"nnlayer":2,"layers":["relu","tanh"]}"#, "the program computes relu, tanh, not affine"),
        (r#"{"nnlayer":2,"layers":"affine"}"#, "the layers of the hello must be a list of names"),
        (r#"{"nnlayer":2,"layers":[]}"#, "the layers of the hello must be a list of names"),
        (r#"{"nnlayer":2,"layers":[1,2]}"#, "the layers of the hello must be a list of names"),
        (r#"{"nnlayer":2,"arrays":"numpy"}"#, "the arrays of the hello must be lists or base64, got \"numpy\""),
        (r#"{"nnlayer":3}"#, "the nnlayer of the hello must be 2"),
        (r#"{"nnlayer":"2"}"#, "the nnlayer of the hello must be 2"),
    ] {
        let mut program = persistent(&format!("read -r line; echo '{hello}'; read -r line; echo '{REPLY}'"));
        let error = program.evaluate(&point(array![1.0].into_dyn())).unwrap_err();
        assert!(error.code == Code::ReplyValue && error.message.contains(words), "{hello}: {error:?}");
        assert!(error.tip.is_some() && error.origin.is_some(), "{error:?}");
    }
}

#[test]
fn a_reply_of_any_version_may_have_arrays_in_base64() {
    let evaluate = |y: &str| {
        let script = format!(r#"cat >/dev/null; echo '{{"points":[{{"outputs":{{"y":{y}}}}}]}}'"#);
        let command = ["sh", "-c", &script].map(OsString::from);
        let settings = Settings::default();
        let lifetime = ProcessLifetime::PerRequest;
        Program::new(&command, "affine", &settings, lifetime, Duration::from_secs(60))
            .evaluate(&point(array![1.0].into_dyn()))
    };
    let right = evaluate(r#"{"shape":[1,2],"dtype":"bf16","base64":"gD8AwA=="}"#).unwrap();
    assert_eq!(right[0].outputs.known(&Name::Y), &array![[1.0, -2.0]].into_dyn());
    let wrong = evaluate(r#"{"shape":[1,3],"dtype":"bf16","base64":"gD8AwA=="}"#).unwrap_err();
    assert_eq!(wrong.code, Code::ReplyValue);
    assert_eq!(wrong.message, "the shape (1×3) of bf16 has 6 bytes, but the base64 has 4");
    assert!(format!("{:?}", wrong.at).contains("/points/0/outputs/y"), "{wrong:?}");
}

#[test]
fn the_example_in_base64_passes_in_every_type_that_it_knows() {
    if !has_program("python3") {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gradcheck/relu_base64.py");
    let run = |layer: &str, precision: &str| {
        nnlayer(&["gradcheck", "--layer", layer, "--precision", precision, "--persistent", "--", "python3", path])
    };
    for precision in ["f64", "f32", "f16"] {
        assert!(run("relu", precision).quiet().contains("PASS: y, dx of relu are correct"), "{precision}");
    }
    assert!(run("tanh", "f32").refusal().contains("the program computes relu, not tanh"));
}
