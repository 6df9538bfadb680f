//! `nnlayer net`: networks from a file.

use crate::support::{folder, memory, nnlayer, numbers, piped, shape, shell, shell_in};
use serde_json::{Value, json};

const NET: &str = r#"{"nnlayer-tape":1,"layers":[
  {"kind":"affine","name":"fc1","params":{"w":[[1,-1],[0,1]],"b":[0,-3]}},
  {"kind":"relu"},
  {"kind":"affine","params":{"w":[[1,3],[5,7]],"b":[2,0]}},
  {"kind":"softmax-xent"}]}"#;

#[test]
fn a_network_file_gives_the_same_results_as_a_chain_of_commands() {
    let folder = folder();
    std::fs::write(folder.path().join("net.json"), NET).unwrap();
    let chain = "nnlayer affine --name fc1 --x 1,2 --w '1,-1;0,1' --b 0,-3 --tape | nnlayer relu | nnlayer affine --name affine1 --w '1,3;5,7' --b 2,0 \
                 | nnlayer softmax-xent --t 0";
    let tape = shell_in(folder.path(), "nnlayer net net.json --x 1,2 --t 0 --tape | nnlayer backward --json");
    assert_eq!(tape.quiet(), shell(&format!("{chain} | nnlayer backward --json")).text());
    let ran = shell_in(folder.path(), "nnlayer net net.json --x 1,2 --t 0 --json");
    let json = ran.json();
    assert_eq!(json["softmax-xent1"]["loss"], std::f64::consts::LN_2);
    assert_eq!(
        json["fc1"],
        json!({"y": [1.0, -2.0], "dx": [1.0, 0.0], "dw": [[1.0, 0.0], [2.0, 0.0]], "db": [1.0, 0.0]})
    );
    // The file can come over a pipe, and the operands in one object.
    assert_eq!(piped(NET, &["net", "-", "--x", "1,2", "--t", "0", "--json"]).text(), ran.text());
    let object = "echo '{\"x\": [1, 2], \"t\": 0}' | nnlayer net net.json --json";
    assert_eq!(shell_in(folder.path(), object).text(), ran.text());
    let forward = shell_in(folder.path(), "nnlayer net net.json --x 1,2 --t 0 --forward --json").json();
    assert_eq!(forward["relu1"], json!({"y": [1.0, 0.0]}));
}

#[test]
fn parameters_may_be_in_files_next_to_the_network() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    std::fs::create_dir_all(folder.path().join("nets/parts")).unwrap();
    std::fs::write(folder.path().join("nets/parts/w.json"), "{\"fc\": [[1, 2], [3, 4]]}").unwrap();
    run("nnlayer affine --x 1,2 --w '1,2;3,4' --only dw --out nets/params.npz").quiet();
    let net = |w: &str| {
        let net = json!({"nnlayer-tape": 1, "layers": [{"kind": "affine", "params": {"w": w}}]});
        std::fs::write(folder.path().join("nets/net.json"), net.to_string()).unwrap();
    };
    net("parts/w.json#fc");
    assert_eq!(run("nnlayer net nets/net.json --x 1,1 --only y --json").json()["affine1"]["y"], json!([4.0, 6.0]));
    net("params.npz#dw");
    assert_eq!(run("nnlayer net nets/net.json --x 1,1 --only y --json").json()["affine1"]["y"], json!([3.0, 3.0]));
    let refusal = run("nnlayer net - --x 1,1 < nets/net.json");
    assert!(refusal.refusal().contains("the string \"params.npz#dw\" is not a number"), "{}", refusal.stderr);
    for outside in ["../net.json", "/etc/hostname", ""] {
        net(outside);
        assert!(
            run("nnlayer net nets/net.json --x 1,1")
                .refusal()
                .contains("is not a file in the directory of the network")
        );
    }
    net("params.npz#q");
    assert!(run("nnlayer net nets/net.json --x 1,1").refusal().contains("params.npz: has no q"));
    // A folder's name may contain #, and the text after the last # of a parameter is the name of an array.
    std::fs::rename(folder.path().join("nets"), folder.path().join("nets#1")).unwrap();
    std::fs::write(folder.path().join("nets#1/a"), "{\"b/w.npy\": [[5, 6], [7, 8]]}").unwrap();
    let net = |w: &str| net_in(&folder.path().join("nets#1"), w);
    net("parts/w.json#fc");
    assert_eq!(run("nnlayer net nets#1/net.json --x 1,1 --only y --json").json()["affine1"]["y"], json!([4.0, 6.0]));
    net("a#b/w.npy");
    assert_eq!(run("nnlayer net nets#1/net.json --x 1,1 --only y --json").json()["affine1"]["y"], json!([12.0, 14.0]));
}

