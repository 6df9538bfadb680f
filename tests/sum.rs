//! `nnlayer sum`: shards are added exactly, in any order.

use crate::support::{RunOutput, fixture, folder, nnlayer, numbers, piped, shape, shell, shell_in, ulps};
use serde_json::{Value, json};

fn stream(shards: &[Value]) -> String {
    shards.iter().map(|shard| format!("{shard}\n")).collect()
}

fn summed(shards: &[Value]) -> RunOutput {
    piped(stream(shards), &["sum", "--json"])
}

/// Returns the shards in another order.
fn reordered(shards: &[Value], shift: usize) -> Vec<Value> {
    let mut other = shards.to_vec();
    other.rotate_left(shift % shards.len());
    if shift % 2 == 1 {
        other.reverse();
    }
    other
}

#[test]
fn sums_equal_those_of_exact_fractions_in_any_order() {
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(fixture("sum/cases.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 8);
    for case in &cases {
        let shards = case["shards"].as_array().unwrap();
        let first = summed(shards).json();
        for (name, want) in case["expected"].as_object().unwrap() {
            assert_eq!(shape(&first[name]), shape(want), "{}: {name}", case["name"]);
            for (got, want) in numbers(&first[name]).into_iter().zip(numbers(want)) {
                assert_eq!(ulps(got, want), 0, "{}: {name}: {got} is not {want}", case["name"]);
            }
        }
        assert_eq!(first.as_object().unwrap().len(), case["expected"].as_object().unwrap().len());
        for shift in 1..8 {
            assert_eq!(summed(&reordered(shards, shift)).json(), first, "{}", case["name"]);
        }
    }
}

#[test]
fn the_sum_of_the_shards_of_a_batch_is_the_gradient_of_the_batch() {
    let line = |rows: &str| {
        format!("nnlayer affine --x '{rows}' --w '1,-2,0.5;3,0.25,-1' --b 1,2,3 --tape | nnlayer softmax-xent --t")
    };
    let rows = ["1,2;-3,0.5", "0.125,4", "2,-2;1,1;0,3"];
    let targets = ["0,2", "[1]", "1,1,0"];
    let folder = folder();
    for reduction in ["sum", "mean"] {
        let run = |rows: &str, targets: &str| {
            let rows = if rows.contains(';') { rows.to_owned() } else { format!("{rows};") };
            let chain = format!("{} {targets} --reduction {reduction}", line(&rows));
            let gradients = shell(&format!("{chain} | nnlayer backward --json")).json();
            let tape = shell(&chain).json();
            let outputs = &tape["layers"][1]["outputs"];
            let mut own = json!({"loss": outputs["loss"]});
            if reduction == "mean" {
                own["divisor"] = outputs["divisor"].clone();
            }
            json!({"affine1": gradients["affine1"], "softmax-xent1": own})
        };
        let shards: Vec<Value> = rows.iter().zip(targets).map(|(rows, targets)| run(rows, targets)).collect();
        let names = ["a.json", "b.json", "c.json"];
        for (name, shard) in names.iter().zip(&shards) {
            std::fs::write(folder.path().join(name), serde_json::to_string_pretty(shard).unwrap()).unwrap();
        }
        let total = shell_in(folder.path(), "nnlayer sum a.json b.json c.json --json");
        let (total, whole) = (total.json(), run(&rows.join(";"), "0,2,1,1,1,0"));
        for (layer, name) in [("affine1", "dw"), ("affine1", "db"), ("softmax-xent1", "loss")] {
            let pairs = numbers(&total[layer][name]).into_iter().zip(numbers(&whole[layer][name]));
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() <= 14.0 * f64::EPSILON),
                "{layer} {name} {total} {whole}"
            );
        }
        assert_eq!(total["softmax-xent1"].get("divisor"), whole["softmax-xent1"].get("divisor"));
        let other = shell_in(folder.path(), "nnlayer sum c.json a.json b.json --json");
        assert_eq!(other.json(), total);
    }
}

#[test]
fn a_stream_of_records_is_summed_line_by_line() {
    let records: String = (0..500).map(|n| format!("{{\"id\":{n},\"x\":[{n},1],\"t\":{}}}\n", n % 2)).collect();
    let losses = piped(&records, &["softmax-xent", "--ndjson", "--reduction", "mean", "--only", "loss,divisor"]);
    let total = piped(losses.quiet(), &["sum", "--json"]).json();
    assert_eq!(total["divisor"], 500.0);
    assert!(total.get("id").is_none());
    let plain = piped(&records, &["softmax-xent", "--ndjson", "--only", "loss"]);
    let sum = piped(plain.quiet(), &["sum", "--json"]).json()["loss"].as_f64().unwrap();
    assert!((total["loss"].as_f64().unwrap() * 500.0 - sum).abs() <= 1e-10 * sum);
    let losses: Vec<f64> = plain
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64().unwrap())
        .collect();
    assert!((losses.iter().sum::<f64>() - sum).abs() <= 1e-10 * sum);
}

