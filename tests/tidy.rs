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
    ("report", &["graph", "steps", "network", "check", "format", "layer", "parallel", "core"]),
    ("steps", &["check", "format", "layer", "numeric", "core"]),
    ("graph", &["network", "layer", "numeric", "core"]),
    ("network", &["check", "format", "layer", "numeric", "core"]),
    ("check", &["format", "layer", "numeric", "core"]),
    ("operand", &["format", "numeric", "core"]),
    ("format", &["numeric", "parallel", "core"]),
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
    // Somebody's process is the one thing that the checker runs; signals and streams are those of this one.
    let outside =
        |file: &str| file.starts_with("check/program") || ["core/signals.rs", "core/streams.rs"].contains(&file);
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
        ("std::process", &["main.rs", "check/program", "report/temporary.rs"]),
        ("std::env", &["main.rs", "run/graph.rs", "check/program/child.rs"]),
        ("rustix::process", &["main.rs", "check/program", "report/temporary.rs"]),
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
            let allowed = ["simd/", "gemm/", "parallel/pages", "core/alloc"].iter().any(|room| file.starts_with(room));
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

/// Each source file with its module path, `["layer", "softmax"]` for `layer/softmax.rs`.
fn modules() -> Vec<(String, Vec<String>, String)> {
    let module = |file: &str| -> Vec<String> {
        let path = file.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
    };
    let joined = |lines: Vec<(usize, String)>| lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
    let sources = code().into_iter().filter(|(_, file, _)| file != "main.rs");
    sources.map(|(_, file, lines)| (file.clone(), module(&file), joined(lines))).collect()
}

/// The paths that a use tree names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        return vec![path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()];
    };
    let prefix: Vec<String> =
        tree[..open].split("::").map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for c in tree[open + 1..tree.rfind('}').unwrap()].chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    let inner = parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| leaves(part));
    inner.map(|path| prefix.iter().cloned().chain(path.into_iter().filter(|name| name != "self")).collect()).collect()
}

/// The module that a path begins in, seen from a module: `super::x` from `layer::softmax` is `layer::x`.
fn absolute(path: &[String], from: &[String], children: &[String]) -> Option<Vec<String>> {
    let first = path.first()?.as_str();
    match first {
        "crate" | "$crate" => Some(path[1..].to_vec()),
        "self" => Some([from, &path[1..]].concat()),
        "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            Some([&from[..from.len().checked_sub(up)?], &path[up..]].concat())
        }
        _ if children.iter().any(|child| child == first) => Some([from, path].concat()),
        _ => None,
    }
}

#[test]
fn no_file_imports_another_that_imports_it_back() {
    let modules = modules();
    let index = |path: &[String]| modules.iter().position(|(_, module, _)| module == path);
    let children: Vec<Vec<String>> = modules
        .iter()
        .map(|(_, parent, _)| {
            let inside = |module: &&Vec<String>| module.len() == parent.len() + 1 && module.starts_with(parent);
            modules
                .iter()
                .map(|(_, module, _)| module)
                .filter(inside)
                .map(|module| module.last().unwrap().clone())
                .collect()
        })
        .collect();
    // What each file imports and re-exports: re-exports are no imports of their own, and lead to where the item stands.
    let (mut imports, mut exports) = (vec![Vec::new(); modules.len()], vec![Vec::new(); modules.len()]);
    for (n, (_, module, text)) in modules.iter().enumerate() {
        for statement in text.split(';') {
            let Some(at) = statement.rfind("use ").filter(|at| {
                let before = statement[..*at].lines().last().unwrap_or_default().trim();
                before.is_empty() || before.starts_with("pub")
            }) else {
                continue;
            };
            let public = statement[..at].lines().last().unwrap_or_default().trim().starts_with("pub");
            for path in leaves(&statement[at + 4..]) {
                if let Some(path) = absolute(&path, module, &children[n]) {
                    if public { exports[n].push(path) } else { imports[n].push(path) }
                }
            }
        }
        // `pub(in crate::format)` is a visibility, not an import.
        let text = text.replace("pub(in crate", "pub(in ");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':' && c != '$');
        for word in words.filter(|word| word.contains("::") && !word.ends_with("::")) {
            let path: Vec<String> = word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let said = |first: &String| first == "crate" || first == "super" || children[n].contains(first);
            let exported = |path: &Vec<String>| exports[n].contains(path);
            if path.first().is_some_and(said)
                && let Some(path) = absolute(&path, module, &children[n]).filter(|path| !exported(path))
            {
                imports[n].push(path);
            }
        }
    }
    let defined = |path: &[String]| -> Option<usize> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let (depth, file) = (0..=path.len()).rev().find_map(|depth| Some((depth, index(&path[..depth])?)))?;
            let next = path.get(depth).and_then(|item| {
                exports[file].iter().find(|export| export.last() == Some(item) && export[..] != path[..=depth])
            });
            match next {
                Some(export) => path = [export, &path[depth + 1..]].concat(),
                None => return Some(file),
            }
        }
        None
    };
    let arrows: Vec<Vec<usize>> = imports
        .iter()
        .enumerate()
        .map(|(n, paths)| {
            let mut to: Vec<usize> = paths.iter().filter_map(|path| defined(path)).filter(|file| *file != n).collect();
            to.sort_unstable();
            to.dedup();
            to
        })
        .collect();
    let reachable = |from: usize| {
        let (mut seen, mut open) = (vec![false; modules.len()], arrows[from].clone());
        while let Some(file) = open.pop() {
            if !std::mem::replace(&mut seen[file], true) {
                open.extend(&arrows[file]);
            }
        }
        seen
    };
    let reach: Vec<Vec<bool>> = (0..modules.len()).map(reachable).collect();
    let mut circles = Vec::new();
    for (n, reached) in reach.iter().enumerate() {
        let circle: Vec<usize> = (0..modules.len()).filter(|&m| reached[m] && reach[m][n]).collect();
        if circle.first() == Some(&n) {
            let arrows =
                circle.iter().flat_map(|&a| arrows[a].iter().filter(|b| circle.contains(b)).map(move |&b| (a, b)));
            circles.push(arrows.map(|(a, b)| format!("{} → {}", modules[a].0, modules[b].0)).collect::<Vec<_>>());
        }
    }
    assert!(
        circles.is_empty(),
        "{} circles of imports:\n{}",
        circles.len(),
        circles.iter().map(|c| c.join("\n")).collect::<Vec<_>>().join("\n\n")
    );
}

