//! `nnlayer completions` and `nnlayer man`: what shells and `man` know of the command line, made from the command line itself.

use super::request::io_options;
use super::{COMMANDS, Other, command as whole, text_of};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::LAYERS;
use crate::operand::OperandReader;
use crate::report::write;
use crate::run::Status;
use crate::run::messages::Messages;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// `completions`.
pub(super) const COMPLETIONS: Other = Other { name: "completions", command: completions, run: run_completions };

/// `man`.
pub(super) const MAN: Other = Other { name: "man", command: man, run: run_man };

const INSTALLING: &str = "Examples:
  $ nnlayer completions bash > ~/.local/share/bash-completion/completions/nnlayer
  $ nnlayer completions zsh > ~/.zfunc/_nnlayer       # a folder on $fpath
  $ nnlayer completions fish > ~/.config/fish/completions/nnlayer.fish
  $ nnlayer completions elvish >> ~/.config/elvish/rc.elv
  $ nnlayer completions powershell >> $PROFILE";

const READING: &str = "Examples:
  $ nnlayer man affine | man -l -
  $ nnlayer man --out ~/.local/share/man/man1";

fn completions() -> Command {
    Command::new(COMPLETIONS.name)
        .about("the completions of a shell, to be sourced by it")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(clap::value_parser!(Shell))
                .hide_possible_values(true)
                .help("bash, zsh, fish, powershell or elvish"),
        )
        .args(speaking())
        .disable_help_flag(true)
        .after_help(INSTALLING)
}

fn man() -> Command {
    let names = LAYERS.iter().map(|spec| spec.name).chain(COMMANDS.iter().map(|other| other.name));
    Command::new(MAN.name)
        .about("the manual page of nnlayer or of a command, in roff")
        .arg(
            Arg::new("page")
                .value_name("COMMAND")
                .value_parser(PossibleValuesParser::new(names))
                .hide_possible_values(true)
                .help("the command; nnlayer itself where none is named"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FOLDER")
                .conflicts_with("page")
                .help("write all pages into a folder instead: nnlayer.1, nnlayer-affine.1, …"),
        )
        .args(speaking())
        .disable_help_flag(true)
        .after_help(READING)
}

/// The options of a command that reads nothing.
fn speaking() -> Vec<Arg> {
    io_options().into_iter().filter(|arg| ["error-format", "color", "help"].contains(&arg.get_id().as_str())).collect()
}

fn run_completions(
    matches: &ArgMatches,
    _: &mut OperandReader<'_>,
    out: &mut dyn Write,
    _: &mut Messages,
) -> anyhow::Result<Status> {
    if let Some(&shell) = matches.get_one::<Shell>("shell") {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut whole(), "nnlayer", &mut script);
        out.write_all(&script)?;
    }
    Ok(Status::Done)
}

fn run_man(
    matches: &ArgMatches,
    _: &mut OperandReader<'_>,
    out: &mut dyn Write,
    _: &mut Messages,
) -> anyhow::Result<Status> {
    let wanted = text_of(matches, "page").map_or("nnlayer".to_owned(), |name| format!("nnlayer-{name}"));
    let pages = pages();
    let Some(folder) = text_of(matches, "out") else {
        for (_, page) in pages.iter().filter(|(name, _)| *name == wanted) {
            out.write_all(roff(page)?.as_bytes())?;
        }
        return Ok(Status::Done);
    };
    fs::create_dir_all(folder).map_err(|error| {
        Error::new(Code::WriteFailed, format!("is no folder and cannot be made one: {error}"))
            .with_operand(&Name::new("out"))
            .with_origin(folder)
            .tip("name a folder that may be written")
    })?;
    for (name, page) in &pages {
        let (path, page) = (Path::new(folder).join(format!("{name}.1")), roff(page)?);
        write::file(&path.to_string_lossy(), |file| file.write_all(page.as_bytes()))
            .map_err(|error| error.with_operand(&Name::new("out")))?;
    }
    Ok(Status::Done)
}

/// The name and command of every page.
fn pages() -> Vec<(String, Command)> {
    let mut main = whole();
    main.build();
    let named = |sub: &Command| {
        let name = format!("nnlayer-{}", sub.get_name());
        (name.clone(), sub.clone().name(name).version(env!("CARGO_PKG_VERSION")))
    };
    let subs: Vec<_> = main.get_subcommands().map(named).collect();
    [vec![("nnlayer".to_owned(), main)], subs].concat()
}

fn roff(page: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    let source = concat!("nnlayer ", env!("CARGO_PKG_VERSION"));
    Man::new(page.clone()).source(source).manual("nnlayer").render(&mut text)?;
    let name = page.get_name();
    // A page has no date, which the title line must say; formulas and examples keep their lines.
    Ok(String::from_utf8_lossy(&text)
        .replacen(&format!(".TH {name} 1  "), &format!(".TH {name} 1 \"\" "), 1)
        .replacen(".SH EXTRA\n", ".SH DETAILS\n.nf\n", 1)
        .replacen(".SH VERSION\n", ".fi\n.SH VERSION\n", 1))
}
