//! Standard input, read once for all operands.

use super::spool::Spool;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{Source, read_error};
use std::io::Read;

/// Name of standard input in messages.
pub const LABEL: &str = "standard input";

/// Standard input, read when first needed.
pub struct Stdin<'a> {
    stream: &'a mut dyn Read,
    /// True if it is a terminal.
    pub terminal: bool,
    /// True with `--no-stdin`.
    pub closed: bool,
    spool: Option<Spool>,
    claimed_by: Option<Name>,
}

impl<'a> Stdin<'a> {
    /// Returns standard input before anything is read.
    pub fn new(stream: &'a mut dyn Read, terminal: bool) -> Stdin<'a> {
        Stdin { stream, terminal, closed: false, spool: None, claimed_by: None }
    }

    /// Returns true if operands may be read from it without an option that says so.
    pub fn is_piped(&self) -> bool {
        !self.terminal && !self.closed
    }

    /// Returns its content from the beginning.
    pub fn source(&mut self) -> Result<Source<'_>, Error> {
        self.refuse_closed()?;
        if self.spool.is_none() {
            self.spool = Some(Spool::read(self.stream).map_err(|error| read_error(LABEL, &error))?);
        }
        self.reopen().unwrap_or_else(|| Ok(Source::bytes(LABEL, &[])))
    }

    /// Refuses content without any character but blanks, where an operand is required that no option gives.
    pub fn refuse_blank(&mut self, operand: &Name) -> Result<(), Error> {
        /// Number of bytes to look at. A program that fails writes at most a line break.
        const MAX_BYTES: u64 = 64;
        let mut first = Vec::new();
        let read = self.source().map(|source| source.take(MAX_BYTES).read_to_end(&mut first));
        read.and_then(|read| read.map_err(|error| read_error(LABEL, &error)))
            .map_err(|error| error.with_operand(operand))?;
        if !first.trim_ascii().is_empty() {
            return Ok(());
        }
        let error = Error::new(Code::OperandMissing, "is required, and standard input is empty").with_operand(operand);
        Err(error.tip(format!("give --{operand} VALUE, or pipe a JSON object with the key {operand}")))
    }

    /// Returns the content read by [`source`](Self::source) again.
    pub(super) fn reopen(&self) -> Option<Result<Source<'_>, Error>> {
        self.spool.as_ref().map(|spool| spool.source(LABEL))
    }

    /// Returns the unread stream.
    pub fn stream(&mut self) -> Result<&mut dyn Read, Error> {
        self.refuse_closed()?;
        Ok(&mut *self.stream)
    }

    fn refuse_closed(&self) -> Result<(), Error> {
        if !self.closed {
            return Ok(());
        }
        Err(Error::new(Code::Usage, "cannot read standard input because of --no-stdin").tip("remove --no-stdin"))
    }

    /// Claims all of standard input, `-` without a selector, for one operand.
    pub fn claim(&mut self, operand: &Name) -> Result<(), Error> {
        match &self.claimed_by {
            Some(first) if first != operand => {
                Err(Error::new(Code::StdinTwice, format!("standard input is already read for {first}"))
                    .with_operand(operand)
                    .tip(format!(
                        "pipe one object and select its keys: -#/{first} for {first}, -#/{operand} for {operand}"
                    )))
            }
            _ => {
                self.claimed_by = Some(operand.clone());
                Ok(())
            }
        }
    }
}
