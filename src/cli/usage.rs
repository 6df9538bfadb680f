//! Errors of the command line itself, as the argument parser finds them.

use super::args::restore_spaces;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::run::Status;
use crate::run::messages::Messages;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Reports an error of the argument parser.
pub(super) fn report(error: &clap::Error, messages: &mut Messages) -> Status {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !messages.as_json {
        let _ = write!(messages.stream.borrow_mut(), "{}", restore_spaces(&error.render().ansi().to_string()));
        return Status::Error;
    }
    messages.error(&usage_error(error))
}

/// Returns the value of an option before the command line is parsed: errors of the parsing itself depend on it.
pub(super) fn peek<'a>(args: &'a [OsString], option: &str) -> Option<&'a str> {
    let until = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let mut args = args[..until].iter().map(|arg| arg.to_str().unwrap_or_default());
    let value = args
        .by_ref()
        .find_map(|arg| arg.strip_prefix(option).filter(|rest| rest.is_empty() || rest.starts_with('=')))?;
    value.strip_prefix('=').or_else(|| args.next())
}

fn usage_error(parsed: &clap::Error) -> Error {
    let rendered = parsed.render().to_string();
    let first = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let mut error = Error::new(Code::Usage, first.trim_end_matches(':').replace("' -", "'-"));
    let said: Vec<&str> = rendered.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    for line in &said {
        match line.strip_prefix("tip: ") {
            Some(tip) => error = error.tip(tip),
            None if line.starts_with("For more information") => {}
            None => error = error.fact(*line),
        }
    }
    if let Some(ContextValue::String(option)) = parsed.get(ContextKind::InvalidArg) {
        let name = option.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
        if option.starts_with("--") && parsed.kind() != ErrorKind::UnknownArgument {
            error = error.with_operand(&Name::new(name));
        }
    }
    error.tip("--help lists commands and options")
}
