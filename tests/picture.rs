//! SVG files of graphs: nothing overlaps, no line crosses a label, and the numbers are those of `--json`.

use crate::graph::{chain, examples, with};
use crate::support::{fixture, folder, nnlayer, numbers, piped};
use proptest::prelude::*;
use roxmltree::{Document, Node};
use serde_json::Value;
use std::collections::BTreeMap;

/// Left, top, right and bottom side.
type Area = [f64; 4];

/// Returns the SVG that a command draws.
#[track_caller]
fn svg(args: &[&str], stdin: &str) -> String {
    let folder = folder();
    let path = folder.path().join("graph.svg");
    let args = [args, &["--graph", path.to_str().unwrap()]].concat();
    let ran = if stdin.is_empty() { nnlayer(&args) } else { piped(stdin, &args) };
    assert_eq!(ran.status, 0, "{args:?} {}", ran.stderr);
    std::fs::read_to_string(path).unwrap()
}

fn of_class<'a>(at: Node<'a, 'a>, class: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    at.descendants().filter(move |node| {
        node.attribute("class").is_some_and(|classes| classes.split(' ').any(|known| known == class))
    })
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// Returns the area of a text, whose characters are 0.602 times as wide as the font size.
fn area(text: Node<'_, '_>) -> Area {
    let wide = text.text().unwrap_or_default().chars().count() as f64 * 13.0 * 0.602;
    let (x, y) = (number(text, "x"), number(text, "y"));
    let group = text.parent().unwrap().attribute("class").unwrap();
    let left = match group {
        _ if group.contains("leaf") => x - wide,
        _ if group.contains("sink") => x,
        _ => x - wide / 2.0,
    };
    [left, y - 11.0, left + wide, y + 3.0]
}

/// Returns the area of a node's circle or rectangle.
fn shape(node: Node<'_, '_>) -> Option<Area> {
    let shape = node.children().find(|child| ["circle", "rect"].contains(&child.tag_name().name()))?;
    if shape.has_tag_name("circle") {
        let (x, y, r) = (number(shape, "cx"), number(shape, "cy"), number(shape, "r"));
        return Some([x - r, y - r, x + r, y + r]);
    }
    let (x, y) = (number(shape, "x"), number(shape, "y"));
    Some([x, y, x + number(shape, "width"), y + number(shape, "height")])
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Returns points along a path of the commands M, H and C.
fn points(path: &str) -> Vec<(f64, f64)> {
    let spaced: String =
        path.chars().map(|c| if c.is_alphabetic() { format!(" {c} ") } else { c.to_string() }).collect();
    let mut words = spaced.split_whitespace();
    let (mut points, mut at) = (Vec::new(), (0.0, 0.0));
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap().parse::<f64>().unwrap();
        let start = at;
        let controls = match word {
            "M" => {
                at = (next(), next());
                points.push(at);
                continue;
            }
            "H" => {
                let end = (next(), at.1);
                [start, end, end]
            }
            "C" => [(next(), next()), (next(), next()), (next(), next())],
            other => panic!("{other} in {path}"),
        };
        for n in 1..=64 {
            let t = f64::from(n) / 64.0;
            let mix = |a: f64, b: f64, c: f64, d: f64| {
                let s = 1.0 - t;
                s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
            };
            points.push((
                mix(start.0, controls[0].0, controls[1].0, controls[2].0),
                mix(start.1, controls[0].1, controls[1].1, controls[2].1),
            ));
        }
        at = controls[2];
    }
    points
}

