//! `nnlayer gradcheck --template`: each program is built by its language's compiler, and passes.

use crate::support::{RunOutput, folder, has_program, nnlayer, python_with_numpy};
use nnlayer::layer::LAYERS;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const LANGUAGES: [&str; 7] = ["python", "numpy", "c", "cuda", "js", "rust", "go"];

/// Most lines of a program.
const MAX_LINES: usize = 140;

/// Returns the program that is printed with these options.
#[track_caller]
fn template(language: &str, options: &[&str]) -> String {
    nnlayer(&[&["gradcheck", "--template", language], options].concat()).quiet().to_owned()
}

/// Writes a program into the folder, and returns the command that runs it; `None` if its language is not installed.
fn build(language: &str, source: &str, folder: &Path) -> Option<Vec<String>> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-O0", "-o"];
    let (file, compiler, options): (&str, &str, &[&str]) = match language {
        "python" => ("program.py", "python3", &[]),
        "numpy" => ("program.py", python_with_numpy()?, &[]),
        "js" => ("program.js", "node", &[]),
        "c" => ("program.c", "cc", &warnings),
        "cuda" => ("program.cu", "c++", &warnings),
        "rust" => ("program.rs", "rustc", &["--edition", "2021", "-D", "warnings", "-o"]),
        "go" => ("program.go", "go", &["build", "-o"]),
        other => panic!("{other}"),
    };
    if !has_program(compiler) {
        return None;
    }
    std::fs::write(path(file), source).unwrap();
    if options.is_empty() {
        return Some(vec![compiler.to_owned(), path(file)]);
    }
    let mut command = Command::new(compiler);
    command.args(options).arg(path("program"));
    if language == "cuda" {
        command.args(["-x", "c++"]);
    }
    command.arg(path(file));
    if language == "c" {
        command.arg("-lm");
    }
    let built = command.output().unwrap();
    assert!(built.status.success(), "{language}: {}\n{source}", String::from_utf8_lossy(&built.stderr));
    Some(vec![path("program")])
}

fn gradcheck(options: &[&str], program: &[String]) -> RunOutput {
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    nnlayer(&[&["gradcheck"], options, &["--"], &program].concat())
}

/// Checks a program that is started once, and returns the report.
#[track_caller]
fn assert_verdict(status: i32, verdict: &str, options: &[&str], program: &[String]) -> String {
    let ran = gradcheck(&[options, &["--persistent"]].concat(), program);
    let last = ran.text().lines().last().unwrap_or_default();
    assert_eq!(ran.status, status, "{program:?} {options:?}\n{}{}", ran.text(), ran.stderr);
    assert!(last.starts_with(verdict), "{program:?} {options:?}\n{}", ran.text());
    ran.text().to_owned()
}

/// Returns the program with the line that gives a result replaced.
#[track_caller]
fn fill_in(source: &str, result: &str, code: &str) -> String {
    let is_line = |line: &&str| line.contains("FILL IN: ") && line.contains(&format!("\"{result}\""));
    let line = source.lines().find(is_line).unwrap_or_else(|| panic!("{result}: {source}"));
    source.replacen(line, code, 1)
}

