//! Record streams: `--ndjson` on every layer command.

use crate::losses;
use crate::support::{RunOutput, folder, nnlayer, piped, shell, shell_in};
use crate::windows;
use nnlayer::layer::LAYERS;
use serde_json::{Value, json};
use std::fmt::Write;

/// Returns records with an id, for a layer with three classes.
pub fn records(layer: &str, count: usize) -> String {
    let mut random = 1_u64;
    let mut number = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((random >> 40) as u32) / 1e6 - 5.0
    };
    let mut text = String::new();
    for n in 0..count {
        let row = [number(), number(), number()];
        let share: f64 = row.iter().map(|v| v.abs()).sum();
        let y = row.map(|v| v.abs() / share);
        // The keys have the order of the records that other tests compare with these.
        let record = match layer {
            "xent" => format!("\"y\":{},\"t\":{}", json!(y), n % 3),
            "attention" => format!("\"q\":[{}]", json!(row)),
            "embedding" => format!("\"ids\":[{},2,1]", n % 3),
            "rope" => format!("\"x\":[{},{}]", json!(row[..2]), json!(row[1..])),
            "add" | "mul" | "matmul" | "concat" => format!("\"x1\":{},\"x2\":{}", json!(row), json!(y)),
            "glu" => format!("\"x\":{},\"gate\":{}", json!(row), json!(y)),
            "bce" => format!("\"y\":{},\"t\":[0,1,0.5]", json!(y)),
            loss if losses::LAYERS.contains(&loss) => format!("\"x\":{},\"t\":[0,1,0.5]", json!(row)),
            "softmax-xent" | "nll" => format!("\"x\":{},\"t\":{}", json!(row), n % 3),
            line if line.ends_with("1d") => format!("\"x\":{}", json!([row])),
            plane if plane.ends_with("2d") => format!("\"x\":{}", json!([[row, y]])),
            _ => format!("\"x\":{}", json!(row)),
        };
        writeln!(text, "{{\"id\":{n},{record}}}").unwrap();
    }
    text
}

/// Returns the options that a layer needs in addition to its records.
fn options(layer: &str) -> &'static [&'static str] {
    match layer {
        "affine" => &["--w", "1,2,-1;0.5,0,3;-1,1,1", "--b", "1,2,3"],
        "attention" => &["--k", "1,2,-1;0.5,0,3", "--v", "1;2"],
        "embedding" => &["--w", "1,2;3,4;5,6"],
        "prelu" => &["--a", "0.25"],
        "conv1d" => &["--w", "[[[1,-2]]]"],
        "conv2d" => &["--w", "[[[[1,-2],[0.5,3]]]]", "--b", "1"],
        _ => &[],
    }
}

fn stream(layer: &str, text: impl AsRef<[u8]>, more: &[&str]) -> RunOutput {
    piped(text, &[&[layer, "--ndjson"], options(layer), more].concat())
}

fn lines(ran: &RunOutput) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_record_gives_the_same_results_as_the_object_alone() {
    for layer in LAYERS.iter().map(|spec| spec.name) {
        for more in [&[][..], &["--forward"], &["--precision", "f32"]] {
            let text = records(layer, 20);
            let all = stream(layer, &text, more);
            for (record, line) in text.lines().zip(all.quiet().lines()) {
                let alone = piped(record, &[&[layer, "--json"], options(layer), more].concat());
                let rest = alone.quiet().trim_end().strip_prefix('{').unwrap().to_owned();
                let id = serde_json::from_str::<Value>(record).unwrap()["id"].clone();
                assert_eq!(line, format!("{{\"id\":{id},{rest}"));
            }
            assert_eq!(all.text().lines().count(), 20);
        }
    }
}

#[test]
fn order_and_bytes_are_the_same_for_any_number_of_threads() {
    let text = records("softmax-xent", 12_000);
    assert!(text.len() > 600_000, "several chunks");
    let one = stream("softmax-xent", &text, &["--threads", "1"]);
    let ids: Vec<_> = lines(&one).iter().map(|line| line["id"].as_u64().unwrap()).collect();
    assert!(ids.iter().copied().eq(0..12_000));
    for threads in ["2", "3", "8"] {
        assert_eq!(stream("softmax-xent", &text, &["--threads", threads]).stdout, one.stdout, "{threads}");
    }
    assert_eq!(stream("softmax-xent", &text, &["--unbuffered"]).stdout, one.stdout);
}

