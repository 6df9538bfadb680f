//! The one reader of standard input: read once, whole, for all operands.

use crate::fault::{Code, Fault};
use crate::format;
use crate::name::Name;
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
    bytes: Option<Vec<u8>>,
    plain: Option<Name>,
}

impl<'a> Stdin<'a> {
    /// Standard input that has not been read.
    pub fn new(source: &'a mut dyn Read, terminal: bool) -> Stdin<'a> {
        Stdin { source, terminal, closed: false, bytes: None, plain: None }
    }

    /// Whether anything may be read from it unasked.
    pub fn speaks(&self) -> bool {
        !self.terminal && !self.closed
    }

    /// All of it.
    pub fn bytes(&mut self) -> Result<&[u8], Fault> {
        self.refuse_closed()?;
        if self.bytes.is_none() {
            let mut bytes = Vec::new();
            self.source.read_to_end(&mut bytes).map_err(|error| format::unreadable(LABEL, &error))?;
            self.bytes = Some(bytes);
        }
        Ok(self.bytes.as_deref().unwrap_or_default())
    }

    /// What has not been read, as it comes.
    pub fn stream(&mut self) -> Result<&mut dyn Read, Fault> {
        self.refuse_closed()?;
        Ok(&mut *self.source)
    }

    fn refuse_closed(&self) -> Result<(), Fault> {
        if !self.closed {
            return Ok(());
        }
        Err(Fault::new(Code::Usage, "--no-stdin keeps standard input from being read").tip("leave --no-stdin out"))
    }

    /// What was read so far.
    pub fn kept(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }

    /// Takes a plain `-` for an operand; there is only one.
    pub fn take_plain(&mut self, operand: &Name) -> Result<(), Fault> {
        match &self.plain {
            Some(first) if first != operand => {
                Err(Fault::new(Code::StdinTwice, format!("standard input was taken whole by --{first} already"))
                    .of(operand)
                    .tip(format!("pipe one object and name its keys: --{first} -#/{first} --{operand} -#/{operand}")))
            }
            _ => {
                self.plain = Some(operand.clone());
                Ok(())
            }
        }
    }
}
