//! Files that are written: the old one or the new one, whole, whatever happens in between.
#![cfg(unix)]

use crate::support::{folder, shell_in};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 100;

fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn seconds(folder: &Path, args: &[&str]) -> Duration {
    let begin = Instant::now();
    assert!(start(folder, args).wait().unwrap().success());
    begin.elapsed()
}

/// Kills the command at moments spread over the time it takes, and looks at the folder after each.
fn killed(folder: &Path, args: &[&str], mut look: impl FnMut(u32)) {
    let whole = seconds(folder, args).max(seconds(folder, args)) * 5 / 4;
    for round in 0..ROUNDS {
        let mut child = start(folder, args);
        std::thread::sleep(whole * round / ROUNDS);
        child.kill().unwrap();
        child.wait().unwrap();
        look(round);
    }
}

#[test]
fn a_result_is_the_old_file_or_the_new_one_when_the_program_is_killed() {
    let folder = folder();
    let rows: Vec<String> = (0..5_000).map(|n| format!("{n},{},0.5", n % 7)).collect();
    std::fs::write(folder.path().join("x.csv"), rows.join("\n")).unwrap();
    let args = ["softmax", "--x", "x.csv", "--only", "y", "--out", "y.json"];
    let target = folder.path().join("y.json");
    assert!(start(folder.path(), &args).wait().unwrap().success());
    let (old, new) = (b"old".to_vec(), std::fs::read(&target).unwrap());
    let (mut olds, mut news) = (0, 0);
    killed(folder.path(), &args, |round| {
        let now = std::fs::read(&target).unwrap();
        assert!(now == old || now == new, "round {round}: {} bytes of {}", now.len(), new.len());
        if now == new {
            news += 1
        } else {
            olds += 1
        }
        std::fs::write(&target, &old).unwrap();
    });
    assert!(olds > 0 && news > 0, "{olds} times the old file, {news} times the new");
    // What a killed program leaves is hidden beside the file, under a name of its own.
    for left in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
    {
        assert!(["x.csv", "y.json"].contains(&left.as_str()) || left.starts_with(".nnlayer-"), "{left}");
    }
}

#[test]
fn a_checkpoint_is_whole_when_training_is_killed_and_goes_on_to_the_same_bits() {
    let folder = folder();
    let train = |more: &str| {
        let line = format!("nnlayer train net.json --x x.csv --t t.csv --epochs 25 --out trained.json {more}");
        assert_eq!(shell_in(folder.path(), &line).status, 0);
        std::fs::read(folder.path().join("trained.json")).unwrap()
    };
    std::fs::write(folder.path().join("x.csv"), "0,0\n0,1\n1,0\n1,1\n".repeat(5)).unwrap();
    std::fs::write(folder.path().join("t.csv"), "0\n1\n1\n0\n".repeat(5)).unwrap();
    assert_eq!(shell_in(folder.path(), "nnlayer net --init 2,8,2 --seed 1 --out net.json").status, 0);
    let whole = train("");
    let args = ["train", "net.json", "--x", "x.csv", "--t", "t.csv", "--epochs", "25", "--out", "trained.json"];
    let mut between = None;
    killed(folder.path(), &args, |round| {
        let Ok(now) = std::fs::read(folder.path().join("trained.json")) else { return };
        let read = nnlayer::network::document::read(&now, "trained.json", None);
        assert!(read.is_ok(), "round {round}: {:?}", read.err());
        if now != whole {
            between = Some(now);
        }
        std::fs::remove_file(folder.path().join("trained.json")).unwrap();
    });
    let between = between.expect("some kill came between two epochs");
    std::fs::write(folder.path().join("trained.json"), between).unwrap();
    assert!(train("--resume") == whole);
}

/// Runs a line that cannot write `y.json`, and looks whether it is as it was.
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
    // No file may be longer than a few blocks: the same failure as a full disk, and no disk is needed for it.
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
    // A real one, where this user may mount one.
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
    // To root nothing is shut; nobody else is asked then.
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
