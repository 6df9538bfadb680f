//! `nnlayer train` and `nnlayer step`, compared with NumPy and on real digits.

use crate::support::{RunOutput, fixture, folder, nnlayer, numbers, shell_in};
use serde_json::Value;
use std::path::Path;

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn train(network: &str, out: &Path, options: &[&str]) -> RunOutput {
    let (x, t) = (fixture("digits/x.npy"), fixture("digits/t.npy"));
    let all = ["train", network, "--x", &x, "--t", &t, "--out", out.to_str().unwrap()];
    nnlayer(&[&all[..], options].concat())
}

/// Compares weights with those of fixtures/train/expected.json, from an independent NumPy script, to 1e-9.
#[track_caller]
fn assert_expected(network: &Value) {
    let expected = read(fixture("train/expected.json"));
    for (layer, key, name) in [(0, "w", "w1"), (0, "b", "b1"), (2, "w", "w2"), (2, "b", "b2")] {
        let (got, want) = (numbers(&network["layers"][layer]["params"][key]), numbers(&expected[name]));
        assert_eq!(got.len(), want.len());
        for (n, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!((got - want).abs() <= 1e-9, "{name} {n}: {got} {want}");
        }
    }
}

#[test]
fn ten_steps_in_file_order_match_numpy() {
    let folder = folder();
    let out = folder.path().join("trained.json");
    let ran = train(&fixture("train/begin.json"), &out, &["--batch", "10", "--lr", "0.1", "--json"]);
    ran.quiet();
    assert_expected(&read(out));
    let expected = read(fixture("train/expected.json"));
    assert!((ran.json()["loss"].as_f64().unwrap() - expected["loss"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(ran.json()["accuracy"], expected["accuracy"]);
}

#[test]
fn ten_steps_of_piped_commands_match_numpy() {
    let folder = folder();
    write_batches(folder.path(), 10);
    std::fs::copy(fixture("train/begin.json"), folder.path().join("net.json")).unwrap();
    let ran = shell_in(
        folder.path(),
        "set -e; for n in 0 1 2 3 4 5 6 7 8 9; do nnlayer net net.json --x x$n.csv --t t$n.csv --tape | nnlayer step --lr 0.1 --out net.json; done",
    );
    ran.quiet();
    assert_expected(&read(folder.path().join("net.json")));
    let json = "nnlayer net net.json --x x0.csv --t t0.csv --json | nnlayer step net.json --gradients - --lr 0.1";
    let tape = "nnlayer net net.json --x x0.csv --t t0.csv --tape | nnlayer step --lr 0.1";
    assert_eq!(shell_in(folder.path(), json).quiet(), shell_in(folder.path(), tape).quiet());
}

/// Writes the hundred digits to files of `size` lines.
fn write_batches(folder: &Path, size: usize) {
    let (x, t) = lines();
    for (file, lines) in [("x", x), ("t", t)] {
        for (n, lines) in lines.chunks(size).enumerate() {
            std::fs::write(folder.join(format!("{file}{n}.csv")), lines.join("\n")).unwrap();
        }
    }
}

/// Returns the hundred digits and their labels, one per line.
fn lines() -> (Vec<String>, Vec<String>) {
    let x = std::fs::read_to_string(fixture("digits/x.csv")).unwrap();
    let t = std::fs::read(fixture("digits/t.npy")).unwrap();
    let labels = t[t.len() - 800..].as_chunks::<8>().0.iter().map(|label| i64::from_le_bytes(*label).to_string());
    (x.lines().map(str::to_owned).collect(), labels.collect())
}

#[test]
fn the_example_of_piped_commands_gives_the_same_bits_as_train() {
    let folder = folder();
    let (x, t) = lines();
    let write =
        |name: &str, lines: &[String]| std::fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
    write("x.csv", &x[..70]);
    write("t.csv", &t[..70]);
    write("held-x.csv", &x[70..]);
    write("held-t.csv", &t[70..]);
    // The example holds out .npy files; here they are tables.
    let script = std::fs::read_to_string(fixture("../examples/digits/pipes.sh")).unwrap();
    assert!(script.lines().count() <= 24);
    std::fs::write(folder.path().join("pipes.sh"), script.replace(".npy", ".csv")).unwrap();
    let ran = shell_in(folder.path(), "EPOCHS=2 sh ./pipes.sh");
    assert!(ran.quiet().lines().all(|line| line.contains("held-accuracy")), "{}", ran.text());
    let line = "nnlayer net --init 64,32,10 --seed 1 --out net.json && nnlayer train net.json --x x.csv --t t.csv --held-x held-x.csv \
                --held-t held-t.csv --epochs 2 --out trained.json --json";
    let trained = shell_in(folder.path(), line);
    let (piped, whole) = (read(folder.path().join("piped.json")), read(folder.path().join("trained.json")));
    for layer in [0, 2] {
        assert_eq!(piped["layers"][layer]["params"], whole["layers"][layer]["params"]);
    }
    let held: Value = serde_json::from_str(trained.quiet().lines().last().unwrap()).unwrap();
    let share: f64 = ran.text().lines().last().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!((100.0 * held["held-accuracy"].as_f64().unwrap() - share).abs() < 1e-3);
}

#[test]
fn training_on_real_digits_reaches_95_percent_accuracy_on_held_out_samples() {
    let folder = folder();
    let (net, out) = (folder.path().join("net.json"), folder.path().join("trained.json"));
    nnlayer(&["net", "--init", "64,32,10", "--seed", "1", "--out", net.to_str().unwrap()]).quiet();
    let part = |name: &str| format!("{}#{name}", fixture("train/digits.npz"));
    let files = [part("x"), part("t"), part("held_x"), part("held_t")];
    let [x, t, held_x, held_t] = files.each_ref().map(String::as_str);
    let (net, out) = (net.to_str().unwrap(), out.to_str().unwrap());
    let options = ["--held-x", held_x, "--held-t", held_t, "--epochs", "20", "--batch", "32", "--lr", "0.1", "--json"];
    let ran = nnlayer(&[&["train", net, "--x", x, "--t", t, "--seed", "1", "--out", out], &options[..]].concat());
    let epochs: Vec<Value> = ran.quiet().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(epochs.len(), 20);
    assert_eq!(epochs[19]["epoch"], 20);
    assert!(epochs[19]["held-accuracy"].as_f64().unwrap() >= 0.95, "{}", epochs[19]);
    assert!(epochs.windows(2).all(|pair| pair[1]["loss"].as_f64() < pair[0]["loss"].as_f64()));
}

#[test]
fn the_rules_of_steps_match_numpy_and_resume_to_the_bit() {
    let expected = read(fixture("train/optimizers.json"));
    for (rule, options) in [
        ("sgd", &["--momentum", "0.9", "--weight-decay", "0.01"][..]),
        ("adam", &["--optimizer", "adam", "--weight-decay", "0.01"]),
        ("adamw", &["--optimizer", "adamw"]),
    ] {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let begin = fixture("train/begin.json");
        let run = |out: &str, more: &[&str]| {
            train(&begin, &path(out), &[&["--batch", "10", "--lr", "0.01"], options, more].concat()).quiet().to_owned()
        };
        let whole = run("whole.json", &["--epochs", "2"]);
        let parts = run("parts.json", &["--epochs", "1"]) + &run("parts.json", &["--epochs", "2", "--resume"]);
        assert_eq!(parts, whole);
        assert_eq!(std::fs::read(path("whole.json")).unwrap(), std::fs::read(path("parts.json")).unwrap());
        let trained = read(path("whole.json"));
        for (layer, key, name) in [(0, "b", "b1"), (2, "w", "w2"), (2, "b", "b2")] {
            let found = numbers(&trained["layers"][layer]["params"][key]);
            for (found, expected) in found.iter().zip(numbers(&expected[rule][name])) {
                assert!((found - expected).abs() <= 1e-9, "{rule} {name}: {found} {expected}");
            }
        }
        let other = train(&begin, &path("parts.json"), &["--batch", "10", "--lr", "0.01", "--resume"]);
        assert!(other.refusal().contains(if rule == "sgd" { "--momentum 0.9" } else { rule }), "{}", other.stderr);
        let afresh = train(path("whole.json").to_str().unwrap(), &path("afresh.json"), &["--batch", "10"]);
        afresh.quiet();
        assert!(read(path("afresh.json"))["layers"][0].get("moments").is_none());
    }
}

#[test]
fn a_layer_whose_gradients_are_all_zero_is_named_once() {
    let folder = folder();
    let (net, out) = (folder.path().join("net.json"), folder.path().join("out.json"));
    // The relu's inputs are all negative.
    let text = "{\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"affine\",\"name\":\"fc1\",\"params\":{\"w\":[[1]],\"b\":[-5]}},\
                {\"kind\":\"relu\"},{\"kind\":\"affine\",\"params\":{\"w\":[[1,2]],\"b\":[0,0]}},{\"kind\":\"softmax-xent\"}]}";
    std::fs::write(&net, text).unwrap();
    let (net, out) = (net.to_str().unwrap(), out.to_str().unwrap());
    let ran = nnlayer(&["train", net, "--x", "1;2", "--t", "0,0", "--epochs", "3", "--out", out]);
    assert_eq!(ran.status, 0);
    let warning = "warning: layer fc1 has stopped learning: all gradients of its parameters were 0 in epoch 1";
    assert_eq!(ran.stderr.lines().filter(|line| line.contains("has stopped")).collect::<Vec<_>>(), [warning]);
}

#[test]
fn stopping_and_resuming_changes_no_bit() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let begin = fixture("train/begin.json");
    let options =
        |epochs: &'static str| ["--batch", "7", "--lr", "0.05", "--seed", "5", "--shuffle", "--epochs", epochs];
    let whole = train(&begin, &path("whole.json"), &options("4"));
    let first = train(&begin, &path("parts.json"), &options("2"));
    let rest = train(&begin, &path("parts.json"), &[&options("4")[..], &["--resume"]].concat());
    assert_eq!(format!("{}{}", first.quiet(), rest.quiet()), whole.quiet());
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    assert_eq!(bytes("whole.json"), bytes("parts.json"));
    assert_eq!(train(&begin, &path("parts.json"), &[&options("4")[..], &["--resume"]].concat()).quiet(), "");
    let ordered =
        train(&begin, &path("ordered.json"), &["--batch", "7", "--lr", "0.05", "--seed", "5", "--epochs", "4"]);
    assert_ne!(ordered.quiet(), whole.text());
    let other = train(&begin, &path("parts.json"), &["--batch", "8", "--resume"]);
    assert!(other.refusal().contains("the checkpoint has --batch 7 --lr 0.05 --seed 5 --shuffle"), "{}", other.stderr);
    let fresh = train(&begin, &path("fresh.json"), &[&options("4")[..], &["--resume"]].concat());
    assert!(fresh.stderr.contains("no checkpoint exists yet"), "{}", fresh.stderr);
    assert_eq!(bytes("whole.json"), bytes("fresh.json"));
    let network = path("begin.json");
    std::fs::copy(&begin, &network).unwrap();
    assert!(train(&begin, &network, &["--resume"]).refusal().contains("is not a checkpoint"));
}

#[test]
fn a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint() {
    let folder = folder();
    let out = folder.path().join("trained.json");
    let begin = fixture("train/begin.json");
    train(&begin, &out, &[]).quiet();
    let before = std::fs::read(&out).unwrap();
    let ran = train(&begin, &out, &["--lr", "1e300"]);
    assert_eq!(ran.status, 2, "{}", ran.text());
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert_eq!(std::fs::read(&out).unwrap(), before);
}

#[test]
fn networks_and_options_that_cannot_be_trained_are_refused() {
    let folder = folder();
    let out = folder.path().join("trained.json");
    let network = |layers: &str| {
        let path = folder.path().join("net.json");
        std::fs::write(&path, format!("{{\"nnlayer-tape\":1,\"layers\":[{layers}]}}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let affine = "{\"kind\":\"affine\",\"params\":{\"w\":[[1,2]]}}";
    let refused = |layers: &str, options: &[&str], part: &str| {
        let ran = train(&network(layers), &out, options);
        assert!(ran.refusal().contains(part), "{}", ran.stderr);
        assert!(!out.exists());
    };
    refused(affine, &[], "it does not end in a loss");
    let loss = format!("{affine},{{\"kind\":\"softmax-xent\"}}");
    refused(&loss, &[], "layer affine1: w: expected 64 rows to match the 64 inputs of x, got 1");
    refused(&loss, &["--x", "1;2"], "--x: cannot be used multiple times");
    refused(&loss, &["--batch", "0"], "expected an integer from 1 to 2⁵³ − 1, got \"0\"");
    refused(&loss, &["--lr", "nan"], "expected a non-negative number, got \"nan\"");
    let held = train(&fixture("train/begin.json"), &out, &["--held-x", "1,2", "--held-t", "1"]);
    assert!(held.refusal().contains("--held-x: must have at least two axes and one row"), "{}", held.stderr);
    refused(
        &format!("{affine},{{\"kind\":\"softmax-xent\",\"settings\":{{\"reduction\":\"none\"}}}}"),
        &[],
        "its loss is one number per row",
    );
    let begin = fixture("train/begin.json");
    let args = ["train", &begin, "--x", "1;2;3", "--t", "0,1", "--out", out.to_str().unwrap()];
    assert!(nnlayer(&args).refusal().contains("one target for each of the 3 rows of x, got (2)"));
    let args = ["train", &begin, "--x", "1;2", "--t", "0,1", "--out", "trained.npz"];
    assert!(nnlayer(&args).refusal().contains("cannot hold a tape or network"));
}

#[test]
fn a_reduction_sum_in_the_network_is_respected() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    let net = |reduction: &str| {
        let text = format!(
            "{{\"nnlayer-tape\":1,\"layers\":[{{\"kind\":\"affine\",\"params\":{{\"w\":[[0,0]]}}}},{{\"kind\":\"softmax-xent\"{reduction}}}]}}"
        );
        std::fs::write(folder.path().join("net.json"), text).unwrap();
        run("nnlayer train net.json --x '1;1' --t 0,0 --lr 1 --out out.json").quiet();
        numbers(&read(folder.path().join("out.json"))["layers"][0]["params"]["w"])
    };
    // Each of the two rows has the gradient (−1/2, 1/2).
    assert_eq!(net(""), [0.5, -0.5]);
    assert_eq!(net(",\"settings\":{\"reduction\":\"sum\"}"), [1.0, -1.0]);
}

#[test]
fn a_step_needs_gradients_and_a_scalar_bias_becomes_a_row() {
    let run = |line: &str| shell_in(folder().path(), line);
    let chain = "nnlayer affine --x '1,2' --w '1,2;3,4' --b 1 --tape";
    assert!(run(&format!("{chain} | nnlayer step --lr 0.1")).refusal().contains("layer affine1 has no gradients"));
    let json = run(&format!("{chain} | nnlayer backward --tape | nnlayer step --lr 0.5")).json();
    assert_eq!(numbers(&json["layers"][0]["params"]["b"]), [0.5, 0.5]);
    assert_eq!(numbers(&json["layers"][0]["params"]["w"]), [0.5, 1.5, 2.0, 3.0]);
    assert!(json["layers"][0].get("inputs").is_none());
}

#[test]
fn dropout_draws_a_mask_for_each_batch_in_training_and_is_the_identity_elsewhere() {
    let folder = folder();
    let net = folder.path().join("net.json");
    let text = "{\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"dropout\",\"name\":\"d\"},{\"kind\":\"mse\",\"settings\":{\"reduction\":\"sum\"}}]}";
    std::fs::write(&net, text).unwrap();
    let run = |more: &[&str]| {
        let args = ["net", net.to_str().unwrap(), "--x", "1,2,3,4;5,6,7,8", "--t", "0,0,0,0;0,0,0,0", "--json"];
        numbers(&nnlayer(&[&args[..], more].concat()).json()["d"]["y"])
    };
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    assert_eq!(run(&[]), x);
    assert_eq!(run(&["--training"]), run(&["--training", "--seed", "0"]));
    assert_ne!(run(&["--training"]), run(&["--training", "--seed", "1"]));
    assert!(run(&["--training"]).iter().zip(x).all(|(&y, x)| y == 0.0 || y == 2.0 * x));
}

#[test]
fn the_worked_example_of_courses_has_the_published_numbers() {
    // Matt Mazur, A Step by Step Backpropagation Example, 2015, with the digits that the page gives.
    let net = fixture("train/two_two_two.json");
    let operands = ["--x", "0.05,0.10", "--t", "0.01,0.99", "--dout", "0.5"];
    let run = nnlayer(&[&["net", &net], &operands[..], &["--json"]].concat()).json();
    let close = |found: &[f64], published: &[f64]| {
        assert_eq!(found.len(), published.len());
        found.iter().zip(published).for_each(|(a, b)| assert!((a - b).abs() < 1e-8, "{found:?} {published:?}"));
    };
    close(&numbers(&run["h"]["y"]), &[0.593269992, 0.596884378]);
    close(&numbers(&run["o"]["y"]), &[0.751365070, 0.772928465]);
    close(&[run["E"]["loss"].as_f64().unwrap() / 2.0], &[0.298371109]);
    close(&[numbers(&run["output"]["dw"])[0], numbers(&run["hidden"]["dw"])[0]], &[0.082167041, 0.000438568]);
    let step = format!("nnlayer net {net} {} --tape | nnlayer step --lr 0.5", operands.join(" "));
    let stepped: Value = serde_json::from_str(shell_in(folder().path(), &step).quiet()).unwrap();
    let w = |layer: usize| numbers(&stepped["layers"][layer]["params"]["w"]);
    close(&w(2), &[0.35891648, 0.511301270, 0.408666186, 0.561370121]);
    close(&w(0), &[0.149780716, 0.24975114, 0.19956143, 0.29950229]);
}

#[test]
fn batchnorm_updates_its_running_statistics_in_training_and_uses_them_elsewhere() {
    let folder = folder();
    let (net, out) = (folder.path().join("net.json"), folder.path().join("out.json"));
    let made = nnlayer(&["net", "--init", "batchnorm name=bn, mse", "--input", "1", "--out", net.to_str().unwrap()]);
    made.quiet();
    let params = |file: &Path, name: &str| numbers(&read(file)["layers"][0]["params"][name]);
    let (network, trained) = (net.to_str().unwrap(), out.to_str().unwrap());
    // One batch with the mean 2 and the variance 2/3, or 1 without bias; the momentum is 0.1.
    let options = ["--x", "1;2;3", "--t", "0;0;0", "--lr", "0", "--out", trained];
    nnlayer(&[&["train", network], &options[..]].concat()).quiet();
    assert_eq!(params(&out, "running-mean"), [0.2]);
    assert_eq!(params(&out, "running-var"), [1.0]);
    let y = |file: &str, more: &[&str]| {
        numbers(&nnlayer(&[&["net", file, "--x", "1;2;3", "--t", "0;0;0", "--json"], more].concat()).json()["bn"]["y"])
    };
    // Before training the statistics are 0 and 1, and eps is 1e-5.
    let deviation = 1.00001_f64.sqrt();
    for (file, mean) in [(network, 0.0), (trained, 0.2)] {
        let expected = [1.0, 2.0, 3.0].map(|x| (x - mean) / deviation);
        assert!(y(file, &[]).iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-14), "{:?}", y(file, &[]));
    }
    let of_batch = y(trained, &["--training"]);
    assert!((of_batch[0] + of_batch[2]).abs() < 1e-15 && of_batch[1] == 0.0);
    let text = "{\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"batchnorm\",\"name\":\"bn\"}]}";
    std::fs::write(&net, text).unwrap();
    assert!(nnlayer(&["net", network, "--x", "1;2"]).refusal().contains("nnlayer net --training"));
}
