//! The rules of the architecture.

use std::path::{Path, PathBuf};

/// The rooms from the top of the house down; imports point downward only. `operand` and `layer` don't know each other.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "run", "report", "graph", "steps", "check", "operand", "network", "format", "layer", "numeric", "parallel",
            "core",
        ],
    ),
    (
        "run",
        &[
            "report", "graph", "steps", "check", "operand", "network", "format", "layer", "ops", "numeric", "parallel",
            "core",
        ],
    ),
    ("report", &["graph", "steps", "check", "format", "layer", "parallel", "core"]),
    ("steps", &["check", "format", "layer", "numeric", "core"]),
    ("graph", &["network", "layer", "numeric", "core"]),
    ("network", &["check", "format", "layer", "numeric", "core"]),
    ("check", &["format", "layer", "numeric", "core"]),
    ("operand", &["format", "core"]),
    ("format", &["parallel", "core"]),
    ("layer", &["ops", "numeric", "parallel", "core"]),
    ("ops", &["numeric", "gemm", "simd", "parallel"]),
    ("numeric", &["simd"]),
    ("gemm", &["simd", "parallel"]),
    ("simd", &[]),
    ("parallel", &["simd"]),
    ("core", &[]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            found.push(entry.path());
        }
    }
    found
}

/// Room, path, and numbered lines of code.
type Source = (String, String, Vec<(usize, String)>);

/// Each source file, comments and unit tests left out.
fn code() -> Vec<Source> {
    let src = root().join("src");
    files(&src)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            let room = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\n").next().unwrap().to_owned();
            let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim().to_owned()));
            (room, inside, lines.filter(|(_, line)| !line.starts_with("//")).collect())
        })
        .collect()
}

#[test]
fn imports_point_downward() {
    for (room, file, lines) in code() {
        let Some((_, below)) = ROOMS.iter().find(|(known, _)| *known == room) else {
            assert!(["main", "lib"].contains(&room.as_str()), "{file}: a room that the picture does not have");
            continue;
        };
        for (n, line) in lines {
            for used in line.split("crate::").skip(1) {
                let used = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                assert!(
                    used.is_empty() || used == room || below.contains(&used),
                    "src/{file}:{n}: {room} may not import {used}"
                );
            }
        }
    }
}

#[test]
fn the_mathematics_knows_no_files_processes_or_options() {
    let pure = ["graph", "steps", "check", "layer", "numeric", "ops", "gemm", "simd", "parallel", "core"];
    // Somebody's process is the one thing that the checker runs.
    let outside = |file: &str| file.starts_with("check/program") || file == "core/signals.rs";
    for (room, file, lines) in
        code().into_iter().filter(|(room, file, _)| pure.contains(&room.as_str()) && !outside(file))
    {
        for (n, line) in lines {
            for word in ["std::fs", "std::io", "std::env", "std::process", "clap::", "serde", "println!", "eprintln!"] {
                assert!(!line.contains(word), "src/{file}:{n}: {room} may not use {word}");
            }
        }
    }
}

#[test]
fn no_room_below_cli_knows_clap() {
    for (room, file, lines) in code().into_iter().filter(|(room, ..)| room != "cli") {
        for (n, line) in lines {
            assert!(!line.contains("clap"), "src/{file}:{n}: {room} may not use clap");
        }
    }
}

#[test]
fn nothing_opens_a_network_and_nothing_runs_but_the_program_that_was_named() {
    // The word, and the files that may use it.
    let reserved: &[(&str, &[&str])] = &[
        ("std::net", &[]),
        ("Tcp", &[]),
        ("Udp", &[]),
        ("UnixStream", &[]),
        ("std::process::exit", &["main.rs"]),
        ("std::process", &["main.rs", "check/program"]),
        ("std::env", &["main.rs", "run/graph.rs"]),
        ("rustix::process", &["check/program"]),
    ];
    for (_, file, lines) in code() {
        for (n, line) in lines {
            for (word, _) in reserved.iter().filter(|(_, files)| !files.iter().any(|known| file.starts_with(known))) {
                assert!(!line.contains(word), "src/{file}:{n}: {word}");
            }
        }
    }
    assert!(!root().join("build.rs").exists(), "a build script runs on every machine that installs this");
}

#[test]
fn the_readme_names_the_rust_that_cargo_asks_for() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let manifest = read("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    for name in ["README.md", "README.ja.md"] {
        assert!(read(name).contains(&format!("Rust {version} ")), "{name} does not name Rust {version}");
    }
}

#[test]
fn nothing_is_left_half_done() {
    for (_, file, lines) in code() {
        for (n, line) in &lines {
            for word in ["todo!", "unimplemented!", "dbg!", "FIXME", "TODO", "XXX"] {
                assert!(!line.contains(word), "src/{file}:{n}: {word}");
            }
            let allowed = ["simd/", "gemm/", "parallel/pages"].iter().any(|room| file.starts_with(room));
            assert!(!line.contains("unsafe ") || allowed, "src/{file}:{n}: unsafe");
        }
        assert!(lines.len() < 400, "src/{file} has {} lines of code", lines.len());
        for vague in ["utils", "helpers", "common", "misc"] {
            assert!(!file.contains(vague), "src/{file} has a name that says nothing");
        }
    }
    for path in files(&root().join("tests")).into_iter().filter(|path| !path.ends_with("tidy.rs")) {
        assert!(!std::fs::read_to_string(&path).unwrap().contains("#[ignore"), "{}: an ignored test", path.display());
    }
}

#[test]
fn architecture_names_every_room_and_no_other() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (room, _) in ROOMS {
        assert!(text.contains(&format!("`{room}")), "ARCHITECTURE.md does not name {room}");
    }
    for named in text.split("`src/").skip(1).map(|rest| rest.split('`').next().unwrap()) {
        assert!(root().join("src").join(named).exists(), "ARCHITECTURE.md names src/{named}");
    }
}
