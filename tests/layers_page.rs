//! docs/layers.md, which is written from the registry: `UPDATE=1` writes it again.

use crate::support::shell;
use nnlayer::layer::{Elsewhere, LAYERS, LayerSpec, Role, Setting, Slot, elsewhere};
use std::fmt::Write;

const TOP: &str = "\
# Layers

Every layer with its formulas, operands, settings and usual mistakes, from the registry that the commands are made of, and what other
libraries call it. `F` is `torch.nn.functional`, `nn` of JAX is `flax.linen`. The last column of \"Elsewhere\" computes with the defaults
of that library where they differ.

";

/// Returns the command of the first example, with the defaults of another library.
fn command(spec: &LayerSpec, other: &Elsewhere) -> String {
    let mut command = spec.examples[0].command.replace(" --json", "");
    // The upstream gradient has the shape of the first example's output.
    let options = other.options.split_whitespace().filter(|word| word.starts_with("--"));
    for option in options.chain(["--dout"]) {
        if let Some(at) = command.find(&format!(" {option}")) {
            let end = command[at + 3..].find(" --").map_or(command.len(), |next| at + 3 + next);
            command.replace_range(at..end, "");
        }
    }
    if other.options.is_empty() { command } else { format!("{command} {}", other.options) }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn operand(slot: &Slot) -> String {
    let role = match slot.role {
        Role::Input => "input",
        Role::Parameter => "parameter",
        Role::Target => "targets",
        Role::Constant => "no gradient",
    };
    let optional = if slot.optional { ", optional" } else { "" };
    format!("| `--{}` | {} | {role}{optional} | {} |\n", slot.name, cell(slot.shape), cell(slot.doc))
}

fn setting(setting: &Setting) -> String {
    format!("- `--{}`: {}\n", setting.name, setting.doc)
}

fn other(spec: &LayerSpec, other: &Elsewhere) -> String {
    let Elsewhere { library, call, note, .. } = other;
    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
    let here = if other.options.is_empty() { "the same".to_owned() } else { format!("`{}`", command(spec, other)) };
    format!("| {library} | `{}`{} | {} |\n", cell(call), cell(&note), cell(&here))
}

fn section(spec: &LayerSpec) -> String {
    let mut text = format!("## {}\n\n{}\n\n```text\n", spec.name, spec.about);
    spec.results().for_each(|(name, formula)| writeln!(text, "{name} = {formula}").unwrap());
    text += "```\n\n| operand | shape | role | |\n|---|---|---|---|\n";
    text.extend(spec.slots.iter().map(operand));
    if !spec.settings.is_empty() {
        text += "\nSettings:\n\n";
        text.extend(spec.settings.iter().map(setting));
    }
    if !spec.conventions.is_empty() {
        text += "\nMistakes that `gradcheck` names:\n\n";
        let line = |kind: &str, explanation: &str| format!("- {kind}: {explanation}\n");
        text.extend(spec.conventions.iter().map(|known| line(known.kind, known.explanation)));
    }
    text += "\nElsewhere:\n\n| library | there | with its defaults, here |\n|---|---|---|\n";
    text.extend(elsewhere(spec.name).iter().map(|known| other(spec, known)));
    text + &format!("\nSource: {}.\n\n", spec.source.trim_end_matches('.'))
}

#[test]
fn the_page_of_layers_is_that_of_the_registry() {
    let list: Vec<String> = LAYERS.iter().map(|spec| format!("[{0}](#{0})", spec.name)).collect();
    let sections: String = LAYERS.iter().map(|spec| section(spec)).collect();
    let page = format!("{TOP}{}\n\n{}\n", list.join(" · "), sections.trim_end());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/layers.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == page, "write docs/layers.md again with UPDATE=1 cargo test");
}

#[test]
fn every_layer_has_its_names_elsewhere_and_commands_that_show_the_difference() {
    let mut script = String::new();
    for spec in LAYERS {
        assert!(!elsewhere(spec.name).is_empty(), "{} is not in src/layer/elsewhere.rs", spec.name);
        for other in elsewhere(spec.name) {
            writeln!(script, "{} > /dev/null || echo 'failed: {} {}'", command(spec, other), spec.name, other.library)
                .unwrap();
        }
    }
    let ran = shell(&script);
    assert_eq!(ran.text(), "", "{}", ran.stderr);
}
