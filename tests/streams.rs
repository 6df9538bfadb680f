//! Standard input, closed pipes, terminals, colours.

use crate::support::{folder, nnlayer, piped, shell};

#[test]
fn a_terminal_on_standard_input_is_not_read() {
    let ran = nnlayer(&["softmax"]);
    assert!(ran.refusal().contains("usage: nnlayer softmax --x X"), "{}", ran.stderr);
}

#[test]
fn standard_input_is_not_read_if_every_operand_is_given() {
    assert_eq!(piped("{broken", &["softmax", "--x", "0,0", "--only", "y", "--json"]).quiet(), "{\"y\":[0.5,0.5]}\n");
}

#[test]
fn empty_standard_input_is_a_missing_operand() {
    for stdin in ["", "\n"] {
        let ran = piped(stdin, &["softmax-xent", "--x", "1,2,3"]);
        let message = "error: --t is required, and standard input is empty\n\
                       tip: give --t VALUE, or pipe a JSON object with the key t\n";
        assert_eq!(ran.refusal(), message);
    }
}

#[test]
fn a_closed_pipe_causes_no_message() {
    let ran = shell("nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --json | head -c 1");
    assert_eq!((ran.text(), ran.stderr.as_str()), ("{", ""));
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_the_process_by_sigpipe() {
    let folder = folder();
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    for out in ["--json".to_owned(), format!("--out '{}'", link.display())] {
        let ran = shell(&format!(
            "(nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy {out}; echo $? >&2) | true"
        ));
        assert_eq!(ran.stderr, "141\n", "{out}");
    }
}

#[test]
fn help_and_version_are_written_to_standard_output_with_status_0() {
    assert!(shell("nnlayer --help").quiet().contains("softmax-xent"));
    assert!(shell("nnlayer --version").quiet().starts_with("nnlayer "));
}

#[test]
fn no_command_shows_the_first_screen_on_standard_error() {
    let ran = shell("nnlayer");
    assert_eq!(ran.status, 2);
    assert!(ran.text().is_empty() && ran.stderr.contains("nnlayer -h"), "{}", ran.stderr);
}

#[test]
fn colours_are_used_on_terminals_or_if_asked_for() {
    assert!(!shell("nnlayer softmax --x 1/3").stderr.contains('\x1b'));
    assert!(shell("nnlayer softmax --x 1/3 --color always").stderr.contains('\x1b'));
}

#[test]
fn locale_and_width_change_nothing() {
    let plain = shell("nnlayer softmax-xent --x 1,2,3 --t 0");
    let other = shell("LC_ALL=de_DE.UTF-8 COLUMNS=20 TERM=dumb nnlayer softmax-xent --x 1,2,3 --t 0");
    assert_eq!(plain.text(), other.text());
}

#[test]
fn formats_are_recognised_by_first_bytes_and_tables_by_name() {
    assert_eq!(piped("1,2\n3,4\n", &["softmax", "--forward", "--json"]).status, 0);
    let table = piped("1\n2\n", &["softmax", "--in-format", "csv", "--forward", "--json"]);
    assert_eq!(table.quiet(), "{\"y\":[0.2689414213699951,0.7310585786300049]}\n");
}

#[test]
#[cfg(unix)]
fn a_file_that_can_be_read_only_once_is_spooled() {
    let ran = shell(
        "mkfifo ${TMPDIR:-/tmp}/nnlayer.$$ && (echo '[0,0]' > ${TMPDIR:-/tmp}/nnlayer.$$ & nnlayer softmax --x ${TMPDIR:-/tmp}/nnlayer.$$ --only y --json; rm ${TMPDIR:-/tmp}/nnlayer.$$)",
    );
    assert_eq!(ran.quiet(), "{\"y\":[0.5,0.5]}\n");
}

#[test]
#[cfg(target_os = "linux")]
fn a_closed_standard_stream_is_empty_and_not_replaced_by_a_file() {
    let folder = folder();
    let seen = folder.path().join("seen");
    let look = "readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2 > \"$SEEN\"; exit 1";
    let ran = shell(&format!(
        "SEEN='{}' nnlayer gradcheck --layer relu --x 1,2 -- sh -c '{look}' <&- >&- 2>&-",
        seen.display()
    ));
    assert_eq!(ran.status, 2);
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "/dev/null\n".repeat(3));
}

