//! Completions and manual pages.

use crate::support::{folder, nnlayer, shell, shell_in};
use nnlayer::layer::LAYERS;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// Returns the completions of the last word in bash.
fn completions(words: &str) -> Vec<String> {
    let drive = "source <(nnlayer completions bash); set -- $WORDS $LAST; [ $# = $COUNT ] || set -- \"$@\" ''; \
                 COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                 _nnlayer nnlayer \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; \
                 printf '%s\\n' \"${COMPREPLY[@]}\"";
    let count = words.split(' ').count();
    let (words, last) = words.rsplit_once(' ').unwrap();
    let ran = shell(&format!("WORDS='{words}' LAST='{last}' COUNT={count} bash -c '{}'", drive.replace('\'', "'\\''")));
    ran.quiet().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_choices() {
    let ran = shell("bash -c 'source <(nnlayer completions bash) && complete -p nnlayer'");
    assert!(ran.quiet().starts_with("complete "), "{}", ran.text());
    assert_eq!(completions("nnlayer softmax-"), ["softmax-xent"]);
    assert_eq!(completions("nnlayer softmax-xent --red"), ["--reduction"]);
    assert_eq!(completions("nnlayer softmax-xent --reduction "), ["sum", "mean", "none"]);
    assert_eq!(completions("nnlayer man aff"), ["affine"]);
    for spec in LAYERS {
        assert!(completions("nnlayer ").contains(&spec.name.to_owned()), "{}", spec.name);
        let options = completions(&format!("nnlayer {} --", spec.name));
        let slots = spec.slots.iter().map(|slot| slot.name.as_str());
        for option in slots.chain(spec.settings.iter().map(|setting| setting.name)) {
            assert!(options.contains(&format!("--{option}")), "{} --{option}: {options:?}", spec.name);
        }
    }
}

#[test]
fn every_shell_accepts_a_script_with_every_layer() {
    for name in SHELLS {
        let ran = nnlayer(&["completions", name]);
        let script = ran.quiet();
        for spec in LAYERS {
            assert!(script.contains(spec.name), "{name}: {}", spec.name);
            for setting in spec.settings {
                assert!(script.contains(setting.name), "{name}: {} --{}", spec.name, setting.name);
            }
        }
        // Each installed shell parses its script without running it.
        let checked = shell(&format!(
            "if command -v {name} >/dev/null && [ {name} != elvish ]; then nnlayer completions {name} > /tmp/nnlayer.$$; \
             {name} -n /tmp/nnlayer.$$; status=$?; rm /tmp/nnlayer.$$; exit $status; fi"
        ));
        assert_eq!(checked.quiet(), "", "{name}");
    }
    assert!(nnlayer(&["completions", "tcsh"]).refusal().contains("bash"));
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
