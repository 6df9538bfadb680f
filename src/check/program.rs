//! An external program as an [`Implementation`]: it reads requests and writes replies, both JSON
//! (`docs/gradcheck-protocol.md`).

use super::implementation::{Evaluation, Implementation, Point};
use crate::core::error::{Code, Error, sanitize};
use crate::core::signals;
use crate::format::json;
use crate::layer::{Settings, Value};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

mod child;
mod reply;

pub use child::ProcessLifetime;
use child::{ChildProcess, Output};

const PROTOCOL_VERSION: u32 = 1;

/// A program that computes a layer.
pub struct Program {
    command: Vec<OsString>,
    /// The request up to its points.
    request_head: String,
    lifetime: ProcessLifetime,
    timeout: Duration,
    /// The running process, if it is persistent.
    process: Option<ChildProcess>,
}

impl Program {
    /// Returns a program that has not been started: its command with arguments, the layer it computes, the settings from
    /// the command line, and the time limit for each request.
    pub fn new(
        command: &[OsString],
        layer: &str,
        settings: &Settings,
        lifetime: ProcessLifetime,
        timeout: Duration,
    ) -> Program {
        let settings: serde_json::Map<String, serde_json::Value> =
            settings.iter().map(|(name, value)| (name.to_owned(), setting_json(value))).collect();
        let (layer, settings) = (json!(layer), json!(settings));
        let request_head =
            format!(r#"{{"nnlayer":{PROTOCOL_VERSION},"layer":{layer},"settings":{settings},"points":["#);
        Program { command: command.to_vec(), request_head, lifetime, timeout, process: None }
    }

    /// Returns the command as it was typed, by which messages name the program.
    pub fn label(&self) -> String {
        let words: Vec<String> = self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        sanitize(&words.join(" "))
    }

    fn request(&self, points: &[Point]) -> io::Result<Vec<u8>> {
        let mut text = self.request_head.clone().into_bytes();
        for (n, point) in points.iter().enumerate() {
            text.write_all(if n == 0 { b"{\"inputs\":{" } else { b",{\"inputs\":{" })?;
            for (n, (name, value)) in point.operands.iter().enumerate() {
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

    /// Sends a request and waits for the reply.
    fn exchange(&mut self, request: Vec<u8>) -> Result<Vec<u8>, Error> {
        let deadline = deadline(self.timeout);
        let _busy = signals::SignalGuard::new();
        let mut process = match self.process.take() {
            // The first reply may precede its request, so only later replies without a request are too many.
            Some(process) if matches!(process.unread_output(), Some(Output::Reply(_))) => {
                return Err(Error::new(Code::ReplyPoints, "printed more than one line for a request")
                    .tip("with --persistent, reply to each request with exactly one line"));
            }
            Some(process) => process,
            None => ChildProcess::start(&self.command, self.lifetime)?,
        };
        process.send(request);
        if self.lifetime == ProcessLifetime::PerRequest {
            process.close_input();
        }
        match process.receive(deadline) {
            None => Err(process.kill_after_timeout(self.timeout)),
            Some(Output::TooLong) => Err(process.kill_after_long_output()),
            Some(Output::End) => Err(process.explain_end(deadline, self.timeout)),
            Some(Output::Reply(reply)) if self.lifetime == ProcessLifetime::Persistent => {
                self.process = Some(process);
                Ok(reply)
            }
            Some(Output::Reply(reply)) => process.wait_for_success(deadline, self.timeout).map(|()| reply),
        }
    }
}

impl Implementation for Program {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let label = self.label();
        let request = self.request(points).map_err(|error| {
            Error::new(Code::WriteFailed, format!("the request cannot be written: {error}")).with_origin(&label)
        })?;
        let reply = self.exchange(request).map_err(|error| error.with_origin(&label))?;
        reply::parse(&reply, points, &label)
    }
}

/// Returns the end of a time limit; one that is longer than the clock can represent ends in a year.
fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

fn setting_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Flag(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Number(number) if number.is_finite() => json!(number),
        Value::Number(number) if number.is_nan() => json!("NaN"),
        Value::Number(number) => json!(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Choice(word) => json!(word),
    }
}
