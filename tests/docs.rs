//! The console blocks of the documents, and the examples of the help.

use crate::support::console;
use crate::support::console::printed;
use crate::support::{folder, has_program, project};
use nnlayer::layer::LAYERS;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    console::run(&root().join("README.md"), project().path());
}

#[test]
fn the_commands_of_the_japanese_readme_print_what_it_shows() {
    console::run(&root().join("README.ja.md"), project().path());
}

#[test]
fn the_commands_of_both_tutorials_print_what_they_show() {
    console::run(&root().join("docs/tutorial.md"), project().path());
    console::run(&root().join("docs/tutorial.ja.md"), project().path());
}

#[test]
fn the_commands_of_the_page_for_scripts_print_what_it_shows() {
    let (page, folder) = (root().join("AGENTS.md"), project());
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(!text.contains("```sh"), "a block of commands that no test runs");
    // Commands in sentences; a word in capitals stands for a value.
    let is_complete =
        |code: &&str| code.starts_with("nnlayer ") && !code.contains(|c: char| c.is_uppercase() || c == '…');
    for command in text.split('`').skip(1).step_by(2).filter(is_complete) {
        assert!(!printed(folder.path(), command).contains("\n? "), "{command}");
    }
    if has_program("python3") {
        console::run(&page, folder.path());
    }
}

#[test]
fn both_tutorials_run_the_same_commands() {
    let commands = |name: &str| {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        text.lines().filter(|line| line.starts_with(['$', '>'])).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(commands("docs/tutorial.md"), commands("docs/tutorial.ja.md"));
}

#[test]
fn the_commands_of_the_gallery_print_what_it_shows() {
    console::run(&root().join("docs/gallery.md"), project().path());
}

#[test]
fn the_commands_of_the_comparison_print_what_it_shows() {
    console::run(&root().join("docs/comparison.md"), project().path());
}

#[test]
fn the_commands_of_the_page_on_checking_print_what_it_shows() {
    if has_program("python3") {
        console::run(&root().join("docs/gradcheck.md"), project().path());
    }
}

#[test]
fn the_commands_of_the_tutorial_on_checking_print_what_it_shows() {
    if has_program("python3") && has_program("cc") {
        console::run(&root().join("docs/gradcheck-tutorial.md"), folder().path());
    }
}

#[test]
fn every_example_in_help_prints_what_it_shows() {
    for spec in LAYERS {
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        for example in spec.examples {
            assert_eq!(printed(project().path(), example.command), example.prints, "{}", example.command);
        }
    }
}

/// Returns the text without its line breaks, which depend on the width of the help.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_help_shows_formulas_shapes_and_examples() {
    for spec in LAYERS {
        let help = printed(project().path(), &format!("nnlayer {} --help", spec.name));
        for (name, formula) in spec.results() {
            assert!(help.contains(&format!("{name} = {formula}")), "{help}");
        }
        for part in ["Shapes:", "Examples:", spec.examples[0].command, spec.source] {
            assert!(words(&help).contains(&words(part)), "{part}: {help}");
        }
    }
    let help = printed(project().path(), "nnlayer --help");
    let example: String = help
        .lines()
        .skip_while(|line| !line.contains("$ nnlayer"))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let (command, prints) = example.split_once('\n').unwrap();
    assert_eq!(printed(project().path(), command.trim_start_matches("$ ")), prints);
    assert!(Path::new(env!("CARGO_BIN_EXE_nnlayer")).exists());
}

#[test]
fn cargo_binstall_looks_for_the_archives_that_a_release_has() {
    let read = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let manifest = read("Cargo.toml");
    let metadata = manifest.split("[package.metadata.binstall]").nth(1).expect("README names cargo binstall");
    for archive in ["nnlayer-{ version }-{ target }.tar.gz", "nnlayer-{ version }-{ target }.zip"] {
        assert!(metadata.contains(&format!("/v{{ version }}/{archive}\"")), "{metadata}");
    }
    assert!(metadata.contains("bin-dir = \"nnlayer-{ version }-{ target }/{ bin }{ binary-ext }\""), "{metadata}");
    let package = read(".ci/package");
    assert!(
        package.contains("name=nnlayer-${version##*[@#]}-$target\n") && package.contains("\"$name.tar.gz\" \"$name\"")
    );
}