/// Writes a network of one affine layer.
fn net_in(folder: &std::path::Path, w: &str) {
    let net = json!({"nnlayer-tape": 1, "layers": [{"kind": "affine", "params": {"w": w}}]});
    std::fs::write(folder.join("net.json"), net.to_string()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_network_reads_no_file_but_those_of_its_folder() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("nets")).unwrap();
    std::fs::write(folder.path().join("secret.json"), "[[1,2],[3,4]]").unwrap();
    shell_in(folder.path(), "ln -s ../secret.json nets/out.json && ln -s .. nets/up && mkfifo nets/pipe.json").quiet();
    for w in ["-", "-#/w", "@-", "out.json", "up/secret.json", "pipe.json"] {
        net_in(&folder.path().join("nets"), w);
        for place in [folder.path().to_owned(), folder.path().join("nets")] {
            let name = if place.ends_with("nets") { "net.json" } else { "nets/net.json" };
            let ran = shell_in(&place, &format!("echo '{{\"w\":[[1,2],[3,4]]}}' | nnlayer net {name} --x 1,1 --json"));
            let reasons = ["is not a file in the directory of the network", "no such file"];
            assert!(reasons.iter().any(|reason| ran.refusal().contains(reason)), "{w}: {}", ran.stderr);
        }
    }
    // A link within the folder is followed.
    shell_in(folder.path(), "cp secret.json nets/in.json && ln -s in.json nets/link.json").quiet();
    net_in(&folder.path().join("nets"), "link.json");
    assert_eq!(shell_in(folder.path(), "nnlayer net nets/net.json --x 1,1 --only y").status, 0);
}

#[test]
fn results_that_no_layer_needs_any_more_are_dropped() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let net = json!({"nnlayer-tape": 1, "layers": vec![json!({"kind": "relu"}); 100]});
    std::fs::write(path("net.json"), net.to_string()).unwrap();
    std::fs::write(path("x.csv"), format!("{}1\n", "1,".repeat(100_000))).unwrap();
    let (net, x, out) = (path("net.json"), path("x.csv"), path("y.npy"));
    let args = ["net", &net, "--x", &x, "--forward", "--only", "relu1.y", "--out", &out];
    let (ran, most) = memory::peak_bytes(|| nnlayer(&args));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(most < 16 << 20, "{most} bytes for results of 0.8 MB each");
}

#[test]
fn a_file_that_many_layers_name_is_read_once() {
    let folder = folder();
    let row = format!("[{}]", vec!["0.01"; 100].join(","));
    std::fs::write(folder.path().join("w.json"), format!("[{}]", vec![row.as_str(); 100].join(","))).unwrap();
    let layers = vec![json!({"kind": "affine", "params": {"w": "w.json"}}); 200];
    let net = json!({"nnlayer-tape": 1, "layers": layers});
    std::fs::write(folder.path().join("net.json"), net.to_string()).unwrap();
    let path = folder.path().join("net.json");
    let args = ["net", path.to_str().unwrap(), "--x", &row, "--forward", "--only", "affine200.y", "--json"];
    let (ran, most) = memory::peak_bytes(|| nnlayer(&args));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(most < 4 << 20, "{most} bytes for 80 kB of an array");
}

