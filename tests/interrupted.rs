//! An interrupted command leaves the old file or the complete new one.
#![cfg(unix)]

use crate::support::{folder, shell_in};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills the command as soon as `is_time`, which becomes true while it runs or after it.
fn kill_when(folder: &Path, args: &[&str], is_time: impl Fn() -> bool) {
    let mut child = start(folder, args);
    while !is_time() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_result_is_the_old_file_or_the_new_one_when_the_program_is_killed() {
    let folder = folder();
    let rows: Vec<String> = (0..5_000).map(|n| format!("{n},{},0.5", n % 7)).collect();
    std::fs::write(folder.path().join("x.csv"), rows.join("\n")).unwrap();
    let args = ["softmax", "--x", "x.csv", "--only", "y", "--out", "y.json"];
    let target = folder.path().join("y.json");
    assert!(start(folder.path(), &args).wait().unwrap().success());
    let new = std::fs::read(&target).unwrap();
    // Killed at once, when the temporary file appears, and when the result appears.
    let moments: [&dyn Fn() -> bool; 3] = [
        &|| true,
        &|| {
            names(folder.path()).iter().any(|name| name.starts_with(".nnlayer-"))
                || std::fs::read(&target).unwrap() == new
        },
        &|| std::fs::read(&target).unwrap() == new,
    ];
    for (n, is_time) in moments.iter().cycle().take(30).enumerate() {
        std::fs::write(&target, "old").unwrap();
        kill_when(folder.path(), &args, is_time);
        let now = std::fs::read(&target).unwrap();
        assert!(now == b"old" || now == new, "round {n}: {} bytes of {}", now.len(), new.len());
        // A killed program may leave its temporary file, which has a name of its own.
        for left in names(folder.path()) {
            if left.starts_with(".nnlayer-") {
                std::fs::remove_file(folder.path().join(left)).unwrap();
            } else {
                assert!(["x.csv", "y.json"].contains(&left.as_str()), "{left}");
            }
        }
    }
}

#[test]
fn a_checkpoint_is_whole_when_training_is_killed_and_goes_on_to_the_same_bits() {
    let folder = folder();
    std::fs::write(folder.path().join("x.csv"), "0,0\n0,1\n1,0\n1,1\n".repeat(5)).unwrap();
    std::fs::write(folder.path().join("t.csv"), "0\n1\n1\n0\n".repeat(5)).unwrap();
    assert_eq!(shell_in(folder.path(), "nnlayer net --init 2,8,2 --seed 1 --out net.json").status, 0);
    let checkpoint = folder.path().join("trained.json");
    // More epochs than any machine completes before the first checkpoint appears.
    let data = ["train", "net.json", "--x", "x.csv", "--t", "t.csv", "--out", "trained.json", "--epochs"];
    kill_when(folder.path(), &[&data[..], &["1000000000"]].concat(), || checkpoint.exists());
    let between = std::fs::read(&checkpoint).unwrap();
    let node = nnlayer::format::json::parse(&between, "trained.json").unwrap();
    let read = nnlayer::network::document::from_json(&node, None);
    assert!(read.is_ok(), "{:?}", read.err());
    let document: serde_json::Value = serde_json::from_slice(&between).unwrap();
    let epochs = (document["training"]["epoch"].as_u64().unwrap() + 3).to_string();
    let train = |more: &[&str]| {
        let args = [&data[..], &[epochs.as_str()], more].concat();
        assert!(start(folder.path(), &args).wait().unwrap().success());
        std::fs::read(&checkpoint).unwrap()
    };
    let resumed = train(&["--resume"]);
    std::fs::remove_file(&checkpoint).unwrap();
    assert!(train(&[]) == resumed);
}

/// Runs a line that cannot write `y.json`, and checks that the file did not change.
fn stays(folder: &Path, line: &str, why: &str) {
    let ran = shell_in(folder, line);
    assert!(ran.refusal_of(line).contains("cannot be written: "), "{line}: {}", ran.stderr);
    assert!(ran.stderr.contains(why) && ran.stderr.contains("tip: "), "{line}: {}", ran.stderr);
}

#[test]
fn a_full_disk_is_said_and_leaves_the_old_file() {
    let folder = folder();
    std::fs::write(folder.path().join("y.json"), "old").unwrap();
    std::fs::write(folder.path().join("x.csv"), "0.1,0.2\n".repeat(5000)).unwrap();
    // A limit of a few blocks on the size of files: writing fails as on a full disk.
    let limited = "ulimit -f 8; nnlayer softmax --x x.csv --only y --out y.json";
    stays(folder.path(), limited, "File too large");
    assert_eq!(std::fs::read(folder.path().join("y.json")).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
    if Path::new("/dev/full").exists() {
        let full = "ln -sf /dev/full full.json; nnlayer softmax --x 1,2 --only y --out full.json";
        stays(folder.path(), full, "No space left");
        let ran = shell_in(folder.path(), "nnlayer softmax --x x.csv --json > /dev/full");
        assert!(ran.refusal().contains("standard output: cannot be written: No space left"), "{}", ran.stderr);
    }
    // A disk that is really full, if this user may mount one.
    let mount =
        "unshare -rm sh -c 'mkdir disk && mount -t tmpfs -o size=64k none disk && echo old > disk/y.json && RUN'";
    if shell_in(folder.path(), &mount.replace("RUN", "true")).status == 0 {
        std::fs::remove_dir(folder.path().join("disk")).unwrap();
        let run = "(nnlayer softmax --x x.csv --only y --out disk/y.json; echo $? $(cat disk/y.json) $(ls -A disk))";
        let ran = shell_in(folder.path(), &mount.replace("RUN", run));
        assert_eq!(ran.text(), "2 old y.json\n", "{}", ran.stderr);
        assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_said_and_leaves_the_old_file() {
    let folder = folder();
    let run = "nnlayer softmax --x 1,2 --only y --out";
    std::fs::write(folder.path().join("file"), "old").unwrap();
    stays(folder.path(), &format!("{run} file/y.json"), "Not a directory");
    stays(folder.path(), &format!("{run} absent/y.json"), "No such file or directory");
    shell_in(folder.path(), "mkdir shut && echo old > shut/y.json && chmod 755 . && chmod 555 shut");
    // Root may write to every directory, so the case is tested for other users only.
    let nobody = if shell_in(folder.path(), "touch shut/y.json && id -u").text() == "0\n" {
        "setpriv --reuid 65534 --clear-groups "
    } else {
        ""
    };
    if shell_in(folder.path(), &format!("{nobody}nnlayer --version && {nobody}ls shut")).status == 0 {
        stays(folder.path(), &format!("{nobody}{run} shut/y.json"), "Permission denied");
        assert_eq!(shell_in(folder.path(), "cat shut/y.json; ls -A shut").text(), "old\ny.json\n");
    }
    shell_in(folder.path(), "chmod 755 shut");
}
