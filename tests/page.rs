//! The HTML page of a graph, tested in a browser.

use crate::graph::chain;
use crate::support::{folder, has_program, nnlayer, piped};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Script that operates the page's controls and notes its states.
const VISIT: &str = r##"<script>
"use strict";
const note = { errors: [], steps: [] };
window.onerror = message => { note.errors.push(message); };
const element = id => document.getElementById(id);
const figure = () => document.querySelector("figure:not([hidden])");
const hidden = name => figure().querySelectorAll(".edge." + name).length;
const state = () => ({ sentence: element("sentence").textContent, arithmetic: element("arithmetic").textContent,
  early: hidden("early"), late: hidden("late"), maps: document.querySelectorAll("#maps table").length,
  framed: document.querySelectorAll("#maps td.read").length, now: [...figure().querySelectorAll(".now")].map(node => node.dataset.label) });
const press = key => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
note.edges = figure().querySelectorAll(".edge").length;
note.opened = state();
note.fits = document.documentElement.scrollWidth <= document.documentElement.clientWidth && innerWidth === 1280;
for (let step = 0; step <= +element("step").max; step++) {
  note.steps.push(state());
  element("next").click();
}
note.fitsAtEnd = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
note.beyond = state();
element("back").click();
note.back = state();
press("ArrowLeft");
note.left = state();
press("ArrowRight");
note.right = state();
press("Home");
note.home = state();
element("step").value = 3;
element("step").dispatchEvent(new Event("input"));
note.slid = state();
element("play").click();
note.playing = element("play").textContent;
element("play").click();
note.paused = element("play").textContent;
const edge = figure().querySelector(".edge[data-local]") || figure().querySelector(".edge");
edge.focus();
// A window without focus sends no focus event.
if (!document.hasFocus()) edge.dispatchEvent(new FocusEvent("focus"));
note.focused = element("detail").textContent;
element("detail").textContent = "";
edge.dispatchEvent(new Event("pointerenter"));
note.pointed = element("detail").textContent;
note.levels = [...document.querySelectorAll("#levels button")].map(button => button.dataset.level);
note.switched = note.levels.map(level => {
  document.querySelector(`#levels button[data-level=${level}]`).click();
  const fits = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
  return [figure().dataset.level, document.querySelectorAll("figure:not([hidden])").length, +element("step").value, fits];
});
note.legends = note.levels.map(level => {
  document.querySelector(`#levels button[data-level=${level}]`).click();
  return [...document.querySelectorAll(".legend:not([hidden])")].map(legend => legend.textContent).join("; ");
});
note.loaded = performance.getEntriesByType("resource").length;
const result = document.createElement("pre");
result.id = "noted";
result.textContent = JSON.stringify(note);
document.body.append(result);
</script>
</body>"##;

/// Opens a page in a browser and runs `VISIT`; `None` without a browser.
fn visited(page: &Path) -> Option<Value> {
    let names = ["google-chrome", "chromium-browser"];
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|ran| ran.status.success());
    let browser = names.into_iter().find(is_there).or_else(|| has_program("chromium").then_some("chromium"))?;
    let text = std::fs::read_to_string(page).unwrap().replace("</body>", VISIT);
    std::fs::write(page, text).unwrap();
    let profile = folder();
    let ran = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,720",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(ran.stdout).unwrap();
    let noted = dom.split("<pre id=\"noted\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let noted = noted.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&ran.stderr)));
    Some(serde_json::from_str(&noted.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).unwrap())
}

/// Asserts that the steps show all values first, then all gradients.
#[track_caller]
fn assert_steps(noted: &Value) {
    assert_eq!((&noted["errors"], &noted["loaded"]), (&serde_json::json!([]), &Value::from(0)));
    let edges = noted["edges"].as_u64().unwrap();
    let count = |state: &Value, of: &str| state[of].as_u64().unwrap();
    let steps = noted["steps"].as_array().unwrap();
    let (first, last) = (&steps[0], steps.last().unwrap());
    assert_eq!((count(first, "early"), count(first, "late")), (edges, edges), "nothing is shown at the start");
    assert_eq!((count(last, "early"), count(last, "late")), (0, 0), "all is shown at the end");
    assert_eq!((&noted["opened"], &noted["beyond"]), (first, last), "it begins at the start");
    assert_eq!((&noted["back"], &noted["right"]), (&steps[steps.len() - 2], &steps[steps.len() - 2]));
    assert_eq!((&noted["left"], &noted["home"]), (&steps[steps.len() - 3], first), "the arrow keys step");
    assert_eq!((&noted["fits"], &noted["fitsAtEnd"]), (&Value::Bool(true), &Value::Bool(true)), "no sideways scroll");
    assert_eq!(&noted["slid"], &steps[3]);
    for pair in steps.windows(2) {
        let (early, late) = (count(&pair[1], "early"), count(&pair[1], "late"));
        assert!(early <= count(&pair[0], "early") && late <= count(&pair[0], "late"), "{pair:?}");
        assert!(late == edges || early == 0, "a gradient is shown before the last value: {pair:?}");
        assert!(pair[0]["sentence"] != pair[1]["sentence"]);
        let way = if late == edges { "Forward: " } else { "Backward: " };
        let sentence = pair[1]["sentence"].as_str().unwrap();
        assert!(sentence.contains(way) || &pair[1] == last, "{sentence}");
    }
    assert_eq!((&noted["playing"], &noted["paused"]), (&Value::from("Pause"), &Value::from("Play")));
}

