//! Batches that are computed a block of rows at a time give the bytes that they give in memory. The debug builds that tests run
//! read files in chunks from 1 MB on, in chunks of 8192 elements.

use crate::broadcast;
use crate::losses;
use crate::pointwise;
use crate::rearrange;
use crate::support::{folder, nnlayer, numbers};
use crate::windows;
use ndarray::ArrayD;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::npz::Npz;
use nnlayer::format::{Format, Source};
use nnlayer::layer::{LAYERS, LayerSpec, Precision, Settings, compute};
use nnlayer::report::{Digits, format_array};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The header of a .npy file of doubles; a vector where there are no columns.
fn npy_header(shape: [usize; 2], big_endian: bool) -> Vec<u8> {
    let order = if big_endian { ">f8" } else { "<f8" };
    let shape_text = if shape[1] == 0 { format!("({},)", shape[0]) } else { format!("({}, {})", shape[0], shape[1]) };
    let dict = format!("{{'descr': '{order}', 'fortran_order': False, 'shape': {shape_text}, }}");
    [&b"\x93NUMPY\x01\x00\x76\x00"[..], format!("{dict:117}\n").as_bytes()].concat()
}

/// Writes a .npy file whose entry `n` is `number(n)`.
fn npy(path: &Path, shape: [usize; 2], big_endian: bool, number: impl Fn(usize) -> f64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(&npy_header(shape, big_endian)).unwrap();
    for n in 0..shape[0] * shape[1].max(1) {
        let number = number(n);
        file.write_all(&if big_endian { number.to_be_bytes() } else { number.to_le_bytes() }).unwrap();
    }
}

/// Returns entry `n` of an array of different numbers, whose sums are not exact.
fn inexact(n: usize) -> f64 {
    0.1 * ((n * 2_654_435_761) % 1009) as f64 - 50.0
}

#[test]
fn a_large_batch_gives_the_same_bytes_as_its_rows_do_in_memory() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Just above what is computed at once.
    let (rows, columns) = (1100, 128);
    npy(&folder.path().join("x.npy"), [rows, columns], false, inexact);
    npy(&folder.path().join("dout.npy"), [rows, 3], true, |n| inexact(n + 7));
    npy(&folder.path().join("t.npy"), [rows, 0], false, |n| (n % columns) as f64);
    npy(&folder.path().join("w.npy"), [columns, 3], false, |n| inexact(n + 3));
    let x = path("x.npy");
    // Standard input has no rows to read: x comes from memory.
    let through = |args: &[&str], out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
        let file = std::fs::File::open(&x).unwrap();
        let ran = command.args(args).args(["--x", "-", "--out", out]).stdin(file).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stderr).unwrap()
    };
    npy(&folder.path().join("weight.npy"), [columns, 0], false, |n| 0.1 + (n % 7) as f64);
    let (t, weight) = (path("t.npy"), path("weight.npy"));
    let mean = ["softmax-xent", "--t", &t, "--reduction", "mean", "--weight", &weight, "--ignore-index", "5"];
    for args in [
        &["affine", "--w", &path("w.npy"), "--b", "1,2,3", "--dout", &path("dout.npy"), "--only", "y,dx,dw"][..],
        &["relu", "--precision", "exact", "--only", "dx"],
        &["softmax", "--only", "y"],
        &["softmax-xent", "--t", &path("t.npy"), "--reduction", "none"],
        &[&mean[..], &["--only", "y,divisor,dx"]].concat(),
    ] {
        let (here, there) = (path("here.npz"), path("there.npz"));
        nnlayer(&[args, &["--x", &x, "--out", &here]].concat()).quiet();
        assert_eq!(through(args, &there), "");
        assert!(std::fs::read(here).unwrap() == std::fs::read(there).unwrap(), "{args:?}");
    }
    let (here, there) = (path("here.npy"), path("there.npy"));
    nnlayer(&["relu", "--forward", "--x", &x, "--out", &here]).quiet();
    through(&["relu", "--forward"], &there);
    assert!(std::fs::read(here).unwrap() == std::fs::read(there).unwrap());
    // A loss is rounded once for each block. Sums alone can be printed as text.
    for loss in [&["softmax-xent", "--t", &t][..], &mean] {
        let near = |ran: &str| serde_json::from_str::<serde_json::Value>(ran).unwrap()["loss"].as_f64().unwrap();
        let here = near(nnlayer(&[loss, &["--only", "loss", "--json", "--x", &x]].concat()).quiet());
        through(&[loss, &["--only", "loss"]].concat(), &path("loss.json"));
        let there = near(&std::fs::read_to_string(path("loss.json")).unwrap());
        assert!((here - there).abs() <= 4.0 * f64::EPSILON * there, "{here} {there}");
    }
    let sums = ["affine", "--w", &path("w.npy"), "--b", "0", "--only", "dw,db"];
    let text = nnlayer(&[&sums[..], &["--x", &x]].concat()).quiet().to_owned();
    assert!(text.starts_with("dout = ones") && text.contains("db = Σ_rows dout  (3)\n[1100 1100 1100]"), "{text}");
}