/// Code of y = max(x, 0) and its dx, and of y = q∘k and its dq and dk, in a language.
fn filled_in(language: &str) -> [&'static str; 5] {
    match language {
        "python" => [
            r#"    outputs["y"] = Array(inputs["x"].shape, [max(v, 0.0) for v in inputs["x"].data])"#,
            r#"    gradients["dx"] = Array(dout.shape, [d if v > 0 else 0.0 for d, v in zip(dout.data, inputs["x"].data)])"#,
            r#"    outputs["y"] = Array(inputs["q"].shape, [q * k for q, k in zip(inputs["q"].data, inputs["k"].data)])"#,
            r#"    gradients["dq"] = Array(dout.shape, [d * k for d, k in zip(dout.data, inputs["k"].data)])"#,
            r#"    gradients["dk"] = Array(dout.shape, [d * q for d, q in zip(dout.data, inputs["q"].data)])"#,
        ],
        "numpy" => [
            r#"    outputs["y"] = np.maximum(inputs["x"], 0)"#,
            r#"    gradients["dx"] = dout * (inputs["x"] > 0)"#,
            r#"    outputs["y"] = inputs["q"] * inputs["k"]"#,
            r#"    gradients["dq"] = dout * inputs["k"]"#,
            r#"    gradients["dk"] = dout * inputs["q"]"#,
        ],
        "js" => [
            "outputs.y = { ...inputs.x, data: inputs.x.data.map((v) => Math.max(v, 0)) };",
            "gradients.dx = { ...dout, data: dout.data.map((d, n) => (inputs.x.data[n] > 0 ? d : 0)) };",
            "outputs.y = { ...inputs.q, data: inputs.q.data.map((q, n) => q * inputs.k.data[n]) };",
            "gradients.dq = { ...dout, data: dout.data.map((d, n) => d * inputs.k.data[n]) };",
            "gradients.dk = { ...dout, data: dout.data.map((d, n) => d * inputs.q.data[n]) };",
        ],
        "c" => [
            r#"Array x = get(inputs, "x"), y = zeros(x);
            for (size_t n = 0; n < x.size; n++) y.data[n] = fmax(x.data[n], 0);
            put("y", y);"#,
            r#"Array x = get(inputs, "x"), dx = zeros(x);
            for (size_t n = 0; n < x.size; n++) dx.data[n] = x.data[n] > 0 ? dout.data[n] : 0;
            put("dx", dx);"#,
            r#"Array q = get(inputs, "q"), k = get(inputs, "k"), y = zeros(q);
            for (size_t n = 0; n < y.size; n++) y.data[n] = q.data[n] * k.data[n];
            put("y", y);"#,
            r#"Array q = get(inputs, "q"), k = get(inputs, "k"), dq = zeros(q), dk = zeros(k);
            for (size_t n = 0; n < q.size; n++) dq.data[n] = dout.data[n] * k.data[n];
            put("dq", dq);"#,
            r#"for (size_t n = 0; n < k.size; n++) dk.data[n] = dout.data[n] * q.data[n];
            put("dk", dk);"#,
        ],
        // It starts the kernels of `add_kernels`.
        "cuda" => [
            r#"Array x = get(inputs, "x"), y = zeros(x);
            LAUNCH(mask, y.size, x.data, x.data, y.data);
            put("y", y);"#,
            r#"Array x = get(inputs, "x"), dx = zeros(x);
            LAUNCH(mask, dx.size, x.data, dout.data, dx.data);
            put("dx", dx);"#,
            r#"Array q = get(inputs, "q"), k = get(inputs, "k"), y = zeros(q);
            LAUNCH(multiply, y.size, q.data, k.data, y.data);
            put("y", y);"#,
            r#"Array q = get(inputs, "q"), k = get(inputs, "k"), dq = zeros(q), dk = zeros(k);
            LAUNCH(multiply, dq.size, dout.data, k.data, dq.data);
            put("dq", dq);"#,
            r#"LAUNCH(multiply, dk.size, dout.data, q.data, dk.data);
            put("dk", dk);"#,
        ],
        "rust" => [
            r#"let mut y = inputs["x"].clone();
            y.data.iter_mut().for_each(|v| *v = v.max(0.0));
            outputs.insert("y", y);"#,
            r#"let mut dx = dout.clone();
            dx.data.iter_mut().zip(&inputs["x"].data).for_each(|(d, &v)| *d = if v > 0.0 { *d } else { 0.0 });
            gradients.insert("dx", dx);"#,
            r#"let mut y = inputs["q"].clone();
            y.data.iter_mut().zip(&inputs["k"].data).for_each(|(q, k)| *q *= k);
            outputs.insert("y", y);"#,
            r#"let mut dq = dout.clone();
            dq.data.iter_mut().zip(&inputs["k"].data).for_each(|(d, k)| *d *= k);
            gradients.insert("dq", dq);"#,
            r#"let mut dk = dout.clone();
            dk.data.iter_mut().zip(&inputs["q"].data).for_each(|(d, q)| *d *= q);
            gradients.insert("dk", dk);"#,
        ],
        "go" => [
            r#"y := zeros(inputs["x"].shape...)
            for n, v := range inputs["x"].data {
                if v > 0 {
                    y.data[n] = v
                }
            }
            outputs["y"] = y"#,
            r#"dx := zeros(dout.shape...)
            for n, v := range inputs["x"].data {
                if v > 0 {
                    dx.data[n] = dout.data[n]
                }
            }
            gradients["dx"] = dx"#,
            r#"y := zeros(inputs["q"].shape...)
            for n, q := range inputs["q"].data {
                y.data[n] = q * inputs["k"].data[n]
            }
            outputs["y"] = y"#,
            r#"dq, dk := zeros(dout.shape...), zeros(dout.shape...)
            for n, d := range dout.data {
                dq.data[n] = d * inputs["k"].data[n]
            }
            gradients["dq"] = dq"#,
            r#"for n, d := range dout.data {
                dk.data[n] = d * inputs["q"].data[n]
            }
            gradients["dk"] = dk"#,
        ],
        other => panic!("{other}"),
    }
}

/// Adds the kernels that the code above starts to a CUDA template, in front of its own.
fn add_kernels(source: &str) -> String {
    let kernel = |name: &str, entry: &str| {
        let head = format!("__global__ void {name}(size_t size, const Real *a, const Real *b, Real *c)");
        format!("{head} {{\n    if (INDEX < size) c[INDEX] = {entry};\n}}\n")
    };
    let kernels = [kernel("mask", "a[INDEX] > 0 ? b[INDEX] : 0"), kernel("multiply", "a[INDEX] * b[INDEX]")].concat();
    source.replace("__global__ void copy(", &format!("{kernels}__global__ void copy("))
}

