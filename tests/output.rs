//! Output as text, JSON and files, which is read back bit for bit.

use crate::support::{folder, nnlayer, piped, shell_in};
use ndarray::Array2;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::{FORMATS, InMemoryArrays, OutputDtype, Selector, Source};
use nnlayer::layer::{Precision, Settings, compute, find};
use nnlayer::parallel::progress::with_listener;
use nnlayer::parallel::scope;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Writes numbers as results of x·[[1]], which equals x except for −0.
fn through(args: &[&str], values: &[f64]) -> String {
    let x = format!("[{}]", values.iter().map(|v| format!("[{}]", json(*v))).collect::<Vec<_>>().join(","));
    nnlayer(&[&["affine", "--x", &x, "--w", "[[1]]", "--only", "y"], args].concat()).text().to_owned()
}

fn json(value: f64) -> String {
    match value {
        v if v.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        v => format!("{v:?}"),
    }
}

fn doubles() -> impl Strategy<Value = Vec<f64>> {
    let special = prop::sample::select(vec![
        0.0,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        0.1,
        1e22,
        1e23,
        9007199254740993.0,
    ]);
    let any = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |v| v.is_finite());
    prop::collection::vec(prop_oneof![1 => special, 4 => any], 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn json_to_json_keeps_every_bit(values in doubles()) {
        let written = through(&["--json"], &values);
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        let read = crate::support::numbers(&read["y"]);
        prop_assert!(read.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits() || (*a == 0.0 && *b == 0.0)));
        // Reading this output and writing it again gives the same bytes.
        let again = piped(&written, &["affine", "--w", "[[1]]", "--only", "y", "--json"]);
        prop_assert_eq!(again.text(), written);
    }

    #[test]
    fn npy_to_npy_keeps_every_byte(values in doubles()) {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        prop_assert_eq!(through(&["--out", &path("a.npy")], &values), "");
        let ran = nnlayer(&["affine", "--x", &path("a.npy"), "--w", "[[1]]", "--only", "y", "--out", &path("b.npy")]);
        prop_assert_eq!(ran.quiet(), "");
        prop_assert_eq!(std::fs::read(path("a.npy")).unwrap(), std::fs::read(path("b.npy")).unwrap());
    }

    #[test]
    fn every_file_format_round_trips(values in doubles()) {
        let folder = folder();
        let line = through(&["--json"], &values);
        for name in ["y.json", "y.npz", "y.csv"] {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            through(&["--out", &path], &values);
            let read = nnlayer(&["softmax", "--x", &path, "--axis", "0", "--forward", "--json"]);
            let want = piped(&line, &["softmax", "--axis", "0", "--forward", "--json"]);
            prop_assert_eq!(crate::support::numbers(&read.json()["y"]), crate::support::numbers(&want.json()["y"]));
        }
    }
}

#[test]
fn non_finite_results_are_strings_that_are_read_back() {
    let written = nnlayer(&["xent", "--y", "0,1,nan", "--t", "1,0,0", "--eps", "0", "--json"]);
    assert_eq!(
        written.text(),
        "{\"loss\":\"NaN\",\"dx\":[0.0,1.0,\"NaN\"],\"dy\":[\"-Infinity\",0.0,\"NaN\"]}\n"
            .replace("[0.0,1.0", "[-1.0,1.0")
    );
    let again = piped(&written.stdout, &["affine", "--x", "-#dy", "--w", "1;1;1", "--forward", "--json"]);
    assert_eq!(again.json()["y"][0], "NaN");
}

#[test]
fn single_precision_results_are_written_as_f4() {
    let folder = folder();
    let ran = shell_in(folder.path(), "nnlayer softmax --x 1,2,3 --precision f32 --forward --out y.npy");
    assert_eq!(ran.quiet(), "");
    let bytes = std::fs::read(folder.path().join("y.npy")).unwrap();
    assert!(bytes.windows(5).any(|w| w == b"'<f4'"));
    assert_eq!(bytes.len(), 128 + 3 * 4);
}

