//! A process with threads at its pipes: all three are fed and drained at the same time, so that neither side can wait
//! for the other for ever; and it is always waited for.

use super::Conversation;
use crate::core::error::{Code, Error};
use crate::core::signals;
use crate::format::sanitize;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest reply, in bytes: a program that prints for ever must not fill the memory until its time is up.
const LONGEST_REPLY: u64 = 1 << 28;
/// So much of what was said last on standard error is kept.
const KEPT_WORDS: usize = 4096;
/// So many of its lines are shown.
const SHOWN_LINES: usize = 6;
/// How often a signal is looked for while waiting.
const TICK: Duration = Duration::from_millis(50);
/// How long a persistent program may take to end when its input has ended.
const GRACE: Duration = Duration::from_secs(1);

/// What a program did on standard output.
pub(super) enum Said {
    /// It answered.
    Reply(Vec<u8>),
    /// It went on and on.
    TooLong,
    /// It closed standard output.
    End,
}

/// A running program.
pub(super) struct Child {
    process: std::process::Child,
    requests: Option<Sender<Vec<u8>>>,
    said: Receiver<Said>,
    words: Arc<Mutex<Vec<u8>>>,
    words_end: Option<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Child {
    pub(super) fn start(command: &[OsString], conversation: Conversation) -> Result<Child, Error> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::new(Code::Usage, "no program is given")
                .tip("it stands behind --: nnlayer gradcheck --layer affine -- python3 affine.py"));
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn().map_err(|error| cannot_start(program, &error))?;
        let (requests, waiting) = channel();
        let (heard, said) = sync_channel(1);
        let words = Arc::new(Mutex::new(Vec::new()));
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        thread::spawn(move || stdin.map(|stdin| feed(stdin, &waiting)));
        thread::spawn(move || stdout.map(|stdout| drain(stdout, conversation, &heard)));
        let kept = Arc::clone(&words);
        let words_end = thread::spawn(move || {
            if let Some(stderr) = stderr {
                keep(stderr, &kept);
            }
        });
        Ok(Child { process, requests: Some(requests), said, words, words_end: Some(words_end), status: None })
    }

    /// Hands a request to the thread that feeds the program.
    pub(super) fn tell(&self, request: Vec<u8>) {
        // A thread that is gone met a closed pipe: what the program says and how it ends tells more than that.
        let _ = self.requests.as_ref().map(|requests| requests.send(request));
    }

    /// Closes its standard input, once all requests are written.
    pub(super) fn end_input(&mut self) {
        self.requests = None;
    }

    /// What it said without having been asked.
    pub(super) fn already_said(&self) -> Option<Said> {
        self.said.try_recv().ok()
    }

    /// What it says next; nothing when the time is up.
    pub(super) fn listen(&mut self, until: Instant) -> Option<Said> {
        loop {
            self.obey_signals();
            let left = until.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left.min(TICK)) {
                Ok(said) => return Some(said),
                Err(RecvTimeoutError::Disconnected) => return Some(Said::End),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits for it to end.
    fn wait(&mut self, until: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                self.status = Some(status);
                return self.status;
            }
            if Instant::now() >= until {
                return None;
            }
            self.obey_signals();
            thread::sleep(pause);
            pause = (pause * 2).min(TICK);
        }
    }

    /// Waits for an end without complaint.
    pub(super) fn end_well(&mut self, until: Instant, timeout: Duration) -> Result<(), Error> {
        match self.wait(until) {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.ended(until, timeout)),
            None => Err(self.kill_late(timeout)),
        }
    }

    /// Why it ended without an answer, or badly.
    pub(super) fn ended(&mut self, until: Instant, timeout: Duration) -> Error {
        let Some(status) = self.wait(until) else { return self.kill_late(timeout) };
        let error = if status.success() {
            Error::new(Code::ProgramCrash, "ended without an answer").tip(
                "a program reads one line from standard input and prints one line of JSON, with --persistent again and again until its input ends; docs/gradcheck-protocol.md has examples",
            )
        } else {
            Error::new(Code::ProgramCrash, how_it_ended(status))
                .tip("a status other than 0 says that the program failed; run it by hand with the example of docs/gradcheck-protocol.md")
        };
        self.with_last_words(error)
    }

    /// Ends it because its time is up.
    pub(super) fn kill_late(&mut self, timeout: Duration) -> Error {
        self.kill();
        let error = Error::new(Code::ProgramTimeout, format!("did not answer within {} s", timeout.as_secs_f64()));
        self.with_last_words(error)
            .tip("--timeout SECONDS gives it longer; does it read to the end of its input, and end by itself?")
    }

    /// Ends it because it does not stop printing.
    pub(super) fn kill_endless(&mut self) -> Error {
        self.kill();
        Error::new(Code::ReplyTooLong, format!("printed more than {} MB and was ended", LONGEST_REPLY >> 20))
            .tip("standard output is for the one answer; print other things on standard error")
    }

    /// Ends it and whatever it has started, and waits for it.
    fn kill(&mut self) {
        if self.status.is_some() {
            return;
        }
        #[cfg(unix)]
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(&self.process),
            rustix::process::Signal::KILL,
        );
        let _ = self.process.kill();
        self.status = self.process.wait().ok();
    }

    fn obey_signals(&mut self) {
        if let Some(signal) = signals::received() {
            self.kill();
            signals::terminate_by(signal);
        }
    }

    /// Adds what it said last on standard error.
    fn with_last_words(&mut self, mut error: Error) -> Error {
        // What it had started may hold standard error open after its end: wait for a moment only.
        let soon = Instant::now() + TICK * 4;
        while self.words_end.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < soon {
            thread::sleep(Duration::from_millis(1));
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&words);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            error = error.fact("on standard error it said last:");
        }
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            error = error.fact(format!("  {}", sanitize(line)));
        }
        error
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end_input();
        if self.status.is_none() && self.wait(Instant::now() + GRACE).is_none() {
            self.kill();
        }
    }
}

