//! An external program as an [`Implementation`]: it reads requests and writes replies, both JSON
//! (`docs/gradcheck-protocol.md`).

use super::implementation::{Evaluation, Implementation, Point};
use super::requests::MAX_STARTS;
use crate::core::error::{Code, Error, sanitize};
use crate::layer::Settings;
use crate::numeric::FloatType;
use std::ffi::OsString;
use std::time::Duration;

mod array_form;
mod child;
mod connection;
mod hello;
mod reply;
mod request;
mod time_limit;

pub use child::ProcessLifetime;
use connection::Connection;
use hello::Hello;
use request::RequestFormat;
pub use request::settings_json;

/// A program that computes a layer.
pub struct Program {
    connection: Connection,
    request_format: RequestFormat,
    /// Number of requests that were sent.
    requests: usize,
    /// True if a persistent program is started with a request without points.
    can_say_hello: bool,
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
        Program { connection, request_format: RequestFormat::new(layer, settings), requests: 0, can_say_hello: true }
    }

    /// Sets the type that the program computes in, which requests then name.
    #[must_use]
    pub fn with_precision(mut self, float_type: FloatType) -> Program {
        self.request_format.float_type = Some(float_type);
        self
    }

    /// Sets the layer's settings in the requests that follow.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.request_format.set_settings(settings);
    }

    /// Returns the command as it was typed, by which messages name the program.
    pub fn label(&self) -> String {
        let words: Vec<String> =
            self.connection.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        sanitize(&words.join(" "))
    }

    /// Sends the request without points and reads the hello. A program that fails then is started again without that request,
    /// since a program of version 1 need not expect it.
    fn receive_hello(&mut self) -> Result<(), Error> {
        let reply = match self.connection.exchange(self.request_format.request_without_points(), 0) {
            Err(error) if error.code == Code::ProgramTimeout => return Err(error),
            reply => reply.ok(),
        };
        let hello = reply.map(|reply| Hello::parse(&reply, &self.request_format.layer)).transpose()?.flatten();
        if hello.is_none() {
            self.connection.stop();
            self.can_say_hello = false;
        }
        self.request_format.hello = hello.unwrap_or(Hello::VERSION_1);
        Ok(())
    }
}

impl Implementation for Program {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let label = self.label();
        if self.can_say_hello && self.connection.starts_with_next_request() {
            self.receive_hello().map_err(|error| error.with_origin(&label))?;
        }
        let mut evaluations = Vec::with_capacity(points.len());
        for request in self.request_format.requests(points) {
            let request = request.map_err(|error| {
                Error::new(Code::WriteFailed, format!("the request cannot be written: {error}")).with_origin(&label)
            })?;
            self.requests += 1;
            let reply = self.connection.exchange(request.text, request.points.len());
            let reply = reply.map_err(|error| error.with_origin(&label))?;
            evaluations.extend(reply::parse(&reply, request.points, &label)?);
        }
        Ok(evaluations)
    }

    fn requests_left(&self) -> Option<usize> {
        let is_restarted = self.connection.lifetime == ProcessLifetime::PerRequest;
        is_restarted.then(|| MAX_STARTS.saturating_sub(self.requests))
    }

    fn protocol_version(&self) -> u32 {
        self.request_format.hello.version
    }
}