#[test]
fn the_page_steps_forward_and_backward_and_shows_all_digits() {
    let folder = folder();
    let page = folder.path().join("graph.html");
    nnlayer(&["softmax-xent", "--x", "0.3,2.9,4", "--t", "0,0,1", "--graph", page.to_str().unwrap()]).quiet();
    let Some(noted) = visited(&page) else { return };
    assert_steps(&noted);
    let detail = "x[0] = 0.3\ndx[0] = 0.018211273295547534\nlocal derivative of e^(x−4) = 0.02472352647033939";
    assert_eq!((&noted["focused"], &noted["pointed"]), (&Value::from(detail), &Value::from(detail)));
    let arithmetic = |noted: &Value| -> String {
        let steps = noted["steps"].as_array().unwrap().iter();
        steps.map(|step| step["arithmetic"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let lines = arithmetic(&noted);
    for line in [
        "e^(4−4) = 1",
        "loss = 0 + 0 + 0.30571446 ≈ 0.30571446",
        "0.7366 + (-1) ≈ -0.2634",
        "dx[2] = -0.2634 × 1 ≈ -0.2634",
        "-1.3576 × (−1/x²) = -1.3576 × (-0.54258) ≈ 0.7366",
    ] {
        assert!(lines.contains(line), "{line}\n{lines}");
    }
    assert_eq!(noted["levels"], serde_json::json!(["scalar", "tensor"]));
    assert_eq!(noted["switched"], serde_json::json!([["scalar", 1, 0, true], ["tensor", 1, 0, true]]));
    let legends = ["scalar", "tensor"].map(|level| {
        let at = noted["levels"].as_array().unwrap().iter().position(|known| known == level).unwrap();
        noted["legends"][at].as_str().unwrap()
    });
    assert!(legends.iter().all(|legend| legend.matches("above each line").count() == 1), "{legends:?}");
    assert_eq!(legends.map(|legend| legend.contains("•: used several times")), [true, false], "{legends:?}");
}

#[test]
fn the_page_of_a_convolution_has_heat_maps_and_a_window_that_slides() {
    let folder = folder();
    let page = folder.path().join("graph.html");
    let x = "[[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]]";
    let args = ["conv2d", "--x", x, "--w", "[[[[1,0,-1],[2,0,-2],[1,0,-1]]]]", "--level", "tensor"];
    nnlayer(&[&args[..], &["--graph", page.to_str().unwrap()]].concat()).quiet();
    let Some(noted) = visited(&page) else { return };
    assert_eq!(noted["errors"], serde_json::json!([]));
    let steps = noted["steps"].as_array().unwrap();
    let sliding = steps.iter().find(|step| step["now"] == serde_json::json!(["conv2d"])).unwrap();
    // A window of 3×3 entries, and the entry of the output that it gives.
    assert_eq!((&sliding["maps"], &sliding["framed"]), (&Value::from(2), &Value::from(10)), "{sliding}");
    assert!(steps.iter().any(|step| step["arithmetic"].as_str().unwrap().contains("y[0,0,0] = ")), "{noted}");
}

#[test]
fn the_page_of_a_chain_of_matrices_has_steps() {
    let folder = folder();
    let page = folder.path().join("graph.html");
    piped(chain(), &["backward", "--level", "tensor", "--graph", page.to_str().unwrap()]).quiet();
    let Some(noted) = visited(&page) else { return };
    let steps = noted["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["arithmetic"].as_str().unwrap().contains("dw[1,0] = 2·1 = 2")), "{noted}");
    assert_eq!(noted["errors"], serde_json::json!([]));
}

#[test]
fn the_page_is_self_contained() {
    let folder = folder();
    let page = folder.path().join("graph.html");
    nnlayer(&["relu", "--x", "1", "--graph", page.to_str().unwrap()]).quiet();
    let text = std::fs::read_to_string(page).unwrap();
    for word in ["src=", "href=", "@import", "fetch(", "XMLHttp"] {
        assert!(!text.contains(word), "{word}");
    }
    let addresses = text.matches("http").count() - text.matches("http-equiv").count();
    assert_eq!(addresses, text.matches("<svg ").count(), "the name space of SVG only");
    assert!(text.contains("prefers-color-scheme: dark") && text.contains("default-src 'none'"));
}
