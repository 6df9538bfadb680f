//! Options that would change nothing, names that other tools use, and files of operands that are replaced.

use crate::support::{folder, nnlayer, shell_in};

#[track_caller]
fn refused(line: &str, option: &str, with: &str) {
    let args: Vec<&str> = line.split(' ').collect();
    let ran = nnlayer(&args);
    let first = ran.refusal_of(line).lines().next().unwrap();
    assert!(first.starts_with(&format!("error: --{option}: ")) && first.contains(with), "{line}\n{}", ran.stderr);
    assert!(ran.stderr.contains("\ntip: "), "{line}\n{}", ran.stderr);
}

#[test]
fn an_option_that_would_change_nothing_is_refused() {
    for format in ["json", "junit", "tap", "text"] {
        refused(&format!("relu --x 1 --format {format}"), "format", "only with --check");
        refused(&format!("relu --x 1 --steps --format {format}"), "format", "only with --check");
    }
    refused("relu --x 1 --expect 1 --steps --format json", "format", "--steps");
    refused("net net.json --x 1 --format tap", "format", "only with --check");
    for option in ["--json", "--pretty", "--out y.json"] {
        refused(&format!("relu --x 1 --digits 3 {option}"), "digits", option.split(' ').next().unwrap());
    }
    for option in ["--check", "--tape", "--ndjson"] {
        refused(&format!("relu --x 1 --digits 3 {option}"), "digits", option);
    }
    refused("compare 1 1 --digits 3 --json", "digits", "--json");
    refused("relu --x 1 --json --out y.json", "json", "--out");
    refused("relu --x 1 --pretty --only y --out y.npy", "pretty", ".npy file");
    refused("relu --x 1 --tape --json", "json", "--tape");
    refused("relu --ndjson r.json --json", "json", "--ndjson");
    refused("relu --x 1 --check --json --format tap", "json", "--format tap");
    refused("relu --x 1 --json --steps markdown", "json", "--steps markdown");
    refused("net --init 2,3 --json", "json", "--init");
    refused("net --init 2,3 --only y", "only", "--init");
    refused("gradcheck --layer relu --timeout 3", "timeout", "only with a program");
    refused("gradcheck --layer relu --persistent", "persistent", "only with a program");
    refused("xent --y 0.5,0.5 --t 1 --empty nan", "empty", "--reduction mean");
    refused("softmax-xent --x 1,2 --t 1 --empty zero --reduction sum", "empty", "--reduction mean");
}

#[test]
fn an_option_with_an_effect_is_not_refused() {
    for line in [
        "relu --x 1 --check --format json --json",
        "relu --x 1 --steps --json",
        "relu --x 1 --steps text --pretty",
        "xent --y 0.5,0.5 --t 1 --empty nan --reduction mean",
        "gradcheck --layer relu --precision f32 --rtol 1e-3 --json",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        assert_eq!(nnlayer(&args).status, 0, "{line}\n{}", nnlayer(&args).stderr);
    }
}

#[test]
fn json_and_digits_are_refused_where_a_tape_is_extended() {
    for option in ["--json", "--pretty", "--digits 3"] {
        let ran = shell_in(folder().path(), &format!("nnlayer relu --x 1 --tape | nnlayer tanh {option}"));
        assert!(ran.refusal().contains("cannot be used with a tape"), "{}", ran.stderr);
    }
}

#[test]
fn names_of_other_tools_get_the_name_here() {
    let tip = |line: &str| {
        let args: Vec<&str> = line.split(' ').collect();
        let ran = nnlayer(&args);
        ran.refusal_of(line).lines().find_map(|line| line.strip_prefix("tip: ")).unwrap_or_default().to_owned()
    };
    for (line, here) in [
        ("linear --x 1", "affine"),
        ("dense --x 1", "affine"),
        ("fc", "affine"),
        ("cross-entropy", "softmax-xent"),
        ("cross_entropy", "softmax-xent"),
        ("LayerNorm --x 1", "layernorm"),
        ("layer_norm --x 1", "layernorm"),
        ("leaky_relu --x 1", "leaky-relu"),
        ("Leaky-ReLU --x 1", "leaky-relu"),
        ("KLDivLoss", "kl-div"),
        ("afine --x 1", "affine"),
        ("layernorm --x 1 --gama 1", "--gamma"),
        ("gradcheck --layer LayerNorm", "layernorm"),
        ("CrossEntropyLoss", "softmax-xent"),
        ("ce --x 1", "softmax-xent"),
        ("log-softmax --x 1", "softmax --log"),
        ("log_softmax --x 1", "softmax --log"),
        ("softmax --x 1 --dim 1", "--axis"),
        ("affine --x 1 --bias 2", "--b"),
        ("affine --x 1 --W 2", "--w"),
        ("affine --x 1 --weight 2", "--w"),
        ("affine --input 1", "--x"),
        ("xent --input 1", "--y"),
        ("xent --y 1 --target 1", "--t"),
        ("softmax-xent --x 1 --targets 1", "--t"),
        ("softmax-xent --x 1 --labels 1", "--t"),
        ("softmax-xent --x 1 --class-weights 1", "--weight"),
        ("softmax-xent --logits 1", "--x"),
        ("softmax-xent --label_smoothing 1", "--label-smoothing"),
        ("relu --x 1 --grad-output 1", "--dout"),
        ("relu --x 1 --dtype f32", "--precision"),
        ("train net.json --learning-rate 1", "--lr"),
        ("gradcheck --layer linear", "affine"),
        ("gradcheck --layer log-softmax", "softmax --log"),
    ] {
        assert_eq!(tip(line), format!("did you mean {here}?"), "{line}");
    }
    let error = |line: &str| {
        let args: Vec<&str> = line.split(' ').chain(["--error-format", "json"]).collect();
        let message: serde_json::Value = serde_json::from_str(nnlayer(&args).refusal_of(line)).unwrap();
        (message["error"]["code"].clone(), message["error"]["option"].clone())
    };
    assert_eq!(error("layernorm --x 1 --gama 1"), ("unknown-option".into(), "--gama".into()));
    assert_eq!(error("LayerNorm --x 1"), ("unknown-command".into(), serde_json::Value::Null));
    assert_eq!(error("relu --x 1 --only dw"), ("unknown-result".into(), "--only".into()));
    assert_eq!(tip("rmsnorm --x 1 --zeta 1"), "its operands are x, gamma; `nnlayer help rmsnorm` lists all options");
    // relu has no axis and no weights.
    assert!(!tip("relu --x 1 --dim 1").contains("--axis"));
    assert!(!tip("relu --x 1 --weight 1").contains("--w?"));
    let folder = folder();
    std::fs::write(
        folder.path().join("net.json"),
        r#"{"nnlayer-tape":1,"layers":[{"kind":"linear","params":{"w":[[1]]}}]}"#,
    )
    .unwrap();
    let ran = shell_in(folder.path(), "nnlayer net net.json --x 1");
    assert!(ran.refusal().contains("tip: did you mean affine?"), "{}", ran.stderr);
}

