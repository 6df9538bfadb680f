//! A child process with a thread for each of its pipes. All three are written or read at the same time, so that the two
//! processes cannot deadlock. The process is always waited for.

use super::time_limit::TimeLimit;
use crate::core::error::{Code, Error, sanitize};
use crate::core::signals::{Undo, Undoable};
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest reply in bytes, so that a program that prints without end does not fill the memory.
const MAX_REPLY_BYTES: u64 = 1 << 28;
/// Number of bytes of standard error that are kept, from its end.
const STDERR_BYTES: usize = 4096;
/// Number of lines of standard error that an error shows.
const SHOWN_LINES: usize = 6;
/// Longest pause between two looks at whether a process has ended.
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Time that standard error has to end after the process.
const STDERR_GRACE_PERIOD: Duration = Duration::from_millis(200);
/// Time that a persistent program has to end after its input has ended.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

/// The requests that a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessLifetime {
    /// One request. Standard input ends after it, and all of standard output is the reply.
    PerRequest,
    /// All requests, one a line, each with a reply of one line, until standard input ends.
    Persistent,
}

/// An event on standard output.
pub(super) enum Output {
    /// A reply.
    Reply(Vec<u8>),
    /// A reply longer than [`MAX_REPLY_BYTES`].
    TooLong,
    /// The end of the output.
    End,
}

/// A running program.
pub(super) struct ChildProcess {
    process: std::process::Child,
    requests: Option<Sender<Vec<u8>>>,
    output: Receiver<Output>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_reader: JoinHandle<()>,
    status: Option<ExitStatus>,
    /// Kills the process group if a signal ends nnlayer, also while it waits for the last output of a process that has ended.
    _undoable: Undoable,
}

impl ChildProcess {
    pub(super) fn start(command: &[OsString], lifetime: ProcessLifetime) -> Result<ChildProcess, Error> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::new(Code::Usage, "no program is given")
                .tip("name the program after --: nnlayer gradcheck --layer affine -- python3 affine.py"));
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (mut process, undoable) = Undoable::begin(|| {
            let process = command.spawn()?;
            let undo = kill_group_later(&process);
            Ok((process, undo))
        })
        .map_err(|error| start_error(program, &error))?;
        let (requests, pending) = channel();
        let (sender, output) = sync_channel(1);
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (stdin, stdout, stderr_pipe) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let tail = Arc::clone(&stderr);
        let start_threads = || {
            thread::Builder::new().spawn(move || stdin.map(|pipe| write_requests(pipe, &pending)))?;
            thread::Builder::new().spawn(move || stdout.map(|pipe| read_replies(pipe, lifetime, &sender)))?;
            thread::Builder::new().spawn(move || stderr_pipe.map_or((), |pipe| read_stderr(pipe, &tail)))
        };
        let stderr_reader = start_threads().map_err(|error| {
            let _ = process.kill().and_then(|()| process.wait());
            start_error(program, &error)
        })?;
        Ok(ChildProcess {
            process,
            requests: Some(requests),
            output,
            stderr,
            stderr_reader,
            status: None,
            _undoable: undoable,
        })
    }

    /// Passes a request to the thread that writes standard input.
    pub(super) fn send(&self, request: Vec<u8>) {
        // The thread ends if the pipe is closed: the output and the exit status then say more than this error.
        let _ = self.requests.as_ref().map(|requests| requests.send(request));
    }

    /// Closes standard input after all requests are written.
    pub(super) fn close_input(&mut self) {
        self.requests = None;
    }

    /// Returns output that arrived without a request.
    pub(super) fn unread_output(&self) -> Option<Output> {
        self.output.try_recv().ok()
    }

    /// Waits for output; returns `None` when the time is up.
    pub(super) fn receive(&self, limit: &TimeLimit) -> Option<Output> {
        match self.output.recv_timeout(limit.deadline.saturating_duration_since(Instant::now())) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Disconnected) => Some(Output::End),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Waits for the process to end; returns `None` at the deadline.
    fn wait(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                self.status = Some(status);
                return self.status;
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Waits for exit status 0.
    pub(super) fn wait_for_success(&mut self, limit: &TimeLimit) -> Result<(), Error> {
        match self.wait(limit.deadline) {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.explain_end(limit)),
            None => Err(self.kill_after_timeout(limit)),
        }
    }

    /// Returns the error for a process that exited without a reply or failed.
    pub(super) fn explain_end(&mut self, limit: &TimeLimit) -> Error {
        let Some(status) = self.wait(limit.deadline) else { return self.kill_after_timeout(limit) };
        let error = if status.success() {
            Error::new(Code::ProgramCrash, "exited without a reply")
                .tip("reply with one line of JSON to each line of standard input, as docs/gradcheck-protocol.md says")
        } else {
            Error::new(Code::ProgramCrash, describe_status(status))
                .tip("run the program by hand with the example of docs/gradcheck-protocol.md")
        };
        self.add_stderr(error)
    }

    /// Kills the process because its time is up.
    pub(super) fn kill_after_timeout(&mut self, limit: &TimeLimit) -> Error {
        self.kill();
        let error = Error::new(Code::ProgramTimeout, format!("did not reply within {limit}"));
        self.add_stderr(error)
            .tip("use --timeout SECONDS for a longer limit; check that the program reads its input and then ends")
    }

    /// Kills the process because its reply is too long.
    pub(super) fn kill_after_long_output(&mut self) -> Error {
        self.kill();
        Error::new(Code::ReplyTooLong, format!("printed more than {} MB and was stopped", MAX_REPLY_BYTES >> 20))
            .tip("print only the reply on standard output, and everything else on standard error")
    }

    /// Kills the process and all processes that it started, and waits for it.
    fn kill(&mut self) {
        if self.status.is_some() {
            return;
        }
        #[cfg(unix)]
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.kill();
        self.status = self.process.wait().ok();
    }

    /// Adds the last lines of standard error to an error.
    fn add_stderr(&mut self, mut error: Error) -> Error {
        // A process that it started may keep standard error open after its end: the wait is short.
        let deadline = Instant::now() + STDERR_GRACE_PERIOD;
        while !self.stderr_reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            error = error.fact("last lines of standard error:");
        }
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            error = error.fact(format!("  {}", sanitize(line)));
        }
        error
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.close_input();
        if self.status.is_none() && self.wait(Instant::now() + GRACE_PERIOD).is_none() {
            self.kill();
        }
    }
}

