//! Every way to show a layer, for operands of three and more axes.

use crate::support::nnlayer;

/// Shows, checks and differentiates layers of tensors; expected words are by hand.
#[test]
fn every_mode_takes_operands_of_three_axes() {
    let relu = ["relu", "--x", "[[[1,2],[3,-4]]]"];
    let affine = ["affine", "--x", "[[[1,2]],[[3,4]]]", "--w", "1;2", "--b", "1"];
    let loss = ["softmax-xent", "--x", "[[[1,2],[3,4]]]", "--t", "[[0,1]]", "--axis", "1"];
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&relu, &["--forward"], "y = max(x, 0)  (1×2×2)\n[[[1 2]\n  [3 0]]]"),
        (&relu, &["--check"], "PASS dx (1×2×2): all 4 entries agree"),
        (&relu, &["--jacobian"], "(4×4)\n[[1 0 0 0]\n [0 1 0 0]\n [0 0 1 0]\n [0 0 0 0]]"),
        (&relu, &["--graph"], "x[0,1,1]─"),
        (&relu, &["--graph", "--level", "tensor"], "dx (1×2×2)"),
        (&relu, &["--steps"], "y[0,1,1] = max(-4, 0) = 0"),
        (&affine, &["--forward"], "y = x·W + b  (2×1×1)\n[[[ 6]]\n\n [[12]]]"),
        (&affine, &["--check"], "PASS db (1)"),
        (&affine, &["--graph", "--level", "tensor"], "x·W (2×1×1)"),
        (&affine, &["--steps"], "y[1,0,0] = 3·1 + 4·2 + 1 = 12"),
        (&affine, &["--steps"], "dw[0,0] = 1·1 + 3·1 = 4"),
        (&affine, &["--jacobian"], "(2×4)\n[[1 2 0 0]\n [0 0 1 2]]"),
        (&loss, &["--check"], "PASS dx (1×2×2)"),
        (&loss, &["--steps"], "max[0,1] = max(2, 4) = 4"),
        (&loss, &["--graph"], "x[0,1,1]─"),
        (&loss, &["--jacobian"], "(1×4)\n[[-0.88079708  0.11920292  0.88079708 -0.11920292]]"),
    ];
    for (command, mode, expected) in cases {
        let ran = nnlayer(&[*command, *mode].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{command:?} {mode:?}");
        assert!(ran.text().contains(expected), "{command:?} {mode:?}\n{}", ran.text());
    }
}

#[test]
fn gradcheck_takes_shapes_of_eight_axes() {
    for line in ["tanh --shape x=2x1x3x1x2x1x1x2", "affine --shape x=2x3x4 w=4x2", "softmax-xent --shape x=2x3x4 t=2x4"]
    {
        let args: Vec<&str> = ["gradcheck", "--layer"].into_iter().chain(line.split(' ')).collect();
        assert_eq!(nnlayer(&args).status, 0, "{line}\n{}", nnlayer(&args).text());
    }
    let nine = nnlayer(&["gradcheck", "--layer", "tanh", "--shape", "x=1x1x1x1x1x1x1x1x1"]);
    assert!(nine.refusal().starts_with("error: --shape"), "{}", nine.stderr);
}
