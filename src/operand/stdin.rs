//! The one reader of standard input: read once, whole, for all operands.

use super::spool::Kept;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{Source, read_error};
use std::io::Read;

/// What messages call it.
pub const LABEL: &str = "standard input";

/// Standard input, read when first asked for.
pub struct Stdin<'a> {
    source: &'a mut dyn Read,
    /// Whether somebody could type at it.
    pub terminal: bool,
    /// `--no-stdin`.
    pub closed: bool,
    kept: Option<Kept>,
    plain: Option<Name>,
}

impl<'a> Stdin<'a> {
    /// Standard input that has not been read.
    pub fn new(source: &'a mut dyn Read, terminal: bool) -> Stdin<'a> {
        Stdin { source, terminal, closed: false, kept: None, plain: None }
    }

    /// Whether anything may be read from it unasked.
    pub fn is_piped(&self) -> bool {
        !self.terminal && !self.closed
    }

    /// All of it, from its beginning.
    pub fn source(&mut self) -> Result<Source<'_>, Error> {
        self.refuse_closed()?;
        if self.kept.is_none() {
            self.kept = Some(Kept::of(self.source).map_err(|error| read_error(LABEL, &error))?);
        }
        self.again().unwrap_or_else(|| Ok(Source::bytes(LABEL, &[])))
    }

    /// What was read, once more.
    pub(super) fn again(&self) -> Option<Result<Source<'_>, Error>> {
        self.kept.as_ref().map(|kept| kept.source(LABEL))
    }

    /// What has not been read, as it comes.
    pub fn stream(&mut self) -> Result<&mut dyn Read, Error> {
        self.refuse_closed()?;
        Ok(&mut *self.source)
    }

    fn refuse_closed(&self) -> Result<(), Error> {
        if !self.closed {
            return Ok(());
        }
        Err(Error::new(Code::Usage, "--no-stdin keeps standard input from being read").tip("leave --no-stdin out"))
    }

    /// Takes a plain `-` for an operand; there is only one.
    pub fn claim(&mut self, operand: &Name) -> Result<(), Error> {
        match &self.plain {
            Some(first) if first != operand => {
                Err(Error::new(Code::StdinTwice, format!("standard input was taken whole by --{first} already"))
                    .with_operand(operand)
                    .tip(format!("pipe one object and name its keys: --{first} -#/{first} --{operand} -#/{operand}")))
            }
            _ => {
                self.plain = Some(operand.clone());
                Ok(())
            }
        }
    }
}
