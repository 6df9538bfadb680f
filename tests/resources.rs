//! Sizes that no machine has memory for, and machines without memory, threads or stack: a refusal, or the same result.

use crate::support::{RunOutput, folder, memory, nnlayer, shell_in};
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;

/// Memory in bytes that a refusal takes, for buffers and the command line.
const REFUSAL_BYTES: usize = 8 << 20;

/// Number of rows or columns that an array without elements may have.
const MAX_EMPTY_AXIS: usize = 1 << 20;

fn npy(descr: &str, shape: [usize; 2], data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}, {}), }}\n", shape[0], shape[1]);
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Writes an array without elements in every binary format, and returns the names of the files.
fn write_empty(folder: &Path, shape: [usize; 2]) -> [&'static str; 3] {
    let array = npy("<f8", shape, &[]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("x.npy", SimpleFileOptions::default()).unwrap();
    archive.write_all(&array).unwrap();
    let tensors = format!("{{\"x\":{{\"dtype\":\"F64\",\"shape\":{shape:?},\"data_offsets\":[0,0]}}}}");
    let tensors = [&(tensors.len() as u64).to_le_bytes(), tensors.as_bytes()].concat();
    let files = ["x.npy", "x.npz", "x.safetensors"];
    for (file, bytes) in files.iter().zip([array, archive.finish().unwrap().into_inner(), tensors]) {
        std::fs::write(folder.join(file), bytes).unwrap();
    }
    files
}

#[test]
fn huge_axes_without_elements_are_refused() {
    let folder = folder();
    let above = MAX_EMPTY_AXIS + 1;
    for shape in [[1 << 60, 0], [0, 1 << 60], [1_000_000_000, 0], [usize::MAX >> 1, 0], [above, 0], [0, above]] {
        for file in write_empty(folder.path(), shape) {
            let path = folder.path().join(file);
            let x = path.to_str().unwrap();
            // The array is named in the other formats.
            let named = if file == "x.npy" { x.to_owned() } else { format!("{x}#x") };
            let out = folder.path().join("y.npy");
            for command in [
                &["softmax", "--axis", "0", "--x", x][..],
                &["relu", "--x", x, "--out", out.to_str().unwrap(), "--only", "y"],
                &["relu", "--x", "1,2", "--dout", &named],
                &["affine", "--x", "1,2", "--w", &named],
                &["xent", "--y", "1,0", "--t", &named],
                &["relu", "--x", x, "--check"],
                &["relu", "--x", "1", "--expect", x],
                &["compare", x, x],
                &["gradcheck", "--layer", "relu", "--x", x],
            ] {
                let (ran, bytes) = memory::peak_bytes(|| nnlayer(command));
                assert!(ran.refusal().contains("without elements"), "{command:?}: {}", ran.stderr);
                assert!(bytes < REFUSAL_BYTES, "{command:?}: {bytes} bytes");
            }
        }
    }
}

#[test]
fn the_longest_axes_without_elements_are_computed() {
    let folder = folder();
    for shape in [[MAX_EMPTY_AXIS, 0], [0, MAX_EMPTY_AXIS]] {
        for file in write_empty(folder.path(), shape) {
            let path = folder.path().join(file);
            let ran = nnlayer(&["relu", "--x", path.to_str().unwrap(), "--only", "y"]);
            assert!(ran.quiet().contains(&format!("({}×{})", shape[0], shape[1])), "{}", ran.text());
        }
    }
}

/// The refusal of a command that has less memory than it needs, run with a limit in kilobytes.
#[cfg(target_os = "linux")]
#[track_caller]
fn refused(folder: &Path, kilobytes: usize, command: &str) -> String {
    let ran = shell_in(folder, &format!("ulimit -v {kilobytes}; {command}"));
    ran.refusal_of(command).to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_larger_than_memory_is_refused_with_its_size() {
    let folder = folder();
    std::fs::write(folder.path().join("x.npy"), npy("|u1", [100_000, 1], &[1; 100_000])).unwrap();
    std::fs::write(folder.path().join("w.npy"), npy("|u1", [1, 100_000], &[1; 100_000])).unwrap();
    let layer = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":"w.npy"}}]}"#;
    std::fs::write(folder.path().join("net.json"), layer).unwrap();
    let affine = "nnlayer affine --x x.npy --w w.npy";
    for command in [
        format!("{affine} --check"),
        format!("{affine} --graph"),
        format!("{affine} --steps"),
        format!("{affine} --tape"),
        format!("{affine} --expect 1"),
        "nnlayer gradcheck --layer affine --x x.npy --w w.npy -- cat".to_owned(),
        "nnlayer net net.json --x x.npy".to_owned(),
        "nnlayer net net.json --x x.npy --check".to_owned(),
    ] {
        let error = refused(folder.path(), 4_000_000, &command);
        assert!(error.contains("(100000×100000) needs 80000000000 bytes of memory"), "{command}: {error}");
    }
    // Results that are written as they are computed need no memory for all of them.
    let ran = shell_in(folder.path(), &format!("ulimit -v 4000000; {affine} --only y --json | head -c 100"));
    assert!(ran.text().starts_with("{\"y\":[[1.0,1.0,"), "{}{}", ran.text(), ran.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn an_allocation_that_fails_is_an_error() {
    let folder = folder();
    // Doubles of 32 MB, and as many that a check computes with.
    std::fs::write(folder.path().join("x.npy"), npy("|u1", [2000, 2000], &[1; 4_000_000])).unwrap();
    let error = refused(folder.path(), 150_000, "nnlayer relu --x x.npy --check");
    assert!(error.contains("needs 32 MB of memory"), "{error}");
    let error = refused(folder.path(), 150_000, "nnlayer relu --x x.npy --check --error-format json");
    let error: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["error"]["code"], "out-of-memory");
    // The unoptimized program itself takes 45 MB.
    for kilobytes in [60_000, 75_000, 90_000] {
        for command in ["nnlayer relu --x x.npy --json", "nnlayer softmax --axis 0 --x x.npy --json"] {
            let ran = shell_in(folder.path(), &format!("ulimit -v {kilobytes}; {command} | wc -c"));
            assert!(
                ran.stderr.contains(" of memory") || ran.stderr.is_empty(),
                "{kilobytes} {command}: {}",
                ran.stderr
            );
            assert_eq!(ran.text() == "0\n", !ran.stderr.is_empty(), "{kilobytes} {command}: {}", ran.stderr);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_allocation_that_fails_leaves_no_temporary_file() {
    let folder = folder();
    std::fs::write(folder.path().join("x.npy"), npy("|u1", [300, 1], &[1; 300])).unwrap();
    std::fs::write(folder.path().join("w.npy"), npy("|u1", [1, 1_000_000], &[1; 1_000_000])).unwrap();
    // Rows of y are computed as they are written, 256 of them together: 2 GB.
    for out in ["y.npz", "y.json"] {
        let error =
            refused(folder.path(), 500_000, &format!("nnlayer affine --x x.npy --w w.npy --only y --out {out}"));
        assert!(error.contains("needs 2048 MB of memory"), "{error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
        assert_eq!(shell_in(folder.path(), "ls -A").text(), "w.npy\nx.npy\n");
    }
}

/// Runs a command for whose threads there are no stacks, so that none can be started.
fn without_threads(folder: &Path, command: &str) -> RunOutput {
    shell_in(folder, &format!("RUST_MIN_STACK=1000000000000000 {command}"))
}

#[test]
fn the_result_is_the_same_if_no_thread_can_be_started() {
    let folder = folder();
    let numbers: Vec<u8> = (0..300 * 300).map(|n: u64| (n * n % 251) as u8).collect();
    std::fs::write(folder.path().join("x.npy"), npy("|u1", [300, 300], &numbers)).unwrap();
    std::fs::write(folder.path().join("w.npy"), npy("|u1", [300, 300], &numbers)).unwrap();
    let row = vec!["1.5"; 300].join(",");
    std::fs::write(folder.path().join("rows.json"), format!("[{}]", vec![format!("[{row}]"); 300].join(","))).unwrap();
    std::fs::write(folder.path().join("x.ndjson"), "{\"x\":[1,2]}\n".repeat(5_000)).unwrap();
    for command in [
        "nnlayer softmax --x x.npy --json --threads N",
        "nnlayer affine --x x.npy --w w.npy --json --threads N",
        "nnlayer relu --ndjson --only y --threads N < x.ndjson",
        "nnlayer relu --x rows.json --only y --json --threads N",
    ] {
        let one = shell_in(folder.path(), &command.replace("threads N", "threads 1"));
        assert!(one.status == 0 && !one.stdout.is_empty(), "{}", one.stderr);
        let ran = without_threads(folder.path(), &command.replace("threads N", "threads 65535"));
        assert!(ran.status == 0 && ran.stdout == one.stdout, "{command}: {}", ran.stderr);
    }
    let ran = without_threads(folder.path(), "nnlayer gradcheck --layer relu --x 1,2 -- cat");
    assert!(ran.refusal().contains("cannot be run"), "{}", ran.stderr);
}

#[test]
#[cfg(unix)]
fn a_small_stack_is_enough_for_the_deepest_document() {
    let folder = folder();
    let deep =
        |levels: usize| format!("{{\"x\":[1,2],\"deep\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    std::fs::write(folder.path().join("x.json"), deep(64)).unwrap();
    std::fs::write(folder.path().join("deeper.json"), deep(65)).unwrap();
    let run = |file| {
        let command = format!("ulimit -s 48; exec nnlayer relu --only y --json --x {file}");
        shell_in(folder.path(), &command)
    };
    assert_eq!(run("x.json").quiet(), "{\"y\":[1.0,2.0]}\n");
    assert!(run("deeper.json").refusal().contains("has more than 64 levels"));
}
