//! Batches that are computed a block of rows at a time give the bytes that they give in memory.

use crate::support::{folder, nnlayer};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A .npy file of that many rows and columns; the numbers are whatever `number` gives.
fn npy(path: &Path, shape: [usize; 2], big: bool, number: impl Fn(usize) -> f64) {
    let order = if big { ">f8" } else { "<f8" };
    let shape_text = if shape[1] == 0 { format!("({},)", shape[0]) } else { format!("({}, {})", shape[0], shape[1]) };
    let dict = format!("{{'descr': '{order}', 'fortran_order': False, 'shape': {shape_text}, }}");
    let header = format!("{dict:117}\n");
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for n in 0..shape[0] * shape[1].max(1) {
        let number = number(n);
        file.write_all(&if big { number.to_be_bytes() } else { number.to_le_bytes() }).unwrap();
    }
}

/// Differs from entry to entry, and is 0.1·something: nothing that is exact in a sum.
fn uneven(n: usize) -> f64 {
    0.1 * ((n * 2_654_435_761) % 1009) as f64 - 50.0
}

#[test]
fn a_large_batch_gives_the_same_bytes_as_its_rows_do_in_memory() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Just above what is computed at once.
    let (rows, columns) = (65_700, 128);
    npy(&folder.path().join("x.npy"), [rows, columns], false, uneven);
    npy(&folder.path().join("dout.npy"), [rows, 3], true, |n| uneven(n + 7));
    npy(&folder.path().join("t.npy"), [rows, 0], false, |n| (n % columns) as f64);
    npy(&folder.path().join("w.npy"), [columns, 3], false, |n| uneven(n + 3));
    let x = path("x.npy");
    // Standard input has no rows to read: x comes from memory.
    let through = |args: &[&str], out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
        let file = std::fs::File::open(&x).unwrap();
        let ran = command.args(args).args(["--x", "-", "--out", out]).stdin(file).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stderr).unwrap()
    };
    for args in [
        &["affine", "--w", &path("w.npy"), "--b", "1,2,3", "--dout", &path("dout.npy"), "--only", "y,dx,dw"][..],
        &["affine", "--w", &path("w.npy"), "--precision", "f32"],
        &["softmax", "--only", "y"],
        &["softmax-xent", "--t", &path("t.npy"), "--reduction", "none"],
        &["softmax-xent", "--t", &path("t.npy"), "--dout", "2", "--only", "y,dx"],
        &["relu", "--forward"],
    ] {
        let (here, there) = (path("here.npz"), path("there.npz"));
        nnlayer(&[args, &["--x", &x, "--out", &here]].concat()).quiet();
        assert_eq!(through(args, &there), "");
        assert!(std::fs::read(here).unwrap() == std::fs::read(there).unwrap(), "{args:?}");
    }
    let (here, there) = (path("here.npy"), path("there.npy"));
    nnlayer(&["tanh", "--forward", "--x", &x, "--out", &here]).quiet();
    through(&["tanh", "--forward"], &there);
    assert!(std::fs::read(here).unwrap() == std::fs::read(there).unwrap());
    // A loss is rounded once a block; sums alone go anywhere.
    let loss = ["softmax-xent", "--t", &path("t.npy"), "--only", "loss", "--json"];
    let near = |ran: &str| serde_json::from_str::<serde_json::Value>(ran).unwrap()["loss"].as_f64().unwrap();
    let here = near(nnlayer(&[&loss[..], &["--x", &x]].concat()).quiet());
    through(&loss[..5], &path("loss.json"));
    let there = near(&std::fs::read_to_string(path("loss.json")).unwrap());
    assert!((here - there).abs() <= 4.0 * f64::EPSILON * there, "{here} {there}");
    let sums = ["affine", "--w", &path("w.npy"), "--b", "0", "--only", "dw,db"];
    let text = nnlayer(&[&sums[..], &["--x", &x]].concat()).quiet().to_owned();
    assert!(text.starts_with("dout = ones") && text.contains("db = Σ_rows dout  (3)\n[65700 65700 65700]"), "{text}");
}

#[test]
fn a_place_in_a_large_batch_is_that_in_the_whole() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let odd = 60_001 * 128 + 5;
    npy(&folder.path().join("x.npy"), [65_700, 128], false, |n| if n == odd { f64::INFINITY } else { 0.5 });
    let x = path("x.npy");
    let out = path("y.npz");
    let refused = nnlayer(&["softmax", "--x", &x, "--out", &out]);
    let expected = format!("error: --x {x} [60001,5]: row 60001 holds +inf, where softmax is not defined\n");
    assert!(refused.refusal().starts_with(&expected), "{}", refused.stderr);
    let refused = nnlayer(&["relu", "--x", &x, "--only", "z", "--out", &out]);
    assert!(refused.refusal().contains("there is no result z"), "{}", refused.stderr);
    let refused = nnlayer(&["relu", "--x", &x, "--out", &path("y.npy")]);
    assert!(refused.refusal().contains(".npy holds one result, there are 2: y, dx"), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written stays");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_file_behind() {
    use std::os::unix::process::ExitStatusExt;
    let folder = folder();
    npy(&folder.path().join("x.npy"), [65_700, 128], false, uneven);
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
    command.args(["softmax", "--x", "x.npy", "--out", "y.npz"]).current_dir(folder.path());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let names = || -> Vec<String> {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    while names().len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it was done before it began to write");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert_eq!(names(), ["x.npy"]);
}
