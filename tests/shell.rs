//! Completions and manual pages.

use crate::support::{folder, has_program, nnlayer, shell, shell_in};
use nnlayer::layer::LAYERS;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// Returns what bash offers for the last word, in a folder with the project's files.
fn completions(words: &str) -> Vec<String> {
    let drive = "source <(nnlayer completions bash); COMP_WORDS=($WORDS); [ ${#COMP_WORDS[@]} = $COUNT ] || COMP_WORDS+=(''); \
                 COMP_CWORD=$((COUNT - 1)); COMP_TYPE=9; _clap_complete_nnlayer nnlayer \"${COMP_WORDS[COMP_CWORD]}\" '' 2>/dev/null; \
                 printf '%s\\n' \"${COMPREPLY[@]}\"";
    let count = words.split(' ').count();
    let ran = shell(&format!("WORDS='{words}' COUNT={count} bash -c '{}'", drive.replace('\'', "'\\''")));
    ran.quiet().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_words() {
    if !has_program("bash") {
        return;
    }
    let ran = shell("bash -c 'source <(nnlayer completions bash) && complete -p nnlayer'");
    assert!(ran.quiet().starts_with("complete "), "{}", ran.text());
    assert_eq!(completions("nnlayer softmax-"), ["softmax-xent"]);
    assert_eq!(completions("nnlayer softmax-xent --red"), ["--reduction"]);
    assert_eq!(completions("nnlayer softmax-xent --reduction "), ["sum", "mean", "none"]);
    assert_eq!(completions("nnlayer softmax-xent --reduction=m"), ["--reduction=mean"]);
    assert_eq!(completions("nnlayer softmax-xent --only y,d"), ["y,dx"]);
    assert_eq!(completions("nnlayer man aff"), ["affine"]);
    assert_eq!(completions("nnlayer gradcheck --layer cu"), ["custom"]);
    assert_eq!(completions("nnlayer softmax --threads "), [""; 0]);
}

#[test]
fn values_complete_files_and_the_names_of_arrays_in_a_file() {
    if !has_program("bash") {
        return;
    }
    assert_eq!(completions("nnlayer affine --w fixtures/w."), ["fixtures/w.json"]);
    assert_eq!(completions("nnlayer compare README.j"), ["README.ja.md"]);
    let digits = |name: &str| format!("fixtures/train/digits.npz#{name}");
    let held = ["held_t", "held_x"].map(digits);
    let mut offered = completions("nnlayer train net.json --x fixtures/train/digits.npz#held");
    offered.sort();
    assert_eq!(offered, held);
    let net = "fixtures/train/begin.json#";
    assert_eq!(completions(&format!("nnlayer relu --x {net}lay")), [format!("{net}layers")]);
    assert_eq!(completions(&format!("nnlayer relu --x {net}/layers/0/par")), [format!("{net}/layers/0/params")]);
    let folder = folder();
    std::fs::write(folder.path().join("data.csv"), "name,height,weight\nAnn,170,60\n").unwrap();
    let ran = shell_in(
        folder.path(),
        "_CLAP_COMPLETE_INDEX=3 NNLAYER_COMPLETE=bash nnlayer -- nnlayer affine --x data.csv#h",
    );
    assert_eq!(ran.quiet(), "data.csv#height");
    assert_eq!(completions("nnlayer relu --x no-such-file.npz#"), [""; 0]);
}

#[test]
fn every_layer_and_option_is_completed() {
    let ask = |words: &str| {
        let index = words.split(' ').count() - 1;
        shell(&format!("_CLAP_COMPLETE_INDEX={index} NNLAYER_COMPLETE=bash nnlayer -- {words}")).quiet().to_owned()
    };
    let commands = ask("nnlayer ''");
    for spec in LAYERS {
        assert!(commands.lines().any(|command| command == spec.name), "{}: {commands}", spec.name);
    }
    for spec in LAYERS.iter().filter(|spec| ["affine", "softmax-xent", "attention", "conv2d"].contains(&spec.name)) {
        let options = ask(&format!("nnlayer {} --", spec.name));
        let slots = spec.slots.iter().map(|slot| slot.name.as_str());
        for option in slots.chain(spec.settings.iter().map(|setting| setting.name)) {
            assert!(options.lines().any(|line| line == format!("--{option}")), "{} --{option}: {options}", spec.name);
        }
    }
}

#[test]
fn every_shell_accepts_its_script() {
    for name in SHELLS {
        let ran = nnlayer(&["completions", name]);
        assert!(ran.quiet().contains("NNLAYER_COMPLETE") && ran.quiet().contains("nnlayer"), "{name}: {}", ran.text());
        // Each installed shell parses its script without running it.
        let checked = shell(&format!(
            "if command -v {name} >/dev/null && [ {name} != elvish ] && [ {name} != powershell ]; then \
             nnlayer completions {name} > /tmp/nnlayer.$$; {name} -n /tmp/nnlayer.$$; status=$?; rm /tmp/nnlayer.$$; exit $status; fi"
        ));
        assert_eq!(checked.quiet(), "", "{name}");
    }
    assert!(nnlayer(&["completions", "tcsh"]).refusal().contains("bash"));
    let fish = "command -v fish >/dev/null || { echo softmax-xent; exit; }; HOME=$(mktemp -d) fish -c \
                'nnlayer completions fish | source; complete -C \"nnlayer softmax-\"' | cut -f1";
    assert_eq!(shell(fish).quiet(), "softmax-xent\n");
}

#[test]
fn every_command_has_a_manual_page_with_the_options_of_its_help() {
    let names: Vec<&str> = LAYERS.iter().map(|spec| spec.name).chain(["gradcheck", "train", "man"]).collect();
    let plain = |text: &str| text.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\fR", "").replace("\\fB", "");
    for name in names {
        let ran = nnlayer(&["man", name]);
        let page = plain(ran.quiet());
        assert!(
            page.contains(&format!("\n.TH nnlayer-{name} 1 \"\" \"nnlayer {}\"", env!("CARGO_PKG_VERSION"))),
            "{page}"
        );
        let help = nnlayer(&[name, "--help"]);
        for option in help.text().split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            assert!(page.contains(option), "{name}: {option}: {page}");
        }
        let lines: Vec<&str> = page.lines().collect();
        for option in lines.windows(3).filter(|option| option[0] == ".TP") {
            assert!(!option[2].is_empty(), "{name}: {} is not described", option[1]);
        }
        if let Some(spec) = LAYERS.iter().find(|spec| spec.name == name) {
            for (result, formula) in spec.results() {
                assert!(page.contains(&format!("  {result} = {formula}\n")), "{name}: {formula}: {page}");
            }
        }
        assert!(nnlayer(&["man"]).quiet().replace("\\-", "-").contains(&format!("nnlayer-{name}(1)")), "{name}");
    }
}

#[test]
fn all_pages_are_written_and_typeset_without_warnings() {
    let folder = folder();
    let ran = shell_in(folder.path(), "nnlayer man --out share/man1 && ls share/man1");
    let files: Vec<&str> = ran.quiet().lines().collect();
    let commands = nnlayer::cli::command().get_subcommands().count();
    assert_eq!(files.len(), commands + 1, "{files:?}");
    for spec in LAYERS {
        assert!(files.contains(&format!("nnlayer-{}.1", spec.name).as_str()), "{files:?}");
    }
    let typeset = "command -v groff >/dev/null || exit 0; for page in share/man1/*; do groff -K utf8 -man -ww -Tutf8 $page >/dev/null; done";
    assert_eq!(shell_in(folder.path(), typeset).quiet(), "");
    let lint = "command -v mandoc >/dev/null || exit 0; mandoc -T lint -W warning share/man1/* | grep -v 'missing date' || true";
    assert_eq!(shell_in(folder.path(), lint).quiet(), "");
}

#[test]
fn a_folder_that_cannot_be_created_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let ran = shell_in(folder.path(), "nnlayer man --out file/man1");
    assert!(ran.refusal().starts_with("error: --out file/man1: the directory cannot be created"), "{}", ran.stderr);
}
