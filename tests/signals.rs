//! Signals that end nnlayer leave no temporary file and no process, whenever they come.
#![cfg(unix)]

use crate::support::{folder, shell_in};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SIGNALS: [Signal; 8] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::ALARM, Signal::USR1, Signal::USR2, Signal::XCPU];

/// Starts a line of shell, which ends in nnlayer, in a folder.
fn start(folder: &Path, line: &str) -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_nnlayer"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    // No core file after SIGQUIT.
    command.args(["-c", &format!("ulimit -c 0; {line}")]).current_dir(folder).env("PATH", path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The signals that end a process, but those that whoever runs the tests ignores, as `nohup` does: nnlayer then ignores them too.
pub fn signals() -> impl Iterator<Item = Signal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    let ignored = u64::from_str_radix(mask.trim(), 16).unwrap();
    SIGNALS.into_iter().filter(move |signal| ignored >> (signal.as_raw() - 1) & 1 == 0)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Starts a command that writes a large file for minutes, and returns when its temporary file exists.
fn start_writing(folder: &Path, before: &str) -> Child {
    std::fs::write(folder.join("x.json"), format!("[{}]", vec!["[0.1]"; 10_000].join(","))).unwrap();
    let row = vec!["0.3"; 20_000].join(",");
    std::fs::write(folder.join("w.json"), format!("[[{row}]]")).unwrap();
    std::fs::write(folder.join("y.json"), "old").unwrap();
    let mut child = start(folder, &format!("{before} exec nnlayer affine --x x.json --w w.json --only y --out y.json"));
    while !names(folder)[0].starts_with(".nnlayer-") {
        assert!(child.try_wait().unwrap().is_none(), "ended without a temporary file");
    }
    child
}

#[test]
fn a_signal_while_a_file_is_written_leaves_the_old_file_and_no_other() {
    for signal in signals() {
        let folder = folder();
        let mut child = start_writing(folder.path(), "");
        send(&child, signal);
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        assert_eq!(names(folder.path()), ["w.json", "x.json", "y.json"], "after signal {}", signal.as_raw());
        assert_eq!(std::fs::read(folder.path().join("y.json")).unwrap(), b"old");
    }
}

#[test]
fn a_file_that_will_replace_a_private_one_is_private_while_it_is_written() {
    let folder = folder();
    std::fs::write(folder.path().join("y.json"), "old").unwrap();
    let mut child = start_writing(folder.path(), "umask 0; chmod 600 y.json;");
    let temporary = folder.path().join(&names(folder.path())[0]);
    assert_eq!(std::fs::metadata(temporary).unwrap().permissions().mode() & 0o777, 0o600);
    send(&child, Signal::TERM);
    child.wait().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_is_ignored_stays_ignored() {
    let folder = folder();
    let mut child = start_writing(folder.path(), "trap '' HUP INT;");
    send(&child, Signal::HUP);
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(names(folder.path()), ["w.json", "x.json", "y.json"]);
}

/// Starts a check of a program, and returns what all processes of the program have written to a pipe when the last one has ended:
/// a line when it is time for the signal, and another from a process that the signal did not end.
fn last_words(program: &str, signal: Signal) -> String {
    let folder = folder();
    assert_eq!(shell_in(folder.path(), "mkfifo words").status, 0);
    let program = program.replace("WORD", "echo ready >&3; sleep 5; echo alive >&3");
    std::fs::write(folder.path().join("program.sh"), format!("exec 3>words\n{program}\n")).unwrap();
    let line = "exec nnlayer gradcheck --layer relu --x 1,2 --persistent --timeout 60 -- sh program.sh";
    let mut child = start(folder.path(), line);
    let mut words = File::open(folder.path().join("words")).unwrap();
    let mut text = [0; 6];
    words.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"ready\n");
    send(&child, signal);
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    rest
}

#[test]
fn a_signal_ends_the_program_under_test_and_all_that_it_started() {
    // While it computes, and while nnlayer waits for its end after the last request.
    let computing = "(WORD) & wait";
    let ending = "read request; echo no reply; while read request; do :; done; WORD";
    for signal in signals() {
        assert_eq!(last_words(computing, signal), "", "signal {}", signal.as_raw());
    }
    assert_eq!(last_words(ending, Signal::TERM), "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_allocation_while_a_file_is_written_leaves_no_other() {
    let folder = folder();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2000, 1000), }\n";
    let length = (header.len() as u16).to_le_bytes();
    let array = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[0; 16_000_000]].concat();
    std::fs::write(folder.path().join("x.npy"), array).unwrap();
    for kilobytes in [28_000, 32_000, 36_000, 40_000] {
        shell_in(folder.path(), &format!("ulimit -v {kilobytes}; nnlayer relu --x x.npy --out y.npz"));
        let _ = std::fs::remove_file(folder.path().join("y.npz"));
        assert_eq!(names(folder.path()), ["x.npy"], "{kilobytes} kB");
    }
}

#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    let folder = folder();
    let mut child = start_writing(folder.path(), "");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(folder.path()).len(), 4, "the killed run removed its temporary file");
    let ran = shell_in(folder.path(), "nnlayer relu --x 1,2 --only y --out other.json");
    assert_eq!(ran.quiet(), "");
    assert_eq!(names(folder.path()), ["other.json", "w.json", "x.json", "y.json"]);
}

#[test]
fn temporary_files_that_may_be_in_use_and_other_files_stay() {
    let folder = folder();
    let mut ended = Command::new("true").spawn().unwrap();
    let (own, ended) = (std::process::id(), (ended.id(), ended.wait().unwrap()).0);
    let write = |name: &str| File::create(folder.path().join(name)).unwrap();
    write(&format!(".nnlayer-{own}-abcdef"));
    write(&format!(".nnlayer-{ended}-notes.txt"));
    write(".nnlayer-abcdef");
    write("nnlayer-1-abcdef");
    std::fs::create_dir(folder.path().join(format!(".nnlayer-{ended}-folder"))).unwrap();
    std::os::unix::fs::symlink("nnlayer-1-abcdef", folder.path().join(format!(".nnlayer-{ended}-linked"))).unwrap();
    assert_eq!(shell_in(folder.path(), &format!("mkfifo .nnlayer-{ended}-fifoes")).status, 0);
    // A process that cannot be seen, such as one in another container, holds a lock.
    let locked = write(&format!(".nnlayer-{ended}-locked"));
    locked.lock().unwrap();
    let kept = names(folder.path());
    write(&format!(".nnlayer-{ended}-abcdef"));
    write(&format!(".nnlayer-{ended}-ABC123"));
    assert_eq!(shell_in(folder.path(), "nnlayer relu --x 1,2 --only y --out y.json").quiet(), "");
    assert_eq!(names(folder.path()), [kept, vec!["y.json".to_owned()]].concat());
}
