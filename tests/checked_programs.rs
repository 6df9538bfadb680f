//! `nnlayer gradcheck` of programs: what is asked of them, and what the report says.

use crate::support::{RunOutput, folder, has_program, shell_in};
use serde_json::Value;
use std::path::Path;

/// A program in Python with the layers of this file. Its arguments are a mistake and a file for the size of each request.
const PROGRAM: &str = r#"
import json, math, sys

mistake, log = sys.argv[1:]
calls = 0

def exp(v):
    return math.exp(v) if v < 709 else math.inf

def softmax(row):
    highest = 0 if mistake in ("no maximum", "crash") else max(row)
    e = [exp(v - highest) for v in row]
    s = sum(e)
    if mistake == "crash" and s == math.inf:
        raise OverflowError
    return [v / s if 0 < s < math.inf else math.nan for v in e]

def softmax_backward(y, d):
    dot = sum(a * b for a, b in zip(y, d))
    dx = [a * (b - dot) for a, b in zip(y, d)]
    done = len(dx) // 8 * 8 if mistake == "rest of the loop" and len(dx) > 8 else len(dx)
    return dx[:done] + [0.0] * (len(dx) - done)

def compute_softmax(x, dout):
    y = [softmax(row) for row in x]
    return {"y": y}, dout and {"dx": [softmax_backward(a, d) for a, d in zip(y, dout)]}

def compute_scale(x, g, dout):
    y = [[a * b * b for a, b in zip(row, g)] for row in x]
    if dout is None:
        return {"y": y}, None
    dx = [[d * b * b for d, b in zip(row, g)] for row in dout]
    if mistake == "one entry":
        dx[17][11] *= 1.5
    if mistake == "wavering":
        dx[0][0] += 1e-9 * calls
    dg = [sum(2 * row[k] * d[k] * b for row, d in zip(x, dout)) for k, b in enumerate(g)]
    if mistake == "dg not summed":
        dg = [[2 * a * c * b for a, c, b in zip(row, d, g)] for row, d in zip(x, dout)]
    return {"y": y}, {"dx": dx} if mistake == "no dg" else {"dx": dx, "dg": dg}

for line in sys.stdin:
    request, points = json.loads(line), []
    with open(log, "a") as file:
        print(len(line), file=file)
    for point in request["points"]:
        calls += 1
        inputs, dout = point["inputs"], point.get("dout")
        if "g" not in inputs:
            outputs, gradients = compute_softmax(inputs["x"], dout)
        else:
            outputs, gradients = compute_scale(inputs["x"], inputs["g"], dout)
        points.append({"outputs": outputs, "gradients": gradients})
    print(json.dumps({"points": points}), flush=True)
"#;

/// Checks the program in a folder; `None` without Python.
fn check(folder: &Path, options: &str, mistake: &str) -> Option<RunOutput> {
    std::fs::write(folder.join("program.py"), PROGRAM).unwrap();
    let command = format!("nnlayer gradcheck {options} -- python3 program.py '{mistake}' requests");
    has_program("python3").then(|| shell_in(folder, &command))
}

#[test]
fn large_values_and_odd_shapes_show_an_overflow_and_a_forgotten_rest() {
    let folder = folder();
    let Some(right) = check(folder.path(), "--layer softmax", "none") else { return };
    assert_eq!(right.status, 0, "{}", right.text());
    let overflow = check(folder.path(), "--layer softmax", "no maximum").unwrap();
    assert_eq!(overflow.status, 1);
    assert!(overflow.text().contains("entries are infinite or NaN where the correct ones are finite"));
    assert!(overflow.text().contains("in this one x is (17×33)"), "{}", overflow.text());
    let rest = check(folder.path(), "--layer softmax", "rest of the loop").unwrap();
    assert!(rest.status == 1 && rest.text().contains("only column 32 is wrong"), "{}", rest.text());
    let crash = check(folder.path(), "--layer softmax", "crash").unwrap();
    assert!(crash.text().ends_with("; it crashes with large values or a batch of another shape\n"), "{}", crash.text());
    // Where inputs are given, only they and numbers of their size are asked.
    let given = check(folder.path(), "--layer softmax --x '1,2,3;4,5,6'", "no maximum").unwrap();
    assert_eq!(given.status, 0, "{}", given.text());
}

#[test]
fn an_overflow_in_a_custom_layer_at_large_values_is_noted() {
    let folder = folder();
    let options = "--layer custom --shape x=4x3 --persistent";
    let Some(overflow) = check(folder.path(), options, "no maximum") else { return };
    let note =
        "y has 6 infinite or NaN entries where rows of x are near 1000 and -1000; if the formula is finite there, an";
    assert!(overflow.status == 0 && overflow.text().contains(note), "{}", overflow.text());
    let right = check(folder.path(), options, "none").unwrap();
    assert!(right.status == 0 && !right.text().contains("infinite"), "{}", right.text());
}

