//! Every error message is in `refusals.md`, and every code has an input that causes it.

use crate::support::schemas::Documents;
use crate::support::{console, folder, shell, shell_in};
use nnlayer::core::error::{Code, Severity};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/refusals.md")
}

fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(page()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// Returns a `.npy` file of version 1 with this header and data.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

/// A tape of two layers.
const CHAIN: &str = r#"{"nnlayer-tape":1,"layers":[
 {"kind":"affine","name":"fc1","params":{"w":[[1,2],[3,4]]},"inputs":{"x":[1,1]},"outputs":{"y":[4,6]}},
 {"kind":"relu","name":"relu1","inputs":{"x":{"from":"fc1.y"}},"outputs":{"y":[4,6]}}]}
"#;

/// Returns the bytes with other ones `offset` bytes after the start of the first `mark`.
fn replaced(bytes: &[u8], mark: &[u8], offset: usize, other: &[u8]) -> Vec<u8> {
    let at = offset + bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    [&bytes[..at], other, &bytes[at + other.len()..]].concat()
}

/// Tables with mistakes.
const TABLES: &[(&str, &str)] = &[
    ("blanks.csv", "1.0e+00 2.0e+00\n3.0e+00 4.0e+00\n"),
    ("commas.tsv", "1,2\n3,4\n5,6,7\n"),
    ("europe.csv", "1,5;2\n3;4\n"),
    ("mixed.csv", "1,5;2.5\n3;4\n"),
    ("europe.tsv", "1,5\t2\n3\t4\n"),
    ("quoted.csv", "\"1,5\",2\n"),
    ("thousands.csv", "\"1,234.5\",2\n"),
    ("ambiguous.csv", "\"1,234\",2\n"),
    ("open.csv", "1,2\n\"3,4\n5,6\n"),
    ("dates.csv", "1,2\n2024-01-31,4\n"),
    ("missing-value.csv", "1,2\nNA,4\n"),
    ("names.csv", "name,height\nAnn,170\n"),
    ("pandas.csv", ",height\n0,170\n"),
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, bytes).unwrap();
    gzip.finish().unwrap()
}