/// Returns what kills a process and all processes that it started.
fn kill_group_later(process: &std::process::Child) -> Undo {
    #[cfg(unix)]
    let group = Pid::from_child(process);
    #[cfg(not(unix))]
    let _ = process;
    Box::new(move || {
        #[cfg(unix)]
        let _ = kill_process_group(group, Signal::KILL);
    })
}

/// Writes requests until no more can come, or the pipe is closed.
fn write_requests(mut stdin: ChildStdin, requests: &Receiver<Vec<u8>>) {
    while let Ok(request) = requests.recv() {
        if stdin.write_all(&request).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads replies: all of the output, or one a line.
fn read_replies(stdout: ChildStdout, lifetime: ProcessLifetime, sender: &SyncSender<Output>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut reply = Vec::new();
        let mut limited = (&mut stdout).take(MAX_REPLY_BYTES + 1);
        let read = match lifetime {
            ProcessLifetime::PerRequest => limited.read_to_end(&mut reply),
            ProcessLifetime::Persistent => limited.read_until(b'\n', &mut reply),
        };
        let output = match read {
            Ok(0) | Err(_) => Output::End,
            Ok(read) if read as u64 > MAX_REPLY_BYTES => Output::TooLong,
            Ok(_) if reply.trim_ascii().is_empty() => continue,
            Ok(_) => Output::Reply(reply),
        };
        let is_last = !matches!(output, Output::Reply(_));
        if sender.send(output).is_err() || is_last {
            return;
        }
    }
}

/// Reads standard error and keeps its end.
fn read_stderr(mut stderr: ChildStderr, tail: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; STDERR_BYTES];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.extend_from_slice(&buffer[..read]);
                let excess = tail.len().saturating_sub(STDERR_BYTES);
                tail.drain(..excess);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn describe_status(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(signal).map_or_else(String::new, |name| format!(" ({name})"));
        return format!("was terminated by signal {signal}{name}");
    }
    status.code().map_or_else(|| "failed".to_owned(), |code| format!("exited with status {code}"))
}

/// Returns the error for a program that cannot be started, with a tip for the usual causes.
fn start_error(program: &OsString, error: &io::Error) -> Error {
    let path = Path::new(program);
    let shown = sanitize(&program.to_string_lossy());
    let is_path = path.components().count() > 1;
    let not_executable = Error::new(Code::ProgramNotExecutable, format!("cannot be run: {error}"));
    let is_on_path = || {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(path).exists())
    };
    // A folder of the path that cannot be searched denies permission for a program that is nowhere.
    let kind = match error.kind() {
        ErrorKind::PermissionDenied if !is_path && !is_on_path() => ErrorKind::NotFound,
        kind => kind,
    };
    let usage = "write the program and its arguments after --: -- python3 affine.py";
    match kind {
        ErrorKind::NotFound if is_path && path.exists() => {
            not_executable.tip("the interpreter in its first line #! does not exist; name one: -- python3 FILE")
        }
        ErrorKind::NotFound => {
            let missing = Error::new(Code::ProgramMissing, "program not found");
            if !is_path && path.exists() {
                missing.tip(format!("write ./{shown} for a program in this directory"))
            } else if shown.contains(' ') {
                missing
                    .tip("write the program and its arguments as separate words, without quotes: -- python3 affine.py")
            } else {
                missing.tip(usage)
            }
        }
        ErrorKind::PermissionDenied if path.is_dir() => not_executable.tip("it is a directory; name a program in it"),
        ErrorKind::PermissionDenied => not_executable
            .tip(format!("run chmod +x {shown} to make it executable, or name its interpreter: -- python3 {shown}")),
        // ENOEXEC: the file has neither machine code nor a #! line.
        _ if error.raw_os_error() == Some(8) => not_executable
            .tip(format!("add a first line such as #!/usr/bin/env python3, or name the interpreter: -- sh {shown}")),
        _ => not_executable.tip(usage),
    }
}