#[test]
fn a_large_batch_of_one_row_keeps_its_upstream_gradient() {
    let folder = folder();
    let (x, w) = (folder.path().join("x.npy"), folder.path().join("w.npy"));
    let inputs = (1 << 17) + 1;
    npy(&x, [1, inputs], false, |_| 1.0);
    npy(&w, [inputs, 1], false, |n| n as f64);
    let (x, w, out) = (x.to_str().unwrap(), w.to_str().unwrap(), folder.path().join("dx.npy"));
    let out = out.to_str().unwrap();
    nnlayer(&["affine", "--x", x, "--w", w, "--dout", "2;", "--only", "dx", "--out", out]).quiet();
    assert_eq!(std::fs::read(out).unwrap().last_chunk(), Some(&(2.0 * (1 << 17) as f64).to_le_bytes()));
}

#[test]
fn a_place_in_a_large_batch_is_that_in_the_whole() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let odd = 1001 * 128 + 5;
    npy(&folder.path().join("x.npy"), [1100, 128], false, |n| if n == odd { f64::INFINITY } else { 0.5 });
    let x = path("x.npy");
    let out = path("y.npz");
    let refused = nnlayer(&["softmax", "--x", &x, "--out", &out]);
    let expected = format!("error: --x {x} [1001,5]: row 1001 contains +inf, for which softmax is undefined\n");
    assert!(refused.refusal().starts_with(&expected), "{}", refused.stderr);
    let refused = nnlayer(&["relu", "--x", &x, "--only", "z", "--out", &out]);
    assert!(refused.refusal().contains("unknown result `z`"), "{}", refused.stderr);
    let refused = nnlayer(&["relu", "--x", &x, "--out", &path("y.npy")]);
    assert!(refused.refusal().contains(".npy holds one array, but there are 2 results: y, dx"), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "an incomplete file remains");
}

/// An operand, and the file of its name that holds it.
fn operand(folder: &Path, name: &str, shape: &[usize], number: impl Fn(usize) -> f64) -> ArrayD<f64> {
    let sides = [shape[0], shape.get(1).copied().unwrap_or(0)];
    npy(&folder.join(format!("{name}.npy")), sides, false, &number);
    let numbers = (0..shape.iter().product()).map(number).collect();
    ArrayD::from_shape_vec(shape, numbers).unwrap()
}

