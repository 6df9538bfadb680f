//! `--steps`: the arithmetic with the numbers filled in.

use crate::support::{has_program, nnlayer, numbers, shell};
use serde_json::Value;

/// Evaluates the arithmetic of a step.
struct Calculator<'a> {
    rest: &'a str,
}

impl Calculator<'_> {
    fn evaluate(text: &str) -> f64 {
        let mut calculator = Calculator { rest: text };
        let value = calculator.sum();
        assert!(calculator.rest.is_empty(), "{} is left of {text}", calculator.rest);
        value
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn sum(&mut self) -> f64 {
        let minus = self.take("−");
        let mut sum = self.product() * if minus { -1.0 } else { 1.0 };
        loop {
            if self.take(" + ") {
                sum += self.product();
            } else if self.take(" − ") {
                sum -= self.product();
            } else {
                return sum;
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut product = self.factor();
        loop {
            if self.take("·") {
                let factor = self.factor();
                // 0·log 0 is 0.
                product = if product == 0.0 { 0.0 } else { product * factor };
            } else if self.take(" / ") {
                product /= self.factor();
            } else {
                return product;
            }
        }
    }

    fn factor(&mut self) -> f64 {
        let value = if self.take("e^") {
            self.factor().exp()
        } else if self.take("log(") {
            self.parenthesised().ln()
        } else if self.take("tanh(") {
            self.parenthesised().tanh()
        } else if self.take("max(") {
            self.fold(f64::max)
        } else if self.take("min(") {
            self.fold(f64::min)
        } else if self.take("|") {
            let magnitude = self.sum().abs();
            assert!(self.take("|"));
            magnitude
        } else if self.take("(") {
            self.parenthesised()
        } else {
            self.number()
        };
        if self.take("²") { value * value } else { value }
    }

    /// Evaluates a list of arguments, and takes the closing parenthesis.
    fn fold(&mut self, function: fn(f64, f64) -> f64) -> f64 {
        let mut value = self.sum();
        while self.take(", ") {
            value = function(value, self.sum());
        }
        assert!(self.take(")"));
        value
    }

    /// Evaluates the inside of parentheses, a sum or `5 if 2 > 0 else 0`, and takes the closing one.
    fn parenthesised(&mut self) -> f64 {
        let value = self.sum();
        if !self.take(" if ") {
            assert!(self.take(")"), "{}", self.rest);
            return value;
        }
        let condition = self.sum();
        assert!(self.take(" > 0 else 0)"));
        if condition > 0.0 { value } else { 0.0 }
    }

    fn number(&mut self) -> f64 {
        let digit = |c: char| c.is_ascii_digit() || "-.einf".contains(c);
        let end = self.rest.find(|c: char| !digit(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse().unwrap_or_else(|_| panic!("{number:?} before {rest:?}"))
    }
}

/// Returns each step of a command: result, name, arithmetic, value.
fn steps(args: &[&str]) -> Vec<(String, String, Option<String>, f64)> {
    let json = nnlayer(&[args, &["--steps", "--json"]].concat()).json();
    let mut steps = Vec::new();
    for section in json["steps"].as_array().unwrap() {
        for step in section["steps"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            steps.push((
                text(&section["result"]).unwrap(),
                text(&step["name"]).unwrap(),
                text(&step["arithmetic"]),
                numbers(&step["value"])[0],
            ));
        }
    }
    steps
}

const COMMANDS: &[&[&str]] = &[
    &["affine", "--x", "2,4;2,1;4,3", "--w", "1,2,3;1,4,6", "--b", "2"],
    &["affine", "--x", "-0.5,0.25", "--w", "1,-2;0.1,0.7", "--b", "-1,0.5", "--dout", "-1,3"],
    &["affine", "--x", "1,2;3,4", "--w", "1,2;3,4;5,6", "--w-layout", "out-in", "--dout", "1,2,3;-4,5,6"],
    &["affine", "--x", "1,2", "--w", "3;4", "--b", "5", "--dout", "1"],
    &["softmax", "--x", "1000,1001,1002", "--dout", "1,0,-2"],
    &["softmax", "--x", "1,2;-3,0.5", "--axis", "0", "--dout", "1,0;-2,0.5"],
    &["softmax", "--x", "0,-2,-inf,-1", "--dout", "1,2,3,4"],
    &["softmax", "--x", "0.3,-0.7,2", "--log", "--dout", "1,2,-0.5"],
    &["xent", "--y", "0.1,0.1,0.8", "--t", "0,0,1"],
    &["xent", "--y", "0.5,0.5;0.25,0.75", "--t", "0.2,0.8;0,1", "--reduction", "mean", "--dout", "3"],
    &["xent", "--y", "0.5,0.5;0.25,0.75", "--t", "0,1", "--reduction", "none", "--dout", "1,-2", "--eps", "0"],
    &["softmax-xent", "--x", "0.3,2.9,4.0", "--t", "0,0,1"],
    &["softmax-xent", "--x", "2,1,0.1;0.5,3,0", "--t", "0,1", "--reduction", "mean"],
    &["softmax-xent", "--x", "2,1,0.1;0.5,3,0", "--t", "0,1", "--weight", "1,2,0.5", "--label-smoothing", "0.1"],
    &["softmax-xent", "--x", "2,1,0.1;0.5,3,0", "--t", "2,-1", "--ignore-index", "-1", "--dout", "0.5"],
    &["relu", "--x", "-1,0,2;0.5,-3,4", "--dout", "1,2,3;4,5,6"],
    &["sigmoid", "--x", "-1,0,2", "--dout", "1,2,-3"],
    &["tanh", "--x", "-1,0,0.5", "--dout", "1,2,-3"],
    &["mish", "--x", "-1,0,2", "--dout", "1,2,-3"],
    &["softsign", "--x", "-1,0,3"],
    &["hard-tanh", "--x", "-4,0.5,7", "--min", "-2"],
    &["hard-sigmoid", "--x", "-4,0.5,7"],
    &["hard-swish", "--x", "-4,0.5,7"],
    &["huber", "--x", "1,2,3", "--t", "1,2.5,1"],
    &["bce", "--y", "0,0.5", "--t", "1,0"],
    &["kl-div", "--x", "-1,-2", "--t", "0,1"],
];

#[test]
fn the_arithmetic_evaluates_to_the_value_of_its_step() {
    for args in COMMANDS {
        let mut seen = 0;
        for (_, name, arithmetic, value) in steps(args) {
            let Some(arithmetic) = arithmetic.filter(|text| !text.contains('[') && !text.ends_with("dout")) else {
                continue;
            };
            let evaluated = Calculator::evaluate(&arithmetic);
            assert!(
                (evaluated - value).abs() <= 2e-6 * value.abs().max(1.0),
                "{args:?} {name}: {arithmetic} = {evaluated}, {value}"
            );
            seen += 1;
        }
        assert!(seen >= 3, "{args:?}");
    }
}

#[test]
fn the_steps_of_entries_have_the_values_of_the_results() {
    for args in COMMANDS {
        let results = nnlayer(&[args, &["--json"] as &[&str]].concat()).json();
        for (name, value) in results.as_object().unwrap() {
            let shown: Vec<u64> = steps(args)
                .iter()
                .filter(|step| step.0 == *name && step.1 == *name)
                .map(|step| step.3.to_bits())
                .collect();
            let expected: Vec<u64> = numbers(value).iter().map(|value| value.to_bits()).collect();
            assert_eq!(shown, expected, "{args:?} {name}");
        }
    }
}

/// Calculated by hand.
#[test]
fn affine_steps_are_products_and_sums() {
    let text = shell("nnlayer affine --x '2,4;2,1' --w '1,2;1,4' --b 2,-1 --steps --dout '1,1;1,-1'");
    assert_eq!(
        text.quiet(),
        "\
y = x·W + b  (2×2)
  y[0,0] = 2·1 + 4·1 + 2    = 8
  y[0,1] = 2·2 + 4·4 + (-1) = 19
  y[1,0] = 2·1 + 1·1 + 2    = 5
  y[1,1] = 2·2 + 1·4 + (-1) = 7

dx = dout·Wᵀ  (2×2)
  dx[0,0] = 1·1 + 1·2    = 3
  dx[0,1] = 1·1 + 1·4    = 5
  dx[1,0] = 1·1 + (-1)·2 = -1
  dx[1,1] = 1·1 + (-1)·4 = -3

dw = xᵀ·dout  (2×2)
  dw[0,0] = 2·1 + 2·1    = 4
  dw[0,1] = 2·1 + 2·(-1) = 0
  dw[1,0] = 4·1 + 1·1    = 5
  dw[1,1] = 4·1 + 1·(-1) = 3

db = Σ_rows dout  (2)
  db[0] = 1 + 1    = 2
  db[1] = 1 + (-1) = 0
"
    );
}

/// The numbers by mpmath: e^-2 0.1353352832366127, e^-1 0.36787944117144233, their sum with 1 1.50321472440806, the
/// quotients 0.090030573170380462, 0.24472847105479764, 0.66524095577482178; with dout (1, 0, −2) Σ y∘dout is
/// −1.24045133837926, and dx 0.20170911815463108, 0.30357375945943449, −0.50528287761406576.
#[test]
fn softmax_shows_maximum_exponents_sum_and_quotients() {
    let text = shell("nnlayer softmax --x 1000,1001,1002 --dout 1,0,-2 --steps");
    assert_eq!(
        text.quiet(),
        "\
y = softmax(x)  (3)
with max = the largest x, e = e^(x − max), sum = Σ e
  max  = max(1000, 1001, 1002) = 1002
  e[0] = e^(1000 − 1002) ≈ 0.13533528
  e[1] = e^(1001 − 1002) ≈ 0.36787944
  e[2] = e^(1002 − 1002) = 1
  sum  = 0.13533528 + 0.36787944 + 1 ≈ 1.5032147
  y[0] = 0.13533528 / 1.5032147 ≈ 0.09003057
  y[1] = 0.36787944 / 1.5032147 ≈ 0.24472847
  y[2] = 1 / 1.5032147          ≈ 0.66524096

dx = y∘(dout − Σ dout∘y)  (3)
with dot = Σ y∘dout
  dot   = 0.09003057·1 + 0.24472847·0 + 0.66524096·(-2) ≈ -1.2404513
  dx[0] = 0.09003057·(1 − (-1.2404513))  ≈ 0.20170912
  dx[1] = 0.24472847·(0 − (-1.2404513))  ≈ 0.30357376
  dx[2] = 0.66524096·(-2 − (-1.2404513)) ≈ -0.50528288
"
    );
}

#[test]
fn markdown_output_has_headings_and_tables() {
    let text = shell("nnlayer xent --y 0.5,0.5 --t 0 --eps 0 --only loss --steps markdown");
    assert_eq!(
        text.quiet(),
        "\
### loss = −Σ t·log(y + eps)  (scalar)

with term = −t·log(y + eps)

| entry | arithmetic | value |
|:--|:--|:--|
| `term[0]` | `−log(0.5)` | ≈ 0.69314718 |
| `loss` | `term[0]` | ≈ 0.69314718 |
"
    );
}

#[test]
fn the_format_of_steps_is_optional() {
    let plain = shell("nnlayer relu --x -1,2 --steps");
    assert_eq!(shell("nnlayer relu --steps --x -1,2").quiet(), plain.quiet());
    assert_eq!(shell("nnlayer relu --steps=text --x -1,2").quiet(), plain.quiet());
    assert_eq!(
        shell("nnlayer relu --x -1,2 --forward --steps").quiet(),
        plain.quiet().split("\n\n").next().unwrap().to_owned() + "\n"
    );
}

#[test]
fn a_large_result_shows_its_first_entries_and_counts_the_others() {
    let ran = shell("nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --steps --only y,dw");
    let text = ran.quiet();
    assert!(text.contains("\n  … and 968 more entries of y\n"), "{text}");
    assert!(text.contains("\n  … and 608 more entries of dw\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("  dw[")).count(), 32);
    assert!(text.contains(" + … 92 more … + "), "{text}");
}

/// Calculated by hand: forward 1·1 + 2·0 + 0 = 1, −1 + 2 − 3 = −2, relu (1, 0), affine2 (3, 3), softmax ½ each; back y − t,
/// then 1 for both inputs of affine2, of which relu lets the first pass.
#[test]
fn a_chain_shows_forward_steps_and_then_backward_steps() {
    let chain = "nnlayer affine --x 1,2 --w '1,-1;0,1' --b 0,-3 --tape | nnlayer relu \
        | nnlayer affine --w '1,3;5,7' --b 2,0 | nnlayer softmax-xent --t 0 | nnlayer backward --steps";
    let ran = shell(chain);
    let titles: Vec<&str> = ran
        .quiet()
        .lines()
        .filter(|line| !line.starts_with(' ') && line.contains(" = "))
        .filter_map(|line| line.split(" = ").next())
        .filter(|name| !name.starts_with("with"))
        .collect();
    let order = "affine1.y relu1.y affine2.y softmax-xent1.y softmax-xent1.loss softmax-xent1.dx \
        affine2.dx affine2.dw affine2.db relu1.dx affine1.dx affine1.dw affine1.db";
    assert_eq!(titles.join(" "), order);
    for line in [
        "  y[1] = 1·(-1) + 2·1 + (-3) = -2\n",
        "  y[1] = max(-2, 0) = 0\n",
        "  dx[0] = -0.5·1 + 0.5·3 = 1\n",
        "  dx[1] = (1 if -2 > 0 else 0) = 0\n",
        "  dw[1,0] = 2·1 = 2\n",
    ] {
        assert!(ran.text().contains(line), "{line}{}", ran.text());
    }
    let only = shell(&format!("{chain} --only affine2.db,loss"));
    assert!(only.quiet().starts_with("softmax-xent1.loss = "), "{}", only.text());
    assert!(
        only.text().ends_with("affine2.db = Σ_rows dout  (2)\n  db[0] = dout[0] = -0.5\n  db[1] = dout[1] = 0.5\n")
    );
}

#[test]
fn a_large_network_shows_the_first_entries_of_each_result() {
    let ran = shell(
        "nnlayer net fixtures/train/begin.json --x fixtures/digits/x.npy --t fixtures/digits/t.npy --steps --json",
    );
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap();
    let results =
        shell("nnlayer net fixtures/train/begin.json --x fixtures/digits/x.npy --t fixtures/digits/t.npy --json")
            .json();
    for section in steps {
        let name = section["result"].as_str().unwrap();
        let values = numbers(&results[section["layer"].as_str().unwrap()][name]);
        let shown: Vec<f64> = section["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["name"] == name)
            .map(|step| numbers(&step["value"])[0])
            .collect();
        assert_eq!(shown, values[..shown.len()], "{name}");
        assert_eq!(section["left_out"], values.len() - shown.len());
        assert_eq!(shown.len(), values.len().min(32));
    }
    assert!(steps.len() > 8);
}

#[test]
fn text_of_a_chain_folds_lines_that_differ_only_in_numbers() {
    let ran = shell(
        "nnlayer affine --x '1,2;3,4;5,6' --w '1,-1;0,1' --b 0,-3 --tape | nnlayer softmax | nnlayer backward --steps",
    );
    assert!(
        ran.quiet().starts_with(
            "\
affine1.y = x·W + b  (3×2)
  y[0,0] = 1·1 + 2·0 + 0       = 1
  y[0,1] = 1·(-1) + 2·1 + (-3) = -2
  y[1,0] = 3·1 + 4·0 + 0       = 3
  … and 3 more entries of y, of the same form

softmax1.y = softmax(x)  (3×2)
with max = the largest x, e = e^(x − max), sum = Σ e
  max[0] = max(1, -2) = 1
  e[0,0] = e^(1 − 1)  = 1
  e[0,1] = e^(-2 − 1) ≈ 0.04978707
  sum[0] = 1 + 0.04978707 ≈ 1.0497871
  y[0,0] = 1 / 1.0497871          ≈ 0.95257413
  y[0,1] = 0.04978707 / 1.0497871 ≈ 0.04742587
  max[1] = max(3, -2) = 3
  e[1,0] = e^(3 − 3)  = 1
  e[1,1] = e^(-2 − 3) ≈ 0.00673795
  sum[1] = 1 + 0.00673795 ≈ 1.0067379
  y[1,0] = 1 / 1.0067379 ≈ 0.99330715
  … and 3 more entries of y, of the same form
"
        ),
        "{}",
        ran.text()
    );
    // A line of another form is shown, and JSON has them all.
    let relu = "nnlayer relu --x '1,2;3,4;-5,6' --tape | nnlayer backward --only dx --steps";
    let dx = "  dx[0,0] = (1 if 1 > 0 else 0) = 1\n  dx[0,1] = (1 if 2 > 0 else 0) = 1\n  dx[1,0] = (1 if 3 > 0 else 0) = 1\n  … and 3 more";
    assert!(shell(relu).quiet().contains(dx), "{}", shell(relu).text());
    let json = shell(&format!("{relu} --json")).json();
    assert_eq!(json["steps"][0]["steps"].as_array().unwrap().len(), 6);
    // A layer of its own shows every line.
    assert!(!nnlayer(&["relu", "--x", "1,2;3,4;5,6", "--steps"]).quiet().contains("more"));
}

#[test]
fn scores_of_attention_have_the_indices_of_query_and_key() {
    let args = ["attention", "--q", "1,0;0,1", "--k", "1,0;0,1;1,1", "--v", "1,2;3,4;5,6", "--only", "y", "--steps"];
    let ran = nnlayer(&args);
    for line in [
        "  s[0,0] = (1·1 + 0·0)·",
        "  s[0,1] = (1·0 + 0·1)·",
        "  s[1,2] = (0·1 + 1·1)·",
        "  e[1,2] = e^(",
        "  max[1] = max(0, ",
    ] {
        assert!(ran.quiet().contains(line), "{line}: {}", ran.text());
    }
}

#[test]
fn latex_has_fractions_powers_and_products() {
    let text = nnlayer(&["softmax", "--x", "-1,2", "--only", "y", "--steps", "latex"]);
    let expected = "\
\\mathit{max} &= \\max(-1, 2) = 2 \\\\
e_{0} &= e^{-1 - 2} \\approx 0.04978707 \\\\
e_{1} &= e^{2 - 2} = 1 \\\\
\\mathit{sum} &= 0.04978707 + 1 \\approx 1.0497871 \\\\
y_{0} &= \\frac{0.04978707}{1.0497871} \\approx 0.04742587 \\\\
y_{1} &= \\frac{1}{1.0497871} \\approx 0.95257413
";
    assert!(text.quiet().contains(expected), "{}", text.text());
    let text = nnlayer(&["affine", "--x", "2,-4;2,1e-9", "--w", "1;-1", "--only", "y", "--steps", "latex"]);
    let expected = "\
y_{0,0} &= 2 \\cdot 1 + (-4) \\cdot (-1) = 6 \\\\
y_{1,0} &= 2 \\cdot 1 + 1{\\times}10^{-9} \\cdot (-1) = 2
";
    assert!(text.quiet().replace("\\approx", "=").contains(expected), "{}", text.text());
}

#[test]
fn latex_of_every_layer_compiles() {
    let document = |command: &str| {
        let ran = shell(&format!("{command} --steps latex"));
        (ran.status == 0).then(|| ran.text().to_owned())
    };
    let commands = nnlayer::layer::LAYERS.iter().flat_map(|spec| spec.examples.iter().map(|example| example.command));
    // Examples with another output have no steps.
    let commands: Vec<String> = commands.map(|command| command.replace(" --json", "")).collect();
    let long = "nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --b 1,2,3,4,5,6,7,8,9,-10";
    let chain = "nnlayer net fixtures/train/begin.json --x fixtures/digits/x.npy --t fixtures/digits/t.npy";
    let graded = "nnlayer relu --x '-1,2' --only y --expect '{\"y\":[0,3]}'";
    let mut bodies = Vec::new();
    for command in commands.iter().map(String::as_str).chain([long, chain]) {
        bodies.extend(document(command));
    }
    assert!(bodies.len() > nnlayer::layer::LAYERS.len(), "{}", bodies.len());
    let graded = shell(&format!("{graded} --steps latex"));
    assert_eq!(graded.status, 1);
    assert!(graded.text().contains("\\quad\\text{wrong: yours 3: first difference}"), "{}", graded.text());
    bodies.push(graded.text().to_owned());
    if !has_program("pdflatex") {
        return;
    }
    let (begin, end) = ("\\begin{document}\n", "\\end{document}\n");
    let inside = |text: &String| text[text.find(begin).unwrap() + begin.len()..text.find(end).unwrap()].to_owned();
    let preamble = &bodies[0][..bodies[0].find(begin).unwrap()];
    let text = format!("{preamble}{begin}{}{end}", bodies.iter().map(inside).collect::<String>());
    let folder = crate::support::folder();
    std::fs::write(folder.path().join("steps.tex"), text).unwrap();
    let ran = crate::support::shell_in(
        folder.path(),
        "pdflatex -halt-on-error -interaction=batchmode steps.tex; cat steps.log",
    );
    assert!(folder.path().join("steps.pdf").exists(), "{}", ran.text());
    let wide: Vec<&str> = ran.text().lines().filter(|line| line.starts_with("Overfull")).collect();
    assert!(wide.is_empty(), "lines that are wider than the page: {wide:?}");
}

#[test]
fn single_precision_steps_use_the_rounded_operands() {
    let ran = shell("nnlayer softmax --x 0.1,0.2 --precision f32 --steps --json --only y").json();
    let direct = shell("nnlayer softmax --x 0.1,0.2 --precision f32 --json --only y").json();
    let all = ran["steps"][0]["steps"].as_array().unwrap();
    let y: Vec<f64> = all.iter().filter(|step| step["name"] == "y").map(|step| numbers(&step["value"])[0]).collect();
    assert_eq!(y, numbers(&direct["y"]));
    // e^(0.1 − 0.2) of the single-precision numbers, by mpmath: 0.90483741…, and not that of the doubles in the 9th digit.
    let e = numbers(&all[1]["value"])[0];
    assert!((e - 0.904_837_416_687_764_6).abs() < 1e-12, "{e}");
}

#[test]
fn the_first_step_that_differs_is_marked() {
    let ran = shell(
        r#"echo '{"max":3,"e":[0.135,0.38,1],"sum":1.51,"y":[0.09,null,0.67]}' | nnlayer softmax --x 1,2,3 --only y --steps --expect -"#,
    );
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.text(),
        "\
y = softmax(x)  (3)
with max = the largest x, e = e^(x − max), sum = Σ e
  max  = max(1, 2, 3) = 3  ✓
  e[0] = e^(1 − 3) ≈ 0.13533528  ✓
  e[1] = e^(2 − 3) ≈ 0.36787944  ✗ yours 0.38: first difference
  e[2] = e^(3 − 3) = 1  ✓
  sum  = 0.13533528 + 0.36787944 + 1 ≈ 1.5032147  ✗ yours 1.51
  y[0] = 0.13533528 / 1.5032147 ≈ 0.09003057  ✓
  y[1] = 0.36787944 / 1.5032147 ≈ 0.24472847
  y[2] = 1 / 1.5032147          ≈ 0.66524096  ✓

FAIL: 2 of your 7 steps differ; first difference: e[1]: yours 0.38, ours 0.36787944117144233
"
    );
}

#[test]
fn right_steps_pass_and_different_shapes_are_reported() {
    let loss = |answers: &str| {
        shell(&format!("echo '{answers}' | nnlayer xent --y '0.5,0.5;0.25,0.75' --t 0,1 --steps --expect -"))
    };
    let right = loss(r#"{"term":[[0.693,null],[null,0.2877]],"loss":0.98,"dx":[[-0.5,0.5],[0.25,-0.25]]}"#);
    assert_eq!(right.status, 0, "{}", right.stderr);
    assert!(right.text().ends_with("\nPASS: all your 7 steps are right\n"), "{}", right.text());
    let wrong = loss(r#"{"dx":[-0.5,0.5]}"#);
    assert_eq!(wrong.status, 1);
    assert!(wrong.text().ends_with("first difference: dx: your shape is (2), ours is (2×2)\n"), "{}", wrong.text());
    let json = shell(r#"echo '{"dx":[0.1,0.2]}' | nnlayer relu --x 1,-1 --dout 0.1,0.1 --steps --json --expect -"#);
    assert_eq!(json.status, 1);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["verdict"], &json["compared"], &json["wrong"]), (&"FAIL".into(), &2.into(), &1.into()));
    assert_eq!(
        (&json["first"]["name"], &json["first"]["index"], &json["first"]["yours"]),
        (&"dx".into(), &serde_json::json!([1]), &0.2.into())
    );
}

#[test]
fn the_first_wrong_step_is_shown_even_among_hidden_ones() {
    let ran = shell(
        "nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --only y --json | sed 's/]]}/,77]]}/; s/,[-0-9.e]*,77]]}/,77]]}/' \
         | nnlayer affine --x fixtures/digits/x.npy --w fixtures/digits/w.npy --only y --steps --expect -",
    );
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let text: Vec<&str> = ran.text().lines().collect();
    assert!(text.contains(&"  … and 968 more entries of y"));
    let last = text.iter().find(|line| line.starts_with("  y[99,9] = ")).unwrap();
    assert!(last.ends_with("✗ yours 77: first difference"), "{last}");
}

/// By NumPy: p = softmax(q·kᵀ/√2), dp = dout·vᵀ, dot = Σ p∘dp of each row, ds = p∘(dp − dot).
#[test]
fn a_gradient_alone_shows_all_numbers_that_it_is_computed_from_with_their_index() {
    let ran = nnlayer(&["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1,2;3,4", "--only", "dk", "--steps"]);
    let expected = "\
with s = q·kᵀ·scale, max = the largest s, e = e^(s − max), sum = Σ e, p = e / sum, dp = dout·vᵀ,
  dot = Σ p∘dp, ds = p∘(dp − dot)
";
    assert!(ran.quiet().contains(expected), "{}", ran.text());
    for line in [
        "  max[1]  = max(0, 0.70710678) ≈ 0.70710678\n",
        "  p[0,1]  = 0.49306869 / 1.4930687 ≈ 0.33023845\n",
        "  dp[0,1] = 1·3 + 1·4 = 7\n",
        "  dot[0]  = 0.66976155·3 + 0.33023845·7 ≈ 4.3209538\n",
        "  dot[1]  = 0.33023845·3 + 0.66976155·7 ≈ 5.6790462\n",
        "  ds[1,0] = 0.33023845·(3 − 5.6790462) ≈ -0.88472407\n",
        "  dk[0,1] = -0.88472407·0.70710678·0 + (-0.88472407)·0.70710678·1 ≈ -0.62559439\n",
    ] {
        assert!(ran.text().contains(line), "{line}: {}", ran.text());
    }
    assert!(ran.text().lines().skip(2).all(|line| line.chars().count() <= 80), "{}", ran.text());
}

#[test]
fn capped_and_masked_scores_have_the_indices_of_query_and_key() {
    let scores = ["attention", "--q", "1,0;0,1", "--k", "1,0;0,1", "--v", "1,2;3,4", "--softcap", "2", "--steps"];
    let ran = nnlayer(&[&scores[..], &["--only", "y", "--mask", "0,1;-1,0", "--mask-kind", "additive"]].concat());
    for line in ["  t[1,1] = tanh((0·0 + 1·1)·0.70710678 / 2) ≈ 0.3395231\n", "  s[1,0] = 2·0 + (-1) ", "  p[1,0] = "]
    {
        assert!(ran.quiet().contains(line), "{line}: {}", ran.text());
    }
}

/// By SciPy: norm.cdf(1) = 0.8413447460685429 and norm.pdf(1) = 0.24197072451914337.
#[test]
fn gelu_defines_and_evaluates_the_normal_distribution() {
    let expected = "\
y = x·Φ(x)  (scalar)
with Φ = (1 + erf(x/√2))/2
  Φ = Φ(1) ≈ 0.84134475
  y = 1·0.84134475 ≈ 0.84134475

dout = ones: the gradients of L = Σy

dx = dout∘(Φ(x) + x∘φ(x))  (scalar)
with φ = e^(−x²/2)/√(2π)
  φ  = φ(1) ≈ 0.24197072
  dx = 1·(0.84134475 + 1·0.24197072) ≈ 1.0833155
";
    assert_eq!(nnlayer(&["gelu", "--x", "1", "--steps"]).quiet(), expected);
}

#[test]
fn statistics_of_columns_come_before_the_entries_in_row_order() {
    let ran = nnlayer(&["batchnorm", "--x", "1,2;3,6", "--only", "y", "--steps"]);
    let names: Vec<&str> = ran.quiet().lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    let statistics = ["mean[0]", "var[0]", "std[0]", "mean[1]", "var[1]", "std[1]"];
    let entries = ["xhat[0,0]", "y[0,0]", "xhat[0,1]", "y[0,1]", "xhat[1,0]", "y[1,0]", "xhat[1,1]", "y[1,1]"];
    assert_eq!(names, [&statistics[..], &entries].concat());
    let rows = nnlayer(&["softmax", "--x", "1,2;0,3", "--only", "y", "--steps"]);
    let names: Vec<&str> = rows.quiet().lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    let row = |n: usize| [format!("max[{n}]"), format!("e[{n},0]"), format!("e[{n},1]"), format!("sum[{n}]")];
    let y = |n: usize| [format!("y[{n},0]"), format!("y[{n},1]")];
    assert_eq!(names, [&row(0)[..], &y(0), &row(1), &y(1)].concat());
}

#[test]
fn minus_zero_is_0_in_arithmetic() {
    let ran = nnlayer(&["rope", "--x", "1,0;0,2", "--only", "dx", "--steps"]);
    assert!(ran.quiet().contains("  dx[0,0] = 1 − 1·0 ") && !ran.text().contains("-0)"), "{}", ran.text());
}

#[test]
fn wide_arithmetic_is_folded_at_the_width_of_the_terminal() {
    let attention = "attention --q '1,2;2,1' --k '1,2;3,4' --v '1;2' --softcap 5 --steps";
    let text =
        |columns: usize| shell(&format!("LC_ALL=C.UTF-8 COLUMNS={columns} nnlayer {attention}")).quiet().to_owned();
    let narrow = text(80);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    let folded = "  dq[0,0] = -0.14638209·(1 − 0.60885937²)·0.70710678·1\n            + 0.14638209·";
    assert!(narrow.contains(folded), "{narrow}");
    // The parts of a line are those of the line in a wide terminal.
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    assert_eq!(words(&narrow), words(&text(200)));
    assert!(text(200).lines().any(|line| line.chars().count() > 100));
}

#[test]
fn numbers_have_the_digits_that_are_asked_for() {
    let text = |options: &str| {
        shell(&format!("LC_ALL=C.UTF-8 nnlayer softmax --x 1,2 --only y --steps {options}")).quiet().to_owned()
    };
    let short = text("--digits 3");
    assert!(short.contains("sum  = 0.368 + 1 ≈ 1.37") && short.contains("y[0] = 0.368 / 1.37 ≈ 0.269"), "{short}");
    assert!(text("").contains("y[0] = 0.36787944 / 1.3678794 ≈ 0.26894142"));
    assert!(
        text("latex --digits 2").contains("y_{0} &= \\frac{0.37}{1.4} \\approx 0.27"),
        "{}",
        text("latex --digits 2")
    );
    assert!(text("markdown --digits 17").contains("0.36787944117144233"), "{}", text("markdown --digits 17"));
    // All digits of small numbers, too.
    let small = nnlayer(&["softmax", "--x", "0,-6", "--only", "y", "--steps", "--digits", "17"]);
    // 1/(1 + e⁶), by mpmath.
    assert!(small.quiet().contains(" = 0.0024726231566347743\n"), "{}", small.text());
}
