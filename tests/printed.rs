//! Operands as people paste them: what NumPy, PyTorch, JAX and MATLAB print, keys in another case, and null.

use crate::support::{folder, nnlayer, piped, shell_in};

#[test]
fn printed_arrays_are_operands_wherever_json_is() {
    for text in [
        "[[1. 2.]\n [3. 4.]]",
        "[1 2; 3 4]",
        "array([[1., 2.],\n       [3., 4.]])",
        "tensor([[1, 2], [3, 4]], device='cuda:0')",
    ] {
        let expected = "{\"y\":[[1.0,2.0],[3.0,4.0]]}\n";
        let arguments = ["relu", "--forward", "--json"];
        assert_eq!(nnlayer(&[&arguments[..], &["--x", text]].concat()).quiet(), expected, "{text}");
        assert_eq!(piped(text, &arguments).quiet(), expected, "{text}");
        let folder = folder();
        std::fs::write(folder.path().join("x"), text).unwrap();
        assert_eq!(shell_in(folder.path(), "nnlayer relu --forward --json --x x").quiet(), expected, "{text}");
        assert_eq!(shell_in(folder.path(), "cat x | nnlayer compare x - --json").status, 0, "{text}");
        if cfg!(target_os = "linux") {
            let line = "cat x | nnlayer relu --forward --json --x /dev/stdin";
            assert_eq!(shell_in(folder.path(), line).quiet(), expected, "{text}");
        }
        // The extension says JSON.
        std::fs::write(folder.path().join("x.json"), text).unwrap();
        assert_eq!(shell_in(folder.path(), "nnlayer relu --x x.json").status, 2, "{text}");
    }
    let cube = "tensor([[[1., 2.]],\n\n        [[3., 4.]]], grad_fn=<AddBackward0>)";
    assert_eq!(piped(cube, &["relu", "--forward", "--json"]).quiet(), "{\"y\":[[[1.0,2.0]],[[3.0,4.0]]]}\n");
    // The digits that are written count, as in JSON.
    assert_eq!(nnlayer(&["sigmoid", "--x", "1 2", "--forward", "--expect", "[0.73 0.88]"]).status, 0);
    assert_eq!(nnlayer(&["sigmoid", "--x", "1 2", "--forward", "--expect", "[0.730 0.88]"]).status, 1);
}

#[test]
fn lines_of_matlab_are_rows_and_those_of_a_wrapped_vector_are_not() {
    let folder = folder();
    let write = |text: &str| std::fs::write(folder.path().join("x"), text).unwrap();
    let ways = ["--x \"$(cat x)\"", "--x x", "< x", "--x - < x"];
    let lines = || ways.iter().map(|way| format!("nnlayer relu --forward --json {way}"));
    for (text, y) in [
        ("[1 2\n 3 4]\n", "[[1.0,2.0],[3.0,4.0]]"),
        ("[1, 2\r\n 3, 4\r\n]", "[[1.0,2.0],[3.0,4.0]]"),
        ("[0.1 0.2 0.3\n 0.4 0.5]\n", "[0.1,0.2,0.3,0.4,0.5]"),
        ("[1, 2,\n 3, 4]", "[1.0,2.0,3.0,4.0]"),
    ] {
        write(text);
        for line in lines() {
            assert_eq!(shell_in(folder.path(), &line).quiet(), format!("{{\"y\":{y}}}\n"), "{text}: {line}");
        }
    }
    let row = ["0.25"; 12];
    let two = |separator: &str, between: &str| {
        let row = row.join(separator);
        format!("[{row}{between}\n {row}]")
    };
    write(&two(" ", ""));
    for line in lines() {
        let ran = shell_in(folder.path(), &line);
        let tip =
            "end each row with a semicolon, [1 2; 3 4], or separate the numbers of a vector by commas, [1, 2, 3, 4]";
        assert_eq!(ran.refusal().lines().last(), Some(format!("tip: {tip}").as_str()), "{line}");
    }
    // Both spellings of the tip.
    for (text, shape) in [(two(" ", ";"), "2×12"), (two(", ", ","), "24")] {
        write(&text);
        let ran = shell_in(folder.path(), "nnlayer relu --forward --x x");
        assert_eq!(ran.quiet().lines().next(), Some(format!("y = max(x, 0)  ({shape})").as_str()), "{text}");
    }
}

#[test]
fn keys_match_in_any_case_and_null_is_absent() {
    let expected = "{\"y\":[[11.0]],\"dx\":[[3.0,4.0]],\"dw\":[[1.0],[2.0]]}\n";
    for object in [
        r#"{"X":[[1,2]],"W":[[3],[4]]}"#,
        r#"{"X":[[1,2]],"W":[[3],[4]],"b":null}"#,
        r#"{"X":[[1,2]],"w":[[3],[4]],"W":[[9],[9]],"B":null,"dout":null}"#,
    ] {
        assert_eq!(piped(object, &["affine", "--json"]).quiet(), expected, "{object}");
    }
    assert_eq!(
        piped(r#"{"X":[[1,2]],"Dout":[[2,2]]}"#, &["relu", "--json", "--only", "dx"]).quiet(),
        "{\"dx\":[[2.0,2.0]]}\n"
    );
    assert_eq!(piped(r#"{"x":null}"#, &["relu"]).status, 2);
    let folder = folder();
    std::fs::write(folder.path().join("a.json"), r#"{"dW":[1],"Y":[2]}"#).unwrap();
    std::fs::write(folder.path().join("b.json"), r#"{"y":[2],"dw":[1]}"#).unwrap();
    assert_eq!(shell_in(folder.path(), "nnlayer compare a.json b.json").status, 0);
    assert_eq!(shell_in(folder.path(), "nnlayer relu --x [2] --expect a.json --forward --only y --json").status, 0);
    assert_eq!(shell_in(folder.path(), "nnlayer relu --forward --json --x b.json").quiet(), "{\"y\":[2.0]}\n");
}

#[test]
fn safetensors_are_written_and_read_back() {
    let folder = folder();
    let line = "nnlayer affine --x '[[[1,2]],[[3,4]]]' --w '1;0.5' --out r.safetensors && nnlayer relu --x r.safetensors#dx --json --forward";
    assert_eq!(shell_in(folder.path(), line).quiet(), "{\"y\":[[[1.0,0.5]],[[1.0,0.5]]]}\n");
}

#[test]
fn text_that_is_said_to_be_json_is_no_printed_array() {
    let refused = piped("[1. 2.]", &["relu", "--x", "-", "--in-format", "json"]);
    assert!(refused.refusal().contains("tip: omit --in-format"), "{}", refused.stderr);
    assert_eq!(piped("[1. 2.]", &["relu", "--x", "-", "--only", "y", "--json"]).quiet(), "{\"y\":[1.0,2.0]}\n");
}