#[test]
fn blocks_of_operands_in_memory_give_what_all_at_once_gives() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // A little more than a chunk of rows.
    let (rows, columns, outputs) = (100, 100, 3);
    let at: Tensors<f64> = [
        (Name::X, operand(folder.path(), "x", &[rows, columns], inexact)),
        (Name::Y, operand(folder.path(), "y", &[rows, columns], |n| (inexact(n) + 50.1) / 2000.0)),
        (Name::W, operand(folder.path(), "w", &[columns, outputs], |n| inexact(n + 3))),
        (Name::B, operand(folder.path(), "b", &[outputs], inexact)),
        (Name::new("gamma"), operand(folder.path(), "gamma", &[columns], |n| inexact(n + 11))),
        (Name::new("beta"), operand(folder.path(), "beta", &[columns], |n| inexact(n + 13))),
        (Name::T, operand(folder.path(), "t", &[rows], |n| (n % columns) as f64)),
    ]
    .into_iter()
    .collect();
    let douts = [columns, outputs].map(|width| {
        let name = format!("dout{width}");
        (path(&format!("{name}.npy")), operand(folder.path(), &name, &[rows, width], |n| inexact(n + 5)))
    });
    let dense = operand(folder.path(), "dense", &[rows, columns], |n| inexact(n + 7));
    // The rows of a table of functions are computed by the same code, and layers of several inputs at once.
    let others = [&broadcast::LAYERS[..], &rearrange::LAYERS, &["matmul", "glu"], &windows::LAYERS].concat();
    let tables = [&pointwise::LAYERS[1..], &losses::LAYERS[1..], &others].concat();
    let has_operands = |spec: &LayerSpec| spec.slots.iter().all(|slot| slot.optional || at.get(&slot.name).is_some());
    for spec in LAYERS.iter().filter(|spec| !tables.contains(&spec.name) && has_operands(spec)) {
        let mut given: Vec<String> = vec![spec.name.to_owned()];
        let mut at = at.clone();
        if losses::LAYERS.contains(&spec.name) {
            at.insert(Name::T, dense.clone());
        }
        at.retain(|name| spec.slots.iter().any(|slot| slot.name == *name));
        for slot in spec.slots.iter().filter(|slot| at.get(&slot.name).is_some()) {
            let name = if at.get(&slot.name) == Some(&dense) { "dense" } else { slot.name.as_str() };
            given.extend([format!("--{}", slot.name), path(&format!("{name}.npy"))]);
        }
        let dout = if spec.is_loss() { None } else { Some(&douts[usize::from(spec.name == "affine")]) };
        given.extend(dout.iter().flat_map(|(path, _)| ["--dout".to_owned(), path.clone()]));
        let run = |more: &[&str]| {
            let ran = nnlayer(&[&given.iter().map(String::as_str).collect::<Vec<_>>(), more].concat());
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            ran
        };
        let layer = (spec.build)(&Settings::default()).unwrap();
        let one = ndarray::arr0(1.0).into_dyn();
        // Blocks of exact numbers are the same code for every layer, and slow without optimization.
        let is_exact_too = ["affine", "softmax-xent"].contains(&spec.name);
        let exact = is_exact_too.then_some(Precision::Exact);
        for precision in [Precision::F64, Precision::F32].into_iter().chain(exact) {
            let whole = compute(layer.as_ref(), &at, Some(dout.map_or(&one, |(_, dout)| dout)), precision);
            let whole: Vec<(Name, ArrayD<f64>)> = whole.results.into_iter().chain(whole.gradients).collect();
            let words = ["--precision", precision.name()];
            run(&[&words[..], &["--out", &path("all.npz")]].concat());
            let bytes = std::fs::read(path("all.npz")).unwrap();
            let found = Npz.read_all_arrays(Source::bytes("all.npz", &bytes)).unwrap();
            let json = run(&[&words[..], &["--json"]].concat()).json();
            let text = (precision == Precision::F64).then(|| run(&words));
            assert_eq!(found.len(), whole.len(), "{}", spec.name);
            for ((name, whole), found) in whole.iter().zip(found) {
                let what = format!("{} {name} in {}", spec.name, precision.name());
                assert_eq!((found.pointer.as_str(), found.value.shape()), (name.as_str(), whole.shape()), "{what}");
                // Sums over the rows are added block after block, but for exact ones.
                let is_sum = *name == Name::LOSS || spec.is_parameter_gradient(name);
                let sums = is_sum && precision != Precision::Exact;
                let unit = if precision == Precision::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
                let largest = whole.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
                let near = |a: f64, b: f64| (a - b).abs() <= if sums { 16.0 * unit * largest } else { 0.0 };
                assert!(found.value.iter().zip(whole).all(|(&a, &b)| near(a, b)), "{what}");
                assert_eq!(numbers(&json[name.as_str()]), found.value.iter().copied().collect::<Vec<_>>(), "{what}");
                if let Some(text) = &text {
                    let expected = format!("{}\n", format_array(&found.value, Digits::default()));
                    assert!(text.text().contains(&expected), "{what}:\n{}", text.text());
                }
            }
        }
        let only = if spec.is_loss() { "dx" } else { "y" };
        run(&["--only", only, "--out", &path("one.csv")]);
        let (csv, json) = (path("one.csv"), path("one.json"));
        run(&["--only", only, "--out", &json]);
        nnlayer(&["compare", &csv, &format!("{json}#{only}"), "--rtol", "0", "--atol", "0"]).quiet();
        run(&["--only", only, "--pretty"]);
    }
}

