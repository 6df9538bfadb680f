//! The picture of a training: a panel for the loss and one for the accuracy, with a line for each set of samples.

use super::axis::Axis;
use super::history::{History, Measure, Series};
use crate::core::language::translate;
use crate::report::numbers::format_short;
use std::fmt::Write;

/// Width of the picture, in pixels.
const WIDTH: f64 = 720.0;
/// Left and right end of the lines. The right margin has their labels.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 560.0;
/// Height of the area of a panel's lines.
const PANEL: f64 = 220.0;
/// Distance from the top of a panel to its area, and from there to the next panel.
const ABOVE: f64 = 40.0;
const BELOW: f64 = 52.0;
/// Smallest distance between the labels of two lines.
const LABEL_HEIGHT: f64 = 18.0;
/// Number of epochs up to which each has a marker.
const MAX_MARKERS: usize = 40;
/// Number of points of a line above which epochs share a pair of points: the least and the greatest value.
const MAX_POINTS: usize = 1000;

const STYLE: &str = include_str!("plot.css");

/// Returns the picture as an element, to be embedded in a page.
pub(super) fn element(history: &History) -> String {
    let measures = [Measure::Loss, Measure::Accuracy].map(|measure| (measure, history.series(measure)));
    let panels: Vec<_> = measures.into_iter().filter(|(_, series)| !series.is_empty()).collect();
    let note = history.best().map(|(epoch, loss)| {
        let note = format!("The held-out loss is lowest after epoch {epoch}: {}", format_short(loss));
        translate(&note).into_owned()
    });
    let height = panels.len() as f64 * (ABOVE + PANEL + BELOW) + if note.is_some() { 24.0 } else { 0.0 };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        describe(history)
    );
    let mut top = 0.0;
    for (measure, series) in &panels {
        draw_panel(*measure, series, top + ABOVE, &mut text);
        top += ABOVE + PANEL + BELOW;
    }
    if let Some(note) = note {
        writeln!(text, "<text class=\"note\" x=\"{LEFT}\" y=\"{}\">{note}</text>", top + 8.0).ok();
    }
    text + "</svg>\n"
}

/// Returns the picture in words.
fn describe(history: &History) -> String {
    let Some((first, last)) = history.epochs.first().zip(history.epochs.last()) else { return String::new() };
    let [begin, end] = [first.train.loss, last.train.loss].map(format_short);
    let text = format!("Training: epochs {} to {}, loss {begin} to {end}", first.epoch, last.epoch);
    translate(&text).into_owned()
}

/// Draws the panel of a measure, whose area begins at that height.
fn draw_panel(measure: Measure, series: &[Series], top: f64, text: &mut String) {
    let points = || series.iter().flat_map(|series| &series.points);
    let (first, last) = points().fold((u64::MAX, 0), |(first, last), (epoch, _)| (first.min(*epoch), last.max(*epoch)));
    let (across, up) = (Axis::whole_numbers(first, last), Axis::new(points().map(|(_, value)| *value)));
    let x = |epoch: f64| LEFT + across.position(epoch) * (RIGHT - LEFT);
    let y = |value: f64| top + PANEL - up.position(value) * PANEL;
    let title = match measure {
        Measure::Loss if up.is_logarithmic => "Loss (logarithmic scale)",
        Measure::Loss => "Loss",
        Measure::Accuracy => "Accuracy, %",
    };
    let (title, epochs) = (translate(title), translate("epoch"));
    let baseline = top + PANEL;
    writeln!(text, "<text class=\"heading\" x=\"{LEFT}\" y=\"{:.1}\">{title}</text>", top - 16.0).ok();
    for tick in &up.ticks {
        let (y, label) = (y(*tick), tick_label(*tick));
        writeln!(text, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>").ok();
        writeln!(text, "<text class=\"tick y\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", LEFT - 8.0, y + 4.0).ok();
    }
    writeln!(text, "<path class=\"axis\" d=\"M{LEFT} {baseline:.1}H{RIGHT}\"/>").ok();
    for tick in &across.ticks {
        let x = x(*tick);
        writeln!(text, "<path class=\"axis\" d=\"M{x:.1} {baseline:.1}v4\"/>").ok();
        writeln!(text, "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{tick}</text>", baseline + 18.0).ok();
    }
    writeln!(
        text,
        "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{epochs}</text>",
        (LEFT + RIGHT) / 2.0,
        baseline + 36.0
    )
    .ok();
    let mut labels = Vec::new();
    for line in series {
        let class = if line.is_held_out { "held-out" } else { "train" };
        let place = |(epoch, value): &(u64, f64)| (x(*epoch as f64), y(*value));
        let path: Vec<String> =
            thin_out(&line.points).iter().map(&place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        writeln!(text, "<g class=\"{class}\">\n<path class=\"line\" d=\"M{}\"/>", path.join("L")).ok();
        if line.points.len() <= MAX_MARKERS {
            for point in &line.points {
                let ((x, y), value) = (place(point), format_short(point.1));
                let shape = match line.is_held_out {
                    true => format!("M{x:.1} {:.1}l4.5 8h-9z", y - 5.0),
                    false => format!("M{:.1} {y:.1}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", x - 3.0),
                };
                writeln!(
                    text,
                    "<path class=\"marker\" d=\"{shape}\"><title>{}</title></path>",
                    translate(&format!("epoch {}: {value}", point.0))
                )
                .ok();
            }
        }
        text.push_str("</g>\n");
        if let Some(end) = line.points.last() {
            labels.push((place(end), class, end.1));
        }
    }
    draw_labels(labels, baseline, text);
}

/// Writes the name and the last value of each line at its end, one below the other where they would overlap.
fn draw_labels(mut labels: Vec<((f64, f64), &str, f64)>, baseline: f64, text: &mut String) {
    labels.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    // The names stand for the classes.
    let mut lowest = f64::NEG_INFINITY;
    let mut heights: Vec<f64> = Vec::new();
    for ((_, y), ..) in &labels {
        lowest = y.max(lowest + LABEL_HEIGHT);
        heights.push(lowest);
    }
    let excess = (lowest - (baseline - 8.0)).max(0.0);
    for (((x, y), class, value), height) in labels.iter().zip(heights) {
        let (height, begin) = (height - excess, x + 8.0);
        let name = if *class == "train" { "training" } else { "held-out" };
        writeln!(
            text,
            "<g class=\"{class}\"><path class=\"leader\" d=\"M{begin:.1} {y:.1}L{:.1} {height:.1}\"/>",
            RIGHT + 16.0
        )
        .ok();
        let label = format!("{name} {}", format_short(*value));
        let label = translate(&label);
        writeln!(text, "<text x=\"{:.1}\" y=\"{:.1}\">{label}</text></g>", RIGHT + 20.0, height + 4.0).ok();
    }
}

/// Returns the text of a tick.
fn tick_label(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) { format!("{value:e}") } else { format!("{value}") }
}

/// Returns at most about [`MAX_POINTS`] points: of a run of epochs the least and the greatest value, in their order.
fn thin_out(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let extremes = |run: &[(u64, f64)]| {
        let by_value = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
        let mut pair: Vec<(u64, f64)> =
            [run.iter().min_by(by_value), run.iter().max_by(by_value)].into_iter().flatten().copied().collect();
        pair.sort_by_key(|point| point.0);
        pair
    };
    let mut thin: Vec<_> = points.chunks(points.len().div_ceil(MAX_POINTS / 2)).flat_map(extremes).collect();
    // The line ends where the label is.
    thin.extend(points.last());
    thin
}
