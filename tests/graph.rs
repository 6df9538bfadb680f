//! Computational graphs in a terminal and in files.

use crate::support::{RunOutput, fixture, folder, nnlayer, piped, shell};
use nnlayer::layer::LAYERS;

/// Returns the graph that a command draws, without colours.
#[track_caller]
fn drawn(ran: &RunOutput) -> String {
    anstream::adapter::strip_str(ran.quiet()).to_string()
}

/// Returns the arguments of each layer's examples, without options that conflict with `--graph`.
pub fn examples() -> Vec<Vec<String>> {
    let arguments = |command: &str| {
        let mut words: Vec<String> =
            command.split(' ').skip(1).map(|word| word.trim_matches('\'').to_owned()).collect();
        words.retain(|word| word != "--json");
        if let Some(at) = words.iter().position(|word| word == "--only") {
            words.drain(at..at + 2);
        }
        words
    };
    LAYERS.iter().flat_map(|spec| spec.examples.iter().map(move |example| arguments(example.command))).collect()
}

/// Returns a tape of two affine layers, a relu between them and a loss.
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
            // Where the locale has no UTF-8, lines are drawn in ASCII.
            assert!(text.contains('─') || text.contains("--"), "{example:?}\n{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{example:?}\n{text}");
            assert!(text.lines().all(|line| line.trim_end() == line), "{example:?}\n{text}");
        }
    }
}

