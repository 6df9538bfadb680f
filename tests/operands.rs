//! Every form of every operand of every command gives the same result.

use crate::losses;
use crate::support::{file, folder, nnlayer, piped};
use crate::windows;
use nnlayer::core::name::Name;
use nnlayer::layer::{LAYERS, LayerSpec};
use std::path::Path;

/// Returns an operand that the layer accepts, with negative numbers if they are meaningful.
fn example(layer: &str, operand: &Name) -> Vec<Vec<f64>> {
    match (layer, operand.as_str()) {
        ("affine", "x") => vec![vec![-1.0, 2.0], vec![-0.5, 4.0]],
        ("affine", "w") => vec![vec![-1.5, 2.0, 0.25], vec![3.0, -4.0, 5.0]],
        ("affine", "b") => vec![vec![-1.0, 0.5, 2.0]],
        ("affine", "dout") => vec![vec![-1.0, 0.0, 1.0], vec![2.0, 0.5, -3.0]],
        ("reshape", "dout") => vec![vec![-1.0, 2.0, -0.5, 4.0]],
        ("concat", "dout") => (0..16).map(|n| vec![f64::from(n) - 8.0, 0.5]).collect(),
        ("embedding", "ids") | ("rope", "positions") => vec![vec![1.0, 0.0]],
        ("rope", "x" | "dout") => vec![vec![-1.0, 2.0, -0.5, 4.0], vec![3.0, 0.5, -2.0, 1.0]],
        ("dropout", "mask") => vec![vec![1.0, 0.0], vec![0.0, 1.0]],
        (_, "y" | "t") => vec![vec![0.25, 0.75], vec![0.5, 0.5]],
        (_, "weight" | "pos-weight" | "gamma" | "beta" | "mean" | "var") => vec![vec![0.5, 2.0]],
        ("xent" | "softmax-xent" | "nll", "dout") => vec![vec![-2.0]],
        (loss, "dout") if losses::LAYERS.contains(&loss) => vec![vec![-2.0]],
        _ => vec![vec![-1.0, 2.0], vec![-0.5, 4.0]],
    }
}

/// Returns the operands of a layer that may be given together, and dout.
fn names_of(spec: &LayerSpec) -> Vec<Name> {
    let names = spec.slots.iter().map(|slot| slot.name.clone()).filter(|name| !name.as_str().starts_with("running"));
    names.chain([Name::DOUT]).collect()
}

/// Returns the rank of the operand in `example`.
fn rank(layer: &str, operand: &Name) -> usize {
    match (layer, operand.as_str()) {
        (_, "b" | "weight" | "pos-weight" | "gamma" | "beta" | "mean" | "var" | "ids" | "positions")
        | ("reshape", "dout") => 1,
        ("xent" | "softmax-xent" | "nll", "dout") => 0,
        (loss, "dout") if losses::LAYERS.contains(&loss) => 0,
        _ => 2,
    }
}

fn literal(rows: &[Vec<f64>]) -> String {
    let row = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    rows.iter().map(row).collect::<Vec<_>>().join(";")
}

fn json(rows: &[Vec<f64>], rank: usize) -> String {
    match rank {
        0 => rows[0][0].to_string(),
        1 => format!("{:?}", rows[0]),
        _ => format!("{rows:?}"),
    }
}

/// Returns a `.npy` file in Fortran order, big-endian: unusual but valid.
fn npy(rows: &[Vec<f64>], rank: usize) -> Vec<u8> {
    let shape = match rank {
        0 => "()".to_owned(),
        1 => format!("({},)", rows[0].len()),
        _ => format!("({}, {})", rows.len(), rows[0].len()),
    };
    let header = format!("{{'descr': '>f8', 'fortran_order': True, 'shape': {shape}, }}\n");
    let columns = (0..rows[0].len()).flat_map(|k| rows.iter().map(move |row| row[k].to_be_bytes())).flatten();
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &columns.collect::<Vec<u8>>()].concat()
}

