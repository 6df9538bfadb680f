//! Streams of records through a network: `net --ndjson`.

use crate::support::{RunOutput, folder, piped, shell_in};
use serde_json::{Value, json};

const LOSS: &str = r#"{"kind":"softmax-xent"}"#;

/// Returns a network of three inputs and three outputs that ends in these layers.
fn network(end: &str) -> String {
    let end = if end.is_empty() { String::new() } else { format!(",{end}") };
    format!(
        r#"{{"nnlayer-tape":1,"layers":[
        {{"kind":"affine","name":"fc1","params":{{"w":[[0.5,-0.2,0.1,1],[1,0.4,-0.3,2],[0.2,-1,1,0.3]],"b":[0.1,0.2,-0.1,0]}}}},
        {{"kind":"relu"}},
        {{"kind":"affine","params":{{"w":[[1.5,-1,0.2],[0.3,0.7,-2],[-0.6,0.2,1],[1,-1,0.4]]}}}}{end}]}}"#
    )
}

/// Returns a folder with a network in it.
fn with(network: &str) -> tempfile::TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("net.json"), network).unwrap();
    folder
}

fn records(count: usize) -> String {
    crate::ndjson::records("softmax-xent", count)
}

fn stream(network: &str, text: &str, more: &str) -> RunOutput {
    let folder = with(network);
    std::fs::write(folder.path().join("records"), text).unwrap();
    shell_in(folder.path(), &format!("nnlayer net net.json --ndjson records {more}"))
}

