//! Command lines of `nnlayer completions` and `nnlayer man`.

use super::args::{keep_indented_lines, restore_spaces, text_of};
use super::complete;
use super::negative::file_name;
use super::request::io_options;
use crate::core::error::Error;
use crate::run::pages::Arguments;
use crate::run::{Command as Run, pages};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use clap_mangen::Man;

const COMPLETIONS_HELP: &str = "\
The shell asks nnlayer itself at each press of Tab: for commands, options, their words, files, and after FILE# for the names of the \
arrays in a file. Write the script again after an update.

Examples:
  $ nnlayer completions bash > ~/.local/share/bash-completion/completions/nnlayer
  $ nnlayer completions zsh > ~/.zfunc/_nnlayer       # a folder on $fpath
  $ nnlayer completions fish > ~/.config/fish/completions/nnlayer.fish
  $ nnlayer completions elvish >> ~/.config/elvish/rc.elv
  $ nnlayer completions powershell >> $PROFILE";

const MAN_HELP: &str = "Examples:
  $ nnlayer man affine | man -l -
  $ nnlayer man --out ~/.local/share/man/man1";

/// Declares the options of `completions`.
pub(super) fn completions(command: Command) -> Command {
    command
        .about("Generate shell completions")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(PossibleValuesParser::new(complete::shells()))
                .hide_possible_values(true)
                .help("bash, zsh, fish, powershell or elvish"),
        )
        .args(message_options())
        .after_help(keep_indented_lines(COMPLETIONS_HELP))
}

/// Declares the options of `man`.
pub(super) fn man(command: Command) -> Command {
    command
        .about("Generate manual pages in roff")
        .arg(
            Arg::new("page")
                .value_name("COMMAND")
                .hide_possible_values(true)
                .help("command to describe; nnlayer itself by default"),
        )
        .arg(
            file_name(Arg::new("out"))
                .long("out")
                .value_name("FOLDER")
                .conflicts_with("page")
                .help("write all pages into a directory: nnlayer.1, nnlayer-affine.1, …"),
        )
        .args(message_options())
        .after_help(keep_indented_lines(MAN_HELP))
}

/// Returns the options of a command that reads nothing.
pub(super) fn message_options() -> impl Iterator<Item = Arg> {
    io_options().into_iter().filter(|arg| ["error-format", "color", "help"].contains(&arg.get_id().as_str()))
}

/// Parses the options of `completions`.
pub(super) fn parse_completions(matches: &ArgMatches) -> Result<Run, Error> {
    let script = text_of(matches, "shell").map(complete::script).unwrap_or_default();
    let arguments = Arguments { pages: vec![(String::new(), script)], folder: None };
    Ok(Box::new(move |streams| pages::run(&arguments, streams)))
}

/// Parses the options of `man`.
pub(super) fn parse_man(matches: &ArgMatches, mut tree: Command) -> Result<Run, Error> {
    let folder = text_of(matches, "out").map(str::to_owned);
    let page = text_of(matches, "page").map_or("nnlayer".to_owned(), |name| format!("nnlayer-{name}"));
    tree.build();
    let named = |sub: &Command| {
        let name = format!("nnlayer-{}", sub.get_name());
        (name.clone(), sub.clone().name(name).version(env!("CARGO_PKG_VERSION")))
    };
    let subcommands: Vec<_> = tree.get_subcommands().map(named).collect();
    let all = [("nnlayer".to_owned(), tree)].into_iter().chain(subcommands);
    let selected = all.filter(|(name, _)| folder.is_some() || *name == page);
    let pages = selected.map(|(name, command)| (format!("{name}.1"), roff(command))).collect();
    let arguments = Arguments { pages, folder };
    Ok(Box::new(move |streams| pages::run(&arguments, streams)))
}

fn roff(page: Command) -> Vec<u8> {
    let mut text = Vec::new();
    let name = page.get_name().to_owned();
    let source = concat!("nnlayer ", env!("CARGO_PKG_VERSION"));
    // A page describes what -h leaves out too.
    let page = page.mut_args(|arg| arg.hide_short_help(false));
    // Writing to memory cannot fail.
    let _ = Man::new(page).source(source).manual("nnlayer").render(&mut text);
    // The title line must state that a page has no date. Formulas and examples keep their lines.
    restore_spaces(&String::from_utf8_lossy(&text))
        .replacen(&format!(".TH {name} 1  "), &format!(".TH {name} 1 \"\" "), 1)
        .replacen(".SH EXTRA\n", ".SH DETAILS\n.nf\n", 1)
        .replacen(".SH VERSION\n", ".fi\n.SH VERSION\n", 1)
        .into_bytes()
}
