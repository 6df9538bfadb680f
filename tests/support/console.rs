//! Console blocks of documents, whose commands must print what the document shows.
//!
//! A block is fenced by three backticks and the word `console`. A line `$ command` is run by the shell (continued where it ends
//! in a backslash), in the folder of the project's files; the lines up to the next command are its standard output and standard
//! error, in the order in which a terminal shows them, and a last line `? 2` its exit status where that is not 0. `UPDATE=1
//! cargo test` writes the output into the file instead, to be reviewed before it is committed.

use super::shell_in;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Runs all console blocks of a file in `folder`, one file at a time, since the commands write files of the same names.
#[track_caller]
pub fn run(file: &Path, folder: &Path) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(file).unwrap();
    let mut commands = 0;
    let now = replay(&text, |command| {
        commands += 1;
        printed(folder, command)
    });
    assert!(commands > 0, "{} has no console block", file.display());
    if std::env::var_os("UPDATE").is_some() && now != text {
        std::fs::write(file, now).unwrap();
    } else {
        for (line, (now, then)) in now.lines().zip(text.lines()).enumerate() {
            assert_eq!(now, then, "{}:{}", file.display(), line + 1);
        }
        assert_eq!(now, text, "{}", file.display());
    }
}

/// Returns the output of a command as a console block shows it.
pub fn printed(folder: &Path, command: &str) -> String {
    let ran = shell_in(folder, &format!("exec 2>&1\n{command}"));
    let mut printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    if ran.status != 0 {
        writeln!(printed, "? {}", ran.status).unwrap();
    }
    printed
}

/// Returns the text with the output of each command replaced by what `run` returns.
fn replay(text: &str, mut run: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        let fence = line.trim_start().starts_with("```");
        if fence {
            inside = !inside && line.trim() == "```console";
        }
        writeln!(out, "{line}").unwrap();
        if !inside || fence {
            continue;
        }
        let Some(first) = line.strip_prefix("$ ") else { panic!("output before a command: {line}") };
        let mut command = first.to_owned();
        while command.ends_with('\\') {
            let next = lines.next().unwrap();
            writeln!(out, "{next}").unwrap();
            command.push('\n');
            command.push_str(next.trim_start_matches("> "));
        }
        while lines.next_if(|line| !line.starts_with("$ ") && !line.starts_with("```")).is_some() {}
        out.push_str(&run(&command));
    }
    out
}