/// Returns the results of a loss layer in memory, and those of the command on the same operands in files, in chunks.
fn losses(folder: &Path, layer: &str, words: &[&str], at: &Tensors<f64>) -> [Vec<(Name, ArrayD<f64>)>; 2] {
    let spec = nnlayer::layer::find(layer).unwrap();
    let mut settings = Settings::default();
    for pair in words.chunks(2) {
        let setting = spec.settings.iter().find(|setting| pair[0] == format!("--{}", setting.name));
        setting.iter().for_each(|setting| settings.set(setting.name, setting.parse(pair[1]).unwrap()));
    }
    let precision = if words.contains(&"f32") { Precision::F32 } else { Precision::F64 };
    let shape = if words.contains(&"none") { vec![at.known(&Name::T).len()] } else { vec![] };
    let dout = ArrayD::from_elem(shape, 2.5);
    let whole = compute((spec.build)(&settings).unwrap().as_ref(), at, Some(&dout), precision);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let files = at.names().flat_map(|name| [format!("--{name}"), path(&format!("{name}.npy"))]);
    let files: Vec<String> = files.collect();
    let words = [&[layer, "--dout", "2.5", "--out", &path("out.npz")], words];
    nnlayer(&[&words.concat()[..], &files.iter().map(String::as_str).collect::<Vec<_>>()].concat()).quiet();
    let bytes = std::fs::read(folder.join("out.npz")).unwrap();
    let found = Npz.read_all_arrays(Source::bytes("out.npz", &bytes)).unwrap();
    let found = found.into_iter().map(|found| (Name::new(found.pointer), found.value)).collect();
    [whole.results.into_iter().chain(whole.gradients).collect(), found]
}

#[test]
fn a_mean_over_blocks_divides_by_what_all_rows_make_the_divisor() {
    let folder = folder();
    let (rows, columns) = (420, 200);
    let x = operand(folder.path(), "x", &[rows, columns], |n| inexact(n) / 9.0);
    let y = operand(folder.path(), "y", &[rows, columns], |_| 1.0 / 200.0);
    // Classes 0 to 3 for the first 300 rows, so that there are whole blocks of rows that count for nothing.
    let t = operand(folder.path(), "t", &[rows], |n| if n < 300 { (n % 4) as f64 } else { 7.0 });
    let weight = operand(folder.path(), "weight", &[columns], |n| 0.1 + (n % 3) as f64);
    let logits = Tensors::new().with(Name::X, x).with(Name::T, t.clone());
    let weighted = logits.clone().with(Name::WEIGHT, weight);
    let probabilities = Tensors::new().with(Name::Y, y).with(Name::T, t);
    for (layer, words, at) in [
        ("softmax-xent", &["--reduction", "mean"][..], &logits),
        ("softmax-xent", &["--reduction", "mean", "--ignore-index", "7", "--label-smoothing", "0.1"], &weighted),
        ("softmax-xent", &["--reduction", "mean", "--ignore-index", "7", "--precision", "f32"], &weighted),
        ("softmax-xent", &["--reduction", "none", "--ignore-index", "7", "--label-smoothing", "0.1"], &weighted),
        ("xent", &["--reduction", "mean"], &probabilities),
        ("xent", &["--reduction", "mean", "--precision", "f32"], &probabilities),
    ] {
        let [whole, blocks] = losses(folder.path(), layer, words, at);
        assert!(whole.iter().map(|(name, _)| name).eq(blocks.iter().map(|(name, _)| name)), "{layer} {words:?}");
        // Single precision adds row after row.
        let most = if words.contains(&"f32") { rows as f64 * f64::from(f32::EPSILON) } else { 8.0 * f64::EPSILON };
        for ((name, whole), (_, found)) in whole.iter().zip(&blocks) {
            let near = |a: f64, b: f64| (a - b).abs() <= if whole.ndim() == 0 { most * b.abs() } else { 0.0 };
            let same = if *name == Name::DIVISOR {
                whole == found
            } else {
                whole.iter().zip(found).all(|(&a, &b)| near(a, b))
            };
            assert!(same && whole.shape() == found.shape(), "{layer} {words:?} {name}: {whole} {found}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_no_file_behind() {
    use crate::signals::{send, signals};
    use std::os::unix::process::ExitStatusExt;
    let folder = folder();
    // A sparse file of 4 GB of zeros: no machine is done with it before the signal comes. ReLU writes from the first rows on.
    let shape = [1 << 22, 128];
    let header = npy_header(shape, false);
    let mut file = std::fs::File::create(folder.path().join("x.npy")).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((header.len() + 8 * shape[0] * shape[1]) as u64).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnlayer"));
    command.args(["relu", "--x", "x.npy", "--out", "y.npz"]).current_dir(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let names = || -> Vec<String> {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    while names().len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it was done before it began to write");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let signal = signals().next().unwrap();
    send(&child, signal);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.signal(), ended.stderr), (Some(signal.as_raw()), vec![]));
    assert_eq!(names(), ["x.npy"]);
}
