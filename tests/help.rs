//! Help: a summary with `-h`, everything with `--help`, each for its own command.

use crate::support::{nnlayer, shell};
use nnlayer::layer::LAYERS;

/// Lines of a screen that a summary may take.
const SCREEN_LINES: usize = 41;

fn commands() -> Vec<String> {
    nnlayer::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Checks the width of all lines but the examples, which are not wrapped.
fn assert_width(help: &str, columns: usize) {
    for line in help.split("\nExample").next().unwrap().lines() {
        assert!(line.chars().count() <= columns, "{columns} columns: {line}");
    }
}

#[test]
fn a_summary_fits_a_screen() {
    for name in commands() {
        let summary = nnlayer(&[&name, "-h"]);
        assert_width(summary.quiet(), 80);
        let lines = summary.quiet().lines().count();
        assert!(lines <= SCREEN_LINES, "{name}: {lines} lines\n{}", summary.quiet());
    }
    assert!(nnlayer(&["-h"]).quiet().lines().count() <= SCREEN_LINES);
}

#[test]
fn full_help_has_every_option_and_is_as_wide_as_the_terminal() {
    for command in nnlayer::cli::command().get_subcommands() {
        let help = nnlayer(&[command.get_name(), "--help"]);
        assert_width(help.quiet(), 80);
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(help.quiet().contains(&format!("--{option}")), "{} --{option}", command.get_name());
        }
    }
    assert_width(shell("COLUMNS=60 nnlayer relu --help").quiet(), 60);
}

#[test]
fn a_command_line_without_arguments_shows_one_screen_whose_commands_work() {
    let ran = nnlayer(&[]);
    let screen = &ran.stderr;
    assert_eq!((ran.status, ran.text()), (2, ""));
    assert!(screen.lines().count() < 24, "{screen}");
    assert_width(screen, 80);
    for name in commands().iter().filter(|name| LAYERS.iter().all(|spec| spec.name != **name)) {
        assert!(screen.contains(name.as_str()), "{name}: {screen}");
    }
    let (_, rest) = screen.split_once("\nTry:\n").unwrap();
    let shown = rest.lines().take_while(|line| !line.is_empty());
    let shown = shown.chain(rest.lines().skip_while(|line| *line != "Help:").skip(1));
    let shown: Vec<&str> = shown.map(|line| line.trim().split("  ").next().unwrap()).collect();
    assert_eq!(shown.len(), 5, "{screen}");
    for command in shown {
        assert_eq!(shell(&format!("cd \"$(mktemp -d)\" && {command}")).status, 0, "{command}");
    }
}

#[test]
fn usage_names_the_operands_of_a_layer() {
    let help = nnlayer(&["affine", "-h"]);
    assert!(help.quiet().contains("\nUsage: nnlayer affine --x X --w W [--b B] [OPTIONS]\n"), "{}", help.quiet());
}

#[test]
fn help_is_a_command_too() {
    assert_eq!(nnlayer(&["help", "affine"]).quiet(), nnlayer(&["affine", "--help"]).quiet());
    assert_eq!(nnlayer(&["help"]).quiet(), nnlayer(&["--help"]).quiet());
    assert!(nnlayer(&["help", "afine"]).refusal().contains("affine"));
}

#[test]
fn commands_are_listed_in_groups() {
    let help = nnlayer(&["--help"]);
    let mut rest = help.quiet();
    for heading in ["Layers:", "Chains:", "Checks:", "Tools:", "Options:"] {
        rest = rest.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading} {}", help.quiet())).1;
    }
    for name in commands() {
        assert!(help.quiet().contains(&format!("\n  {name} ")), "{name}");
    }
}

#[test]
fn one_heading_holds_all_checks() {
    for spec in LAYERS {
        let help = nnlayer(&[spec.name, "--help"]);
        let (_, checks) = help.quiet().split_once("\nChecks:\n").unwrap();
        let checks = checks.split_once(":\n").unwrap().0;
        for option in ["--check", "--expect", "--jacobian", "--format"] {
            assert!(checks.contains(option), "{}: {option}: {checks}", spec.name);
        }
    }
}

#[test]
fn help_speaks_of_its_own_layer_only() {
    for spec in LAYERS.iter().filter(|spec| spec.name != "affine") {
        assert!(!nnlayer(&[spec.name, "--help"]).quiet().contains("affine"), "{}", spec.name);
    }
}
