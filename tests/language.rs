//! `--lang ja`: steps, verdicts and help in Japanese; every sentence of these kinds has its pair in the catalogue.

use crate::support::{RunOutput, folder, nnlayer, piped, shell, shell_in};
use nnlayer::core::language::{Language, translate, with_language};
use nnlayer::layer::LAYERS;
use unicode_width::UnicodeWidthStr;

fn is_japanese(text: &str) -> bool {
    text.contains(|letter: char| {
        ('\u{3040}'..='\u{30ff}').contains(&letter) || ('\u{4e00}'..='\u{9fff}').contains(&letter)
    })
}

/// Returns true if a text has an English word of a sentence: names, functions and options are none.
fn is_english(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "where",
        "else",
        "over",
        "the",
        "is",
        "are",
        "it",
        "its",
        "of",
        "all",
        "with",
        "entries",
        "more",
        "and",
        "not",
        "in",
        "to",
        "at",
        "by",
        "for",
        "gradient",
        "gradients",
        "correct",
        "wrong",
        "any",
        "each",
        "this",
        "that",
        "which",
        "yours",
        "row",
        "column",
    ];
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.'".contains(letter)));
    words.into_iter().any(|word| WORDS.contains(&word))
}

#[track_caller]
fn assert_translated(english: &str) {
    let japanese = with_language(Language::Japanese, || translate(english).into_owned());
    assert!(is_japanese(&japanese) && !is_english(&japanese), "{english:?} is {japanese:?} in Japanese");
}

