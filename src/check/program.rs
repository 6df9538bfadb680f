//! Somebody's program as a [`Subject`]: it reads a request as JSON and answers with JSON, as
//! `docs/gradcheck-protocol.md` says.

use super::{Point, Reply, Subject};
use crate::core::error::{Code, Error};
use crate::core::signals;
use crate::format::{json, sanitize};
use crate::layer::{Precision, Settings, Value};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

mod child;
mod reply;

use child::{Child, Said};

/// The version of the protocol.
const VERSION: u32 = 1;

/// How a program is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// A process a request: one line, end of input, and all that it prints is the reply.
    Once,
    /// One process that answers each line with a line, until its input ends.
    Persistent,
}

/// A program that computes a layer.
pub struct Program {
    command: Vec<OsString>,
    /// The request up to its points.
    head: String,
    conversation: Conversation,
    timeout: Duration,
    precision: Precision,
    /// The process of a persistent conversation.
    running: Option<Child>,
}

impl Program {
    /// A program that has not been started: its name and arguments, the layer it computes, the settings that the user
    /// gave, and how long each request may take.
    pub fn new(
        command: &[OsString],
        layer: &str,
        settings: &Settings,
        conversation: Conversation,
        timeout: Duration,
        precision: Precision,
    ) -> Program {
        let settings: serde_json::Map<String, serde_json::Value> =
            settings.iter().map(|(name, value)| (name.to_owned(), wire(value))).collect();
        let head =
            format!(r#"{{"nnlayer":{VERSION},"layer":{},"settings":{},"points":["#, json!(layer), json!(settings));
        Program { command: command.to_vec(), head, conversation, timeout, precision, running: None }
    }

    /// What messages call it: the command as it was typed.
    pub fn label(&self) -> String {
        let words: Vec<String> = self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        sanitize(&words.join(" "))
    }

    fn request(&self, points: &[Point]) -> io::Result<Vec<u8>> {
        let mut text = self.head.clone().into_bytes();
        for (n, point) in points.iter().enumerate() {
            text.write_all(if n == 0 { b"{\"inputs\":{" } else { b",{\"inputs\":{" })?;
            for (n, (name, value)) in point.at.iter().enumerate() {
                write!(text, "{}{}:", if n == 0 { "" } else { "," }, json!(name.as_str()))?;
                json::write_value(value, &mut text)?;
            }
            text.write_all(b"}")?;
            if let Some(dout) = &point.dout {
                text.write_all(b",\"dout\":")?;
                json::write_value(dout, &mut text)?;
            }
            text.write_all(b"}")?;
        }
        text.write_all(b"]}\n")?;
        Ok(text)
    }

    /// Sends a request and waits for what is said to it.
    fn converse(&mut self, request: Vec<u8>) -> Result<Vec<u8>, Error> {
        let until = deadline(self.timeout);
        let _busy = signals::SignalGuard::new();
        let mut child = match self.running.take() {
            // A first line may come before the request is read, so only a process that answered before says too much.
            Some(child) if matches!(child.already_said(), Some(Said::Reply(_))) => {
                return Err(Error::new(Code::ReplyPoints, "prints more than one line to a request")
                    .tip("with --persistent each request is answered by exactly one line"));
            }
            Some(child) => child,
            None => Child::start(&self.command, self.conversation)?,
        };
        child.tell(request);
        if self.conversation == Conversation::Once {
            child.end_input();
        }
        match child.listen(until) {
            None => Err(child.kill_late(self.timeout)),
            Some(Said::TooLong) => Err(child.kill_endless()),
            Some(Said::End) => Err(child.ended(until, self.timeout)),
            Some(Said::Reply(reply)) if self.conversation == Conversation::Persistent => {
                self.running = Some(child);
                Ok(reply)
            }
            Some(Said::Reply(reply)) => child.end_well(until, self.timeout).map(|()| reply),
        }
    }
}

impl Subject for Program {
    fn ask(&mut self, points: &[Point]) -> Result<Vec<Reply>, Error> {
        let label = self.label();
        let request = self.request(points).map_err(|error| {
            Error::new(Code::WriteFailed, format!("the request cannot be written: {error}")).with_origin(&label)
        })?;
        let said = self.converse(request).map_err(|error| error.with_origin(&label))?;
        reply::read(&said, points, &label)
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// The end of a time-out; one longer than any clock lasts a year.
fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

fn wire(value: &Value) -> serde_json::Value {
    match value {
        Value::Flag(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Number(number) if number.is_finite() => json!(number),
        Value::Number(number) if number.is_nan() => json!("NaN"),
        Value::Number(number) => json!(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Choice(word) => json!(word),
    }
}