fn files() -> tempfile::TempDir {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::create_dir(folder.path().join("folder.npy")).unwrap();
    std::fs::create_dir(folder.path().join("bad")).unwrap();
    write("bad/index.json", br#"{"layer":"relu","precision":"f64","cases":[{"name":"a","file":"../a.json"}]}"#);
    write("x.json", b"[[1, 2, 3],\n [4, 5, 6]]");
    write("w.json", b"[[1, 2, 3],\n [4, 5, 6]]");
    write("t.json", b"[0,\n 7]");
    write("binary", b"\x01\x02\x03\x04");
    write("program", b"\x7fELF\x02\x01\x01\x00");
    write("pointer.npy", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    write("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    write("page.npz", b"\n<!DOCTYPE html>\n<html>");
    write("missing.csv", b"404: Not Found");
    write("model.pt", b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0model/data.pkl");
    write("two.gz", &gzip(&gzip(b"[1,2]")));
    write("cut.json.gz", &gzip(b"[1,2]")[..12]);
    write("data.zst", b"\x28\xb5\x2f\xfd");
    write("wide.json", b"\xff\xfe[\x001\0]\0");
    write("lines.jsonl", b"{\"x\":[1]}\n{\"x\":[2]}\n");
    write("rows.json", b"[1,2]\n[3,4]\n");
    write("indented.json", b"{\n  \"x\": [1]\n}\n");
    write("list.json", b"[\n  {\"x\": [1]}\n]\n");
    write("line.json", b"[{\"x\":[1]},{\"x\":[2]}]\n");
    write("text.npz", b"call me Ishmael");
    write("empty.npy", b"");
    write(
        "model.safetensors.index.json",
        b"{\"metadata\":{},\"weight_map\":{\"w\":\"model-00001-of-00002.safetensors\"}}",
    );
    write("files.zip", b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0data.csv1,2\n");
    write("array.npz", &npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n", &[1, 2]));
    write("table.json", b"1,2\n3,4\n");
    write("table.idx", b"\0\0\x08\x02\0\0\0\x02\0\0\0\x02abc");
    for (name, text) in TABLES {
        write(name, text.as_bytes());
    }
    write("prose", b"call me Ishmael");
    write("empty.json", b"");
    write("header.csv", b"height,width\n1,2\n");
    write("semicolons.csv", b"1;2\n3;4\n");
    write("ragged.csv", b"1,2\n3\n");
    write("words.csv", b"1,2\n3,four\n");
    write("cut.json", b"[[1, 2],\n [3");
    write("deep.json", "[".repeat(100_000).as_bytes());
    write("twice.json", b"{\"x\": [1],\n \"x\": [2]}");
    write("null.json", b"[[1, 2],\n [3, null]]");
    write("string.json", b"[1, \"2\"]");
    write("bool.json", b"[true, 1]");
    write("ragged.json", b"[[1, 2],\n [3]]");
    write("huge.json", b"[1, -1e400]");
    write("net.json", b"{\"layers\": [{\"w\": [[1], [2]]}], \"lr\": 0.1}");
    write("chain.json", CHAIN.as_bytes());
    write("old.json", CHAIN.replace("\"nnlayer-tape\":1", "\"nnlayer-tape\": 2").as_bytes());
    write("misfit.json", CHAIN.replace("[[1,2],[3,4]]", "[[1,2,3]]").as_bytes());
    write("edited.json", CHAIN.replace("[[1,2],[3,4]]", "[[1,2],[3,5]]").as_bytes());
    let dead = "{\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"affine\",\"params\":{\"w\":[[1]],\"b\":[-5]}},{\"kind\":\"relu\"},\
                {\"kind\":\"softmax-xent\"}]}";
    write("dead.json", dead.as_bytes());
    write("model.json", b"{\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"relu\"}]}");
    write("wide.csv", [b"0".as_slice(), &b",0".repeat(2000)].concat().as_slice());
    write("magic.npy", b"[1, 2, 3]");
    write("cut.npy", &npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", &[0; 20]));
    write("object.npy", &npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", &[0; 8]));
    write("complex.npy", &npy("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }\n", &[0; 16]));
    write("terabytes.npy", &npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n", &[0; 8]));
    write("endless.npy", &npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 0), }\n", &[]));
    write("x.npy", &npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n", &[1, 2]));
    let points = |answers: [&str; 6]| format!("cat >/dev/null; echo '{{\"points\":[{}]}}'\n", answers.join(","));
    let (one, two) =
        (r#"{"outputs":{"y":[1]},"gradients":{"dx":[1]}}"#, r#"{"outputs":{"y":[2]},"gradients":{"dx":[1]}}"#);
    write("unsteady.sh", points([one, two, one, one, one, one]).as_bytes());
    write("forward.sh", points([r#"{"outputs":{"y":[1]}}"#; 6]).as_bytes());
    write("keyless.sh", b"cat >/dev/null; echo '{\"a\":1}'\n");
    write("pointless.sh", b"cat >/dev/null; echo '{\"points\":[]}'\n");
    write("hello.sh", b"read -r line; echo '{\"nnlayer\":2,\"layers\":[\"affine\",\"tanh\"]}'\n");
    write("hello3.sh", b"read -r line; echo '{\"nnlayer\":3}'\n");
    let short = r#"{"outputs":{"y":{"shape":[2],"dtype":"f32","base64":"AACAPw=="}}}"#;
    write("short.sh", points([short; 6]).as_bytes());
    write("word.sh", points([r#"{"outputs":{"y":["one"]}}"#; 6]).as_bytes());
    write("cut.safetensors", b"\xff\x00\x00\x00\x00\x00\x00\x00{\"w\":");
    let saved = shell_in(folder.path(), "nnlayer affine --x 1,2 --w '1;2' --only y,dw --out whole.npz");
    assert_eq!(saved.status, 0, "{}", saved.stderr);
    let whole = std::fs::read(folder.path().join("whole.npz")).unwrap();
    write("cut.npz", &whole[..whole.len() / 2]);
    write("front.npz", &[b"junk", &whole[..]].concat());
    write("renamed.npz", &replaced(&whole, b"PK\x03\x04", 30, b"v"));
    let saved = shell_in(folder.path(), "nnlayer affine --x 1,2 --w '1;2' --only dx,dw --out pair.npz");
    assert_eq!(saved.status, 0, "{}", saved.stderr);
    let pair = std::fs::read(folder.path().join("pair.npz")).unwrap();
    write("twice.npz", &replaced(&replaced(&pair, b"dw.npy", 0, b"dx"), b"dw.npy", 0, b"dx"));
    folder
}

#[test]
fn every_error_message_equals_the_page() {
    console::run(&page(), files().path());
}

#[test]
fn every_error_has_status_two_a_tip_and_an_empty_output() {
    let folder = files();
    for command in commands() {
        let ran = shell_in(folder.path(), &command);
        ran.refusal_of(&command);
        if !command.contains("json") || !command.contains("--error-format") {
            assert!(ran.stderr.lines().last().unwrap().starts_with("tip: "), "{command}\n{}", ran.stderr);
        }
        for rust in ["f64", "Vec", "usize", "Option", "panicked", "Err("] {
            assert!(!ran.stderr.contains(rust), "{command}\n{}", ran.stderr);
        }
    }
    let made = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok).map(|entry| entry.file_name());
    assert!(made.into_iter().all(|name| !name.to_string_lossy().starts_with(['.', 'y'])), "a refusal left a file");
}

#[test]
fn every_code_has_an_input_that_causes_it() {
    let folder = files();
    let mut documents = Documents::default();
    let others = [
        "nnlayer affine --x 1,2 --w '1;2' --dout 1",
        "printf [ | nnlayer relu --ndjson --keep-going",
        r#"echo '{"loss":1,"y":[1]}' | nnlayer sum"#,
    ];
    let mut code = |command: String| {
        let message = message(folder.path(), &command)?;
        let code = message.as_object()?.values().next()?["code"].as_str()?.to_owned();
        documents.add("error", command, message);
        Some(code)
    };
    let seen: HashSet<String> = commands()
        .into_iter()
        .chain(others.map(str::to_owned))
        .filter_map(&mut code)
        // This code is tested in program.rs, with a reply of 256 MB.
        .chain([Code::ReplyTooLong.as_str().to_owned()])
        // This one in resources.rs, with a limit of the memory.
        .chain([Code::Memory.as_str().to_owned()])
        .collect();
    for known in Code::ALL {
        assert!(seen.contains(known.as_str()), "no input causes {}", known.as_str());
    }
    assert_ne!(Severity::Warning, Severity::Info);
    documents.assert_valid();
}

/// Returns the last message of a command.
fn message(folder: &Path, command: &str) -> Option<serde_json::Value> {
    // Arguments after two dashes belong to the program under test.
    let asked = match command.split_once(" -- ") {
        Some((before, program)) => format!("{before} --error-format json -- {program}"),
        None => format!("{command} --error-format json"),
    };
    let ran = shell_in(folder, &asked);
    Some(serde_json::from_str(ran.stderr.lines().last()?).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let ran = shell("nnlayer softmax --x 1,2 --json > /dev/full");
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.starts_with("error: standard output: cannot be written: No space left"), "{}", ran.stderr);
}