#[test]
fn every_layer_draws_its_examples_to_every_file_format() {
    let folder = folder();
    for example in examples() {
        for extension in ["svg", "html", "dot", "mmd"] {
            for level in ["tensor", "scalar"] {
                let path = folder.path().join(format!("graph.{extension}"));
                let path = path.to_str().unwrap();
                assert_eq!(nnlayer(&with(&example, &["--graph", path, "--level", level])).quiet(), "", "{example:?}");
                let text = std::fs::read_to_string(path).unwrap();
                assert!(markers(extension).iter().all(|part| text.contains(part)), "{example:?}");
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
    assert!(unicode.contains("Σy") && graph("LC_ALL=C").contains("sum y"), "{unicode}");
}

#[test]
fn graphs_fit_the_width_of_the_terminal() {
    let wide = |command: &str, set: &str| {
        let text = shell(&format!("{set} nnlayer {command}")).quiet().to_owned();
        text.lines().map(|line| line.chars().count()).max().unwrap()
    };
    let commands = [
        "softmax --x 1,2,3 --graph",
        "affine --w fixtures/w.json --b 2 --x fixtures/x.json --level scalar --graph",
        "attention --q '1,0,1;0,1,1' --k '1,0,0;0,1,1' --v '1,2,3;4,5,6' --graph",
    ];
    for command in commands {
        assert!(wide(command, "COLUMNS=80") <= 80, "{command}");
        assert!(wide(command, "COLUMNS=120") <= 120, "{command}");
        assert!(wide(&format!("{command} --width 60"), "COLUMNS=120") <= 60, "{command}");
    }
}

#[test]
fn marks_of_crossing_and_continued_lines_are_explained() {
    let text = |command: &str| shell(&format!("nnlayer {command}")).quiet().to_owned();
    let wide = text("softmax --x 1,2,3 --graph --width 70").replace("\n  ", " ");
    assert!(wide.contains("→a→") && wide.contains("the line continues where the letter stands again"), "{wide}");
    assert!(wide.contains("─│─ lines cross"), "{wide}");
    let small = text("sigmoid --x 1 --graph");
    assert!(!small.contains("continues") && !small.contains("cross"), "{small}");
}

/// Returns the graph of an example in a terminal of 80 columns that shows Unicode.
fn drawn_in_80_columns(example: &[String]) -> String {
    let words: Vec<String> = example.iter().map(|word| format!("'{word}'")).collect();
    shell(&format!("LC_ALL=C.UTF-8 COLUMNS=80 nnlayer {} --graph", words.join(" "))).quiet().to_owned()
}

#[test]
fn a_line_that_ends_on_a_bar_joins_it_and_one_that_goes_on_crosses_it() {
    let many = ["softmax --x 1,2,3,4", "avgpool1d --x 1,2,3,4,5,6; --kernel 6", "softmax-xent --x 0.3,2.9,4 --t 0,0,1"];
    let many = many.iter().map(|command| command.split(' ').map(str::to_owned).collect());
    for example in many.chain(examples()) {
        let text = drawn_in_80_columns(&example);
        for row in text.lines() {
            let row: Vec<char> = row.chars().collect();
            for at in (1..row.len().saturating_sub(1)).filter(|&at| row[at] == '│') {
                let (left, right) = (row[at - 1], row[at + 1]);
                let ends = ("─┌└├┬┴┼".contains(left) && right == ' ') || ("─┐┘┤┬┴┼".contains(right) && left == ' ');
                assert!(!ends, "{example:?}\n{text}");
            }
        }
    }
}

#[test]
fn the_label_of_a_line_from_a_branch_stands_apart_from_that_of_the_next() {
    let text = drawn_in_80_columns(&["softmax".to_owned(), "--x".to_owned(), "1,2,3".to_owned()]);
    let branch = text.lines().position(|line| line.contains('•')).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .skip(branch - 2)
        .take(6)
        .map(|line| line.split(['│', '┌', '└', '┤']).nth(1).unwrap_or_default())
        .collect();
    let is_number = |row: &&str| row.trim().parse::<f64>().is_ok();
    assert!(rows.windows(2).all(|pair| !(is_number(&pair[0]) && is_number(&pair[1]))), "{text}");
    assert!(text.contains("•: used several times; the gradients of all uses are summed (= a + b)"), "{text}");
    assert!(!shell("nnlayer softmax --x 1,2,3 --forward --graph").quiet().contains("used several times"));
}

#[test]
fn a_line_that_continues_has_no_bend_of_one_row() {
    let text = drawn_in_80_columns(&["layernorm".to_owned(), "--x".to_owned(), "1,2,4".to_owned()]);
    assert!(["→c→│─", "→j→│─"].iter().all(|line| text.contains(line)), "{text}");
}

#[test]
fn the_last_band_has_several_operations() {
    let text =
        drawn_in_80_columns(&"softmax-xent --x 0.3,2.9,4 --t 0,0,1".split(' ').map(str::to_owned).collect::<Vec<_>>());
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert!(blocks.len() > 3 && blocks[blocks.len() - 2].matches(")─").count() > 1, "{text}");
}

#[test]
fn entries_beyond_a_limit_are_drawn_with_a_local_gradient_of_0() {
    for layer in ["hard-tanh", "hard-sigmoid", "hard-swish"] {
        let example: Vec<String> = [layer, "--x", "-9,0.5,9", "--level", "scalar"].map(str::to_owned).to_vec();
        let text = drawn_in_80_columns(&example);
        for name in ["x[0]", "x[1]", "x[2]", "y[0]", "y[1]", "y[2]"] {
            assert!(text.contains(name), "{name}\n{text}");
        }
        assert_eq!(text.matches("(clip(x,").count(), 3, "{text}");
        assert!(text.contains("clip(x,a,b): x, but at least a and at most b"), "{text}");
    }
    let folder = folder();
    let path = folder.path().join("graph.svg");
    nnlayer(&["hard-tanh", "--x", "-9,0.5,9", "--level", "scalar", "--graph", path.to_str().unwrap()]).quiet();
    let svg = std::fs::read_to_string(path).unwrap();
    assert_eq!((svg.matches("data-local=\"0.0\"").count(), svg.matches("data-local=\"1.0\"").count()), (2, 1), "{svg}");
}

#[test]
fn hints_and_explanations_are_in_every_file_format_and_language() {
    let folder = folder();
    for (extension, hint) in [
        ("dot", "xlabel=\"入れ替えて掛ける\""),
        ("mmd", "(\"×<br>入れ替えて掛ける\")"),
        ("svg", ">入れ替えて掛ける<"),
        ("html", ">入れ替えて掛ける<"),
    ] {
        let path = folder.path().join(format!("graph.{extension}"));
        let path = path.to_str().unwrap();
        nnlayer(&["softmax", "--x", "1,2", "--hints", "--lang", "ja", "--graph", path]).quiet();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(hint) && text.contains("順伝播の値") && !text.contains("above each line"), "{text}");
    }
}

#[test]
fn a_target_of_0_times_an_infinite_logarithm_is_0() {
    let text = shell("LC_ALL=C.UTF-8 nnlayer kl-div --x -1,-2 --t 0,1 --graph --level scalar").quiet().to_owned();
    assert!(text.contains("-inf") && !text.contains("nan"), "{text}");
    for (options, t, term) in
        [("", "0,1", "0·(log(0) − (-inf))"), (" --log-target", "-inf,0", "e^-inf·(-inf − (-inf))")]
    {
        let text =
            shell(&format!("LC_ALL=C.UTF-8 nnlayer kl-div --x=-inf,-2 --t={t}{options} --steps")).quiet().to_owned();
        assert!(text.contains(&format!("{term} = 0")) && !text.contains("nan"), "{text}");
    }
}

#[test]
fn the_name_of_an_operand_stands_apart_from_the_lines_before_it() {
    for example in examples() {
        let text = drawn_in_80_columns(&[&example[..], &["--level".to_owned(), "scalar".to_owned()]].concat());
        for (at, _) in text.match_indices(['│', '┘', '┐', '┤']) {
            let after: String =
                text[at..].chars().skip(1).take_while(|c| c.is_alphanumeric() || "[],".contains(*c)).collect();
            let begins_line = text[at..].chars().nth(1 + after.chars().count()) == Some('─');
            assert!(!(after.contains('[') && begins_line), "{example:?}\n{text}");
        }
    }
}

#[test]
fn letters_of_two_characters_make_no_band_too_wide() {
    let x = (1..=20).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let text =
        shell(&format!("LC_ALL=C.UTF-8 COLUMNS=50 nnlayer softmax --x {x} --graph --level scalar")).quiet().to_owned();
    assert!(text.contains("→aa→") && text.lines().all(|line| line.chars().count() <= 50), "{text}");
}

#[test]
fn the_ends_of_lines_have_letters_from_the_top_down() {
    for example in examples() {
        let text = drawn_in_80_columns(&[&example[..], &["--level".to_owned(), "scalar".to_owned()]].concat());
        let ends = text.lines().filter_map(|line| {
            let end = line.strip_suffix('→')?;
            end.rsplit('→').next().filter(|letter| letter.len() == 1).map(str::to_owned)
        });
        let ends: Vec<String> = ends.collect();
        assert!(ends.is_sorted(), "{example:?}\n{text}");
    }
}

#[test]
fn a_sum_of_rounded_numbers_is_nearly_equal() {
    let text = shell("LC_ALL=C.UTF-8 nnlayer layernorm --x 1,2 --graph").quiet().to_owned();
    // The gradient by the mean is −1.99997… − 1.99997….
    assert!(text.contains("-3.9999") && text.contains("≈ -2 + (-2)"), "{text}");
    assert!(shell("LC_ALL=C nnlayer layernorm --x 1,2 --graph").quiet().contains("~ -2 + (-2)"));
}

#[test]
fn every_sigmoid_is_drawn_as_the_textbook_writes_it() {
    let text = shell("LC_ALL=C.UTF-8 nnlayer sigmoid --x 1,-2 --graph").quiet().to_owned();
    assert_eq!((text.matches("(×(−1))").count(), text.matches("(1/x)").count()), (2, 2), "{text}");
}

#[test]
fn options_of_a_graph_that_would_change_nothing_are_refused() {
    for options in ["--aspect 16:9", "--theme dark"] {
        assert_eq!(shell(&format!("nnlayer relu --x 1 --graph {options}")).status, 2, "{options}");
        assert_eq!(shell(&format!("nnlayer relu --x 1 --graph a.dot {options}")).status, 2, "{options}");
    }
    for options in ["--width 0", "--width wide", "--aspect 16", "--aspect 0:0", "--aspect 1:-1", "--digits 0"] {
        assert_eq!(shell(&format!("nnlayer relu --x 1 --graph {options}")).status, 2, "{options}");
    }
    assert_eq!(shell("nnlayer relu --x 1 --title T").status, 2);
}

#[test]
fn colours_are_for_terminals_and_for_color_always() {
    let graph = |options: &str| shell(&format!("nnlayer relu --x 1 --graph {options}")).quiet().to_owned();
    assert!(!graph("").contains('\x1b'));
    assert!(graph("--color always").contains("\x1b[38;5;33m1") && graph("--color always").contains("\x1b[38;5;208m1"));
}

#[test]
fn a_graph_is_drawn_to_the_terminal_or_to_a_file_wherever_the_option_is() {
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

/// Returns text that a file of each format contains.
fn markers(extension: &str) -> [&'static str; 2] {
    match extension {
        "svg" => ["<svg xmlns", "</svg>\n"],
        "html" => ["<!DOCTYPE html>", "</html>\n"],
        "dot" => ["digraph nnlayer {", " -> n"],
        _ => ["flowchart LR\n", " --> n"],
    }
}

/// Name and command of each graph whose drawings are fixtures.
const FIXTURES: [(&str, &str); 6] = [
    ("softmax", "nnlayer softmax --x 1,2,3 --dout 1,0,0"),
    ("softmax-xent", "nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1"),
    ("xent", "nnlayer xent --y 0.1,0.1,0.8 --t 0,0,1"),
    ("affine", "nnlayer affine --w fixtures/w.json --b 2 --x fixtures/x.json"),
    ("affine-bias", "nnlayer affine --x '1;2' --w '3;' --b 4 --level scalar"),
    (
        "chain",
        "nnlayer affine --x 1,2 --w '1,-1;0,1' --b 1,-3 --tape | nnlayer relu | nnlayer softmax-xent --t 0 | nnlayer backward --level tensor",
    ),
];

#[test]
fn graphs_are_drawn_like_the_fixtures() {
    let folder = folder();
    let assert_unchanged = |path: &str, text: &str| {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "{path}");
    };
    for (name, command) in FIXTURES {
        assert_unchanged(&fixture(&format!("graph/{name}.txt")), shell(&format!("{command} --graph")).quiet());
        for extension in ["dot", "mmd"] {
            let path = folder.path().join(format!("{name}.{extension}"));
            shell(&format!("{command} --graph {}", path.display())).quiet();
            assert_unchanged(&fixture(&format!("graph/{name}.{extension}")), &std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_pictures_of_the_gallery_are_what_its_script_draws() {
    let folder = folder();
    shell(&format!("sh docs/gallery/make.sh {}", folder.path().display())).quiet();
    let page = std::fs::read_to_string(fixture("../docs/gallery.md")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let drawn = std::fs::read_to_string(entry.path()).unwrap();
        let committed = fixture(&format!("../docs/gallery/{name}"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&committed, &drawn).unwrap();
        }
        assert!(std::fs::read_to_string(committed).unwrap() == drawn, "docs/gallery/{name} is not what make.sh draws");
        assert!(page.contains(&format!("](gallery/{name})")), "docs/gallery.md does not show {name}");
        count += 1;
    }
    assert_eq!(page.matches("](gallery/").count(), count + 1, "a picture, or make.sh, is not there");
    for shown in ["-light.svg)", "-dark.svg)", " COLUMNS=80 ", " COLUMNS=120 "] {
        assert_eq!(page.matches(shown).count() * 2, count, "{shown}");
    }
}

#[test]
fn the_picture_in_the_readme_is_what_its_command_draws() {
    let folder = folder();
    let path = folder.path().join("graph.svg");
    shell(&format!("nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1 --graph {}", path.display())).quiet();
    let drawn = std::fs::read_to_string(path).unwrap();
    let committed = fixture("../docs/graph.svg");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &drawn).unwrap();
    }
    assert!(std::fs::read_to_string(committed).unwrap() == drawn, "docs/graph.svg is not what the command draws");
    for readme in ["../README.md", "../README.ja.md"] {
        let text = std::fs::read_to_string(fixture(readme)).unwrap();
        assert!(text.contains("nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1 --graph graph.svg"), "{readme}");
        assert!(text.contains("](docs/graph.svg)") && text.contains("](docs/graph.png)"), "{readme}");
    }
}
