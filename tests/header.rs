//! Programs with `include/nnlayer.h`, which answers the protocol of gradcheck in C and C++.

use crate::support::{folder, has_program, nnlayer, shell_in};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compiles a program with all warnings as errors.
#[track_caller]
pub fn compile(compiler: &str, options: &[&str], source: &Path, program: &Path) {
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(Path::new(ROOT).join("include"));
    command.arg("-o").arg(program).args(options);
    if compiler == "c++" {
        command.args(["-x", "c++"]);
    }
    let output = command.arg(source).arg("-lm").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Compilers with the oldest version of their language that the header is written in.
const LANGUAGES: [(&str, &str); 2] = [("cc", "-std=c99"), ("c++", "-std=c++11")];

const SANITIZE: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// Returns the program in the comment at the top of the header.
fn example_of_the_header() -> String {
    let header = std::fs::read_to_string(Path::new(ROOT).join("include/nnlayer.h")).unwrap();
    let (program, _) = header.split_once("   Check it with").unwrap();
    program.lines().skip(1).map(|line| format!("{}\n", line.trim_start())).collect()
}

#[track_caller]
fn verdict(options: &[&str], program: &Path) -> String {
    let ran = nnlayer(&[&["gradcheck"], options, &["--", program.to_str().unwrap()]].concat());
    ran.text().lines().last().unwrap_or(&ran.stderr).to_owned()
}

#[test]
fn the_example_of_the_header_passes_in_both_versions_of_the_protocol_and_in_every_type() {
    let folder = folder();
    let (source, program) = (folder.path().join("relu.c"), folder.path().join("relu"));
    std::fs::write(&source, example_of_the_header()).unwrap();
    for (compiler, standard) in LANGUAGES {
        if !has_program(compiler) {
            continue;
        }
        compile(compiler, &[&[standard], &SANITIZE[..]].concat(), &source, &program);
        for precision in ["f64", "f32", "f16", "bf16"] {
            for shape in ["x=2x3x4x1", "x=0x3"] {
                let options = ["--layer", "relu", "--shape", shape, "--precision", precision];
                let passes = "PASS: y, dx of relu are correct";
                assert_eq!(verdict(&options, &program), passes, "{compiler} {options:?}");
                assert_eq!(verdict(&[&options[..], &["--persistent"]].concat(), &program), passes, "{options:?}");
            }
        }
        let refusal = nnlayer(&["gradcheck", "--layer", "tanh", "--persistent", "--", program.to_str().unwrap()]);
        assert!(refusal.refusal().contains("this program computes another layer: relu"), "{}", refusal.stderr);
    }
}

#[test]
fn the_example_in_cuda_passes_on_the_cpu() {
    if !has_program("c++") {
        return;
    }
    let folder = folder();
    let program = folder.path().join("rmsnorm");
    compile("c++", &SANITIZE, &Path::new(ROOT).join("examples/gradcheck/rmsnorm.cu"), &program);
    let options = ["--layer", "rmsnorm", "--precision", "f32", "--persistent"];
    for more in [&["--shape", "x=5x7", "gamma=7"][..], &["--x", "1,2,3", "--eps", "1e-3"]] {
        let verdict = verdict(&[&options[..], more].concat(), &program);
        assert!(verdict.starts_with("PASS: y, dx"), "{more:?} {verdict}");
    }
    // A setting that the program does not ask for.
    let program = program.to_str().unwrap();
    let options =
        [&["gradcheck"], &options[..], &["--gamma-offset", "1", "--shape", "x=5x7", "gamma=7", "--", program]];
    let ran = nnlayer(&options.concat());
    assert!(ran.refusal().contains("this program does not know the setting: gamma-offset"), "{}", ran.stderr);
}

/// A program that answers each line of a file in a process of its own, whose status must be 0 or 1, and counts the answers.
const ONE_BY_ONE: &str = r#"
#include "nnlayer.h"
#include <sys/wait.h>
#include <unistd.h>
static void compute(nnl_point *point) {
    nnl_array x = nnl_input(point, "x"), b = nnl_optional(point, "b"), stride = nnl_list(point, "stride");
    double sum = nnl_number(point, "eps", 0) + strlen(nnl_word(point, "reduction", "sum"));
    for (size_t k = 0; k < x.size; k++) sum += x.data[k];
    for (size_t k = 0; k < b.size; k++) sum += b.data[k];
    for (size_t k = 0; k < stride.size; k++) sum += stride.data[k];
    nnl_array y = nnl_zeros(0, NULL);
    y.data[0] = sum;
    nnl_put(point, "x", x), nnl_put(point, "y", y);
}
int main(int count, char **arguments) {
    static char text[1 << 20];
    FILE *file = fopen(arguments[count - 1], "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file); /* a process that ends would move the place in it */
    int answered = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (!fork()) {
            FILE *one = tmpfile();
            fputs(line, one), fflush(one), rewind(one);
            dup2(fileno(one), 0);
            if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) return 3;
            exit(nnl_serve(NULL, compute, compute));
        }
        int status;
        wait(&status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) return fprintf(stderr, "status %d: %s\n", status, line), 2;
        answered += status == 0;
    }
    printf("%d\n", answered);
}
"#;