/// Asserts that no items overlap, and that no line crosses an item that it does not belong to.
#[track_caller]
fn assert_readable(svg: &str, name: &str) {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    let texts: Vec<Node<'_, '_>> = root.descendants().filter(|node| node.has_tag_name("text")).collect();
    let labels: Vec<(String, Area)> = texts
        .iter()
        .filter(|text| !text.parent().unwrap().attribute("class").unwrap_or_default().contains("op"))
        .filter(|text| !text.attribute("class").unwrap_or_default().contains("note"))
        .filter(|text| !text.parent().unwrap().attribute("class").unwrap_or_default().contains("connector"))
        .map(|text| (text.text().unwrap_or_default().to_owned(), area(*text)))
        .collect();
    let shapes: Vec<(String, Area)> =
        of_class(root, "node").filter_map(|node| Some((format!("{:?}", node.attributes()), shape(node)?))).collect();
    let areas: Vec<&(String, Area)> = labels.iter().chain(&shapes).collect();
    for (n, a) in areas.iter().enumerate() {
        for b in &areas[n + 1..] {
            assert!(!overlap(&a.1, &b.1), "{name}: {a:?} overlaps {b:?}\n{svg}");
        }
    }
    let (width, height) = (number(root, "width"), number(root, "height"));
    for (text, [left, top, right, bottom]) in areas.iter().map(|area| (&area.0, area.1)) {
        assert!(left >= 0.0 && top >= 0.0 && right <= width && bottom <= height, "{name}: {text} is outside\n{svg}");
    }
    for line in of_class(root, "line") {
        for (x, y) in points(line.attribute("d").unwrap()) {
            let crossed = labels.iter().find(|(_, area)| overlap(area, &[x, y, x, y]));
            assert!(crossed.is_none(), "{name}: a line crosses {crossed:?} at {x} {y}\n{svg}");
            // A line touches the node that it reaches or leaves, and goes through none.
            let inner = |[left, top, right, bottom]: Area| [left + 6.0, top + 3.0, right - 6.0, bottom - 3.0];
            let crossed = shapes.iter().find(|(_, area)| overlap(&inner(*area), &[x, y, x, y]));
            assert!(crossed.is_none() || is_branch_dot(crossed), "{name}: a line crosses {crossed:?}\n{svg}");
        }
    }
}

/// Returns true for the dot of a branch, through which lines may go.
fn is_branch_dot(shape: Option<&(String, Area)>) -> bool {
    shape.is_some_and(|(_, area)| area[2] - area[0] < 12.0)
}

/// Asserts that every edge has a value and a gradient, as an attribute and as text with five digits.
#[track_caller]
fn assert_both_values(svg: &str) {
    let document = Document::parse(svg).unwrap();
    let edges: Vec<Node<'_, '_>> = of_class(document.root_element(), "edge").collect();
    assert!(!edges.is_empty());
    for edge in edges {
        for class in ["forward", "backward"] {
            let texts: Vec<&str> = edge
                .children()
                .filter(|child| child.has_tag_name("text") && child.attribute("class") == Some(class))
                .filter_map(|text| text.text())
                .collect();
            let Some(exact) = edge.attribute(format!("data-{class}").as_str()) else {
                let none = of_class(edge, "none").filter_map(|text| text.text()).collect::<Vec<_>>();
                assert_eq!((class, none), ("backward", vec!["no gradient"]), "{svg}");
                continue;
            };
            // Of a long row only the first and last numbers are drawn.
            if texts.iter().any(|text| text.contains(['…', '⋮'])) {
                continue;
            }
            let exact: Vec<f64> = parse_numbers(exact);
            let shown = texts
                .iter()
                .filter(|text| !text.ends_with(')'))
                .flat_map(|text| parse_numbers(text))
                .collect::<Vec<f64>>();
            assert_eq!(exact.len(), shown.len(), "{texts:?}");
            for (exact, shown) in exact.iter().zip(shown) {
                let same = *exact == shown || (exact.is_nan() && shown.is_nan());
                assert!(same || (exact - shown).abs() <= 5.1e-5 * exact.abs(), "{exact} is shown as {shown}");
            }
        }
    }
}

/// Returns the numbers in a text, without the name before ` = `.
fn parse_numbers(text: &str) -> Vec<f64> {
    let text = text.split(" = ").last().unwrap().replace('−', "-");
    let words = text.split(|c: char| "[], ".contains(c)).filter(|word| !word.is_empty());
    words.map(|word| word.parse().unwrap_or_else(|_| panic!("{word} in {text}"))).collect()
}

/// Asserts that each named value and gradient of an edge is the one that `--json` prints, and returns their number.
#[track_caller]
fn assert_json_values(svg: &str, json: &Value, inputs: &Value) -> usize {
    let document = Document::parse(svg).unwrap();
    let mut found = 0;
    for edge in of_class(document.root_element(), "edge") {
        for (name, value) in [("data-name", "data-forward"), ("data-slope", "data-backward")] {
            let (Some(name), Some(value)) = (edge.attribute(name), edge.attribute(value)) else { continue };
            let (key, index) = name.split_once('[').unwrap_or((name, ""));
            let entry = match key.split_once('.') {
                Some((layer, key)) => json.get(layer).and_then(|layer| layer.get(key)),
                None => json.get(key).or(inputs.get(key)),
            };
            let Some(entry) = entry else { continue };
            let mut entry = entry;
            for step in index.trim_end_matches(']').split(',').filter(|step| !step.is_empty()) {
                entry = entry.get(step.parse::<usize>().unwrap()).unwrap_or(entry);
            }
            found += 1;
            assert_eq!(parse_numbers(value), numbers(entry), "{name}");
        }
    }
    found
}

