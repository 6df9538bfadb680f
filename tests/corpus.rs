//! The corpus of right and wrong programs in `tests/corpus/`, which judges `nnlayer gradcheck`.

use crate::support::{has_program, shell};

/// The corpus is verified without nnlayer, in decimal numbers of 60 digits.
#[test]
fn right_programs_are_right_and_wrong_ones_visibly_wrong() {
    if has_program("python3") {
        let verified = shell("python3 tests/corpus/verify.py --seeds 1");
        assert_eq!(verified.status, 0, "{}", verified.text());
    }
}