#[test]
fn a_per_row_loss_is_summed_over_all_rows() {
    let shards = [json!({"loss": [1.0, 2.0], "dw": [[1.0]]}), json!({"loss": [4.0], "dw": [[2.0]]})];
    assert_eq!(summed(&shards).json(), json!({"loss": 7.0, "dw": [[3.0]]}));
}

#[test]
fn per_row_results_are_left_out_with_a_note() {
    let shards = [json!({"y": [1], "loss": 1, "dx": [1], "name": "a"}), json!({"y": [1, 2], "loss": 2, "dx": [1, 2]})];
    let ran = summed(&shards);
    assert_eq!(ran.text(), "{\"loss\":3.0}\n");
    assert!(ran.stderr.starts_with("note: dx, y are not summed: each row has its own"), "{}", ran.stderr);
    let chosen = piped(
        stream(&[json!({"rows": 3, "dx": [1, 2], "loss": 1}), json!({"rows": 4, "dx": [3, 4], "loss": 1})]),
        &["sum", "--only", "rows,dx", "--json"],
    );
    assert_eq!(chosen.quiet(), "{\"dx\":[4.0,6.0],\"rows\":7.0}\n");
}

#[test]
fn archives_and_files_are_read_as_shards_and_sums_are_written_like_results() {
    let folder = folder();
    let script = "nnlayer affine --x '1,2;3,4' --w '1;1' --b 0 --out a.npz && nnlayer affine --x '5,6;' --w '1;1' --b 0 --json > b.json && \
                  nnlayer sum a.npz b.json --out total.npz && nnlayer affine --x '1,2;3,4;5,6' --w '1;1' --b 0 --only dw,db --json && \
                  nnlayer sum total.npz --json; cp b.json 1; nnlayer sum @1 --only db; nnlayer sum b.json b.json --only dw --json | nnlayer compare - '10;12'";
    let ran = shell_in(folder.path(), script);
    let lines: Vec<&str> = ran.text().lines().collect();
    assert_eq!(lines[0], "{\"dw\":[[9.0],[12.0]],\"db\":[3.0]}");
    assert_eq!(lines[1], lines[0]);
    assert_eq!(lines[2..4], ["db = Σ of 1 shard  (1)", "[1]"]);
    assert!(lines[4].starts_with("PASS"), "{}", ran.text());
    assert!(
        shell_in(folder.path(), "echo '{\"a\":{\"dw\":[1]}}' > n.json; nnlayer sum n.json#/a --json")
            .text()
            .contains("{\"dw\":[1.0]}")
    );
}

#[test]
fn incompatible_shards_are_refused_by_name() {
    for (shards, words) in [
        (
            vec![json!({"dw": [[1, 2]]}), json!({"dw": [[1], [2]]})],
            "standard input:2: dw has shape (2×1), but shape (1×2) in standard input:1",
        ),
        (
            vec![json!({"dw": [1], "db": [1]}), json!({"dw": [1]})],
            "standard input:2: has no db, but standard input:1 does",
        ),
        (
            vec![json!({"dw": [1]}), json!({"dw": [1], "db": [1]})],
            "standard input:2: has db, but standard input:1 does not",
        ),
        (
            vec![json!({"loss": 1, "divisor": 2}), json!({"loss": 1})],
            "standard input:2: has no divisor, but standard input:1 does",
        ),
        (
            vec![json!({"loss": 1}), json!({"loss": 1, "divisor": 2})],
            "standard input:2: has a divisor, but standard input:1 does not",
        ),
        (vec![json!({"y": [1]})], "standard input:1: has no results to sum"),
        (vec![json!([1])], "standard input:1:1: expected an object with results by name"),
        (
            vec![json!({"loss": 1}), json!({"error": {}, "line": 2})],
            "standard input:2:1: expected results, got an error",
        ),
        (vec![json!({"nnlayer-tape": 1, "layers": []})], "standard input:1:1: expected results, got a tape"),
        (vec![json!({"loss": 0, "divisor": 0})], "nothing to average"),
    ] {
        let ran = summed(&shards);
        assert!(ran.refusal().contains(words), "{words}\n{}", ran.stderr);
        assert!(ran.stderr.contains("tip: "), "{}", ran.stderr);
    }
    assert!(piped("{\"loss\":1}\n{\"loss\":\n", &["sum"]).refusal().starts_with("error: standard input:2:9"));
    assert!(piped("\n", &["sum"]).refusal().contains("is empty"));
    assert!(nnlayer(&["sum"]).refusal().contains("terminal"));
    assert!(nnlayer(&["sum", "1,2"]).refusal().contains("expected the file of a shard, got \"1,2\""));
    assert!(nnlayer(&["sum", "absent.json"]).refusal().contains("absent.json"));
}

#[test]
fn a_shard_without_rows_adds_nothing() {
    let shards = [json!({"loss": "NaN", "divisor": 0, "dw": ["NaN"]}), json!({"loss": 2, "divisor": 3, "dw": [6]})];
    assert_eq!(summed(&shards).json(), json!({"loss": 2.0, "divisor": 3.0, "dw": [6.0]}));
}