/// Writes requests as they come, until none can come or nobody reads them.
fn feed(mut stdin: ChildStdin, requests: &Receiver<Vec<u8>>) {
    while let Ok(request) = requests.recv() {
        if stdin.write_all(&request).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads replies: all there is, or a line each.
fn drain(stdout: ChildStdout, conversation: Conversation, heard: &SyncSender<Said>) {
    let mut from = BufReader::new(stdout);
    loop {
        let mut reply = Vec::new();
        let mut most = (&mut from).take(LONGEST_REPLY + 1);
        let read = match conversation {
            Conversation::Once => most.read_to_end(&mut reply),
            Conversation::Persistent => most.read_until(b'\n', &mut reply),
        };
        let said = match read {
            Ok(0) | Err(_) => Said::End,
            Ok(read) if read as u64 > LONGEST_REPLY => Said::TooLong,
            Ok(_) if reply.trim_ascii().is_empty() => continue,
            Ok(_) => Said::Reply(reply),
        };
        let last = !matches!(said, Said::Reply(_));
        if heard.send(said).is_err() || last {
            return;
        }
    }
}

/// Keeps the end of what is said on standard error.
fn keep(mut stderr: ChildStderr, words: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; KEPT_WORDS];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                words.extend_from_slice(&buffer[..read]);
                let early = words.len().saturating_sub(KEPT_WORDS);
                words.drain(..early);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(signal).map_or_else(String::new, |name| format!(" ({name})"));
        return format!("was ended by signal {signal}{name}");
    }
    status.code().map_or_else(|| "failed".to_owned(), |code| format!("ended with status {code}"))
}

fn cannot_start(program: &OsString, error: &io::Error) -> Error {
    let path = Path::new(program);
    let shown = sanitize(&program.to_string_lossy());
    let is_path = path.components().count() > 1;
    let found = Error::new(Code::ProgramNotExecutable, format!("cannot be run: {error}"));
    match error.kind() {
        ErrorKind::NotFound if is_path && path.exists() => {
            found.tip("the program that its first line #! names does not exist; name the interpreter: -- python3 FILE")
        }
        ErrorKind::NotFound => {
            let error = Error::new(Code::ProgramMissing, format!("there is no program {shown}"));
            if !is_path && path.exists() {
                error.tip(format!("a program in this folder is called ./{shown}"))
            } else if shown.contains(' ') {
                error.tip("program and arguments are words of their own: -- python3 affine.py, without quotes")
            } else {
                error.tip("what follows -- is the program and its arguments: -- python3 affine.py")
            }
        }
        ErrorKind::PermissionDenied if path.is_dir() => found.tip("it is a folder: name a program in it"),
        ErrorKind::PermissionDenied => {
            found.tip(format!("chmod +x {shown} makes it a program, or name the interpreter: -- python3 {shown}"))
        }
        // ENOEXEC: neither machine code nor a #! line.
        _ if error.raw_os_error() == Some(8) => found.tip(format!(
            "a script needs a first line such as #!/usr/bin/env python3, or its interpreter: -- sh {shown}"
        )),
        _ => found.tip("what follows -- is the program and its arguments: -- python3 affine.py"),
    }
}