#[test]
fn a_new_network_follows_from_its_seed_and_has_the_spread_of_he_or_xavier() {
    let init = |options: &[&str]| nnlayer(&[&["net", "--init", "64,32,10"], options].concat());
    let net = init(&["--seed", "1"]);
    assert_eq!(net.quiet(), init(&["--seed", "1"]).text());
    assert_ne!(net.text(), init(&["--seed", "2"]).text());
    let net: Value = net.json();
    let (first, last) = (&net["layers"][0]["params"], &net["layers"][2]["params"]);
    assert_eq!((shape(&first["w"]), shape(&last["w"])), (vec![64, 32], vec![32, 10]));
    assert!(numbers(&first["b"]).iter().all(|b| *b == 0.0));
    let spread = |w: &Value, limit: f64| {
        let (w, n) = (numbers(w), numbers(w).len() as f64);
        let largest = w.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        assert!(largest <= limit && largest > 0.97 * limit, "{largest} {limit}");
        let mean = w.iter().sum::<f64>() / n;
        let variance = w.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
        // Four standard errors of a uniform distribution's mean and variance.
        assert!(mean.abs() < 4.0 * limit / (3.0 * n).sqrt(), "{mean}");
        assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 4.0 * (0.8 / n).sqrt(), "{variance}");
    };
    spread(&first["w"], (6.0f64 / 64.0).sqrt());
    spread(&last["w"], (6.0f64 / 42.0).sqrt());
    let tanh = init(&["--activation", "tanh"]).json();
    assert_eq!(tanh["layers"][1]["kind"], "tanh");
    spread(&tanh["layers"][0]["params"]["w"], (6.0f64 / 96.0).sqrt());
}

#[test]
fn errors_name_the_option_or_the_layer() {
    let net = |args: &[&str]| piped(NET, &[&["net", "-"], args].concat());
    for (args, part) in [
        (&["--x", "1,2,3", "--t", "0"][..], "layer fc1: w: expected 3 rows to match the 3 inputs of x, got 2"),
        (&["--x", "5", "--t", "0"], "layer fc1: w: expected 1 row to match the 1 input of x, got 2"),
        (&["--x", "1,2", "--t", "7"], "--t: class index 7"),
        (&["--x", "1,2"], "--t is required"),
        (&["--t", "0"], "--x is required"),
        (&["--x", "1,2", "--t", "0", "--dout", "1,2"], "--dout: shape (2) does not match loss"),
        (&["--x", "1,2", "--t", "0", "--only", "dz"], "unknown layer or result `dz`"),
    ] {
        assert!(net(args).refusal().contains(part), "{args:?}: {}", net(args).stderr);
    }
    for (sizes, part) in [
        ("64", "expected two or more positive layer sizes"),
        ("64,0,1", "expected two or more positive layer sizes"),
        ("1,b", "expected two or more positive layer sizes, or layers"),
        ("100000,100000", "the limit for a JSON file"),
    ] {
        assert!(nnlayer(&["net", "--init", sizes]).refusal().contains(part), "{sizes}");
    }
    assert!(nnlayer(&["net", "--init", "1,2", "--seed", "-1"]).refusal().contains("expected an integer from 0"));
    let without = r#"{"nnlayer-tape":1,"layers":[{"kind":"relu"}]}"#;
    assert!(
        piped(without, &["net", "-", "--x", "1", "--t", "0"])
            .refusal()
            .contains("no layer of the network reads targets")
    );
}

#[test]
fn single_precision_rounds_every_layer() {
    let net = r#"{"nnlayer-tape":1,"precision":"f32","layers":[{"kind":"affine","params":{"w":[[0.1]]}}]}"#;
    let json = piped(net, &["net", "-", "--x", "[0.1]", "--json"]).json();
    assert_eq!(numbers(&json["affine1"]["y"]), [f64::from(0.1f32 * 0.1f32)]);
}