#[test]
fn a_gradient_of_a_custom_layer_in_another_shape_is_named_too() {
    let folder = folder();
    let Some(wrong) = check(folder.path(), "--layer custom --shape x=5x2 g=2", "dg not summed") else { return };
    let text =
        "FAIL dg (5×2): expected shape (2), got (5×2)\n  it has one row for each of the 5 samples; sum over the batch";
    assert!(wrong.status == 1 && wrong.text().contains(text), "{}", wrong.text());
}

#[test]
fn an_operand_that_should_be_transposed_is_named_for_a_custom_layer() {
    if !has_program("python3") {
        return;
    }
    let program = concat!("python3 ", env!("CARGO_MANIFEST_DIR"), "/tests/corpus/program.py affine-square");
    for (mistake, explanation) in [("dx", "it uses W instead of Wᵀ; transpose w"), ("dw", "it uses X instead of Xᵀ")]
    {
        let options = "--layer custom --shape x=3x3 w=3x3 b=3 --persistent";
        let ran = shell_in(
            folder().path(),
            &format!("nnlayer gradcheck {options} -- {program} {mistake}-without-transpose f64"),
        );
        assert!(ran.status == 1 && ran.text().contains(explanation), "{}", ran.text());
    }
}

#[test]
fn a_wrong_entry_of_a_large_array_is_found_with_few_starts_and_small_requests() {
    let folder = folder();
    let Some(wrong) = check(folder.path(), "--layer custom --shape x=24x20 g=20", "one entry") else { return };
    assert!(wrong.status == 1 && wrong.text().contains("worst at [17,11]: "), "{}", wrong.text());
    assert!(wrong.text().contains("PASS dg (20)"), "{}", wrong.text());
    let requests = std::fs::read_to_string(folder.path().join("requests")).unwrap();
    let sizes: Vec<usize> = requests.lines().map(|size| size.parse().unwrap()).collect();
    assert!(sizes.len() <= 20 && sizes.iter().all(|&size| size <= 8 << 20), "{sizes:?}");
}

#[test]
fn a_gradient_that_wavers_needs_a_tolerance() {
    let folder = folder();
    let options = "--layer custom --shape x=3x2 g=2 --persistent";
    let Some(refused) = check(folder.path(), options, "wavering") else { return };
    assert!(refused.status == 2 && refused.stderr.contains("--nondet-tol"), "{}", refused.stderr);
    let accepted = check(folder.path(), &format!("{options} --nondet-tol 1e-6"), "wavering").unwrap();
    assert_eq!(accepted.status, 0, "{}{}", accepted.text(), accepted.stderr);
}

#[test]
fn the_report_says_what_is_missing_how_accurate_results_are_and_what_would_pass() {
    let folder = folder();
    let Some(missing) = check(folder.path(), "--layer custom --shape x=3x2 g=2", "no dg") else { return };
    let line = "PASS: dx of custom is correct; dg is missing from the reply and was not checked\n";
    assert!(missing.status == 0 && missing.text().ends_with(line), "{}", missing.text());
    let single = check(folder.path(), "--layer softmax --shape x=4x3 --precision bf16", "none").unwrap();
    assert!(single.text().contains("an error of 1 % would not be noticed in "), "{}", single.text());
    assert!(single.text().contains("ulp of bf16"), "{}", single.text());
    let json = check(folder.path(), "--layer softmax --json", "rest of the loop").unwrap();
    let json: Value = serde_json::from_str(json.text()).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let wrong = findings.iter().find(|finding| finding["verdict"] == "FAIL").unwrap();
    assert!(wrong["accuracy"]["rtol"] == 1.0 && wrong["accuracy"]["type"] == "f64", "{json}");
}

#[test]
fn a_wrong_result_that_agrees_with_the_programs_own_forward_pass_has_one_verdict() {
    if !has_program("python3") {
        return;
    }
    let program =
        "nnlayer gradcheck --template python --layer rmsnorm > unfilled.py; nnlayer gradcheck --layer rmsnorm";
    let checked = |options: &str| shell_in(folder().path(), &format!("{program} {options} -- python3 unfilled.py"));
    let text = checked("");
    let line = "  it agrees exactly with the numerical gradient of the program's own forward pass\n";
    assert!(text.status == 1 && text.text().contains(line) && !text.text().contains("PASS"), "{}", text.text());
    let json: Value = serde_json::from_str(checked("--json").text()).unwrap();
    for finding in json["findings"].as_array().unwrap() {
        let worst = &finding["worst"];
        assert!(finding["result"] == "y" || worst.is_null() || worst["yours"] == 0.0, "{finding}");
        assert_eq!((&worst["yours"], &worst["reference"]), (&worst["analytic"], &worst["numeric"]));
    }
}