fn lines(ran: &RunOutput) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_record_gives_the_same_results_as_alone() {
    let mean = r#"{"kind":"softmax-xent","settings":{"reduction":"mean"}}"#;
    let apart = r#"{"kind":"softmax"},{"kind":"xent"}"#;
    for (end, last, loss, precision) in [
        (LOSS, "softmax-xent1", "softmax-xent1", "f64"),
        (LOSS, "softmax-xent1", "softmax-xent1", "f32"),
        (LOSS, "softmax-xent1", "softmax-xent1", "exact"),
        (mean, "softmax-xent1", "softmax-xent1", "f64"),
        (apart, "softmax1", "xent1", "f64"),
        (r#"{"kind":"tanh"}"#, "tanh1", "", "f64"),
        ("", "affine1", "", "f64"),
    ] {
        let network = network(end);
        let mut text = records(5);
        if loss.is_empty() {
            text = text.replace("\"t\"", "\"class\"");
        }
        let options = format!("--precision {precision}");
        let folder = with(&network);
        let all = stream(&network, &text, &options);
        let inner = stream(&network, &text, &format!("{options} --only fc1.dw,relu1,affine1.dx"));
        assert_eq!((all.text().lines().count(), inner.text().lines().count()), (5, 5), "{end} {}", all.stderr);
        for ((record, own), inner) in text.lines().zip(lines(&all)).zip(lines(&inner)) {
            let alone = format!("echo '{record}' | nnlayer net net.json --json {options}");
            let alone = shell_in(folder.path(), &alone).json();
            let record: Value = serde_json::from_str(record).unwrap();
            assert_eq!(own["id"], record["id"]);
            assert_eq!(own.get("class"), record.get("class"));
            assert_eq!(own["y"], alone[last]["y"], "{end}");
            assert_eq!(own["dx"], alone["fc1"]["dx"], "{end}");
            assert_eq!((own.get("loss"), own.get("divisor")), (alone[loss].get("loss"), alone[loss].get("divisor")));
            assert_eq!(inner["fc1.dw"], alone["fc1"]["dw"], "{end}");
            assert_eq!((&inner["relu1.y"], &inner["relu1.dx"]), (&alone["relu1"]["y"], &alone["relu1"]["dx"]));
            assert_eq!(inner["affine1.dx"], alone["affine1"]["dx"], "{end}");
        }
    }
}

#[test]
fn results_of_the_network_are_shown_unless_a_layer_is_named() {
    let keys = |more: &str| {
        let ran = stream(&network(LOSS), &records(1), more);
        // No value is a string.
        ran.quiet().split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    for (more, expected) in [
        ("", "id y loss dx"),
        ("--forward", "id y loss"),
        ("--only loss", "id loss"),
        ("--only dx,loss", "id loss dx"),
        ("--only y", "id t y"),
        ("--only softmax-xent1.y", "id t softmax-xent1.y"),
        ("--only relu1.y", "id t relu1.y"),
        ("--only softmax-xent1", "id softmax-xent1.y softmax-xent1.loss softmax-xent1.dx"),
        ("--only softmax-xent1.dx", "id softmax-xent1.dx"),
        ("--only dw,db", "id fc1.dw fc1.db affine1.dw"),
        ("--forward --only fc1", "id t fc1.y"),
    ] {
        assert_eq!(keys(more), expected, "{more}");
    }
}

/// Computes records one by one: each is answered before the next is read, so there are no batches.
fn one_by_one(network: &str, text: &str, more: &str) -> RunOutput {
    stream(network, text, &format!("{more} --unbuffered"))
}

#[test]
fn records_computed_as_a_batch_give_the_same_bytes_as_one_by_one() {
    let text = records(50);
    let dense = text.replace("\"t\":", "\"t\":[0.25,0.25,0.5],\"class\":");
    let with_dout = text.replace("\"id\"", "\"dout\":2.5,\"id\"");
    let settings = |settings: &str| format!(r#"{{"kind":"softmax-xent","settings":{{{settings}}}}}"#);
    let ends = [
        LOSS.to_owned(),
        settings(r#""reduction":"mean""#),
        settings(r#""reduction":"none","label-smoothing":0.1"#),
        settings(r#""reduction":"mean","ignore-index":2,"empty":"zero""#),
        r#"{"kind":"softmax-xent","settings":{"reduction":"mean"},"params":{"weight":[1,2,3]}}"#.to_owned(),
        r#"{"kind":"softmax"},{"kind":"xent","settings":{"reduction":"mean"}}"#.to_owned(),
        r#"{"kind":"sigmoid"},{"kind":"softmax-xent"}"#.to_owned(),
        r#"{"kind":"softmax"},{"kind":"softmax-xent"}"#.to_owned(),
        r#"{"kind":"softmax","settings":{"axis":0}},{"kind":"softmax-xent"}"#.to_owned(),
    ];
    for network in ends.iter().map(|end| network(end)) {
        for (text, more) in [
            (&text, ""),
            (&text, "--forward"),
            (&text, "--only loss,relu1.dx"),
            (&text, "--only dw,loss"),
            (&text, "--only y"),
            (&text, "--only y,dx --precision f32"),
            (&text, "--dout 2 --only dx"),
            (&text, "--t 1"),
            (&with_dout, ""),
            (&dense, "--only loss,dx"),
            (&text.replace("\"x\"", "\"y\""), "--only loss"),
        ] {
            let more = format!("{more} --keep-going");
            let alone = one_by_one(&network, text, &more);
            assert_eq!(alone.text().lines().count(), 50);
            let all = stream(&network, text, &format!("{more} --threads 3"));
            assert!(all.stdout == alone.stdout, "{network} {more}");
            assert_eq!((all.status, &all.stderr), (alone.status, &alone.stderr), "{network} {more}");
        }
    }
}

#[test]
fn an_unusual_record_among_others_gives_the_same_results_as_alone() {
    let network = network(LOSS).replace("\"b\":[0.1,0.2,-0.1,0]", "\"b\":0");
    // Scores that sum to 1 might be probabilities.
    let last = r#"{"kind":"affine","params":{"w":[[1,0],[0,1]]}},{"kind":"softmax-xent"}"#;
    let scores = format!(r#"{{"nnlayer-tape":1,"layers":[{last}]}}"#);
    let pairs = records(50);
    let pairs: String = pairs
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            format!("{{\"id\":{},\"x\":[{},{}],\"t\":1}}\n", record["id"], record["x"][0], record["x"][1])
        })
        .collect();
    for (network, plain, unusual) in [
        (&scores, &pairs, "{\"id\":0,\"x\":[0.25,0.75],\"t\":0}"),
        (&scores, &pairs, "{\"id\":0,\"x\":[1e308,-1e308],\"t\":0}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1,null,3],\"t\":0}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1,2],\"t\":0}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1,\"NaN\",3],\"t\":0}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1e308,1e308,1e308],\"t\":0}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1,2,3],\"t\":3}"),
        (&network, &records(50), "{\"id\":0,\"x\":[1,2,3]}"),
        (&network, &records(50), "{\"id\":0,\"x\":[[1,2,3],[4,5,6]],\"t\":[0,1]}"),
        (&network, &records(50), "[1,2,3]"),
    ] {
        for at in [0, 35, 49] {
            let mut lines: Vec<&str> = plain.lines().collect();
            lines.insert(at, unusual);
            let text = lines.join("\n");
            for more in ["", "--keep-going", "--strict"] {
                let (all, alone) = (stream(network, &text, more), one_by_one(network, &text, more));
                assert!(all.stdout == alone.stdout, "{unusual} at {at}, {more}");
                assert_eq!((all.status, all.stderr), (alone.status, alone.stderr), "{unusual} at {at}, {more}");
            }
        }
    }
}

#[test]
fn probabilities_are_the_same_with_and_without_targets() {
    let network = network(LOSS);
    let (text, unlabelled) = (records(200), records(200).replace(",\"t\":", ",\"class\":"));
    let labelled = lines(&stream(&network, &text, "--forward"));
    let y = stream(&network, &unlabelled, "--only y");
    for (with, without) in labelled.iter().zip(lines(&y)) {
        assert_eq!((&with["y"], &with["id"]), (&without["y"], &without["id"]));
        assert!(without["class"].is_number());
    }
    let refused = stream(&network, &unlabelled, "--forward");
    assert!(refused.stderr.starts_with("error: --t records:1:1: the record has no key `t`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("not required with --only y"), "{}", refused.stderr);
}

#[test]
fn errors_name_the_record_and_the_layer() {
    let text = format!("{}{}", records(3), "{\"x\":[1,2],\"t\":0}\n");
    let ran = stream(&network(LOSS), &text, "");
    assert_eq!((ran.status, lines(&ran).len()), (2, 3));
    let first = "error: records:4: net.json (/layers/0/params/w): layer fc1: w: expected 2 rows to match the 2 inputs of x, got 3";
    assert!(ran.stderr.starts_with(first), "{}", ran.stderr);
    let going = stream(&network(LOSS), &text, "--keep-going");
    assert_eq!((going.status, going.text().lines().count()), (1, 4));
    let error = &lines(&going)[3]["error"];
    assert_eq!(
        (&error["file"], &error["line"], &error["pointer"], &error["record"]),
        (&json!("net.json"), &Value::Null, &json!("/layers/0/params/w"), &json!({"file": "records", "line": 4}))
    );
    let bare = stream(&network(LOSS), "[1,2,3]\n", "");
    assert!(
        bare.stderr.starts_with("error: --x records:1:1: the record is a single array, but --x and --t are required"),
        "{}",
        bare.stderr
    );
    let overflow = stream(&network(LOSS), "{\"x\":[1e308,1e308,1e308],\"t\":0}\n", "");
    assert!(overflow.stderr.starts_with("error: records:1: net.json (/layers/2/outputs/y"), "{}", overflow.stderr);
    assert!(overflow.stderr.contains("layer softmax-xent1"), "{}", overflow.stderr);
}

#[test]
fn options_that_do_not_apply_to_records_are_refused_before_the_first() {
    let text = records(1);
    for (more, part) in [
        ("--check", "--check: cannot be used with --ndjson"),
        ("--tape", "--tape: cannot be used with --ndjson"),
        ("--steps", "--steps: cannot be used with --ndjson"),
        ("--out a.json", "--out: cannot be used with --ndjson"),
        ("--pretty", "--pretty: cannot be used with --ndjson"),
        ("--only dz", "unknown layer or result `dz`"),
        ("--forward --only dx", "unknown layer or result `dx`"),
        ("--dout 1,2", "--dout records:1"),
    ] {
        let ran = stream(&network(LOSS), &text, more);
        assert!(ran.refusal().contains(part), "{more}: {}", ran.stderr);
    }
    let local = stream(&network(""), &text, "--dout 1");
    assert!(local.refusal().contains("--dout: the number 1 scales the local factors"), "{}", local.stderr);
    let untargeted = stream(&network(""), &text, "--t 1");
    assert!(untargeted.refusal().contains("--t: no layer of the network reads targets"), "{}", untargeted.stderr);
    let both = piped(network(LOSS), &["net", "-", "--ndjson"]);
    assert!(both.refusal().contains("standard input is already the network"), "{}", both.stderr);
    let new = piped("", &["net", "--init", "2,2", "--ndjson"]);
    assert!(new.refusal().contains("--ndjson"), "{}", new.stderr);
}

#[test]
fn a_network_from_a_pipe_reads_records_from_a_file() {
    let folder = folder();
    std::fs::write(folder.path().join("records"), records(2)).unwrap();
    std::fs::write(folder.path().join("net.json"), network(LOSS)).unwrap();
    let piped = shell_in(folder.path(), "nnlayer net - --ndjson records --only loss < net.json");
    assert_eq!(piped.quiet(), shell_in(folder.path(), "nnlayer net net.json --ndjson --only loss < records").quiet());
}

#[test]
fn keys_of_records_match_in_any_case_where_one_fits_and_null_is_absent() {
    let affine = ["affine", "--w", "1;2", "--ndjson", "-", "--only", "y"];
    let cases: [(&[&str], &str, &str); 10] = [
        (&affine, r#"{"X":[1,2],"B":[3]}"#, r#"{"y":[8.0]}"#),
        (&affine, r#"{"id":7,"X":[1,2],"b":null}"#, r#"{"id":7,"y":[5.0]}"#),
        (&affine, r#"{"x":[1,2],"B":null}"#, r#"{"y":[5.0]}"#),
        (&affine, r#"{"x":[1,2],"X":[9,9],"b":1}"#, r#"{"X":[9,9],"y":[6.0]}"#),
        (&["softmax", "--ndjson", "-", "--only", "y"], r#"{"X":[0,0],"axis":null}"#, r#"{"y":[0.5,0.5]}"#),
        (
            &["softmax-xent", "--ndjson", "-", "--only", "dx"],
            r#"{"X":[0,0],"T":1,"Weight":null,"reduction":null}"#,
            r#"{"dx":[0.5,-0.5]}"#,
        ),
        (&["relu", "--ndjson", "-", "--only", "dx"], r#"{"x":[1,2],"DOUT":[2,3]}"#, r#"{"dx":[2.0,3.0]}"#),
        (&["relu", "--ndjson", "-", "--forward"], r#"{"y":[-1,2]}"#, r#"{"y":[0.0,2.0]}"#),
        (&["relu", "--ndjson", "-", "--forward"], r#"{"Y":[-1,2]}"#, r#"{"y":[0.0,2.0]}"#),
        (&["relu", "--ndjson", "-", "--forward", "--x", "-#/A"], r#"{"A":[-1,2],"a":0}"#, r#"{"a":0,"y":[0.0,2.0]}"#),
    ];
    for (command, record, expected) in cases {
        // A single record, and one among others that could be computed together.
        assert_eq!(piped(record, command).quiet(), format!("{expected}\n"), "{command:?} {record}");
        let many = piped(format!("{record}\n").repeat(5), command);
        assert_eq!(many.quiet(), format!("{expected}\n").repeat(5), "{command:?} {record}");
    }
    // What is required may not be null, and no key is chosen among several.
    let null = piped(r#"{"x":null}"#, &["relu", "--ndjson", "-"]);
    assert!(null.refusal().contains("null is not a number"), "{}", null.stderr);
    let explicit = piped(r#"{"x":[1,2],"b":null}"#, &["affine", "--w", "1;2", "--b", "-#/b", "--ndjson", "-"]);
    assert!(explicit.refusal().contains("null is not a number"), "{}", explicit.stderr);
    let several = piped(r#"{"WEIGHT":[1,1],"Weight":[1,1],"x":[0,0],"t":1}"#, &["softmax-xent", "--ndjson", "-"]);
    assert_eq!(several.status, 0, "{}", several.stderr);
    assert!(several.stderr.contains("unknown key `WEIGHT`") && several.text().contains("\"Weight\":[1,1]"));
}

#[test]
fn keys_of_networks_match_in_any_case_and_null_is_absent() {
    let net = |params: &str, settings: &str| {
        format!(
            r#"{{"nnlayer-tape":1,"layers":[{{"kind":"affine","params":{params}}},{{"kind":"softmax-xent","settings":{settings}}}]}}"#
        )
    };
    let run = |network: &str, operands: &str| {
        let folder = folder();
        let path = folder.path().join("net.json");
        std::fs::write(&path, network).unwrap();
        piped(operands, &["net", path.to_str().unwrap(), "--json"])
    };
    let expected = run(&net(r#"{"w":[[1,2]],"b":[0,1]}"#, "{}"), r#"{"x":[1],"t":0}"#);
    for (params, settings, operands) in [
        (r#"{"W":[[1,2]],"B":[0,1]}"#, r#"{"axis":null}"#, r#"{"X":[1],"T":0}"#),
        (r#"{"W":[[1,2]],"b":[0,1]}"#, r#"{"Axis":"-1"}"#, r#"{"x":[1],"T":0}"#),
    ] {
        assert_eq!(run(&net(params, settings), operands).quiet(), expected.quiet(), "{params}");
    }
    let [without, null] = [r#"{"W":[[1,2]]}"#, r#"{"W":[[1,2]],"b":null}"#].map(|params| net(params, "{}"));
    assert_eq!(run(&null, r#"{"x":[1],"t":0}"#).quiet(), run(&without, r#"{"x":[1],"t":0}"#).quiet());
    let wrong = run(&net(r#"{"W":[[1,"a"]]}"#, "{}"), r#"{"x":[1],"t":0}"#);
    assert!(wrong.refusal().contains("(/layers/0/params/W/0/1)"), "{}", wrong.stderr);
    let both = run(&net(r#"{"w":[[1,2]],"W":[[1,2]]}"#, "{}"), r#"{"x":[1],"t":0}"#);
    assert!(both.refusal().contains("unknown key \"W\""), "{}", both.stderr);
}
