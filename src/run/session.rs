//! Runs a command with the streams of the process.

use super::io::Io;
use super::messages::Messages;
use super::progress::{Bar, BarWriter};
use super::status::Status;
use crate::core::alloc;
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::format::Format;
use crate::operand::OperandReader;
use crate::operand::stdin::Stdin;
use crate::parallel::progress::with_listener;
use crate::parallel::scope::with_thread_limit;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;
use std::time::Duration;

/// Time after which a progress bar is shown.
const BAR_DELAY: Duration = Duration::from_secs(1);

/// Options of every command that say how it reads and reports.
pub(crate) struct Options {
    /// Maximum number of threads; 0 for all cores.
    pub(crate) threads: usize,
    /// True if standard input is never read.
    pub(crate) no_stdin: bool,
    /// Format of standard input, if it is given.
    pub(crate) in_format: Option<&'static dyn Format>,
    /// True if the first row of a table has the names of its columns.
    pub(crate) has_header: bool,
    /// True if warnings are errors.
    pub(crate) strict: bool,
    /// True if a progress bar is shown; by default on a terminal.
    pub(crate) progress: Option<bool>,
}

/// The streams of a running command.
pub(crate) struct Streams<'a> {
    /// Reader of operands, in files and standard input.
    pub(crate) reader: OperandReader<'a>,
    /// Standard output, flushed at the end of the command.
    pub(crate) out: BufWriter<&'a mut dyn Write>,
    /// Standard error.
    pub(crate) messages: Messages,
    /// Width of the terminal in columns, if it is known.
    pub(crate) columns: Option<usize>,
}

/// A command with its arguments.
pub(crate) type Command = Box<dyn FnOnce(&mut Streams<'_>) -> anyhow::Result<Status>>;

/// Runs a command and reports its error.
pub(crate) fn run(command: Command, options: &Options, as_json: bool, io: Io<'_>) -> Status {
    alloc::set_message(Messages::allocation_error(as_json));
    let Io { stdin, stdin_is_terminal, stdout, stdout_is_terminal, stderr, stderr_is_terminal, columns, .. } = io;
    let has_bar = options.progress.unwrap_or(stderr_is_terminal) && !as_json;
    let bar = has_bar.then(|| Bar::new(Rc::clone(&stderr), BAR_DELAY));
    let messages = Messages { stream: stderr, as_json, stdout_is_terminal };
    let mut reader = OperandReader::new(Stdin::new(stdin, stdin_is_terminal));
    reader.stdin.closed = options.no_stdin;
    reader.in_format = options.in_format;
    reader.has_header = options.has_header;
    reader.strict = options.strict;
    let mut bar_writer;
    let out: &mut dyn Write = match &bar {
        Some(bar) if stdout_is_terminal => {
            bar_writer = BarWriter { out: stdout, bar: Rc::clone(bar) };
            &mut bar_writer
        }
        _ => stdout,
    };
    let mut streams = Streams { reader, out: BufWriter::new(out), messages, columns };
    let work = || {
        let status = command(&mut streams).and_then(|status| Ok(streams.out.flush().map(|()| status)?));
        if status.is_ok() && streams.reader.has_header && !streams.reader.has_read_header {
            let error = Error::new(Code::Usage, "changes nothing, because no table was read")
                .with_operand(&Name::new("header"));
            streams.messages.note(&Note::warning(error.tip("leave out --header; it is for .csv, .tsv and .txt files")));
        }
        for warning in std::mem::take(&mut streams.reader.warnings) {
            streams.messages.note(&Note::warning(warning));
        }
        status.unwrap_or_else(|error| report(&error, &mut streams.messages))
    };
    with_thread_limit(options.threads, || with_listener(bar.map(Bar::listener), work))
}

/// Reports the error that ended a command.
fn report(error: &anyhow::Error, messages: &mut Messages) -> Status {
    if let Some(error) = error.downcast_ref::<Error>() {
        return messages.error(error);
    }
    match error.downcast_ref::<io::Error>() {
        Some(error) => report_output_error(error, messages),
        None => messages.error(&output_error(error)),
    }
}

/// Reports that standard output could not be written, unless its reader has gone.
pub(crate) fn report_output_error(error: &io::Error, messages: &mut Messages) -> Status {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Status::ClosedPipe,
        _ => messages.error(&output_error(error)),
    }
}

fn output_error(error: &dyn Display) -> Error {
    Error::new(Code::WriteFailed, format!("cannot be written: {error}")).with_origin("standard output")
}