#[test]
fn a_bad_line_stops_the_stream_with_its_place_and_keeps_earlier_results() {
    let mut text = records("softmax-xent", 9_000);
    text.push_str("{\"id\":9000,\"x\":[1,null,3],\"t\":0}\n");
    text.push_str(&records("softmax-xent", 9_000));
    for threads in ["1", "4"] {
        let ran = stream("softmax-xent", &text, &["--threads", threads]);
        assert_eq!((ran.status, lines(&ran).len()), (2, 9_000));
        assert_eq!(
            ran.stderr.lines().next().unwrap(),
            "error: --x standard input:9001:19 (/x/1): null is not a number"
        );
    }
}

#[test]
fn keep_going_writes_an_error_in_place_of_a_bad_record() {
    let text = "{\"x\":[0,0]}\n{broken\n\n{\"x\":[1]}\n{\"x\":[0,1,\"a\"]}\n{\"x\":[3,3]}\n";
    let ran = stream("softmax", text, &["--keep-going", "--only", "y"]);
    assert_eq!(ran.status, 1);
    let lines = lines(&ran);
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], json!({"y": [0.5, 0.5]}));
    assert_eq!((&lines[1]["line"], &lines[1]["error"]["code"]), (&json!(2), &json!("json-syntax")));
    assert_eq!(lines[2], json!({"y": [1.0]}));
    assert_eq!((&lines[3]["line"], &lines[3]["error"]["code"]), (&json!(5), &json!("not-a-number")));
    assert_eq!(lines[3]["error"]["pointer"], "/x/2");
    assert_eq!(lines[4], json!({"y": [0.5, 0.5]}));
    assert!(ran.stderr.contains("2 errors written in place of results"), "{}", ran.stderr);
}

