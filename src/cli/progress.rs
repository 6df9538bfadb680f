//! How far something long is: a bar on a terminal, after a second.

use super::error::Messages;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::time::{Duration, Instant};

/// How wide the bar is.
const WIDTH: usize = 30;

/// A bar that is there while something takes long.
pub(super) struct Progress<'a> {
    stream: RefCell<Option<&'a mut dyn Write>>,
    /// What is done.
    verb: &'static str,
    total: usize,
    done: Cell<usize>,
    next: Cell<Instant>,
    shown: Cell<bool>,
}

impl<'a> Progress<'a> {
    /// Of so many steps; not shown where nobody looks.
    pub(super) fn new(messages: &'a mut Messages<'_>, verb: &'static str, total: usize) -> Progress<'a> {
        let stream: Option<&mut dyn Write> =
            if messages.terminal && !messages.as_json { Some(&mut *messages.stream) } else { None };
        Progress {
            stream: RefCell::new(stream),
            verb,
            total: total.max(1),
            done: Cell::new(0),
            next: Cell::new(Instant::now() + Duration::from_secs(1)),
            shown: Cell::new(false),
        }
    }

    /// A step further.
    pub(super) fn tick(&self) {
        self.done.set(self.done.get() + 1);
        if Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + Duration::from_millis(200));
        if let Some(stream) = self.stream.borrow_mut().as_mut() {
            // The total is an estimate: the bar is full only when it goes.
            let full = (WIDTH * self.done.get() / self.total).min(WIDTH - 1);
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full));
            let _ = write!(stream, "\r{} {bar} ", self.verb).and_then(|()| stream.flush());
            self.shown.set(true);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let (true, Some(stream)) = (self.shown.get(), self.stream.borrow_mut().as_mut()) {
            let _ = write!(stream, "\r\x1b[K").and_then(|()| stream.flush());
        }
    }
}