fn safetensors(name: &str, rows: &[Vec<f64>], rank: usize) -> Vec<u8> {
    let shape = [rows.len(), rows[0].len()];
    let data: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    let header = format!(
        "{{\"{name}\":{{\"dtype\":\"F64\",\"shape\":{:?},\"data_offsets\":[0,{}]}}}}",
        &shape[2 - rank..],
        data.len()
    );
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn csv(rows: &[Vec<f64>], rank: usize) -> String {
    let lines = if rank < 2 {
        rows[0].iter().map(f64::to_string).collect()
    } else {
        literal(rows).split(';').map(str::to_owned).collect::<Vec<_>>()
    };
    lines.join("\r\n") + "\n"
}

/// Writes the files that a form needs; returns the option's text and standard input.
fn form(kind: &str, name: &Name, rows: &[Vec<f64>], rank: usize, folder: &Path) -> Option<(String, Vec<u8>)> {
    let file = |extension: &str, bytes: Vec<u8>| {
        let path = folder.join(format!("{name}.{extension}"));
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let nested = format!("{{\"list\":[{{\"{name}\":{}}}],\"{name}\":{}}}", json(rows, rank), json(rows, rank));
    let text = match kind {
        "literal" => literal(rows),
        "blanks" => literal(rows).replace(',', " "),
        "JSON" if rank > 0 => json(rows, rank),
        "file.json" => file("json", json(rows, rank).into()),
        "file.json of names" => file("json", nested.into()),
        "file.json#pointer" => file("json", nested.into()) + &format!("#/list/0/{name}"),
        "file.json#key" => file("json", nested.into()) + &format!("#{name}"),
        "@file" => format!("@{}", file("json", json(rows, rank).into())),
        "unknown extension" => file("dat", npy(rows, rank)),
        "file.npy" => file("npy", npy(rows, rank)),
        "file.safetensors" => file("safetensors", safetensors(name.as_str(), rows, rank)),
        "file.csv" if rank > 0 => file("csv", csv(rows, rank).into()),
        "file.tsv" if rank > 0 => file("tsv", csv(rows, rank).replace(',', "\t").into()),
        "-" => return Some(("-".to_owned(), json(rows, rank).into())),
        "- literal" => return Some(("-".to_owned(), literal(rows).into())),
        "- .npy" => return Some(("-".to_owned(), npy(rows, rank))),
        "- .safetensors" => return Some(("-".to_owned(), safetensors(name.as_str(), rows, rank))),
        "@-" => return Some(("@-".to_owned(), literal(rows).into())),
        "-#/pointer" => return Some((format!("-#/list/0/{name}"), nested.into())),
        "-#key" => return Some((format!("-#{name}"), nested.into())),
        _ => return None,
    };
    Some((text, Vec::new()))
}

const FORMS: &[&str] = &[
    "literal",
    "blanks",
    "JSON",
    "file.json",
    "file.json of names",
    "file.json#pointer",
    "file.json#key",
    "@file",
    "unknown extension",
    "file.npy",
    "file.npz",
    "file.safetensors",
    "file.csv",
    "file.tsv",
    "-",
    "- literal",
    "- .npy",
    "- .npz",
    "- .safetensors",
    "@-",
    "-#/pointer",
    "-#key",
];

#[test]
fn every_form_of_every_operand_gives_the_same_bytes() {
    let mut tried = 0;
    for spec in LAYERS.iter().filter(|spec| !windows::LAYERS.contains(&spec.name)) {
        let names: Vec<Name> = names_of(spec);
        let plain: Vec<(String, String)> = names
            .iter()
            .map(|name| (format!("--{name}"), json(&example(spec.name, name), rank(spec.name, name))))
            .collect();
        for under_test in &names {
            let (rows, rank) = (example(spec.name, under_test), rank(spec.name, under_test));
            for kind in FORMS {
                let folder = folder();
                let Some((text, stdin)) = form_or_npz(kind, under_test, &rows, rank, folder.path()) else { continue };
                let run = |own: &str, stdin: &[u8]| {
                    let mut args = vec![spec.name, "--json"];
                    for (name, (option, value)) in names.iter().zip(&plain) {
                        args.extend([option.as_str(), if name == under_test { own } else { value.as_str() }]);
                    }
                    if stdin.is_empty() { nnlayer(&args) } else { piped(stdin, &args) }
                };
                // The reference is the operand in a JSON file, because a typed scalar dout of affine has another meaning.
                let file = folder.path().join("reference.json");
                std::fs::write(&file, json(&rows, rank)).unwrap();
                let want = run(file.to_str().unwrap(), &[]);
                let got = run(&text, &stdin);
                let shown = format!("{} --{under_test} as {kind}: {text}\n{}", spec.name, got.stderr);
                assert_eq!(got.status, 0, "{shown}");
                assert_eq!(got.text(), want.text(), "{shown}");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

fn form_or_npz(kind: &str, name: &Name, rows: &[Vec<f64>], rank: usize, folder: &Path) -> Option<(String, Vec<u8>)> {
    let bytes = || {
        // The archive is written by nnlayer's own writer, whose bytes other tests compare with NumPy's.
        let value = ndarray::Array::from_iter(rows.iter().flatten().copied());
        let shape = [rows.len(), rows[0].len()];
        let value = value.into_shape_with_order(ndarray::IxDyn(&shape[2 - rank..])).unwrap();
        let mut bytes = Vec::new();
        let format = nnlayer::format::find_by_extension("npz").unwrap();
        let values = nnlayer::core::tensors::Tensors::new().with(name.clone(), value);
        format
            .write(&mut nnlayer::format::InMemoryArrays::from(&values), nnlayer::format::OutputDtype::F64, &mut bytes)
            .unwrap();
        bytes
    };
    match kind {
        "file.npz" => {
            let path = folder.join("all.npz");
            std::fs::write(&path, bytes()).unwrap();
            Some((format!("{}#{name}", path.to_str().unwrap()), Vec::new()))
        }
        "- .npz" => Some(("-".to_owned(), bytes())),
        _ => form(kind, name, rows, rank, folder),
    }
}

#[test]
fn one_piped_object_provides_every_operand_of_every_command() {
    for spec in LAYERS.iter().filter(|spec| !windows::LAYERS.contains(&spec.name)) {
        let names: Vec<Name> = names_of(spec);
        let value = |name: &Name| json(&example(spec.name, name), rank(spec.name, name));
        let object = names.iter().map(|name| format!("\"{name}\":{}", value(name))).collect::<Vec<_>>().join(",");
        let bare = piped(format!("{{{object}}}"), &[spec.name, "--json"]);
        let mut args = vec![spec.name.to_owned(), "--json".to_owned()];
        for name in &names {
            args.extend([format!("--{name}"), format!("-#{name}")]);
        }
        let named = piped(format!("{{{object}}}"), &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(bare.status, 0, "{}: {}", spec.name, bare.stderr);
        assert_eq!(bare.text(), named.text(), "{}", spec.name);
    }
}

#[test]
fn literals_are_read_as_documented() {
    for (text, values) in [
        ("1e5,+1,.5,5.", "[100000.0,1.0,0.5,5.0]"),
        ("-1,-.5,-1e-3", "[-1.0,-0.5,-0.001]"),
        ("1 2  3", "[1.0,2.0,3.0]"),
        ("1, 2 ,3", "[1.0,2.0,3.0]"),
        ("-0,0", "[-0.0,0.0]"),
        ("1;2\n", "[[1.0],[2.0]]"),
        ("1\n2", "[[1.0],[2.0]]"),
        ("1,2;", "[[1.0,2.0]]"),
        ("[9007199254740993, 1e-400]", "[9007199254740992.0,0.0]"),
    ] {
        let ran = nnlayer(&["affine", "--x", "[1]", "--w", "[[1]]", "--dout", "ones", "--forward"]);
        assert_eq!(ran.status, 2, "--forward and --dout do not go together");
        let read =
            nnlayer::operand::OperandReader::new(nnlayer::operand::stdin::Stdin::new(&mut std::io::empty(), true))
                .read(&Name::X, text, &[])
                .unwrap();
        let mut line = Vec::new();
        nnlayer::format::json::write_object(
            &[],
            &mut nnlayer::format::InMemoryArrays::from(
                &nnlayer::core::tensors::Tensors::new().with(Name::X, read.value.clone()),
            ),
            false,
            &mut line,
        )
        .unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("{{\"x\":{values}}}\n"), "{text}");
    }
}

#[test]
fn options_override_settings_of_a_piped_object() {
    let object = r#"{"x":[[1,2],[3,5]],"axis":0,"log":true,"lr":0.1,"out":"/nowhere/x.json"}"#;
    let piped_in = piped(object, &["softmax", "--forward", "--json"]);
    let said = nnlayer(&["softmax", "--x", "1,2;3,5", "--axis", "0", "--log", "--forward", "--json"]);
    assert_eq!(piped_in.quiet(), said.quiet());
    let overruled = piped(object, &["softmax", "--axis", "1", "--forward", "--json"]);
    let said = nnlayer(&["softmax", "--x", "1,2;3,5", "--log", "--forward", "--json"]);
    assert_eq!(overruled.quiet(), said.quiet());
}

#[test]
fn one_document_provides_several_operands() {
    let folder = folder();
    let path = |name: &str, text: &str| file(folder.path(), name, text);
    let bare = path("bare.json", "[[1,2],[3,4]]");
    let named = path("named.json", r#"{"m":[[1,2],[3,4]],"deep":[{"m":[[1,2],[3,4]]}]}"#);
    let expected =
        "{\"y\":[[7.0,10.0],[15.0,22.0]],\"dx\":[[5.0,11.0],[11.0,25.0]],\"dw\":[[10.0,14.0],[14.0,20.0]]}\n";
    let from = |file: &str| ["affine", "--x", file, "--w", file, "--dout", file, "--json"].map(str::to_owned);
    for file in [bare.clone(), format!("{named}#m"), format!("{named}#/deep/0/m")] {
        let args = from(&file);
        assert_eq!(nnlayer(&args.each_ref().map(String::as_str)).quiet(), expected, "{file}");
    }
    for (text, file) in [(r#"{"m":[[1,2],[3,4]]}"#, "-#/m"), ("[[[1,2],[3,4]]]", "-#/0")] {
        let args = from(file);
        assert_eq!(piped(text, &args.each_ref().map(String::as_str)).quiet(), expected, "{file}");
    }
    // A row of a matrix that another operand has read completely, and the other way round.
    let row = nnlayer(&["affine", "--x", &bare, "--w", &bare, "--b", &format!("{bare}#/0"), "--only", "y", "--json"]);
    assert_eq!(row.quiet(), "{\"y\":[[8.0,12.0],[16.0,24.0]]}\n");
    let same = nnlayer(&["compare", &bare, &format!("{bare}#/0")]);
    assert_eq!((same.status, same.text()), (1, "FAIL shapes differ: a is (2×2), b is (2)\n"));
}
