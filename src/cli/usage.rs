//! Errors of the command line itself, as the argument parser finds them.

use super::args::restore_spaces;
use super::tree::{first_screen, has_option, is_command};
use crate::core::error::{Code, Error};
use crate::core::name::{Name, edit_distance};
use crate::layer::{self, LayerSpec, layer_elsewhere, option_elsewhere};
use crate::run::Status;
use crate::run::messages::Messages;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Reports an error of the argument parser in a command line of the named command.
pub(super) fn report(error: &clap::Error, command: Option<&str>, messages: &mut Messages) -> Status {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !messages.as_json {
        let text = match command {
            None => first_screen(),
            Some(_) => restore_spaces(&error.render().ansi().to_string()),
        };
        let _ = write!(messages.stream.borrow_mut(), "{text}");
        return Status::Error;
    }
    messages.error(&usage_error(error, command))
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

fn usage_error(parsed: &clap::Error, command: Option<&str>) -> Error {
    let rendered = parsed.render().to_string();
    let first = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let message = first.trim_end_matches(':').replace("' -", "'-");
    let mut error = match (parsed.kind(), argument(parsed, ContextKind::InvalidArg)) {
        (ErrorKind::InvalidSubcommand, _) => {
            let name = argument(parsed, ContextKind::InvalidSubcommand).unwrap_or_default();
            Error::new(Code::UnknownCommand, format!("unknown command `{name}`"))
        }
        (ErrorKind::UnknownArgument, Some(option)) if option.starts_with("--") => {
            let command = command.filter(|name| is_command(name)).unwrap_or("nnlayer");
            Error::new(Code::UnknownOption, format!("is not an option of {command}")).with_operand(&operand(option))
        }
        (ErrorKind::UnknownArgument, Some(option)) if option.starts_with('-') => {
            Error::new(Code::UnknownOption, message)
        }
        (kind, Some(option)) if kind != ErrorKind::UnknownArgument && option.starts_with("--") => {
            Error::new(Code::Usage, without_option(&message, option)).with_operand(&operand(option))
        }
        _ => Error::new(Code::Usage, message),
    };
    if let Some(tip) = name_here(parsed, command).or_else(|| split_value(parsed)).or_else(|| suggestion(parsed)) {
        error = error.tip(tip);
    }
    for line in rendered.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("tip: ") {
            // After two dashes an option would be a value that no command takes.
            Some(tip) if tip.starts_with("to pass ") => {}
            Some(tip) => error = error.tip(tip),
            None if line.starts_with("For more information") => {}
            None => error = error.fact(line),
        }
    }
    let spec = command.and_then(layer::find).filter(|_| error.code == Code::UnknownOption);
    error.tip(spec.map_or_else(|| "--help lists commands and options".to_owned(), list_operands))
}

/// Returns the text that the parser has for a part of the error.
fn argument(parsed: &clap::Error, kind: ContextKind) -> Option<&str> {
    match parsed.get(kind) {
        Some(ContextValue::String(argument)) => Some(argument.as_str()),
        _ => None,
    }
}

/// Returns the tip for an option that a layer does not have and no other option resembles.
fn list_operands(spec: &LayerSpec) -> String {
    let names: Vec<&str> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
    let (verb, plural) = if names.len() == 1 { ("is", "") } else { ("are", "s") };
    format!("its operand{plural} {verb} {}; `nnlayer help {}` lists all options", names.join(", "), spec.name)
}

/// Returns the tip for a name that other tools use for a layer or for an option of the command, and for `--version` after a command.
fn name_here(parsed: &clap::Error, command: Option<&str>) -> Option<String> {
    let here = match parsed.kind() {
        ErrorKind::InvalidSubcommand => layer_elsewhere(argument(parsed, ContextKind::InvalidSubcommand)?)?.to_owned(),
        ErrorKind::UnknownArgument => {
            let option = argument(parsed, ContextKind::InvalidArg)?;
            let is_near = |option: &str| edit_distance(option, "version").is_some_and(|edits| edits <= 2);
            let is_version = option.strip_prefix("--").is_some_and(is_near) && command.is_some_and(is_command);
            if is_version || option == "-V" {
                return Some("all commands have one version, which `nnlayer --version` prints".to_owned());
            }
            let option = option.strip_prefix("--")?;
            format!("--{}", option_elsewhere(option, |option| has_option(command.unwrap_or_default(), option))?)
        }
        _ => return None,
    };
    Some(format!("did you mean {here}?"))
}

/// Returns the tip for a name that resembles one or several.
fn suggestion(parsed: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let names = kinds.into_iter().find_map(|kind| match parsed.get(kind)? {
        ContextValue::String(name) => Some(name.clone()),
        ContextValue::Strings(names) => Some(names.join(" or ")),
        _ => None,
    })?;
    Some(format!("did you mean {names}?"))
}

/// Returns the tip for numbers that a shell has split into several arguments, as PowerShell does at commas.
fn split_value(parsed: &clap::Error) -> Option<String> {
    let is_number =
        argument(parsed, ContextKind::InvalidArg)?.trim().trim_end_matches([',', ';']).parse::<f64>().is_ok();
    (parsed.kind() == ErrorKind::UnknownArgument && is_number)
        .then(|| "write the numbers of one value in quotes, so that the shell passes them as one: '1,2,3'".to_owned())
}

fn operand(option: &str) -> Name {
    Name::new(option.trim_start_matches('-').split([' ', '=', '[']).next().unwrap_or_default())
}

/// Removes from the message the option, which is printed before it.
fn without_option(message: &str, option: &str) -> String {
    message.replace(&format!("the argument '{option}' "), "").replace(&format!(" for '{option}'"), "")
}