#[test]
fn text_is_formatted_like_numpy() {
    let text = |x: &str| {
        nnlayer(&["affine", "--x", x, "--w", "[[1]]", "--only", "y"])
            .text()
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(text("1;-2;30"), "[[ 1]\n [-2]\n [30]]");
    assert_eq!(text("1;0.25"), "[[1.  ]\n [0.25]]");
    assert_eq!(text("1e-5;1"), "[[1.e-05]\n [1.e+00]]");
    assert_eq!(text("1.5;nan;-inf"), "[[ 1.5]\n [ nan]\n [-inf]]");
    assert_eq!(text("0.1234567891;100"), "[[  0.12345679]\n [100.        ]]");
}

#[test]
fn long_results_are_elided_and_json_is_not() {
    let folder = folder();
    let rows: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    std::fs::write(folder.path().join("x.csv"), rows.join("\n")).unwrap();
    let ran = shell_in(folder.path(), "nnlayer affine --x x.csv --w x.csv");
    assert_eq!(ran.status, 2);
    let text = shell_in(folder.path(), "nnlayer softmax --x x.csv --only y");
    assert_eq!(text.text().lines().count(), 2, "{}", text.text());
    assert!(text.text().contains(" ... "), "{}", text.text());
    let json = shell_in(folder.path(), "nnlayer softmax --x x.csv --only y --json").json();
    assert_eq!(json["y"].as_array().unwrap().len(), 2000);
}

#[test]
fn only_selects_and_out_leaves_standard_output_empty() {
    let ran = nnlayer(&["affine", "--x", "1,2", "--w", "1;1", "--b", "1", "--only", "db,y", "--json"]);
    assert_eq!(ran.text(), "{\"y\":[4.0],\"db\":[1.0]}\n");
}

#[test]
fn an_error_leaves_the_old_file_unchanged() {
    let folder = folder();
    std::fs::write(folder.path().join("y.json"), "old").unwrap();
    assert_eq!(shell_in(folder.path(), "nnlayer softmax --x 1,x --out y.json").status, 2);
    assert_eq!(std::fs::read(folder.path().join("y.json")).unwrap(), b"old");
    assert_eq!(shell_in(folder.path(), "nnlayer softmax --x 1,2 --only y --out y.json").quiet(), "");
    assert_eq!(
        std::fs::read(folder.path().join("y.json")).unwrap(),
        b"{\"y\":[0.2689414213699951,0.7310585786300049]}\n"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
}

/// Returns the progress that is reported while `work` runs.
fn heard(work: impl FnOnce()) -> Vec<(String, f64)> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let ear = Rc::clone(&heard);
    with_listener(Some(Rc::new(move |what, part| ear.borrow_mut().push((what.to_owned(), part)))), work);
    heard.take()
}

#[test]
fn progress_of_reading_computing_and_writing_reaches_the_end() {
    // One thread, so that no other test's progress is received.
    let heard = |work: &mut dyn FnMut()| scope::with_thread_limit(1, || heard(work));
    let grows = |of: &str, what: &str, heard: Vec<(String, f64)>| {
        let parts: Vec<f64> = heard.iter().filter(|(word, _)| word == what).map(|(_, part)| *part).collect();
        let (last, before) = (parts[parts.len() - 1], parts[parts.len() - 2]);
        assert!(parts.is_sorted() && parts.len() > 3 && last == 1.0 && before > 0.9, "{of}: {what} {parts:?}");
    };
    let value = Array2::from_shape_fn((1000, 1000), |(n, k)| (n * k) as f64 / 7.0).into_dyn();
    let values = Tensors::new().with(Name::X, value);
    for format in FORMATS.iter().filter(|format| format.can_write()) {
        let mut bytes = Vec::new();
        grows(
            format.name(),
            "writing",
            heard(&mut || format.write(&mut InMemoryArrays::from(&values), OutputDtype::F64, &mut bytes).unwrap()),
        );
        let mut read = || drop(format.read(Source::bytes("x", &bytes), &Selector::Default, &[Name::X]).unwrap());
        grows(format.name(), "reading", heard(&mut read));
    }
    let rows = Array2::from_shape_fn((2000, 100), |(n, k)| (n * k) as f64 / 7.0).into_dyn();
    for (layer, precision) in [("softmax", Precision::Exact), ("relu", Precision::F64)] {
        let at =
            Tensors::new().with(Name::X, if layer == "relu" { values.known(&Name::X).clone() } else { rows.clone() });
        let layer = (find(layer).unwrap().build)(&Settings::default()).unwrap();
        grows("layer", "computing", heard(&mut || drop(compute(layer.as_ref(), &at, None, precision))));
    }
}

#[test]
#[cfg(unix)]
fn a_link_without_a_file_is_refused_and_not_replaced() {
    let folder = folder();
    let links = "ln -s absent.json dangling.json; ln -s loop.json loop.json; ln -s dangling.json twice.json";
    assert_eq!(shell_in(folder.path(), links).quiet(), "");
    for (name, why) in [
        ("dangling.json", "is a symbolic link to a file that does not exist"),
        ("twice.json", "is a symbolic link to a file that does not exist"),
        ("loop.json", "cannot be written: Too many levels of symbolic links"),
    ] {
        let ran = shell_in(folder.path(), &format!("nnlayer relu --x 1,2 --only y --out {name}"));
        assert!(ran.refusal().contains(&format!("--out {name}: {why}")), "{}", ran.stderr);
        assert!(folder.path().join(name).is_symlink());
    }
    // The tip says what to do, and speaks of no other reason.
    for (place, words) in [("loop.json", "symbolic link"), ("y.csv/y.npy", "a part of the path is a file")] {
        std::fs::write(folder.path().join("y.csv"), "1").unwrap();
        for option in ["--x 1 --only y --out", "--x"] {
            let ran = shell_in(folder.path(), &format!("nnlayer relu {option} {place}"));
            assert!(ran.refusal().lines().last().unwrap().contains(words), "{}", ran.stderr);
        }
        std::fs::remove_file(folder.path().join("y.csv")).unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    // A link to a file stays, and the file is replaced.
    let line =
        "echo old > absent.json; nnlayer relu --x 1,2 --only y --out twice.json; readlink twice.json dangling.json";
    assert_eq!(shell_in(folder.path(), line).quiet(), "dangling.json\nabsent.json\n");
    assert_eq!(std::fs::read(folder.path().join("absent.json")).unwrap(), b"{\"y\":[1.0,2.0]}\n");
}

#[test]
#[cfg(unix)]
fn a_file_that_is_replaced_keeps_its_permissions_and_gets_no_more() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = folder();
    let path = folder.path().join("y.json");
    let mode_after = |mode: u32| {
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(shell_in(folder.path(), "umask 0; nnlayer relu --x 1,2 --only y --out y.json").quiet(), "");
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"old");
        mode
    };
    for (mode, kept) in [(0o600, 0o600), (0o644, 0o644), (0o666, 0o666), (0o6755, 0o755), (0o240, 0o240)] {
        assert_eq!(mode_after(mode), kept, "{mode:o}");
    }
    // A file that nobody may write is refused, though the folder would let it be replaced.
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ran = shell_in(folder.path(), "nnlayer relu --x 1,2 --only y --out y.json");
    assert!(ran.refusal().contains("--out y.json: is read-only"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_of_others_is_replaced_by_one_that_they_read_no_better() {
    let folder = folder();
    let line = "echo old > y.json; chgrp 65533 y.json && chmod MODE y.json && nnlayer relu --x 1,2 --only y --out y.json && stat -c %a y.json";
    // Only root may give a file to a group that it is not in.
    if shell_in(folder.path(), "touch x && chgrp 65533 x").status == 0 {
        for (mode, kept) in [("660", "600"), ("664", "644"), ("604", "600"), ("646", "644"), ("755", "755")] {
            assert_eq!(shell_in(folder.path(), &line.replace("MODE", mode)).quiet(), format!("{kept}\n"), "{mode}");
        }
        let owner = "chown 65534 y.json && nnlayer relu --x 1,2 --only y --out y.json && stat -c %u y.json";
        assert_eq!(shell_in(folder.path(), owner).quiet(), "0\n");
    }
    // The group's permissions of a file with an access control list are those of other users in the list.
    let (path, list) = (
        folder.path().join("y.json"),
        "0200000001000600ffffffff02000600feff000004000000ffffffff10000600ffffffff20000000ffffffff",
    );
    std::fs::write(&path, "old").unwrap();
    let list: Vec<u8> = (0..list.len()).step_by(2).map(|n| u8::from_str_radix(&list[n..n + 2], 16).unwrap()).collect();
    if rustix::fs::setxattr(&path, "system.posix_acl_access", &list, rustix::fs::XattrFlags::empty()).is_ok() {
        assert_eq!(shell_in(folder.path(), "stat -c %a y.json").text(), "660\n");
        let replaced = shell_in(folder.path(), "nnlayer relu --x 1,2 --only y --out y.json && stat -c %a y.json");
        assert_eq!(replaced.quiet(), "600\n");
    }
}

#[test]
#[cfg(unix)]
fn a_hard_link_keeps_the_old_content() {
    let folder = folder();
    let line = "echo old > other; ln other y.json; nnlayer relu --x 1,2 --only y --out y.json; cat other y.json";
    assert_eq!(shell_in(folder.path(), line).quiet(), "old\n{\"y\":[1.0,2.0]}\n");
}

#[test]
#[cfg(unix)]
fn a_link_to_standard_output_is_written_through() {
    let folder = folder();
    let write = "ln -s /dev/stdout out.json; ln -s /dev/stderr err.json
        (echo before; nnlayer relu --x 1,2 --only y --out out.json; echo after)";
    let written = "before\n{\"y\":[1.0,2.0]}\nafter\n";
    assert_eq!(shell_in(folder.path(), &format!("{write} > file; cat file")).quiet(), written);
    assert_eq!(shell_in(folder.path(), &format!("rm *.json; {write} >> file; cat file")).quiet(), written.repeat(2));
    assert_eq!(shell_in(folder.path(), &format!("rm *.json; {write} | cat")).quiet(), written);
    let errors = "nnlayer relu --x 1,2 --only y --out err.json 2> file; cat file";
    assert_eq!(shell_in(folder.path(), errors).quiet(), "{\"y\":[1.0,2.0]}\n");
}

#[test]
#[cfg(unix)]
fn a_file_is_named_as_given_and_read_again() {
    let folder = folder();
    for name in ["a#b.json", "-1,2.json", "1,2.json", "-1;2.json", "[1].json", "@y.json", "#.json", " 1.json"] {
        for out in ["--out ", "--out="] {
            let line =
                format!("nnlayer relu --x 1,2 --only y {out}'{name}' && nnlayer relu --x '@{name}' --only y --json");
            let ran = shell_in(folder.path(), &line);
            assert_eq!(ran.quiet(), "{\"y\":[1.0,2.0]}\n", "{line}");
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
}