#[test]
#[cfg(unix)]
fn a_program_that_does_not_read_its_input_does_not_end_nnlayer() {
    let digits = "--x fixtures/digits/x.npy --w fixtures/digits/w.npy";
    let ran = shell(&format!("nnlayer gradcheck --layer affine {digits} -- sh -c 'exec <&-; exit 3'"));
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("exited with status 3"), "{}", ran.stderr);
}

#[test]
fn places_in_a_large_text_are_found_on_standard_input_as_in_a_file() {
    let folder = folder();
    let file = folder.path().join("x.json");
    let row = format!("[{}]", vec!["0.123456789"; 100].join(", "));
    let rows = |bad: &str| format!("{{\"x\":\n[{row},\n{bad}]}}", row = vec![row.as_str(); 4000].join(",\n"));
    for bad in ["[null]", "[1, 2]", &row.replacen("0.1", "\"a\", 0.1", 1), &row.replacen("0.1", "2e999, 0.1", 1)] {
        let text = rows(bad);
        std::fs::write(&file, &text).unwrap();
        let of_file = nnlayer(&["softmax", "--x", file.to_str().unwrap(), "--only", "y"]);
        let of_stdin = piped(&text, &["softmax", "--only", "y"]);
        let place = |refusal: &str| refusal.replace(&file.display().to_string(), "standard input");
        assert_eq!(place(of_file.refusal()), of_stdin.refusal());
        assert!(of_stdin.refusal().contains(":4002:"), "{}", of_stdin.refusal());
    }
    // A fault that shows after the text was read.
    let shapes = piped(rows(&row), &["affine", "--w", "[[1],[2]]", "--b", "0"]);
    assert!(shapes.refusal().contains("(4001×100)"), "{}", shapes.refusal());
    let tall = piped(rows(&row.replacen("0.1", "\"Infinity\", 0.1", 1).replacen(", 0.1", ", 0", 1)), &["softmax"]);
    assert!(tall.refusal().contains("standard input:4002:"), "{}", tall.refusal());
}

#[test]
fn a_file_named_standard_input_is_read_as_a_file() {
    let folder = folder();
    std::fs::write(folder.path().join("standard input"), "[1,2]").unwrap();
    let ran = shell(&format!(
        "cd '{}' && echo '[5,5]' | nnlayer relu --x 'standard input' --forward --json",
        folder.path().display()
    ));
    assert_eq!(ran.quiet(), "{\"y\":[1.0,2.0]}\n");
}

#[test]
#[cfg(target_os = "linux")]
fn with_a_file_size_limit_a_pipe_is_spooled_in_memory_and_a_large_result_is_refused() {
    let folder = folder();
    let ran = shell(&format!(
        "cd '{}'; ulimit -f 4096; numbers() {{ printf '['; yes 1, | head -3000000 | tr -d '\\n'; echo 1]; }}
        numbers | nnlayer relu --forward --json | tail -c 10
        numbers | nnlayer relu --forward --out y.npy; echo $?; ls -A",
        folder.path().display()
    ));
    assert_eq!(ran.text(), "1.0,1.0]}\n2\n");
    assert!(ran.stderr.contains("y.npy: cannot be written"), "{}", ran.stderr);
}

