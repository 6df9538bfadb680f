//! Computational graphs: what is drawn, and that it can be read.

use crate::support::{Ran, folder, nnlayer, piped, shell};
use nnlayer::layer::LAYERS;

/// What a command draws, colours taken out.
#[track_caller]
fn drawn(ran: &Ran) -> String {
    anstream::adapter::strip_str(ran.quiet()).to_string()
}

/// The arguments of each layer's examples that draw: those without options that ask for something else.
pub fn examples() -> Vec<Vec<String>> {
    let other = |argument: &str| ["--json", "--only", "loss", "loss,divisor"].contains(&argument);
    let of = |command: &str| {
        let words = command.split(' ').skip(1).map(|word| word.trim_matches('\'').to_owned());
        words.filter(|word| !other(word)).collect::<Vec<String>>()
    };
    LAYERS.iter().flat_map(|spec| spec.examples.iter().map(move |example| of(example.command))).collect()
}

/// A tape of two affine layers, a relu between them and a loss.
pub fn chain() -> String {
    let first = ["affine", "--x", "1,2", "--w", "1,-1;0,1", "--b", "0,-3", "--tape"];
    let mut tape = nnlayer(&first).text().to_owned();
    let more: [&[&str]; 3] = [&["relu"], &["affine", "--w", "1,3;5,7", "--b", "2,0"], &["softmax-xent", "--t", "0"]];
    for layer in more {
        tape = piped(&tape, layer).text().to_owned();
    }
    tape
}

pub fn with<'a>(example: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    example.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

#[test]
fn every_layer_draws_its_examples_at_both_levels_in_a_hundred_columns() {
    for example in examples() {
        for level in ["tensor", "scalar"] {
            let text = drawn(&nnlayer(&with(&example, &["--graph", "--level", level])));
            assert!(text.contains('─') && text.lines().all(|line| line.chars().count() <= 100), "{example:?}\n{text}");
            assert!(text.lines().all(|line| line.trim_end() == line), "{example:?}\n{text}");
        }
    }
}

#[test]
fn every_layer_draws_its_examples_to_every_kind_of_file() {
    let folder = folder();
    for example in examples() {
        for extension in ["svg", "html", "dot", "mmd"] {
            for level in ["tensor", "scalar"] {
                let path = folder.path().join(format!("graph.{extension}"));
                let path = path.to_str().unwrap();
                assert_eq!(nnlayer(&with(&example, &["--graph", path, "--level", level])).quiet(), "", "{example:?}");
                let text = std::fs::read_to_string(path).unwrap();
                assert!(begins(extension).iter().all(|part| text.contains(part)), "{example:?}");
            }
        }
    }
}

#[test]
fn a_terminal_that_is_not_utf_8_gets_ascii() {
    let graph = |set: &str| shell(&format!("{set} nnlayer softmax --x 1,2,3 --graph")).quiet().to_owned();
    assert!(graph("LC_ALL=C").is_ascii());
    assert!(graph("LC_ALL= LC_CTYPE= LANG=ja_JP.eucJP").is_ascii());
    let unicode = graph("LC_ALL=C.UTF-8");
    assert_eq!(graph("env -u LC_ALL -u LC_CTYPE -u LANG"), unicode);
    assert_eq!(unicode.chars().count(), graph("LC_ALL=C").len());
}

#[test]
fn colours_are_for_terminals_and_for_whoever_asks() {
    let graph = |options: &str| shell(&format!("nnlayer relu --x 1 --graph {options}")).quiet().to_owned();
    assert!(!graph("").contains('\x1b'));
    assert!(graph("--color always").contains("\x1b[38;5;33m1") && graph("--color always").contains("\x1b[38;5;208m1"));
}

#[test]
fn a_graph_is_drawn_alone_or_to_a_file_wherever_the_option_stands() {
    let folder = folder();
    let path = folder.path().join("g.dot");
    let path = path.to_str().unwrap();
    let alone = drawn(&nnlayer(&["relu", "--graph", "--x", "-1,2"]));
    assert_eq!(alone, drawn(&nnlayer(&["relu", "--x", "-1,2", "--graph"])));
    for args in [["relu", "--graph", path, "--x", "-1,2"], ["relu", "--x", "-1,2", "--graph", path]] {
        std::fs::write(path, "old").unwrap();
        nnlayer(&args).quiet();
        assert!(std::fs::read_to_string(path).unwrap().starts_with("digraph"));
    }
}

#[test]
fn nan_and_infinity_are_drawn() {
    let text = anstream::adapter::strip_str(nnlayer(&["tanh", "--x", "nan,inf,-inf", "--graph"]).text()).to_string();
    assert!(text.contains("nan") && text.contains(" inf ") && text.contains("-inf"), "{text}");
    let text = drawn(&nnlayer(&["softmax-xent", "--x", "0,-inf", "--t", "1,0", "--graph"]));
    assert!(!text.contains("nan"), "{text}");
}

/// What a file of each kind has in it.
fn begins(extension: &str) -> [&'static str; 2] {
    match extension {
        "svg" => ["<svg xmlns", "</svg>\n"],
        "html" => ["<!DOCTYPE html>", "</html>\n"],
        "dot" => ["digraph nnlayer {", " -> n"],
        _ => ["flowchart LR\n", " --> n"],
    }
}