#[test]
fn a_file_of_an_operand_is_replaced_with_a_warning() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    let write = || std::fs::write(folder.path().join("x.json"), "[1,-2]").unwrap();
    write();
    assert_eq!(run("nnlayer relu --x x.json --only y -o y.json").quiet(), "");
    let ran = run("nnlayer relu --x x.json --only y -o ./x.json");
    assert_eq!((ran.status, ran.text()), (0, ""));
    assert!(
        ran.stderr.starts_with("warning: --out ./x.json: replaces the file that x is read from\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("x.json")).unwrap(), "{\"y\":[1.0,0.0]}\n");
    write();
    assert!(run("nnlayer relu --x x.json --only y -o x.json --strict").refusal().contains("replaces"));
    assert_eq!(std::fs::read_to_string(folder.path().join("x.json")).unwrap(), "[1,-2]");
}

#[test]
fn every_command_warns_where_it_replaces_the_file_of_an_input() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    let samples = "[[0,1],[1,0]]";
    let prepare = || {
        run("nnlayer net --init 2,2 --seed 1 --out net.json").quiet();
        std::fs::write(folder.path().join("x.json"), samples).unwrap();
        std::fs::write(folder.path().join("held.json"), samples).unwrap();
        std::fs::write(folder.path().join("t.json"), "[0,1]").unwrap();
        run("nnlayer net net.json --x x.json --t t.json --tape --out tape.json").quiet();
        run("nnlayer affine --x x.json --w '1;1' --only dw --out a.json").quiet();
        run("nnlayer relu --x 1,1 --tape --out chain.json").quiet();
        std::fs::write(folder.path().join("dout.json"), "[1,1]").unwrap();
        std::fs::write(folder.path().join("g.json"), r#"{"affine1":{"dw":[[1,1],[1,1]],"db":[1,1]}}"#).unwrap();
    };
    for (line, input, file) in [
        ("net net.json --x x.json --t t.json", "x", "x.json"),
        ("net net.json --x x.json --t t.json --tape", "the tape or network", "net.json"),
        ("backward tape.json --tape", "the tape or network", "tape.json"),
        ("backward chain.json --dout dout.json", "dout", "dout.json"),
        ("step tape.json --lr 0.1", "the tape or network", "tape.json"),
        ("step net.json --gradients g.json --lr 0.1", "gradients", "g.json"),
        ("sum a.json a.json", "a shard", "a.json"),
        ("train net.json --x x.json --t t.json", "the network", "net.json"),
        ("train net.json --x x.json --t t.json", "t", "t.json"),
        ("train net.json --x x.json --t t.json --held-x held.json --held-t t.json", "held-x", "held.json"),
    ] {
        prepare();
        let before = std::fs::read(folder.path().join(file)).unwrap();
        let message = format!("--out ./{file}: replaces the file that {input} is read from\n");
        // A step has no other warnings.
        if !line.starts_with("step") {
            let strict = run(&format!("nnlayer {line} --out ./{file} --strict"));
            assert!(strict.refusal().starts_with(&format!("error: {message}")), "{line}: {}", strict.stderr);
            assert_eq!(std::fs::read(folder.path().join(file)).unwrap(), before, "{line}");
        }
        let ran = run(&format!("nnlayer {line} --out ./{file}"));
        assert_eq!(ran.status, 0, "{line}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("warning: {message}")), "{line}: {}", ran.stderr);
        prepare();
        let other = run(&format!("nnlayer {line} --out other.json"));
        assert_eq!((other.status, other.stderr.as_str()), (0, ""), "{line}");
    }
    // A training that continues replaces its checkpoint.
    prepare();
    run("nnlayer train net.json --x x.json --t t.json --out saved.json").text();
    let ran = run("nnlayer train saved.json --x x.json --t t.json --epochs 2 --resume --out saved.json");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_json_file_is_indented_on_request() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    assert_eq!(
        run("nnlayer relu --x '1;2' --only y --pretty -o y.json && cat y.json").quiet(),
        run("nnlayer relu --x '1;2' --only y --pretty").quiet()
    );
}
