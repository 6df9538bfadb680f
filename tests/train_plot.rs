//! `train --plot`: loss and accuracy by epoch as a picture and as a page, and the loss as a line of text.

use crate::support::{RunOutput, folder, nnlayer, piped, shell_in};
use roxmltree::{Document, Node};
use std::path::Path;

/// Trains a network of one weight on y = x, so that the loss is (1 − w)², and w comes closer to 1 by the factor 1 − 2·lr.
fn train(folder: &Path, plot: &str, options: &str) -> RunOutput {
    let net = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","params":{"w":[[0]]}},{"kind":"mse"}]}"#;
    std::fs::write(folder.join("net.json"), net).unwrap();
    let plot = if plot.is_empty() { String::new() } else { format!("--plot {plot}") };
    shell_in(folder, &format!("nnlayer train net.json --x '1;1' --t '1;1' --out trained.json {plot} {options}"))
}

fn picture(options: &str) -> String {
    let folder = folder();
    train(folder.path(), "loss.svg", options).quiet();
    std::fs::read_to_string(folder.path().join("loss.svg")).unwrap()
}

fn of_class<'a>(at: Node<'a, 'a>, class: &'a str) -> Vec<Node<'a, 'a>> {
    at.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

/// Returns the points of a path of straight lines.
fn points(path: Node<'_, '_>) -> Vec<(f64, f64)> {
    let pair = |text: &str| text.split_once(' ').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
    path.attribute("d").unwrap()[1..].split('L').map(pair).collect()
}

#[test]
fn the_picture_has_a_line_of_the_losses() {
    // By hand: the loss of each epoch's batch is 1, 1/4, 1/16: (1 − w)² before the step, whose factor is 1/2.
    let text = picture("--epochs 3 --lr 0.25");
    let document = Document::parse(&text).unwrap();
    let [line] = of_class(document.root(), "line")[..] else { panic!("{text}") };
    let titles: Vec<_> =
        of_class(document.root(), "marker").iter().map(|node| node.first_element_child().unwrap().text()).collect();
    assert_eq!(titles, [Some("epoch 1: 1"), Some("epoch 2: 0.25"), Some("epoch 3: 0.0625")]);
    let points = points(line);
    assert!(points.windows(2).all(|pair| (pair[1].0 - pair[0].0 - 244.0).abs() < 0.1), "{points:?}");
    // The axis is linear: the second fall is a quarter of the first.
    let falls: Vec<f64> = points.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert!((falls[0] - 4.0 * falls[1]).abs() < 0.5, "{falls:?}");
    assert!(text.contains(">Loss<") && text.contains(">training 0.0625<"), "{text}");
    // A mean squared error has no accuracy.
    assert!(!text.contains("Accuracy"));
}

#[test]
fn losses_of_different_sizes_are_on_a_logarithmic_scale() {
    let text = picture("--epochs 8 --lr 0.25");
    let document = Document::parse(&text).unwrap();
    let [line] = of_class(document.root(), "line")[..] else { panic!("{text}") };
    assert!(text.contains(">Loss (logarithmic scale)<"));
    let points = points(line);
    let falls: Vec<f64> = points.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert!(falls.iter().all(|fall| (fall - falls[0]).abs() < 0.2), "equal factors are equal distances: {falls:?}");
}

#[test]
fn held_out_samples_have_a_line_of_another_form_and_all_text_is_inside() {
    let folder = folder();
    let shown = shell_in(
        folder.path(),
        "nnlayer net --init 2,3,2 --seed 1 --out net.json && nnlayer train net.json --x '1,2;3,4;-1,0;2,-2' --t 0,1,0,1 \
         --held-x '1,1;0,2' --held-t 0,1 --epochs 50 --lr 0.5 --batch 2 --out trained.json --plot loss.html",
    );
    shown.quiet();
    let page = std::fs::read_to_string(folder.path().join("loss.html")).unwrap();
    // It is one file, which works without a network.
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("://") && !page.contains("src="), "{page}");
    assert_eq!(page.matches("<tr>").count(), 51);
    let svg = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap() + 6];
    let document = Document::parse(svg).unwrap();
    let (wide, high) =
        (document.root_element().attribute("width").unwrap(), document.root_element().attribute("height").unwrap());
    let (wide, high): (f64, f64) = (wide.parse().unwrap(), high.parse().unwrap());
    for class in ["train", "held-out"] {
        assert_eq!(of_class(document.root(), class).len(), 4, "a line and a label in two panels");
    }
    assert!(
        svg.contains(".held-out .line { stroke: #b04a00; stroke-dasharray")
            && svg.contains("prefers-color-scheme: dark")
    );
    for text in document.descendants().filter(|node| node.has_tag_name("text")) {
        let place = |name: &str| text.attribute(name).unwrap().parse::<f64>().unwrap();
        let length = 7.5 * text.text().unwrap().chars().count() as f64;
        let left = match text.attribute("class") {
            Some("tick") => place("x") - length / 2.0,
            Some("tick y") => place("x") - length,
            _ => place("x"),
        };
        assert!(
            left >= 0.0 && left + length <= wide && (10.0..high).contains(&place("y")),
            "{text:?} {:?}",
            text.text()
        );
    }
    // Labels of the same panel are at least a line apart.
    let heights: Vec<f64> = document
        .descendants()
        .filter(|node| node.has_tag_name("text") && node.parent().is_some_and(|group| group.has_tag_name("g")))
        .map(|node| node.attribute("y").unwrap().parse().unwrap())
        .collect();
    assert!(heights.chunks(2).all(|pair| (pair[0] - pair[1]).abs() >= 17.9), "{heights:?}");
}

#[test]
fn long_trainings_have_few_points_and_the_same_bytes_again() {
    let text = picture("--epochs 2500 --lr 1e-4");
    let document = Document::parse(&text).unwrap();
    let [line] = of_class(document.root(), "line")[..] else { panic!("{text}") };
    assert!(points(line).len() < 1100);
    assert!(of_class(document.root(), "marker").is_empty());
    assert_eq!(text, picture("--epochs 2500 --lr 1e-4 --threads 1"));
}

#[test]
fn a_training_that_fails_leaves_the_plot_of_the_epochs_before() {
    let folder = folder();
    let ran = train(folder.path(), "loss.svg", "--epochs 500 --lr 1e5");
    assert_eq!(ran.status, 2);
    let epochs = ran.text().lines().count();
    assert!((2..499).contains(&epochs));
    let text = std::fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    assert!(text.contains(&format!("Training: epochs 1 to {epochs}, ")), "{text}");
}

#[test]
fn other_files_are_refused_before_the_training() {
    let args = ["train", "n.json", "--x", "1", "--t", "1", "--out", "o.json", "--plot", "loss.png"];
    assert!(nnlayer(&args).refusal().contains("unsupported picture format \"png\"\ntip: name a .svg or .html file"));
    assert!(piped("", &args).refusal().contains("--plot loss.png"));
}