#[test]
fn a_record_that_does_not_match_an_option_is_reported_with_its_line() {
    let text = "{\"x\":[1,2,3]}\n{\"x\":[1,2]}\n";
    let ran = stream("affine", text, &[]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.starts_with("error: standard input:2: --w: expected 2 rows to match the 2 inputs of x, got 3"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("x is (2), from standard input:2"), "{}", ran.stderr);
    let going = lines(&stream("affine", text, &["--keep-going"]));
    assert_eq!((&going[1]["error"]["line"], &going[1]["error"]["option"]), (&json!(2), &json!("--w")));
}

#[test]
fn other_keys_are_copied_first_byte_for_byte() {
    let text = "{\"who\" : \"\\u00e9\" , \"x\":[1,2], \"n\":1.50e1, \"deep\":{\"a\": [ 1 ,null]},\"y\":7}\n";
    let ran = stream("relu", text, &["--forward"]);
    assert_eq!(ran.quiet(), "{\"who\":\"\\u00e9\",\"n\":1.50e1,\"deep\":{\"a\": [ 1 ,null]},\"y\":[1.0,2.0]}\n");
}

#[test]
fn keys_with_the_names_of_results_are_not_copied() {
    let text = "{\"x\":[1,2],\"dx\":[9,9],\"loss\":4,\"divisor\":3,\"t\":1}\n";
    let ran = stream("softmax-xent", text, &["--only", "loss"]);
    assert_eq!(lines(&ran)[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["loss"]);
    assert_ne!(lines(&ran)[0]["loss"], 4);
    assert_eq!(lines(&stream("relu", text, &["--forward"]))[0]["loss"], 4);
}

#[test]
fn layers_pipe_record_by_record() {
    let text = records("softmax-xent", 50);
    let first = stream("affine", &text, &["--forward"]);
    let chained = stream("softmax-xent", first.quiet(), &["--only", "loss,dx"]);
    for (record, line) in text.lines().zip(chained.quiet().lines()) {
        let y = piped(record, &[&["affine", "--json", "--only", "y"], options("affine")].concat());
        let t = serde_json::from_str::<Value>(record).unwrap()["t"].to_string();
        let alone = piped(y.quiet(), &["softmax-xent", "--t", &t, "--only", "loss,dx", "--json"]);
        let id = serde_json::from_str::<Value>(record).unwrap()["id"].clone();
        assert_eq!(line, format!("{{\"id\":{id},{}", alone.quiet().trim_end().strip_prefix('{').unwrap()));
    }
}

#[test]
fn options_select_other_keys_and_values_inside_them() {
    let text = "{\"pixels\":[1,2],\"up\":{\"g\":[5,6]}}\n";
    let ran = stream("relu", text, &["--x", "-#pixels", "--dout", "-#/up/g"]);
    assert_eq!(ran.quiet(), "{\"up\":{\"g\":[5,6]},\"y\":[1.0,2.0],\"dx\":[5.0,6.0]}\n");
    let missing = stream("relu", "{\"x\":[1]}\n", &["--dout", "-#/dx"]);
    assert!(missing.stderr.contains("standard input:1"), "{}", missing.stderr);
    let twice = stream("relu", "{\"x\":[1,-1]}\n", &["--dout", "-#/x"]);
    assert_eq!(lines(&twice)[0], json!({"y": [1.0, 0.0], "dx": [1.0, 0.0]}));
}

#[test]
fn records_may_be_single_arrays_batches_and_have_settings() {
    assert_eq!(stream("softmax", "[0,0]\n1\n", &["--forward"]).quiet(), "{\"y\":[0.5,0.5]}\n{\"y\":1.0}\n");
    let bare = stream("softmax-xent", "[0,0]\n", &[]);
    assert!(bare.stderr.contains("standard input:1"), "{}", bare.stderr);
    let text = "{\"x\":[[0,0],[0,0]],\"t\":[0,1],\"reduction\":\"mean\"}\n{\"x\":[0,0],\"t\":0}\n{\"x\":[0,0],\"t\":0,\"reduction\":\"men\"}\n";
    let ran = stream("softmax-xent", text, &["--only", "loss"]);
    let losses: Vec<_> = lines(&ran).iter().map(|line| line["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses, [2_f64.ln(); 2]);
    assert!(ran.stderr.starts_with("error: --reduction standard input:3:"), "{}", ran.stderr);
}

#[test]
fn an_operand_of_one_record_is_not_used_for_the_next() {
    let text = "{\"x\":[1,2],\"w\":[[1],[1]],\"b\":10}\n{\"x\":[1,2],\"w\":[[1],[1]]}\n{\"x\":[1,2]}\n";
    let ran = piped(text, &["affine", "--ndjson", "--forward"]);
    assert_eq!(ran.text(), "{\"y\":[13.0]}\n{\"y\":[3.0]}\n");
    assert!(ran.stderr.starts_with("error: --w standard input:3:1: the record has no key `w`"), "{}", ran.stderr);
}

#[test]
fn line_ends_byte_order_marks_and_blank_lines_are_accepted() {
    let text = "\u{feff}{\"x\":[0,0]}\r\n\r\n  \n[1]\r\n[2]";
    for more in [&["--forward"][..], &["--forward", "--unbuffered"]] {
        assert_eq!(stream("softmax", text, more).quiet(), "{\"y\":[0.5,0.5]}\n{\"y\":[1.0]}\n{\"y\":[1.0]}\n");
    }
    assert_eq!(stream("softmax", "", &[]).quiet(), "");
    assert_eq!(stream("softmax", "\n\n", &[]).quiet(), "");
    assert_eq!(stream("softmax", "[1]\n[2", &["--forward"]).text(), "{\"y\":[1.0]}\n");
}

#[test]
fn a_line_longer_than_a_chunk_is_one_record() {
    let text = format!("[{}0]\n[0]\n", "0,".repeat(1 << 20));
    let ran = stream("relu", text, &["--forward", "--threads", "2"]);
    let lengths: Vec<_> = lines(&ran).iter().map(|line| line["y"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [(1 << 20) + 1, 1]);
}

#[test]
fn a_repeated_warning_is_reported_once_with_its_line_and_counted() {
    let mut text = records("xent", 20_000);
    for _ in 0..20_000 {
        text.push_str("{\"y\":[0.5,0.6],\"t\":[1,0]}\n");
    }
    for threads in ["1", "3"] {
        let ran = stream("xent", &text, &["--threads", threads, "--only", "loss"]);
        assert_eq!((ran.status, lines(&ran).len()), (0, 40_000));
        let said: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with("tip: ")).collect();
        assert_eq!(said.len(), 2, "{}", ran.stderr);
        assert!(said[0].starts_with("warning: --y standard input:20001:6 (/y): "), "{}", said[0]);
        assert_eq!(said[1], "note: --y standard input: 19999 more records have the warning probability-sum");
    }
    let strict = stream("xent", &text, &["--strict"]);
    assert_eq!((strict.status, lines(&strict).len()), (2, 20_000));
    assert!(strict.stderr.starts_with("error: --y standard input:20001"), "{}", strict.stderr);
}

#[test]
fn a_key_similar_to_an_operand_causes_a_warning() {
    let text = "{\"x\":[1,2],\"t\":0,\"wieght\":[1,2]}\n";
    let ran = stream("softmax-xent", text, &["--only", "loss"]);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.contains("unknown key `wieght`; did you mean `weight`?"), "{}", ran.stderr);
}

#[test]
fn options_that_do_not_apply_to_records_are_refused_before_the_first() {
    for more in [
        &["--check"][..],
        &["--expect", "a.json"],
        &["--tape"],
        &["--pretty"],
        &["--out", "a.json"],
        &["--in-format", "csv"],
        &["--dout", "1"],
        &["--only", "z"],
        &["--no-stdin"],
        &["--w-layout", "in-in"],
    ] {
        let ran = stream("affine", "{\"x\":[1,2,3]}\n", more);
        assert!(ran.refusal().contains("tip: "), "{more:?}: {}", ran.stderr);
    }
    assert!(nnlayer(&["softmax", "--ndjson"]).refusal().contains("terminal"));
    assert!(piped("", &["softmax", "--x", "1", "--keep-going"]).refusal().contains("--ndjson"));
}

#[test]
fn records_can_be_read_from_a_file() {
    let folder = folder();
    std::fs::write(folder.path().join("r.ndjson"), "{\"x\":[0,0]}\n{\"x\":[}\n").unwrap();
    let ran = shell_in(folder.path(), "nnlayer softmax --ndjson r.ndjson --forward");
    assert_eq!((ran.status, ran.text()), (2, "{\"y\":[0.5,0.5]}\n"));
    assert!(ran.stderr.starts_with("error: r.ndjson:2:7"), "{}", ran.stderr);
    assert!(shell_in(folder.path(), "nnlayer softmax --ndjson absent.ndjson").refusal().contains("absent.ndjson"));
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_a_stream_quietly() {
    let ran = shell("(yes '{\"x\":[1,2]}' | nnlayer softmax --ndjson; echo $? >&2) | head -n 1");
    assert_eq!(ran.text(), "{\"y\":[0.2689414213699951,0.7310585786300049],\"dx\":[0.0,0.0]}\n");
    assert_eq!(ran.stderr, "141\n");
}

#[test]
#[cfg(unix)]
fn unbuffered_results_come_before_the_next_record_is_read() {
    let ran = shell(
        "mkfifo ${TMPDIR:-/tmp}/nnlayer-in.$$ && (nnlayer softmax --ndjson --unbuffered --forward < ${TMPDIR:-/tmp}/nnlayer-in.$$ | (read line; echo \"first $line\"; : > ${TMPDIR:-/tmp}/nnlayer-seen.$$; cat) & \
         exec 3> ${TMPDIR:-/tmp}/nnlayer-in.$$; echo '[1]' >&3; n=0; while [ ! -e ${TMPDIR:-/tmp}/nnlayer-seen.$$ ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; \
         [ $n -lt 100 ] && echo seen; echo '[2]' >&3; exec 3>&-; wait; rm ${TMPDIR:-/tmp}/nnlayer-in.$$ ${TMPDIR:-/tmp}/nnlayer-seen.$$)",
    );
    assert_eq!(ran.quiet(), "first {\"y\":[1.0]}\nseen\n{\"y\":[1.0]}\n");
}

/// Computes records one by one: each is answered before the next is read, so there are no batches.
fn one_by_one(layer: &str, text: &str, more: &[&str]) -> RunOutput {
    stream(layer, text, &[more, &["--unbuffered"]].concat())
}

#[test]
fn records_computed_as_a_batch_give_the_same_bytes_as_one_by_one() {
    // The layers of windows are computed by the same code.
    let is_tried = |layer: &&str| !windows::LAYERS.contains(layer) || ["conv1d", "maxpool2d"].contains(layer);
    for (n, layer) in LAYERS.iter().map(|spec| spec.name).filter(is_tried).enumerate() {
        let text = records(layer, 50);
        let output = if LAYERS.iter().any(|spec| spec.name == layer && spec.is_loss()) { "2" } else { "[1,-2,0.5]" };
        let with_dout = text.replace("\"id\"", &format!("\"dout\":{output},\"id\""));
        let dense = text.replace("\"t\":", "\"t\":[0.25,0.25,0.5],\"class\":");
        let twice = text.replace("\"x\":[", "\"y\":[1,2,3],\"x\":[");
        let one_wide = text.replace(",\"x\":[", ",\"x\":[1],\"rest\":[");
        let texts = [&text, &with_dout, &dense, &twice, &one_wide, &text.replace("\"x\"", "\"y\"")];
        let result = if layer == "xent" { "loss,dy" } else { "dx" };
        let options = [&[][..], &["--forward"], &["--only", result], &["--precision", "f32"], &["--dout", "-#dout"]];
        // A third of the combinations for a layer, all of them for three layers.
        let combinations = (0..texts.len()).flat_map(|text| (0..options.len()).map(move |more| (text, more)));
        for (text, more) in combinations.filter(|(text, more)| (n + text + more) % 3 == 0) {
            let (text, more) = (texts[text], [options[more], &["--keep-going"]].concat());
            let alone = one_by_one(layer, text, &more);
            for threads in ["1", "3"] {
                let all = stream(layer, text, &[&more[..], &["--threads", threads]].concat());
                assert!(all.stdout == alone.stdout, "{layer} {more:?}: {:.200}", text);
                assert_eq!((all.status, &all.stderr), (alone.status, &alone.stderr), "{layer} {more:?}");
            }
        }
    }
}

#[test]
fn settings_that_combine_rows_do_not_combine_records() {
    let text = records("softmax-xent", 50);
    let dense = text.replace("\"t\"", "\"class\"");
    for (layer, text, more) in [
        ("softmax", &text, &["--axis", "0"][..]),
        ("softmax", &text, &["--axis", "-1", "--log"]),
        ("softmax-xent", &text, &["--reduction", "mean"]),
        ("softmax-xent", &text, &["--reduction", "mean", "--empty", "zero"]),
        ("softmax-xent", &text, &["--reduction", "none"]),
        ("softmax-xent", &text, &["--weight", "1,2,3", "--label-smoothing", "0.1", "--ignore-index", "1"]),
        ("softmax-xent", &dense, &["--t", "0,0,1"]),
        ("softmax-xent", &dense, &["--t", "1"]),
        ("relu", &text, &["--dout", "1,2,3"]),
        ("affine", &text, &["--only", "y,dx"]),
        ("affine", &text, &["--only", "dw"]),
    ] {
        let (all, alone) = (stream(layer, text, more), one_by_one(layer, text, more));
        assert!(all.quiet() == alone.quiet(), "{layer} {more:?}");
    }
}

#[test]
fn an_unusual_record_among_others_gives_the_same_results_as_alone() {
    let plain = records("softmax-xent", 50);
    for unusual in [
        "{\"id\":0,\"x\":[1,null,3],\"t\":0}",
        "{\"id\":0,\"x\":[1,2],\"t\":0}",
        "{\"id\":0,\"x\":[1,\"NaN\",3],\"t\":0}",
        "{\"id\":0,\"x\":[1,\"Infinity\",3],\"t\":0}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":3}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":0.5}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":[0,0.5,0]}",
        "{\"id\":0,\"y\":[0.25,0.25,0.5],\"t\":0}",
        "{\"id\":0,\"x\":[[1,2,3]],\"t\":[0]}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":0,\"reduction\":\"mean\"}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":0,\"wieght\":1}",
        "{\"id\":0,\"x\":[1,2,3],\"id\":0,\"t\":0}",
        "{\"t\":0,\"x\":[1,2,3],\"id\":0}",
        "{\"id\":0,\"x\":[1,2,3]}",
        "{\"id\":0,\"x\":[1,2,3],\"t\":0} 1",
        "[1,2,3]",
        "{broken",
        "",
    ] {
        for at in [0, 35, 49] {
            let mut lines: Vec<&str> = plain.lines().collect();
            lines.insert(at, unusual);
            let text = lines.join("\n");
            for renamed in [text.clone(), text.replace("\"x\":", "\"y\":")] {
                for more in [&[][..], &["--keep-going"], &["--strict"]] {
                    let (all, alone) =
                        (stream("softmax-xent", &renamed, more), one_by_one("softmax-xent", &renamed, more));
                    assert!(all.stdout == alone.stdout, "{unusual} at {at}, {more:?}");
                    assert_eq!((all.status, all.stderr), (alone.status, alone.stderr), "{unusual} at {at}, {more:?}");
                }
            }
        }
    }
}