#[test]
fn edges_have_the_values_and_derivatives_of_an_independent_computation() {
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(fixture("graph/values.json")).unwrap()).unwrap();
    assert!(cases.as_array().unwrap().len() >= 6);
    for case in cases.as_array().unwrap() {
        let command = case["command"].as_str().unwrap();
        let args: Vec<&str> = command.split(' ').chain(["--level", "scalar"]).collect();
        let picture = svg(&args, "");
        let document = Document::parse(&picture).unwrap();
        // A line that continues in another band is drawn twice.
        let edges: BTreeMap<&str, Node<'_, '_>> = of_class(document.root_element(), "edge")
            .map(|edge| (edge.attribute("data-edge").unwrap(), edge))
            .collect();
        let gradient = |edge: &Node<'_, '_>| edge.attribute("data-backward").map(|text| text.parse::<f64>().unwrap());
        let mut drawn: Vec<(f64, Option<f64>)> =
            edges.values().map(|edge| (number(*edge, "data-forward"), gradient(edge))).collect();
        let expected: Vec<(f64, Option<f64>)> = case["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_f64().unwrap(), pair[1].as_f64()))
            .collect();
        assert_eq!(drawn.len(), expected.len(), "{command}");
        for pair in expected {
            let is_close = |a: f64, b: f64| (a - b).abs() <= 4e-16 * b.abs().max(0.1);
            let at = drawn.iter().position(|&(value, gradient)| {
                is_close(value, pair.0)
                    && gradient.is_some() == pair.1.is_some()
                    && gradient.zip(pair.1).is_none_or(|(a, b)| is_close(a, b))
            });
            drawn.remove(at.unwrap_or_else(|| panic!("{command}: no edge has {pair:?}: {drawn:?}")));
        }
    }
}

#[test]
fn every_example_of_every_layer_is_readable_at_both_levels() {
    for example in examples() {
        for level in ["tensor", "scalar"] {
            let picture = svg(&with(&example, &["--level", level]), "");
            assert_readable(&picture, &format!("{example:?} {level}"));
            if !example.contains(&"--forward".to_owned()) {
                assert_both_values(&picture);
            }
        }
    }
}

#[test]
fn the_first_operand_of_a_difference_or_quotient_is_above_the_second() {
    let mut pairs = 0;
    for example in examples().iter().map(|example| with(example, &["--level", "scalar"])) {
        for width in ["5000", "600"] {
            let picture = svg(&[&example[..], &["--width", width]].concat(), "");
            let document = Document::parse(&picture).unwrap();
            let (root, mut has_pair) = (document.root_element(), false);
            for node in of_class(root, "op").filter(|node| ["−", "/"].contains(&node.attribute("data-label").unwrap()))
            {
                let reads =
                    of_class(root, "edge").filter(|edge| edge.attribute("data-to") == node.attribute("data-node"));
                let mut reads: Vec<_> = reads.collect();
                reads.sort_by_key(|edge| edge.attribute("data-edge").unwrap().parse::<usize>().unwrap());
                let end = |edge: &Node<'_, '_>| {
                    let line = of_class(*edge, "line").next().unwrap();
                    points(line.attribute("d").unwrap()).last().unwrap().1
                };
                assert_eq!(reads.len(), 2);
                assert!(end(&reads[0]) < end(&reads[1]), "{example:?}: {}", node.attribute("data-node").unwrap());
                (pairs, has_pair) = (pairs + 1, true);
            }
            assert_eq!(has_pair, picture.contains("the upper line is the first operand"), "{example:?}");
        }
    }
    assert!(pairs > 10, "{pairs}");
}

