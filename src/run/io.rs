//! The streams that a run reads and writes.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;

/// Standard error, shared by messages and the progress bar.
pub(crate) type Stderr = Rc<RefCell<dyn Write>>;

/// The streams of a run.
pub struct Io<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// True if standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Standard output, for data only. A stream to a terminal removes colours where they are not supported.
    pub stdout: &'a mut dyn Write,
    /// Width for help and graphs in columns, if the environment or the terminal has one.
    pub columns: Option<usize>,
    /// Code of the language of text, if the environment defines one: `ja`.
    pub language: Option<String>,
    /// True if standard output is a terminal: record streams are then flushed after each record.
    pub stdout_is_terminal: bool,
    /// Standard error, for messages only; the stream removes colours where they are not supported.
    pub stderr: Rc<RefCell<dyn Write>>,
    /// True if standard error is a terminal: a progress bar is shown only there.
    pub stderr_is_terminal: bool,
}