/// Requests in both forms of arrays.
const REQUESTS: [&str; 2] = [
    r#"{"nnlayer":1,"layer":"a","settings":{"eps":1e-7,"stride":[2,1],"reduction":"sum"},"points":[{"inputs":{"x":[[1.5,"NaN"],[-2,3e9]],"b":[]},"dout":{"shape":[0,3],"data":[]}},{"inputs":{"x":true,"b":null}}]}"#,
    r#"{"nnlayer":2,"layer":"a","settings":{"eps":"Infinity","stride":3,"reduction":"mean"},"precision":"f32","points":[{"inputs":{"x":{"shape":[2],"dtype":"f32","base64":"AACAPwAAAMA="},"b":{"shape":[],"dtype":"f64","base64":"AAAAAAAA8D8="}},"dout":1}]}"#,
];

#[test]
fn no_damaged_request_makes_a_program_read_beyond_it() {
    if !has_program("cc") {
        return;
    }
    let folder = folder();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("program.c"), ONE_BY_ONE).unwrap();
    compile(
        "cc",
        &[&["-O1", "-D_POSIX_C_SOURCE=200809L"], &SANITIZE[..]].concat(),
        &path("program.c"),
        &path("program"),
    );
    let run = |lines: &[String]| {
        std::fs::write(path("requests"), lines.join("\n") + "\n").unwrap();
        shell_in(folder.path(), "UBSAN_OPTIONS=exitcode=9 ASAN_OPTIONS=exitcode=9 ./program requests")
            .quiet()
            .trim()
            .parse::<usize>()
            .unwrap()
    };
    assert_eq!(run(&REQUESTS.map(str::to_owned)), 2);
    assert_eq!(run(&["{}", "[", "x", "[[[", r#"{"points":[]}"#, &"[".repeat(4000)].map(str::to_owned)), 0);
    let cut = |request: &str| (1..request.len()).step_by(3).map(|end| request[..end].to_owned()).collect::<Vec<_>>();
    assert_eq!(run(&REQUESTS.map(cut).concat()), 0);
    // One character replaced by one that JSON gives a meaning, by a fixed sequence. Digits may be replaced well.
    let mut state = 1_u64;
    let mut draw = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let damaged: Vec<String> = (0..150)
        .map(|n| {
            let mut request = REQUESTS[n % 2].as_bytes().to_vec();
            let at = draw(request.len());
            request[at] = b"[]{}\",:\\09-= ex"[draw(15)];
            String::from_utf8(request).unwrap()
        })
        .collect();
    assert!(run(&damaged) < 100);
}
