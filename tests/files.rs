//! Files as other programs write them: `fixtures/files/make.py`.

use crate::support::{fixture, folder, nnlayer, piped, python_with_numpy, shell_in};

/// Compares a file with the array that NumPy saved, without a tolerance.
#[track_caller]
fn assert_same(file: &str, expected: &str, options: &[&str]) {
    let (path, expected) = (fixture(&format!("files/{file}")), fixture(&format!("files/{expected}.npy")));
    let ran = nnlayer(&[&["compare", &path, &expected, "--rtol", "0", "--atol", "0"], options].concat());
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{file}\n{}", ran.text());
}

#[test]
fn idx_files_of_every_type_and_rank_are_read() {
    for name in ["i1", "i2", "i4", "f4", "f8"] {
        assert_same(&format!("{name}.idx"), name, &[]);
    }
    assert_same("train-labels-idx1-ubyte", "labels", &[]);
    assert_same("train-labels-idx1-ubyte.gz", "labels", &[]);
    assert_same("train-images-idx3-ubyte.gz", "images", &[]);
}

#[test]
fn tables_of_other_programs_are_read() {
    assert_same("table.txt", "table", &[]);
    assert_same("table.txt", "table", &["--header"]);
    assert_same("savetxt.csv", "table", &["--header"]);
    assert_same("quoted.csv#\"height, cm\",\"the \"\"weight\"\"\",age", "table", &["--header"]);
    let all = nnlayer(&["relu", "--x", &fixture("files/table.txt#weight"), "--header", "--forward", "--json"]);
    assert_eq!(
        all.quiet(),
        "{\"y\":[86.36356875773235,5.150002365371558e-6,0.13016413204379318,9.876836929710127e-6]}\n"
    );
}

#[test]
fn compressed_files_are_read_whatever_their_format() {
    for (file, options) in [
        ("table.txt.gz", &[][..]),
        ("table.npy.gz", &[]),
        ("quoted.csv.gz#\"height, cm\",\"the \"\"weight\"\"\",age", &["--header"]),
    ] {
        assert_same(file, "table", options);
        let (path, selector) =
            file.split_once('#').map_or((file, String::new()), |(path, select)| (path, format!("#{select}")));
        let bytes = std::fs::read(fixture(&format!("files/{path}"))).unwrap();
        let (from, expected) = (format!("-{selector}"), fixture("files/table.npy"));
        let format: &[&str] = if path.contains("quoted") { &["--in-format", "csv"] } else { &[] };
        let arguments = ["compare", from.as_str(), &expected, "--rtol", "0", "--atol", "0"];
        piped(&bytes, &[&arguments, options, format].concat()).quiet();
    }
    // Errors have the places of the content.
    let folder = folder();
    let path = folder.path().join("t.csv.gz");
    let bytes = std::fs::read(fixture("files/quoted.csv.gz")).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let ran = nnlayer(&["relu", "--x", path.to_str().unwrap(), "--header"]);
    assert!(ran.refusal().contains("t.csv.gz:2:1: the cell \"row\\n0, of 4\" is not a number"), "{}", ran.stderr);
    for (damage, found) in [(60, "ends"), (0, "is invalid")] {
        let mut bytes = bytes.clone();
        match damage {
            0 => bytes[40] ^= 0xff,
            length => bytes.truncate(length),
        }
        std::fs::write(&path, bytes).unwrap();
        let ran = nnlayer(&["relu", "--x", path.to_str().unwrap(), "--header"]);
        assert!(ran.refusal().contains(&format!("its gzip data {found} after ")), "{}", ran.stderr);
    }
}

#[test]
fn records_are_read_from_a_compressed_file() {
    let folder = folder();
    let path = folder.path().join("r.ndjson.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"{\"x\":[1,-2]}\n{\"x\":[3]}\n").unwrap();
    let bytes = gzip.finish().unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let expected = "{\"y\":[1,0.0]}\n{\"y\":[3]}\n";
    let read = |ran: crate::support::RunOutput| ran.quiet().replace("1.0", "1").replace("3.0", "3");
    assert_eq!(read(nnlayer(&["relu", "--ndjson", path.to_str().unwrap(), "--forward"])), expected);
    assert_eq!(read(piped(&bytes, &["relu", "--ndjson", "--forward"])), expected);
}

#[test]
fn files_of_other_programs_are_named_and_converted_by_their_tips() {
    let folder = folder();
    for (name, noun, modules) in [
        ("model.onnx", "an ONNX model", "numpy, onnx"),
        ("weights.mat", "a MATLAB file", "numpy, scipy.io"),
        ("weights.pkl", "a Python pickle, which runs programs when it is loaded", "numpy"),
        ("image.png", "a PNG image", "numpy, PIL.Image"),
    ] {
        std::fs::copy(fixture(&format!("files/{name}")), folder.path().join(name)).unwrap();
        let ran = shell_in(folder.path(), &format!("nnlayer relu --x {name}"));
        assert!(ran.refusal().contains(&format!("{name}: is {noun}, not an array")), "{}", ran.stderr);
        let command = ran.stderr.split('`').nth(1).unwrap();
        let has_modules = || shell_in(folder.path(), &format!("python3 -c 'import {modules}'")).status == 0;
        if python_with_numpy() != Some("python3") || !has_modules() {
            continue;
        }
        assert_eq!(shell_in(folder.path(), command).status, 0, "{command}");
        let converted = command.rsplit(' ').next().unwrap();
        let expected = fixture(if name == "image.png" { "files/pixels.npy" } else { "files/weights.npy" });
        shell_in(folder.path(), &format!("nnlayer compare {converted} {expected} --rtol 0 --atol 0")).quiet();
    }
}
