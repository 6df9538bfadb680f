//! `nnlayer nll`: the negative log-likelihood of log-probabilities.

use crate::support::cases;
use crate::support::cases::Within;
use crate::support::{nnlayer, shell};

#[test]
fn every_case_is_within_two_ulps() {
    cases::run("nll", "nll", |_, _| Within::Ulps(2));
}

#[test]
fn it_is_the_loss_of_softmax_xent_at_the_logarithm_of_the_softmax() {
    let one = shell("nnlayer softmax-xent --x '1,2;-1,0.5' --t 0,1 --reduction mean --only loss --json");
    let two = shell(
        "nnlayer softmax --log --x '1,2;-1,0.5' --json | nnlayer nll --t 0,1 --reduction mean --only loss --json",
    );
    assert_eq!(one.text(), two.text());
}

#[test]
fn classes_of_tensors_are_along_axis_one_and_targets_are_refused_as_those_of_softmax_xent() {
    let tensor =
        nnlayer(&["nll", "--x", "[[[-1,-2,-3],[-4,-5,-6]]]", "--t", "[[0,1,0]]", "--reduction", "none", "--json"]);
    assert_eq!(tensor.quiet(), "{\"loss\":[[1.0,5.0,3.0]],\"dx\":[[[-1.0,0.0,-1.0],[0.0,-1.0,0.0]]]}\n");
    for (line, words) in [
        (&["nll", "--x", "-1,-2", "--t", "2"][..], "class index 2 is out of range"),
        (
            &["nll", "--x", "-1,-2", "--t", "0,1", "--ignore-index", "1"],
            "requires class indices, but t has dense targets",
        ),
        (&["nll", "--x", "-1,-2", "--t", "0", "--weight", "1"], "expected (2), one weight for each class of x"),
        (&["nll", "--x", "-1,-2", "--t", "1", "--ignore-index", "1", "--reduction", "mean"], "the mean is undefined"),
    ] {
        let refused = nnlayer(line);
        assert!(refused.refusal().contains(words), "{line:?}: {}", refused.stderr);
    }
}