#[test]
fn a_maximum_is_an_operation_on_all_entries_of_its_window() {
    let picture = svg(&["maxpool2d", "--x", "[[[1,2],[4,0]]]", "--kernel", "2"], "");
    assert!(picture.contains("data-label=\"max\""), "{picture}");
    let document = Document::parse(&picture).unwrap();
    let edges = of_class(document.root_element(), "edge");
    let drawn: Vec<(f64, f64)> =
        edges.map(|edge| (number(edge, "data-forward"), number(edge, "data-backward"))).collect();
    assert_eq!(drawn, [(1.0, 0.0), (2.0, 0.0), (4.0, 1.0), (0.0, 0.0), (4.0, 1.0)]);
}

#[test]
fn pictures_have_the_numbers_that_json_prints() {
    let commands = [
        r#"{"softmax": {"x": [1, 2, 3], "dout": [1, 0, 0]}}"#,
        r#"{"softmax": {"x": [[1, 2], [3, -1]], "dout": [[1, 0], [0, 2]]}}"#,
        r#"{"softmax-xent": {"x": [0.3, 2.9, 4], "t": [0, 0, 1]}}"#,
        r#"{"softmax-xent": {"x": [[0.3, 2.9], [4, 1]], "t": [1, 0], "weight": [1, 3]}}"#,
        r#"{"xent": {"y": [0.1, 0.1, 0.8], "t": [0, 0, 1]}}"#,
        r#"{"relu": {"x": [-1, 0, 2], "dout": [3, 4, 5]}}"#,
        r#"{"sigmoid": {"x": [-1, 0.5], "dout": [1, 2]}}"#,
        r#"{"tanh": {"x": [-1, 0.5], "dout": [1, 2]}}"#,
        r#"{"affine": {"x": [[1, 2], [3, 4]], "w": [[1, -1], [0, 1]], "b": [0, -3], "dout": [[1, 2], [0, 3]]}}"#,
    ];
    for command in commands {
        let command: Value = serde_json::from_str(command).unwrap();
        let (name, inputs) = command.as_object().unwrap().iter().next().unwrap();
        let options =
            inputs.as_object().unwrap().iter().flat_map(|(key, value)| [format!("--{key}"), value.to_string()]);
        let args: Vec<String> = std::iter::once(name.clone()).chain(options).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let json = nnlayer(&[&args[..], &["--json"]].concat()).json();
        for level in ["scalar", "tensor"] {
            let picture = svg(&[&args[..], &["--level", level]].concat(), "");
            let results = json.as_object().unwrap().len() + inputs.as_object().unwrap().len();
            let hidden = usize::from(*name == "xent") + usize::from(*name == "softmax-xent" && level == "scalar");
            assert!(assert_json_values(&picture, &json, inputs) + 2 * hidden >= results, "{args:?} {level}");
            assert_both_values(&picture);
        }
    }
}

#[test]
fn a_chain_is_readable_and_has_the_numbers_that_backward_prints() {
    let tape = chain();
    let json = piped(&tape, &["backward", "--json"]).json();
    for level in ["scalar", "tensor"] {
        let picture = svg(&["backward", "--level", level], &tape);
        assert_readable(&picture, level);
        assert_both_values(&picture);
        assert!(assert_json_values(&picture, &json, &Value::Null) >= 5, "{level}");
    }
}

/// Returns the width and height of a picture.
fn size(svg: &str) -> (f64, f64) {
    let document = Document::parse(svg).unwrap();
    (number(document.root_element(), "width"), number(document.root_element(), "height"))
}

#[test]
fn wide_graphs_are_wrapped_to_the_width_and_the_aspect() {
    let tape = chain();
    let draw = |options: &[&str]| svg(&[&["backward"], options].concat(), &tape);
    for level in ["scalar", "tensor"] {
        for options in [&["--width", "900"][..], &["--aspect", "1:1"], &["--aspect", "4:1"], &[]] {
            let picture = draw(&[&["--level", level], options].concat());
            assert_readable(&picture, &format!("{level} {options:?}"));
            assert_both_values(&picture);
        }
    }
    assert!(size(&draw(&["--level", "tensor", "--width", "900"])).0 <= 900.0);
    let ratio = |aspect: &str| {
        let (width, height) = size(&draw(&["--level", "tensor", "--aspect", aspect, "--no-legend"]));
        width / height
    };
    assert!(ratio("1:1") < ratio("5:1"));
    let affine =
        ["affine", "--w", "1,2,3;1,4,6", "--b", "2", "--x", "2,4;2,1;4,3", "--level", "scalar", "--width", "700"];
    let picture = svg(&affine, "");
    let document = Document::parse(&picture).unwrap();
    let view = document.root_element().attribute("viewBox").unwrap();
    assert!(view.split(' ').nth(2).unwrap().parse::<f64>().unwrap() <= 700.0, "it is scaled down: {view}");
    // Of a graph that is not too wide, too.
    let attention = ["attention", "--q", "1,2;2,1", "--k", "1,2;3,4;5,6", "--v", "1,2;2,3;4,5", "--causal", "top-left"];
    let attention = [&attention[..], &["--level", "tensor", "--width", "1280"]].concat();
    let (wide, folded) = (svg(&attention, ""), svg(&[&attention[..], &["--aspect", "1.45:1"]].concat(), ""));
    let is_folded = |picture: &str| picture.contains("class=\"node connector");
    assert!(!is_folded(&wide) && is_folded(&folded), "{folded}");
    assert!((0.5..2.0).contains(&ratio("1:1")), "{}", ratio("1:1"));
}

