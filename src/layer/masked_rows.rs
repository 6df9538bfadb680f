//! Rows whose logits are all masked, −inf throughout.

use super::settings::{Kind, Setting, Settings};

/// The setting `--masked-rows`.
pub(super) const MASKED_ROWS: Setting = Setting {
    name: "masked-rows",
    kind: Kind::Choice(&["error", "nan", "zero"]),
    doc: "rows of -inf only: error (default), nan or zero",
};

/// Treatment of rows whose logits are all −inf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaskedRows {
    /// They are refused.
    Error,
    /// Their results are NaN, as in PyTorch.
    Nan,
    /// Their probabilities, losses and gradients are 0.
    Zero,
}

impl MaskedRows {
    /// Returns the treatment that `--masked-rows` sets.
    pub(super) fn new(settings: &Settings) -> MaskedRows {
        match settings.choice(MASKED_ROWS.name) {
            Some("nan") => MaskedRows::Nan,
            Some("zero") => MaskedRows::Zero,
            _ => MaskedRows::Error,
        }
    }
}
