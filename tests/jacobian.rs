//! `--jacobian` against central differences and closed formulas.

use crate::support::{nnlayer, numbers, shape, shell};

/// Returns central differences of the output by every entry of an operand; the operands are literals.
fn differences(command: &[&str], operand: &str, entries: &[f64], columns: usize, output: &str) -> Vec<Vec<f64>> {
    let at = |values: &[f64]| {
        let rows: Vec<String> = values
            .chunks(columns)
            .map(|row| row.iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(","))
            .collect();
        let json =
            nnlayer(&[command, &[&format!("--{operand}"), &rows.join(";"), "--forward", "--json"]].concat()).json();
        numbers(&json[output])
    };
    let step = 1e-5;
    let mut columns = Vec::new();
    for n in 0..entries.len() {
        let mut moved = entries.to_vec();
        moved[n] += step;
        let above = at(&moved);
        moved[n] -= 2.0 * step;
        let below = at(&moved);
        columns.push(above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * step)).collect());
    }
    columns
}

/// A command, the operand to differentiate by (name, literal and entries), and the output.
type Case<'a> = (&'a [&'a str], &'a (&'a str, &'a str, Vec<f64>), &'a str);

#[test]
fn every_jacobian_equals_central_differences() {
    let x = ("x", "0.3,-1.2;0.7,2", vec![0.3, -1.2, 0.7, 2.0]);
    let y = ("y", "0.3,0.7;0.6,0.4", vec![0.3, 0.7, 0.6, 0.4]);
    let w = ("w", "1,-2,0.5;0.1,0.7,3", vec![1.0, -2.0, 0.5, 0.1, 0.7, 3.0]);
    let cases: &[Case<'_>] = &[
        (&["affine", "--w", w.1, "--b", "1,2,3"], &x, "y"),
        (&["affine", "--x", x.1, "--b", "1,2,3"], &w, "y"),
        (
            &["affine", "--x", x.1, "--w-layout", "out-in"],
            &("w", "1,-2;0.5,0.1;0.7,3", vec![1.0, -2.0, 0.5, 0.1, 0.7, 3.0]),
            "y",
        ),
        (&["softmax"], &x, "y"),
        (&["softmax", "--axis", "0"], &x, "y"),
        (&["softmax", "--log"], &x, "y"),
        (&["xent", "--t", "0,1"], &y, "loss"),
        (&["xent", "--t", "0,1", "--reduction", "none"], &y, "loss"),
        (&["softmax-xent", "--t", "0,1", "--reduction", "mean", "--weight", "1,3"], &x, "loss"),
        (&["softmax-xent", "--t", "0.2,0.8;1,0", "--reduction", "none"], &x, "loss"),
        (&["relu"], &x, "y"),
        (&["sigmoid"], &x, "y"),
        (&["tanh"], &x, "y"),
    ];
    for (command, (operand, literal, entries), output) in cases {
        let all = nnlayer(&[command, &[&format!("--{operand}"), *literal, "--jacobian", "--json"] as &[&str]].concat())
            .json();
        let jacobian = &all[format!("d{output}_d{operand}")];
        let columns = if *operand == "w" && !command.contains(&"--w-layout") { 3 } else { 2 };
        let numeric = differences(command, operand, entries, columns, output);
        assert_eq!(shape(jacobian), [numeric[0].len(), entries.len()], "{command:?}");
        for (row, values) in jacobian.as_array().unwrap().iter().enumerate() {
            for (column, value) in numbers(values).iter().enumerate() {
                let expected = numeric[column][row];
                assert!(
                    (value - expected).abs() < 1e-8 * expected.abs().max(1.0),
                    "{command:?} [{row},{column}]: {value}, {expected}"
                );
                // A derivative that is 0 must be exactly 0.
                assert!(expected != 0.0 || value.to_bits() == 0, "{command:?} [{row},{column}]: {value}");
            }
        }
    }
}

/// diag(y) − y·yᵀ of softmax(1, 2, 3), by mpmath.
#[test]
fn the_jacobian_of_softmax_is_diag_y_minus_y_y_transposed() {
    let json = shell("nnlayer softmax --x 1,2,3 --jacobian --json").json();
    let expected = [
        [0.081_925_069_064_993_23, -0.022_033_044_520_174_3, -0.059_892_024_544_818_93],
        [-0.022_033_044_520_174_3, 0.184_836_446_509_978_7, -0.162_803_401_989_804_4],
        [-0.059_892_024_544_818_93, -0.162_803_401_989_804_4, 0.222_695_426_534_623_4],
    ];
    for (value, expected) in numbers(&json["dy_dx"]).iter().zip(expected.as_flattened()) {
        assert!((value - expected).abs() < 3e-16, "{value}, {expected}");
    }
    assert!(
        shell("nnlayer softmax --x 1,2,3 --jacobian").quiet().starts_with("dy_dx = ∂y/∂x = diag(y) − y·yᵀ  (3×3)\n")
    );
}

#[test]
fn dout_times_the_jacobian_is_the_gradient() {
    let shared = ["affine", "--x", "1,2;3,4", "--w", "1,2,3;4,5,6", "--b", "7"];
    let all = nnlayer(&[&shared as &[&str], &["--jacobian", "--json"]].concat()).json();
    let gradients = nnlayer(&[&shared as &[&str], &["--dout", "1,-2,3;0.5,5,-6", "--json"]].concat()).json();
    let dout = [1.0, -2.0, 3.0, 0.5, 5.0, -6.0];
    for name in ["dx", "dw", "db"] {
        let jacobian = all[format!("dy_{name}")].as_array().unwrap();
        let expected = numbers(&gradients[name]);
        for (column, expected) in expected.iter().enumerate() {
            let product: f64 = jacobian.iter().zip(dout).map(|(row, dout)| dout * numbers(row)[column]).sum();
            assert_eq!(product, *expected, "{name}[{column}]");
        }
        assert_eq!(shape(&all[format!("dy_{name}")]), [6, expected.len()]);
    }
}

#[test]
fn a_jacobian_can_be_written_to_a_file() {
    let ran = shell(
        "d=$(mktemp -d) && nnlayer relu --x 1,-2 --jacobian --out $d/j.npy && nnlayer affine --x $d/j.npy --w '1,0;0,1' --only y --json; rm -r $d",
    );
    assert_eq!(ran.quiet(), "{\"y\":[[1.0,0.0],[0.0,0.0]]}\n");
}
