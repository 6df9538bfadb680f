//! External programs as implementations: replies are parsed, and every failure is reported.

use crate::support::{folder, numbers};
use ndarray::{ArrayD, array};
use nnlayer::check::program::{ProcessLifetime, Program};
use nnlayer::check::{Evaluation, Implementation, Point};
use nnlayer::core::error::{Code, Error};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer::{Settings, Value};
use std::ffi::OsString;
use std::time::Duration;

const LONG_TIMEOUT: Duration = Duration::from_secs(60);
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);

fn program(command: &[&str], lifetime: ProcessLifetime, timeout: Duration) -> Program {
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    Program::new(&command, "affine", &Settings::default(), lifetime, timeout)
}

fn sh(script: &str) -> Program {
    program(&["sh", "-c", script], ProcessLifetime::PerRequest, LONG_TIMEOUT)
}

fn point(x: ArrayD<f64>) -> Point {
    Point { operands: Tensors::new().with(Name::X, x), dout: None }
}

fn one_point() -> Vec<Point> {
    vec![point(array![1.0, 2.0].into_dyn())]
}

#[track_caller]
fn refusal(mut program: Program, code: Code, words: &str) -> Error {
    let error = program.evaluate(&one_point()).expect_err("the program fails");
    assert_eq!(error.code, code, "{error:?}");
    let text = format!("{error:?}");
    assert!(text.contains(words), "{words}: {text}");
    assert!(error.tip.is_some() && error.origin.is_some(), "{text}");
    error
}

#[track_caller]
fn evaluate(script: &str) -> Vec<Evaluation> {
    sh(script).evaluate(&one_point()).unwrap_or_else(|error| panic!("{error:?}"))
}

const REPLY: &str = r#"{"points":[{"outputs":{"y":[1,2]}}]}"#;

#[test]
fn a_request_contains_exact_numbers() {
    let folder = folder();
    let request = folder.path().join("request");
    let mut settings = Settings::default();
    settings.set("w-layout", Value::Choice("out-in"));
    settings.set("eps", Value::Number(1e-7));
    let script =
        format!("cat > '{}'; echo '{{\"points\":[{{\"outputs\":{{}}}},{{\"outputs\":{{}}}}]}}'", request.display());
    let command = ["sh", "-c", &script].map(OsString::from);
    let mut program = Program::new(&command, "affine", &settings, ProcessLifetime::PerRequest, LONG_TIMEOUT);
    let points = [
        Point {
            operands: Tensors::new()
                .with(Name::X, array![[0.1, f64::NAN]].into_dyn())
                .with(Name::B, ndarray::arr0(2.0).into_dyn()),
            dout: Some(array![1.0, f64::NEG_INFINITY].into_dyn()),
        },
        point(array![-0.0, 5e-324].into_dyn()),
    ];
    program.evaluate(&points).unwrap();
    assert_eq!(
        std::fs::read_to_string(request).unwrap(),
        concat!(
            r#"{"nnlayer":1,"layer":"affine","settings":{"eps":1e-7,"w-layout":"out-in"},"points":["#,
            r#"{"inputs":{"x":[[0.1,"NaN"]],"b":2.0},"dout":[1.0,"-Infinity"]},{"inputs":{"x":[-0.0,5e-324]}}]}"#,
            "\n"
        )
    );
}

#[test]
fn a_reply_may_contain_arrays_of_any_shape() {
    let evaluation = &evaluate(
        r#"echo '{"points":[{"outputs":{"y":[[1,2],[3,NaN]],"loss":2,"z":[[[1],[2]],[[3],[4]]]},"gradients":{"dx":[],"db":["-Infinity",0.1],"dw":null}}],"more":true}'"#,
    )[0];
    assert_eq!(evaluation.outputs.known(&Name::Y).shape(), [2, 2]);
    assert!(evaluation.outputs.known(&Name::Y)[[1, 1]].is_nan());
    assert_eq!(evaluation.outputs.known(&Name::LOSS)[[]], 2.0);
    let deep = evaluation.outputs.known(&Name::new("z"));
    assert_eq!((deep.shape(), deep[[1, 0, 0]]), (&[2, 2, 1][..], 3.0));
    assert_eq!(evaluation.gradients.known(&Name::DX).shape(), [0]);
    assert_eq!(evaluation.gradients.known(&Name::DB)[[0]], f64::NEG_INFINITY);
    assert_eq!(evaluation.gradients.known(&Name::DB)[[1]], 0.1);
    assert!(evaluation.gradients.get(&Name::DW).is_none());
}

