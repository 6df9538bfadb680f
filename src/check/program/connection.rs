//! The exchange of requests and replies with a program, which is started when it is needed.

use super::child::{ChildProcess, Output, ProcessLifetime};
use super::time_limit::TimeLimit;
use crate::core::error::{Code, Error};
use std::ffi::OsString;
use std::time::Duration;

/// A program, which runs between requests if it is persistent.
pub(super) struct Connection {
    pub(super) command: Vec<OsString>,
    pub(super) lifetime: ProcessLifetime,
    /// Time limit for each point of a request.
    pub(super) timeout: Duration,
    /// The running process, if it is persistent.
    process: Option<ChildProcess>,
}

impl Connection {
    /// Returns the connection to a program that has not been started.
    pub(super) fn new(command: &[OsString], lifetime: ProcessLifetime, timeout: Duration) -> Connection {
        Connection { command: command.to_vec(), lifetime, timeout, process: None }
    }

    /// Returns true if the next request starts a process that serves all requests.
    pub(super) fn starts_with_next_request(&self) -> bool {
        self.lifetime == ProcessLifetime::Persistent && self.process.is_none()
    }

    /// Ends the process, so that the next request starts it again.
    pub(super) fn stop(&mut self) {
        self.process = None;
    }

    /// Sends a request of that many points and waits for the reply.
    pub(super) fn exchange(&mut self, request: Vec<u8>, points: usize) -> Result<Vec<u8>, Error> {
        let limit = TimeLimit::start(self.timeout, points);
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
        match process.receive(&limit) {
            None => Err(process.kill_after_timeout(&limit)),
            Some(Output::TooLong) => Err(process.kill_after_long_output()),
            Some(Output::End) => Err(process.explain_end(&limit)),
            // Without the end of the line, the process has ended while it wrote the reply.
            Some(Output::Reply(reply)) if self.lifetime == ProcessLifetime::Persistent && reply.ends_with(b"\n") => {
                self.process = Some(process);
                Ok(reply)
            }
            Some(Output::Reply(reply)) => process.wait_for_success(&limit).map(|()| reply),
        }
    }
}