#[test]
fn both_ends_of_a_line_that_continues_have_the_same_letter() {
    let picture = svg(&["backward", "--level", "tensor", "--width", "700"], &chain());
    let document = Document::parse(&picture).unwrap();
    let mut letters: BTreeMap<String, usize> = BTreeMap::new();
    for connector in of_class(document.root_element(), "connector") {
        let text = connector.children().find(|child| child.has_tag_name("text")).unwrap().text().unwrap();
        *letters.entry(text.to_owned()).or_default() += 1;
    }
    assert!(!letters.is_empty() && letters.values().all(|count| *count == 2), "{letters:?}");
    assert!(picture.contains("the line continues at the same letter"));
}

#[test]
fn a_graph_of_many_shared_operands_is_grouped_by_output_and_has_the_sums_of_their_gradients() {
    let args = ["affine", "--w", &fixture("w.json"), "--b", "2", "--x", &fixture("x.json"), "--level", "scalar"];
    let picture = svg(&args, "");
    assert_readable(&picture, "grouped");
    assert_both_values(&picture);
    let document = Document::parse(&picture).unwrap();
    let totals: Vec<&str> = of_class(document.root_element(), "total").filter_map(|text| text.text()).collect();
    let json = nnlayer(&[&args[..7], &["--json"]].concat()).json();
    assert_eq!(totals.len(), 6 + 6 + 3);
    for total in totals {
        let (name, sum) = total.split_once(" = ").unwrap();
        let (key, index) = name.trim_end_matches(']').split_once('[').unwrap();
        let entry =
            index.split(',').fold(&json[key.to_lowercase()], |array, step| &array[step.parse::<usize>().unwrap()]);
        let (terms, whole) = sum.split_once(" = ").unwrap();
        let terms: f64 = terms.split(" + ").map(|term| term.parse::<f64>().unwrap()).sum();
        assert_eq!(
            (terms, whole.parse::<f64>().unwrap()),
            (entry.as_f64().unwrap(), entry.as_f64().unwrap()),
            "{total}"
        );
    }
    let (width, height) = size(&picture);
    assert!(width / height > 1.2 && width / height < 2.5, "{width} {height}");
}

#[test]
fn the_gradient_before_a_branch_is_written_as_a_sum() {
    let picture = svg(&["softmax-xent", "--x", "0.3,2.9,4", "--t", "0,0,1"], "");
    assert!(picture.contains(">≈ 0.7366 + (−1)</text>"), "{picture}");
}

#[test]
fn labels_say_what_a_node_computes_and_targets_have_no_gradient() {
    let picture = svg(&["softmax-xent", "--x", "1,2,3", "--t", "0,0,1", "--level", "scalar"], "");
    for label in ["e^(x−3)", "1/x", "log", "×(−1)"] {
        assert!(picture.contains(&format!("data-label=\"{label}\"")), "{label}");
    }
    assert!(!picture.contains("data-slope=\"dt"));
    assert_eq!(picture.matches(">no gradient</text>").count(), 3);
    let tensor = svg(&["softmax-xent", "--x", "1,2,3", "--t", "0,0,1", "--level", "tensor"], "");
    assert_eq!(tensor.matches(">no gradient</text>").count(), 1);
    let chain = svg(&["backward", "--level", "tensor"], &chain());
    for symbol in ["W₁", "b₁", "W₂", "x₂ (2)", "dW₁ (2×2)", "loss", "x₂·W₂ (2)"] {
        assert!(chain.contains(&format!(">{symbol}</text>")), "{symbol}");
    }
}