/// Asserts that each command, with the redirection, has no output and is refused with a message that says why.
fn refused(redirection: &str, commands: &[&str], why: &str) {
    for command in commands {
        let ran = shell(&format!("nnlayer {command} {redirection}"));
        assert!(ran.refusal_of(command).contains(why), "{command} {redirection}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
    }
}

/// Commands that write to standard output, each its own way.
const WRITERS: [&str; 8] = [
    "--help",
    "--version",
    "softmax --help",
    "completions bash",
    "relu --x 1,2",
    "relu --x 1,2 --json",
    "relu --x 1,2 --check",
    "affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --json",
];

#[test]
#[cfg(unix)]
fn closed_standard_output_is_an_error_if_something_is_written() {
    refused(">&-", &WRITERS, "standard output: cannot be written: it is closed");
    let folder = folder();
    let out = folder.path().join("y.json");
    assert_eq!(shell(&format!("nnlayer relu --x 1,2 --only y --out '{}' >&-", out.display())).quiet(), "");
    assert!(out.exists());
    // A stream to /dev/null is not closed, whatever it is open for.
    for redirection in [">/dev/null", "<>/dev/null >&0"] {
        assert_eq!(shell(&format!("nnlayer relu --x 1,2 {redirection}")).quiet(), "");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_an_error() {
    refused(">/dev/full", &WRITERS, "standard output: cannot be written: No space left on device");
    let folder = folder();
    let ran = shell(&format!(
        "ulimit -f 8; nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --json > '{}'",
        folder.path().join("y.json").display()
    ));
    assert!(ran.refusal().contains("standard output: cannot be written: File too large"), "{}", ran.stderr);
}

#[test]
#[cfg(unix)]
fn closed_standard_input_is_an_error_if_it_is_read() {
    refused("<&-", &["relu", "relu --x -", "net -", "backward", "sum -"], "cannot be read: it is closed");
    assert_eq!(shell("nnlayer relu --x 1,2 --only y --json <&-").quiet(), "{\"y\":[1.0,2.0]}\n");
}

#[test]
#[cfg(target_os = "linux")]
fn a_standard_error_that_cannot_be_written_changes_no_status() {
    for redirection in ["2>&-", "2>/dev/full"] {
        let refused = shell(&format!("nnlayer relu --x absent.json {redirection}"));
        assert_eq!((refused.status, refused.text()), (2, ""), "{redirection}");
        let warned = shell(&format!("nnlayer xent --y 0.5,0.6 --t 0 --only loss --json {redirection}"));
        assert_eq!((warned.status, warned.text().is_empty()), (0, false), "{redirection}");
    }
}

#[test]
fn an_error_in_the_last_row_leaves_standard_output_empty() {
    let folder = folder();
    let rows = |last: &str| format!("{}{last}\n", "0.25,0.5\n".repeat(60_000));
    for (command, last, why) in [
        ("relu --x x.csv --json", "1,two", "x.csv:60001:"),
        ("relu --x x.csv", "1", "x.csv:60001:"),
        ("softmax --x x.csv --json", "-inf,-inf", "60000"),
        ("softmax-xent --x x.csv --t t.csv --reduction none --json", "1,inf", "60000"),
    ] {
        std::fs::write(folder.path().join("x.csv"), rows(last)).unwrap();
        std::fs::write(folder.path().join("t.csv"), "0\n".repeat(60_001)).unwrap();
        let ran = crate::support::shell_in(folder.path(), &format!("nnlayer {command}"));
        assert!(ran.refusal_of(command).contains(why), "{command}: {}", ran.stderr);
    }
}

#[cfg(unix)]
mod non_blocking {
    use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::Duration;

    /// Time in which the program meets a pipe that is full or empty.
    const PAUSE: Duration = Duration::from_millis(100);

    fn nnlayer(line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
        command.args(line.split(' ')).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command
    }

    fn non_blocking_pipe() -> (PipeReader, PipeWriter) {
        let (reader, writer) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        (reader, writer)
    }

    /// Returns what a command writes to a pipe that it must wait for.
    fn written(mut command: Command, redirect: impl FnOnce(&mut Command, PipeWriter)) -> (Option<i32>, Vec<u8>) {
        let (mut reader, writer) = non_blocking_pipe();
        redirect(&mut command, writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        sleep(PAUSE);
        rustix::io::ioctl_fionbio(&reader, false).unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        (child.wait().unwrap().code(), bytes)
    }

    #[test]
    fn a_reader_that_is_slow_loses_nothing() {
        let line = "affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --json";
        let expected = nnlayer(line).output().unwrap().stdout;
        assert!(expected.len() > 100_000);
        let ran = written(nnlayer(line), |command, writer| {
            command.stdout(writer);
        });
        assert!(ran == (Some(0), expected), "{:?} {}", ran.0, ran.1.len());
        // Standard error of the same kind: it is full, and the message waits.
        let ran = written(nnlayer("relu --x 1/3"), |command, mut writer| {
            while writer.write(&[b' '; 4096]).is_ok() {}
            command.stderr(writer);
        });
        assert_eq!(ran.0, Some(2));
        assert!(String::from_utf8(ran.1).unwrap().trim_start().starts_with("error: --x"));
    }

    #[test]
    fn a_writer_that_is_slow_is_waited_for() {
        let (reader, mut writer) = non_blocking_pipe();
        let mut command = nnlayer("relu --only y --json");
        let child = command.stdin(reader).stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        for part in ["[1,", "-2]"] {
            sleep(PAUSE);
            writer.write_all(part.as_bytes()).unwrap();
        }
        drop(writer);
        assert_eq!(child.wait_with_output().unwrap().stdout, b"{\"y\":[1.0,0.0]}\n");
    }
}
