//! An external program as an [`Implementation`]: it reads requests and writes replies, both JSON
//! (`docs/gradcheck-protocol.md`).

use super::implementation::{Evaluation, Implementation, Point};
use crate::core::error::{Code, Error, sanitize};
use crate::layer::Settings;
use std::ffi::OsString;
use std::time::Duration;

mod child;
mod connection;
mod reply;
mod request;
mod time_limit;

pub use child::ProcessLifetime;
use connection::Connection;
use request::RequestFormat;

/// A program that computes a layer.
pub struct Program {
    connection: Connection,
    request_format: RequestFormat,
}

impl Program {
    /// Returns a program that has not been started: its command with arguments, the layer it computes, the settings from
    /// the command line, and the time limit for each point of a request.
    pub fn new(
        command: &[OsString],
        layer: &str,
        settings: &Settings,
        lifetime: ProcessLifetime,
        timeout: Duration,
    ) -> Program {
        let connection = Connection::new(command, lifetime, timeout);
        Program { connection, request_format: RequestFormat::new(layer, settings) }
    }

    /// Returns the command as it was typed, by which messages name the program.
    pub fn label(&self) -> String {
        let words: Vec<String> =
            self.connection.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        sanitize(&words.join(" "))
    }
}

impl Implementation for Program {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let label = self.label();
        let mut evaluations = Vec::with_capacity(points.len());
        for request in self.request_format.requests(points) {
            let request = request.map_err(|error| {
                Error::new(Code::WriteFailed, format!("the request cannot be written: {error}")).with_origin(&label)
            })?;
            let reply = self.connection.exchange(request.text, request.points.len());
            let reply = reply.map_err(|error| error.with_origin(&label))?;
            evaluations.extend(reply::parse(&reply, request.points, &label)?);
        }
        Ok(evaluations)
    }
}