#[test]
fn titles_digits_hints_and_themes_are_drawn() {
    let draw = |options: &[&str]| svg(&[&["softmax", "--x", "1,2,3", "--dout", "1,0,0"], options].concat(), "");
    assert!(draw(&["--title", "A <softmax>"]).contains(">A &lt;softmax&gt;</text>"));
    assert!(!draw(&["--no-legend"]).contains("above each line"));
    assert!(draw(&["--digits", "2"]).contains(">0.14</text>"));
    let hints = draw(&["--hints"]);
    assert!(["swaps", "passes on", "adds up"].iter().all(|hint| hints.contains(&format!(">{hint}</text>"))));
    assert_readable(&hints, "hints");
    let (light, dark, auto) = (draw(&["--theme", "light"]), draw(&["--theme", "dark"]), draw(&[]));
    assert!(
        !light.contains("#14171c") && dark.contains("#14171c") && !dark.contains("@media") && auto.contains("@media")
    );
}

#[test]
fn hints_are_explained_where_there_are_hints_and_formulas_are_whole() {
    let legend = "at each gate: what it does with the gradient that comes back";
    for example in examples().iter().filter(|example| !example.contains(&"--forward".to_owned())) {
        for level in ["scalar", "tensor"] {
            let picture = svg(&with(example, &["--hints", "--level", level]), "");
            assert_readable(&picture, &format!("{example:?} {level}"));
            let document = Document::parse(&picture).unwrap();
            let hints = of_class(document.root_element(), "hint").count();
            assert_eq!(hints > 0, picture.contains(legend), "{example:?} {level}");
            let gates = of_class(document.root_element(), "op").chain(of_class(document.root_element(), "branch"));
            assert!(level == "tensor" || hints == gates.count(), "{example:?}");
        }
    }
    let layernorm = svg(&["layernorm", "--x", "1,2,4", "--level", "tensor", "--hints"], "");
    let formula = "dx = (g − mean g − xhat·mean(g∘xhat)) / √(var + eps), g = dout∘gamma";
    assert!(layernorm.contains(&format!(">{formula}</text>")) && layernorm.contains(">dx (3)</text>"), "{layernorm}");
    let affine = svg(&["affine", "--x", "1,2", "--w", "1;2", "--level", "tensor", "--hints"], "");
    assert!(affine.contains(">dW = xᵀ·dout (2×1)</text>") && affine.contains("its gradient dw</text>"), "{affine}");
    let attention = ["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1;3", "--level", "tensor", "--hints"];
    assert!(svg(&attention, "").contains(">swaps, ᵀ</text>"));
}

#[test]
fn sums_stand_apart_from_the_explanations_below_them() {
    let picture = svg(&["affine", "--w", &fixture("w.json"), "--x", &fixture("x.json"), "--level", "scalar"], "");
    let document = Document::parse(&picture).unwrap();
    let lowest = of_class(document.root_element(), "total").map(|text| number(text, "y")).fold(0.0, f64::max);
    let notes =
        of_class(document.root_element(), "note").filter(|note| note.attribute("class") == Some("note forward"));
    let distances: Vec<f64> = notes.map(|note| number(note, "y") - lowest).collect();
    assert_eq!(distances, [30.0]);
}

#[test]
fn no_band_is_empty() {
    let attention =
        ["attention", "--q", "1,0,1;0,1,1", "--k", "1,0,0;0,1,1", "--v", "1,2,3;4,5,6", "--causal", "top-left"];
    let picture = svg(&[&attention[..], &["--level", "tensor", "--width", "600"]].concat(), "");
    let document = Document::parse(&picture).unwrap();
    let edges = of_class(document.root_element(), "edge");
    let texts = edges.flat_map(|edge| edge.children().filter(|child| child.has_tag_name("text")));
    let top = texts.map(|text| area(text)[1]).fold(f64::INFINITY, f64::min);
    assert!(top < 32.0, "{top}");
}

#[test]
fn samples_of_a_wide_graph_are_folded_together() {
    let picture = svg(&["layernorm", "--x", "1,2,4;2,0,1", "--level", "scalar"], "");
    assert_readable(&picture, "two rows");
    let (width, height) = size(&picture);
    assert!(width / height < 16.0 / 9.0 * 1.2, "{width} {height}");
}