#[test]
fn every_formula_definition_and_mistake_has_its_pair() {
    let mut seen = 0;
    for spec in LAYERS {
        let sentences = spec.results().map(|(_, formula)| formula);
        let sentences = sentences.chain(spec.conventions.iter().map(|convention| convention.explanation));
        for sentence in sentences.filter(|sentence| is_english(sentence)) {
            assert_translated(sentence);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// Returns the string literals of a source file, unit tests left out, with a number in place of what varies.
fn literals(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| line.to_owned() + "\n").collect();
    let mut found = Vec::new();
    for literal in code.split('"').skip(1).step_by(2) {
        let joined = literal.split("\\\n").map(str::trim_start).collect::<String>();
        let mut plain = String::new();
        let mut rest = joined.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            plain += before;
            plain += "7";
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
        found.push(plain + rest);
    }
    found
}

#[test]
fn every_sentence_about_mistakes_has_its_pair() {
    let mut seen = 0;
    for file in ["src/check/mistakes/values.rs", "src/check/mistakes/formula.rs"] {
        for sentence in literals(file).iter().filter(|sentence| sentence.split(' ').count() > 3 && is_english(sentence))
        {
            assert_translated(sentence);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[track_caller]
fn assert_japanese(ran: &RunOutput, command: &str) {
    assert!(ran.stderr.is_empty(), "{command}: {}", ran.stderr);
    assert!(is_japanese(ran.text()), "{command}: {}", ran.text());
    for line in ran.text().lines() {
        assert!(!is_english(line), "{command}: {line}");
    }
}

#[test]
fn nothing_english_is_left_in_steps_and_verdicts() {
    let xent_steps = r#"{"loss": 0.3, "dx": [0.1, null, 0.2], "dy": [0, 0]}"#;
    for command in [
        &["affine", "--x", "1,2;3,4", "--w", "1,2;3,4", "--b", "1"][..],
        &["affine", "--x", "1,2;3,4", "--w", "1,2;3,4", "--b", "1", "--steps"],
        &["relu", "--x", "-1,0,2", "--steps"],
        &["sigmoid", "--x", "-1,0,2", "--steps", "markdown"],
        &["softmax", "--x", "1,2,3,4,5,6,7,8,9,10,11,12", "--steps"],
        &["softmax-xent", "--x", "2,1,0.1;0.5,3,0", "--t", "0,1", "--reduction", "mean", "--steps"],
        &["xent", "--y", "0.1,0.1,0.8", "--t", "0,0,1", "--expect", xent_steps],
        &["xent", "--y", "0.1,0.1,0.8", "--t", "0,0,1", "--expect", xent_steps, "--steps"],
        &["affine", "--x", "1,2;3,4;5,6", "--w", "1,2,3,4;5,6,7,8", "--b", "1,2,3,4", "--check"],
        &["relu", "--x", "-1,0,2", "--check"],
        &["softmax", "--x", "1,2,3", "--check"],
        &["layernorm", "--x", "1,2,4", "--gamma", "1,2,1", "--steps"],
        &["maxpool1d", "--x", "1,2,4,3;", "--steps"],
        &["huber", "--x", "1,4", "--t", "0,1", "--steps"],
        &["gelu", "--x", "1,-2", "--check"],
    ] {
        let ran = nnlayer(&[command, &["--lang", "ja"]].concat());
        assert_japanese(&ran, &command.join(" "));
        // JSON and files are the same in any language.
        if !command.contains(&"markdown") {
            let json = nnlayer(&[command, &["--json"]].concat());
            assert_eq!(nnlayer(&[command, &["--json", "--lang", "ja"]].concat()).text(), json.text());
        }
    }
}

#[test]
fn verdicts_on_programs_chains_and_their_norms_are_japanese() {
    let folder = folder();
    let run = |line: &str| shell_in(folder.path(), line);
    let net = "nnlayer net --init 4,8,8,8,8,2 --activation sigmoid --seed 1 --out net.json";
    run(net).quiet();
    let operands = "--x '1,2,3,4;4,3,2,1' --t 0,1";
    for options in ["--norms", "--steps", "--check"] {
        let ran = run(&format!("NNLAYER_LANG=ja nnlayer net net.json {operands} {options}"));
        assert_japanese(&ran, options);
        for line in ran.text().lines().filter(|_| options == "--norms") {
            assert!(line.width() <= 80, "{line}");
        }
    }
    run(&format!(
        "nnlayer train net.json {operands} --held-x '1,1,1,1;2,2,2,2' --held-t 1,0 --epochs 3 --out t.json --plot loss.svg --lang ja"
    ))
    .quiet();
    let picture = std::fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    let document = roxmltree::Document::parse(&picture).unwrap();
    for text in document.descendants().filter(|node| ["text", "title"].contains(&node.tag_name().name())) {
        let text = text.text().unwrap();
        assert!(is_japanese(text) || !text.contains(|letter: char| letter.is_ascii_alphabetic()), "{text}");
    }
}

#[test]
fn help_of_the_layers_of_the_article_is_japanese_and_fits() {
    for layer in ["affine", "softmax", "xent", "softmax-xent", "relu", "sigmoid"] {
        let ran = nnlayer(&[layer, "--help", "--lang", "ja"]);
        let text = ran.quiet();
        assert!(text.contains("使い方: nnlayer") && text.contains("オペランド:") && !text.contains('\u{a0}'), "{text}");
        for line in text.lines() {
            assert!(line.width() <= 80 || line.starts_with("  "), "{line}");
            let words = line.split_whitespace().filter(|word| word.chars().all(|letter| letter.is_ascii_lowercase()));
            let is_code =
                line.trim_start().starts_with(['$', '[', '{', '-']) || line.contains(": ") || line.contains(" = ");
            assert!(words.count() < 4 || is_japanese(line) || is_code, "{layer}: {line}");
        }
        // Each option is there.
        let is_option = |line: &&str| line.starts_with("      --") || line.starts_with("  -");
        let options = |text: &str| text.lines().filter(is_option).count();
        assert_eq!(options(text), options(nnlayer(&[layer, "--help"]).quiet()));
        assert!(nnlayer(&[layer, "-h", "--lang", "ja"]).quiet().contains("順伝播だけを計算する"));
    }
}

#[test]
fn errors_and_english_stay_as_they_are() {
    let refused = nnlayer(&["affine", "--x", "1,2", "--w", "1", "--lang", "ja"]);
    assert_eq!(refused.refusal(), nnlayer(&["affine", "--x", "1,2", "--w", "1"]).refusal());
    assert!(nnlayer(&["relu", "--x", "1", "--lang", "fr"]).refusal().contains("fr"));
    let steps = ["relu", "--x", "-1,2", "--steps"];
    let english = nnlayer(&steps);
    assert_eq!(nnlayer(&[&steps[..], &["--lang", "en"]].concat()).text(), english.text());
    assert_eq!(nnlayer(&steps).text(), english.text(), "the language of one command does not stay");
    assert!(!is_japanese(piped("", &["relu", "--x", "1", "--lang", "en"]).text()));
}

#[test]
fn pictures_are_japanese() {
    let loss = ["softmax-xent", "--x", "0.3,2.9,4", "--t", "0,0,1"];
    let svg = |args: &[&str]| {
        let folder = folder();
        let path = folder.path().join("graph.svg");
        nnlayer(&[args, &["--graph", path.to_str().unwrap(), "--lang", "ja"]].concat()).quiet();
        std::fs::read_to_string(path).unwrap()
    };
    let repeated = ["affine", "--x", "1,2;3,4", "--w", "1,2;3,4", "--b", "2", "--level", "tensor"];
    for (layer, sentence) in [(&loss[..], "勾配なし"), (&repeated, "各行の b (2×2)")] {
        let words: Vec<String> = layer.iter().map(|word| format!("'{word}'")).collect();
        let ran = shell(&format!("LC_ALL=C.UTF-8 nnlayer {} --graph --lang ja", words.join(" ")));
        assert_japanese(&ran, layer[0]);
        assert!(ran.text().contains(sentence), "{}", ran.text());
        let folder = folder();
        let draw = |name: &str| {
            let path = folder.path().join(name);
            nnlayer(&[layer, &["--graph", path.to_str().unwrap(), "--lang", "ja"]].concat()).quiet();
            std::fs::read_to_string(path).unwrap()
        };
        let picture = draw("graph.svg");
        let document = roxmltree::Document::parse(&picture).unwrap();
        for text in document.descendants().filter(|node| ["text", "title"].contains(&node.tag_name().name())) {
            assert!(!is_english(text.text().unwrap_or_default()), "{:?}", text.text());
        }
        assert!(picture.contains(sentence) && picture.contains("線の上は順伝播の値"), "{picture}");
        let page = draw("graph.html");
        assert!(page.contains("<html lang=\"ja\"") && page.contains("順伝播：オペランドを与える。"), "{page}");
        assert!(!page.contains("Nothing is computed yet") && !page.contains("above each line"));
    }
    let attention = ["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1;3", "--level"];
    let layer = svg(&[&attention[..], &["layer"]].concat());
    assert!(layer.contains("→ 線の上は値の形状") && layer.contains("← 線の下は勾配のノルム"), "{layer}");
    let tensor = svg(&["softmax-xent", "--x", "1,2", "--t", "0", "--level", "tensor"]);
    assert!(tensor.contains("dout （スカラー）"), "{tensor}");
    // Lines of a drawing are as long as in English, apart from the words: a wide letter takes the place of two.
    let rows = |language: &str| {
        let ran = nnlayer(&[&repeated[..], &["--graph", "--lang", language]].concat());
        ran.text().lines().filter(|line| line.contains('─')).map(|line| line.width()).collect::<Vec<_>>()
    };
    assert_eq!(rows("ja").len(), rows("en").len());
}