/// Lines of code that a reader would call written twice: no imports, attributes, blank lines or lone brackets.
fn telling(lines: &[(usize, String)]) -> Vec<(usize, &str)> {
    let mut inside_use = false;
    let keep = |line: &str| {
        let starts = line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "));
        let import = inside_use || starts;
        inside_use = import && !line.ends_with(';');
        !import && !line.starts_with("#[") && line.chars().any(char::is_alphanumeric)
    };
    let mut keep = keep;
    lines.iter().map(|(n, line)| (*n, line.as_str())).filter(|(_, line)| keep(line)).collect()
}

#[test]
fn no_run_of_ten_lines_stands_twice() {
    const RUN: usize = 10;
    let mut seen = std::collections::HashMap::new();
    let mut twice = Vec::new();
    for (_, file, lines) in &code() {
        for run in telling(lines).windows(RUN) {
            let text: Vec<&str> = run.iter().map(|(_, line)| *line).collect();
            let here = format!("src/{file}:{}", run[0].0);
            if let Some(there) = seen.insert(text, here.clone()) {
                twice.push(format!("{there} and {here}"));
            }
        }
    }
    assert!(twice.is_empty(), "ten lines stand twice:\n{}", twice.join("\n"));
}

/// Openings of doc comments that do not say what the item is or does.
const RIDDLES: &[&str] =
    &["What ", "Whether ", "So many ", "The same ", "Nothing ", "How ", "Where ", "Who ", "Whoever ", "Whatever "];

/// Identifiers of the first version's private language.
const BANNED_NAMES: &[&str] = &[
    "turn",
    "strip",
    "widest",
    "larger_first",
    "if_below",
    "meets",
    "plainly",
    "handed_on",
    "detour",
    "settle",
    "told",
    "spent",
    "unrolled",
    "alike",
    "rounds",
    "subject",
    "beside",
    "sofar",
    "so_far",
    "slant",
    "nearest",
    "curve",
    "Coming",
    "Twice",
    "Halves",
    "Wide",
    "Strip",
    "Cut",
    "Belt",
    "Spare",
    "Spot",
    "SoFar",
    "Slant",
    "Via",
    "Fed",
    "Excerpt",
    "Held",
    "Beside",
    "Ladder",
    "Near",
    "Doubled",
    "Fault",
    "Bundle",
    "Instructions",
];

#[test]
fn names_and_comments_are_the_fields_words() {
    let folders = ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"];
    let mut found = Vec::new();
    for path in folders.iter().flat_map(|folder| files(&root().join(folder))).filter(|path| !path.ends_with("tidy.rs"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let mut doc = "";
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            let (before, marker) = (doc, ["///", "//!"].into_iter().find(|marker| line.starts_with(marker)));
            doc = marker.unwrap_or("");
            if let (Some(marker), true) = (marker, before.is_empty()) {
                let opening = line.trim_start_matches(marker).trim_start();
                if RIDDLES.iter().any(|riddle| opening.starts_with(riddle)) {
                    found.push(format!("{shown}:{}: {line}", n + 1));
                }
            }
            if marker.is_some() {
                continue;
            }
            // An item's name follows one of these words; a field's or argument's stands before a colon.
            let code = line.split("//").next().unwrap().split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
            let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for word in words.iter().filter(|word| BANNED_NAMES.contains(word)) {
                found.push(format!("{shown}:{}: {word}", n + 1));
            }
            const ITEMS: &[&str] = &["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
            const BARE: &[&str] = &["of", "whole", "parts", "all", "made", "given", "said", "wanted", "know", "look"];
            for pair in words.windows(2).filter(|pair| ITEMS.contains(&pair[0]) && BARE.contains(&pair[1])) {
                found.push(format!("{shown}:{}: {}", n + 1, pair.join(" ")));
            }
        }
    }
    assert!(found.is_empty(), "{} names or comments:\n{}", found.len(), found.join("\n"));
}