#[test]
fn points_go_together_in_requests_of_at_most_8_mb() {
    let folder = folder();
    let sizes = folder.path().join("sizes");
    // The program replies to each point by its number of inputs named x.
    let script = format!(
        r#"cat >request; wc -c <request >>'{}'; printf '{{"points":['; grep -o '"x"' request |
        sed 's/.*/{{"outputs":{{"y":1}}}}/' | paste -sd, | tr -d '\n'; echo ']}}'"#,
        sizes.display()
    );
    let script = format!("cd '{}'; {script}", folder.path().display());
    // "0.5," has four bytes: three points of 2.8 MB fit only by twos, and one of 12 MB goes alone.
    let half = |entries: usize| point(ArrayD::from_elem(vec![entries], 0.5));
    let points: Vec<Point> = [700_000, 700_000, 700_000, 3_000_000, 10, 20].map(half).into();
    assert_eq!(sh(&script).evaluate(&points).unwrap_or_else(|error| panic!("{error:?}")).len(), 6);
    let sizes = std::fs::read_to_string(sizes).unwrap();
    let sizes: Vec<usize> = sizes.lines().map(|line| line.trim().parse().unwrap()).collect();
    let head = r#"{"nnlayer":1,"layer":"affine","settings":{},"points":["#.len() + "]}\n".len();
    let size = |entries: &[usize]| {
        head + entries.iter().map(|n| 4 * n + 1 + r#"{"inputs":{"x":}}"#.len()).sum::<usize>() + entries.len() - 1
    };
    assert_eq!(sizes, [size(&[700_000, 700_000]), size(&[700_000]), size(&[3_000_000]), size(&[10, 20])]);
}

#[test]
fn the_time_limit_is_for_each_point() {
    let reply = |points: usize| format!(r#"{{"points":[{}]}}"#, vec![r#"{"outputs":{"y":1}}"#; points].join(","));
    let script = format!("cat >/dev/null; sleep 1; echo '{}'", reply(40));
    let points = vec![one_point().remove(0); 40];
    let mut slow = program(&["sh", "-c", &script], ProcessLifetime::PerRequest, SHORT_TIMEOUT);
    assert_eq!(slow.evaluate(&points).unwrap_or_else(|error| panic!("{error:?}")).len(), 40);
    let mut hanging = program(&["sh", "-c", "sleep 300"], ProcessLifetime::PerRequest, Duration::from_millis(100));
    let error = hanging.evaluate(&points[..3]).unwrap_err();
    assert_eq!(error.message, "did not reply within 0.3 s (0.1 s for each of 3 points)");
}

#[test]
fn a_timeout_kills_the_program_and_its_children() {
    let folder = folder();
    let file = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > '{}'; echo waiting >&2; wait", file.display());
    let program = program(&["sh", "-c", &script], ProcessLifetime::PerRequest, Duration::from_secs(2));
    refusal(program, Code::ProgramTimeout, "waiting");
    let pid = std::fs::read_to_string(file).unwrap();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.map_or(true, |stat| stat.contains(") Z"))
    };
    // The group was killed before the refusal was returned; the system removes the process a moment later.
    while cfg!(target_os = "linux") && !gone() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_replies_and_does_not_end_times_out() {
    let script = format!("echo '{REPLY}'; exec >&-; sleep 300");
    refusal(program(&["sh", "-c", &script], ProcessLifetime::PerRequest, SHORT_TIMEOUT), Code::ProgramTimeout, "0.3 s");
}

#[test]
fn a_crash_is_reported_with_status_or_signal_and_standard_error() {
    let error =
        refusal(sh("cat >/dev/null; echo one >&2; echo two >&2; exit 3"), Code::ProgramCrash, "exited with status 3");
    assert!(format!("{:?}", error.facts).contains("two"));
    refusal(sh("kill -SEGV $$"), Code::ProgramCrash, "signal 11 (SIGSEGV)");
    refusal(sh(&format!("echo '{REPLY}'; exit 1")), Code::ProgramCrash, "exited with status 1");
    refusal(sh("cat >/dev/null"), Code::ProgramCrash, "exited without a reply");
    refusal(sh("echo; echo"), Code::ProgramCrash, "exited without a reply");
}

#[test]
fn a_program_need_not_read_its_input() {
    let many: Vec<Point> = vec![point(ArrayD::zeros(vec![1000, 1000]))];
    let script = format!("exec <&-; echo '{REPLY}'");
    assert_eq!(sh(&script).evaluate(&many).unwrap().len(), 1);
}

#[test]
fn output_on_standard_error_does_not_block() {
    let script = format!("head -c 10000000 /dev/zero | tr '\\0' 'e' >&2; cat >/dev/null; echo '{REPLY}'");
    assert_eq!(evaluate(&script).len(), 1);
}

#[test]
fn a_program_may_reply_before_it_has_read_everything() {
    // Both pipes are full long before either side is done.
    let script = r#"printf '{"points":[{"outputs":{"y":'; sed 's/.*"x"://; s/}}]}$/}}]}/'"#;
    let x = ArrayD::from_shape_fn(vec![1000, 300], |at| (at[0] * 300 + at[1]) as f64 / 7.0);
    let evaluations = sh(script).evaluate(&[point(x.clone())]).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(evaluations[0].outputs.known(&Name::Y), &x);
}

#[test]
fn every_unusable_reply_has_its_own_error() {
    let say = |text: &str| sh(&format!("cat >/dev/null; cat <<'END'\n{text}\nEND"));
    refusal(say("Traceback: oh dear"), Code::ReplyNotJson, "reply: Traceback: oh dear");
    refusal(say("{\"points\":[{\"outputs\":"), Code::ReplyNotJson, "got the end of the text");
    refusal(say("[1,2]"), Code::ReplyValue, "must be a JSON object");
    refusal(say("{\"y\":[1,2]}"), Code::ReplyKeyMissing, "no key `points`");
    refusal(say(r#"{"points":3}"#), Code::ReplyValue, "/points");
    refusal(say(r#"{"points":[]}"#), Code::ReplyPoints, "0 of 1 points");
    refusal(say(r#"{"points":[{"outputs":{}},{"outputs":{}}]}"#), Code::ReplyPoints, "2 of 1 points");
    refusal(say(r#"{"points":[{}]}"#), Code::ReplyKeyMissing, "no key `outputs`");
    refusal(say(r#"{"points":[{"gradients":{"dx":1}}]}"#), Code::ReplyKeyMissing, "no key `outputs`");
    refusal(say(r#"{"points":[{"outputs":[1,2]}]}"#), Code::ReplyValue, "/points/0/outputs");
    refusal(say(r#"{"points":[{"outputs":{"y":"much"}}]}"#), Code::ReplyValue, "/points/0/outputs/y");
    refusal(say(r#"{"points":[{"outputs":{"y":[[1],[2,3]]}}]}"#), Code::ReplyValue, "lengths");
    refusal(say(r#"{"points":[{"outputs":{"y":[[1],[2,null]]}}]}"#), Code::ReplyValue, "null");
}

#[test]
fn an_endless_reply_is_stopped() {
    let error = refusal(program(&["yes"], ProcessLifetime::PerRequest, LONG_TIMEOUT), Code::ReplyTooLong, "256 MB");
    assert!(error.origin.as_deref() == Some("yes"));
}

#[test]
fn every_reason_why_a_program_cannot_start_has_its_own_error() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("plain.py"), "print(1)").unwrap();
    let start = |name: &str| program(&[name], ProcessLifetime::PerRequest, LONG_TIMEOUT);
    refusal(start("no-such-program-at-all"), Code::ProgramMissing, "program not found");
    refusal(start("python3 mine.py"), Code::ProgramMissing, "without quotes");
    refusal(start(&path("plain.py")), Code::ProgramNotExecutable, "chmod +x");
    refusal(start(&path(".")), Code::ProgramNotExecutable, "directory");
    refusal(program(&[], ProcessLifetime::PerRequest, LONG_TIMEOUT), Code::Usage, "no program");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (name, first, words) in [("odd", "#!/no/such/interpreter\n", "#!"), ("bare", "y = 1\n", "#!/usr/bin/env")] {
            std::fs::write(path(name), first).unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
            refusal(start(&path(name)), Code::ProgramNotExecutable, words);
        }
    }
}

#[test]
fn a_persistent_program_replies_line_by_line_in_one_process() {
    let script = r#"n=0; while read -r line; do n=$((n+1)); echo "{\"points\":[{\"outputs\":{\"y\":[$n,$$]}}]}"; done"#;
    let mut program = program(&["sh", "-c", script], ProcessLifetime::Persistent, LONG_TIMEOUT);
    let mut ask = || numbers_of(&program.evaluate(&one_point()).unwrap()[0]);
    let (first, second) = (ask(), ask());
    assert_eq!((first[0], second[0]), (1.0, 2.0));
    assert_eq!(first[1], second[1], "one process");
}

fn numbers_of(reply: &Evaluation) -> Vec<f64> {
    reply.outputs.known(&Name::Y).iter().copied().collect()
}

#[test]
fn a_persistent_program_that_fails_is_reported() {
    let persistent = |script: &str| program(&["sh", "-c", script], ProcessLifetime::Persistent, Duration::from_secs(2));
    let mut once = persistent(&format!("read -r line; echo '{REPLY}'; exit 4"));
    once.evaluate(&one_point()).unwrap();
    refusal(once, Code::ProgramCrash, "exited with status 4");
    refusal(persistent("read -r line; sleep 300"), Code::ProgramTimeout, "2 s");
    // A program that ends within its reply is reported by its status, not by half of its JSON.
    let begun = persistent(r#"read -r line; printf '{"points":['; echo oh dear >&2; exit 3"#);
    let error = refusal(begun, Code::ProgramCrash, "exited with status 3");
    assert!(format!("{:?}", error.facts).contains("oh dear"));
    // The surplus lines reach the reader at some time, not at a known one: ask until they have.
    let mut talkative = persistent(&format!("yes '{REPLY}'"));
    let error = (0..).find_map(|_| talkative.evaluate(&one_point()).err()).unwrap();
    assert!(error.code == Code::ReplyPoints && error.message.contains("more than one line"), "{error:?}");
    refusal(persistent("echo ready; read -r line; sleep 300"), Code::ReplyNotJson, "invalid JSON");
}

#[test]
fn the_example_in_the_protocol_matches_nnlayer() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gradcheck-protocol.md")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let [request, reply, ..] = &lines[..] else { panic!("a request and a reply") };
    for (point, evaluation) in request["points"].as_array().unwrap().iter().zip(reply["points"].as_array().unwrap()) {
        let option = |name: &str| point["inputs"][name].to_string();
        let (x, w, b) = (option("x"), option("w"), option("b"));
        let mut args = vec!["affine", "--json", "--x", &x, "--w", &w, "--b", &b];
        let dout = point["dout"].to_string();
        if point.get("dout").is_some() {
            args.extend(["--dout", &dout]);
        } else {
            args.push("--forward");
        }
        let ours = crate::support::nnlayer(&args).json();
        let parts = [&evaluation["outputs"], &evaluation["gradients"]];
        let results = parts.into_iter().filter_map(|part| part.as_object()).flatten();
        assert_eq!(results.clone().count(), ours.as_object().unwrap().len());
        for (name, value) in results {
            assert_eq!(numbers(value), numbers(&ours[name]), "{name}");
        }
    }
}