/// Sends a request to a program and returns its reply.
fn reply(program: &[String], request: &str) -> Value {
    let mut command = Command::new(&program[0]);
    let mut child = command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{program:?}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Checks all programs of a language.
fn check_language(language: &str) {
    let folder = folder();
    let built = |options: &[&str], fill: &dyn Fn(String) -> String| {
        let source = fill(template(language, options));
        let folder = folder.path().join(format!("template {}", options.join(" ")));
        std::fs::create_dir(&folder).unwrap();
        build(language, &source, &folder)
    };
    let Some(affine) = built(&[], &|source| source) else { return };
    let report = assert_verdict(0, "PASS: y, dx, dw, db of affine", &["--layer", "affine"], &affine);
    assert_eq!(gradcheck(&["--layer", "affine"], &affine).quiet(), report, "started for each request");
    assert_verdict(0, "PASS", &["--layer", "affine", "--shape", "x=3", "w=3x2", "b="], &affine);
    let refusal = gradcheck(&["--layer", "affine", "--w-layout", "out-in"], &affine);
    assert!(refusal.refusal().contains("this program knows only the default settings"), "{}", refusal.stderr);

    let softmax = built(&["--layer", "softmax"], &|source| source).unwrap();
    let report = assert_verdict(0, "PASS: y, dx of softmax", &["--layer", "softmax"], &softmax);
    assert_eq!(gradcheck(&["--layer", "softmax"], &softmax).quiet(), report, "started for each request");
    assert_verdict(0, "PASS", &["--layer", "softmax", "--x", "0,-inf,7"], &softmax);

    let [y, dx, product, dq, dk] = filled_in(language);
    let relu = |source: String| add_kernels(&fill_in(&fill_in(&source, "y", y), "dx", dx));
    let relu = built(&["--layer", "relu"], &relu).unwrap();
    assert_verdict(0, "PASS: y, dx of relu", &["--layer", "relu"], &relu);
    let custom = |source: String| add_kernels(&fill_in(&fill_in(&fill_in(&source, "y", product), "dq", dq), "dk", dk));
    let options = ["--layer", "custom", "--shape", "q=4x3", "k=4x3"];
    assert_verdict(0, "PASS: dq, dk of custom", &options, &built(&options, &custom).unwrap());

    // As printed, its outputs are copies of x, and its gradients are zero.
    let unfilled = built(&["--layer", "softmax-xent"], &|source| source).unwrap();
    assert_verdict(1, "FAIL: y, loss, dx of softmax-xent", &["--layer", "softmax-xent"], &unfilled);
    let cube = json!([[[0.1, "NaN"]], [["Infinity", -5e-324]], [["-Infinity", 1.7976931348623157e308]]]);
    let request = r#" { "new\"key\\" : [ {"a]}": "\u00e9\"]}"}, null, true ], "points": [ {"dout" :1,"inputs":	{"x":CUBE},
         "inputs2" :[] } ,{"inputs":{ "x" : -2.5e0 }},{"inputs":{"x":[]}}],"settings":{"kind":"a\\"}} "#;
    let request = request.replace('\n', " ").replace("CUBE", &cube.to_string());
    let outputs = |x: Value| json!({ "y": x, "loss": x });
    let zeros = json!({ "dx": [[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]] });
    let as_doubles = |value: Value| value.to_string().replace(".0", "");
    assert_eq!(
        as_doubles(reply(&unfilled, &request)),
        as_doubles(json!({"points": [
            { "outputs": outputs(cube), "gradients": zeros },
            { "outputs": outputs(json!(-2.5)) },
            { "outputs": outputs(json!([])) },
        ]})),
        "{language}"
    );
}

#[test]
fn python_programs_pass() {
    check_language("python");
}

#[test]
fn numpy_programs_pass() {
    check_language("numpy");
}

#[test]
fn c_programs_pass() {
    check_language("c");
}

#[test]
fn cuda_programs_pass_on_the_host() {
    check_language("cuda");
}

#[test]
fn javascript_programs_pass() {
    check_language("js");
}

#[test]
fn rust_programs_pass() {
    check_language("rust");
}

#[test]
fn go_programs_pass() {
    check_language("go");
}

#[test]
fn every_layer_has_a_short_program_in_every_language() {
    let layers: Vec<Vec<&str>> = LAYERS.iter().map(|spec| vec!["--layer", spec.name]).collect();
    let custom = vec!["--layer", "custom", "--shape", "q=2x3", "k-1=3", "scale="];
    for language in LANGUAGES {
        for options in layers.iter().chain([&custom]) {
            let program = template(language, options);
            let lines = program.lines().count();
            assert!(lines <= MAX_LINES, "{language} {options:?} has {lines} lines");
            assert!(program.ends_with('\n') && program.contains(&format!("--layer {}", options[1])), "{program}");
            for word in ["@layer", "@each", "@end", "@name", "@operand"] {
                assert!(!program.contains(word), "{word}: {program}");
            }
        }
        let program = template(language, &custom);
        for name in ["k-1", "dk-1", "scale", "dscale", "--shape q=2x3 k-1=3 scale="] {
            assert!(program.contains(name), "{name}: {program}");
        }
        assert!(template(language, &["--layer", "xent"]).contains("eps"), "{language} does not name a setting");
    }
}