#[test]
fn attention_is_drawn_with_its_scores_and_weights() {
    let picture = svg(
        &["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1;3", "--causal", "top-left", "--level", "tensor"],
        "",
    );
    assert_readable(&picture, "attention");
    // By NumPy: s = q·kᵀ/√2, p = softmax of the visible scores, dp = dout·vᵀ, ds = p∘(dp − Σ dp∘p).
    for (name, value, gradient) in [
        ("s + mask", "[[0.7071067811865475,-Infinity],[0.0,0.7071067811865475]]", "[[0.0,0.0],[-0.442362"),
        ("p", "[[1.0,0.0],[0.330238", "[[1.0,3.0],[1.0,3.0]]"),
    ] {
        let part = picture.split(&format!("data-name=\"{name}\"")).nth(1).unwrap().replace("&quot;", "");
        let attribute = |key: &str| part.split(&format!("data-{key}=\"")).nth(1).unwrap().to_owned();
        assert!(attribute("forward").starts_with(value), "{name} {}", &attribute("forward")[..80]);
        assert!(attribute("backward").starts_with(gradient), "{name} {}", &attribute("backward")[..80]);
    }
    // dp = dout·vᵀ of keys that no query sees, too.
    let unseen = ["attention", "--q", "1,2;2,1", "--k", "1,2;3,4;5,6", "--v", "1,2;2,3;4,5", "--causal", "top-left"];
    let picture = svg(&[&unseen[..], &["--level", "tensor"]].concat(), "");
    assert!(picture.contains("data-slope=\"dp\" data-backward=\"[[3.0,5.0,9.0],[3.0,5.0,9.0]]\""), "{picture}");
}

#[test]
fn pictures_are_the_same_bytes_for_any_locale_width_and_number_of_threads() {
    let folder = folder();
    let draw = |set: &str, options: &str| {
        let path = folder.path().join("g.svg");
        let line = format!("{set} nnlayer softmax --x 1,2,3 {options} --graph {}", path.display());
        crate::support::shell(&line).quiet();
        std::fs::read(path).unwrap()
    };
    let plain = draw("", "");
    assert_eq!(draw("LC_ALL=C COLUMNS=20", "--threads 1"), plain);
    assert_eq!(draw("LANG=ja_JP.eucJP LC_ALL= ", "--threads 2 --color always"), plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_small_layer_is_drawn_with_anything_overlapping(
        layer in 0..7usize,
        (rows, inner, columns) in (1..4usize, 1..4usize, 1..4usize),
        values in prop::collection::vec(-9.0..9.0f64, 27),
        vector: bool,
        tensor: bool,
    ) {
        let matrix = |rows: usize, columns: usize, from: usize| {
            let cell = |n: usize| format!("{:.*}", n % 5, values[(from + n) % 27]);
            let row = |n: usize| format!("[{}]", (0..columns).map(|k| cell(n * columns + k)).collect::<Vec<_>>().join(","));
            format!("[{}]", (0..rows).map(row).collect::<Vec<_>>().join(","))
        };
        let one = |text: String| if vector { text[1..text.len() - 1].split("],").next().unwrap().trim_end_matches(']').to_owned() + "]" } else { text };
        let x = one(matrix(rows, inner, 0));
        let classes = if vector { "0".to_owned() } else { format!("[{}]", vec!["0"; rows].join(",")) };
        let (w, b) = (matrix(inner, columns, 5), matrix(1, columns, 9));
        let b = &b[1..b.len() - 1];
        let args: Vec<&str> = match layer {
            0 => vec!["affine", "--x", &x, "--w", &w, "--b", b],
            1 => vec!["affine", "--x", &x, "--w", &w],
            2 => vec!["softmax", "--x", &x],
            3 => vec!["softmax", "--log", "--x", &x],
            4 => vec!["softmax-xent", "--x", &x, "--t", &classes, "--label-smoothing", "0.1", "--reduction", "mean"],
            5 => vec!["sigmoid", "--x", &x],
            _ => vec!["tanh", "--x", &x],
        };
        let args = [&args[..], &["--level", if tensor { "tensor" } else { "scalar" }]].concat();
        let picture = svg(&args, "");
        assert_readable(&picture, &format!("{args:?}"));
        assert_both_values(&picture);
    }
}
