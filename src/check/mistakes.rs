//! The registry of known mistakes of any layer, the most specific first. Those of one layer are in its registry row.

use super::diagnosis::{Diagnosis, Mistake, WrongGradient};
use crate::layer::Convention;

mod formula;
mod values;

pub(super) use formula::transpose_square;

/// Kind of the mistake that a part is computed in another type than the rest.
pub(super) const LOWER_PRECISION: &str = "lower precision inside";

/// Kind of the mistake that a setting has another value.
const ANOTHER_SETTING: &str = "another setting";

/// Kinds of mistakes that say only where entries are wrong.
pub(super) const PLACES: [&str; 6] = [
    "last entries wrong",
    "one entry wrong",
    "one row wrong",
    "one column wrong",
    "several rows wrong",
    "several columns wrong",
];

/// Every known kind of mistake.
pub const MISTAKES: &[Mistake] = &[
    Mistake { kind: "not summed over the batch", explain: values::not_summed },
    Mistake { kind: "wrong shape", explain: values::wrong_shape },
    Mistake { kind: "not finite", explain: values::not_finite },
    Mistake { kind: "cut to whole numbers", explain: values::cut_to_integers },
    Mistake { kind: "all zero", explain: values::all_zero },
    Mistake { kind: "wrong sign", explain: values::wrong_sign },
    Mistake { kind: "dout ignored", explain: formula::dout_ignored },
    Mistake { kind: ANOTHER_SETTING, explain: formula::wrong_setting },
    Mistake { kind: "diagonal of the Jacobian", explain: formula::diagonal_only },
    Mistake { kind: "W in place of Wᵀ", explain: formula::operand_not_transposed },
    Mistake { kind: "transposed", explain: values::transposed },
    Mistake { kind: "constant factor", explain: values::constant_factor },
    Mistake { kind: "a sample missing", explain: formula::sample_missing },
    Mistake { kind: "rows in another order", explain: values::rows_reordered },
    Mistake { kind: "columns in another order", explain: values::columns_reordered },
    Mistake { kind: "last entries wrong", explain: values::tail_wrong },
    Mistake { kind: "one entry wrong", explain: values::one_entry_wrong },
    Mistake { kind: "one row wrong", explain: values::one_row_wrong },
    Mistake { kind: "one column wrong", explain: values::one_column_wrong },
    Mistake { kind: "several rows wrong", explain: values::several_rows_wrong },
    Mistake { kind: "several columns wrong", explain: values::several_columns_wrong },
    Mistake { kind: LOWER_PRECISION, explain: values::lower_precision },
];

/// The kinds of mistakes that are seen along any directions, as they are in the entries.
pub(super) const LINEAR_MISTAKES: [&str; 3] = ["all zero", "wrong sign", "constant factor"];

/// Returns the conventions of the layer that explain a wrong gradient or result.
pub(super) fn followed_conventions(gradient: &WrongGradient<'_>) -> Vec<Diagnosis> {
    let of_layer = gradient.case_of_layer().map(|case| {
        let is_followed = |convention: &&Convention| {
            (convention.gradient)(&case).is_some_and(|candidate| gradient.matches(&candidate))
        };
        let conventions = gradient.config().map(|config| config.spec.conventions).unwrap_or_default();
        let followed = conventions.iter().filter(is_followed);
        let diagnosis = |convention: &Convention| Diagnosis {
            kind: convention.kind,
            explanation: convention.explanation.to_owned(),
        };
        followed.map(diagnosis).collect::<Vec<_>>()
    });
    of_layer.unwrap_or_default()
}

/// Returns every known mistake that explains a wrong gradient, the most specific first: those of the layer, then those of any.
pub(super) fn diagnose(gradient: &WrongGradient<'_>) -> Vec<Diagnosis> {
    let mut diagnoses = followed_conventions(gradient);
    diagnoses.extend(MISTAKES.iter().filter_map(|mistake| mistake.diagnose(gradient)));
    // Rounding errors are no explanation where another mistake gives the digits.
    if diagnoses.iter().any(|found| found.kind != LOWER_PRECISION && !PLACES.contains(&found.kind)) {
        diagnoses.retain(|found| found.kind != LOWER_PRECISION);
    }
    diagnoses
}

/// Returns every known mistake that explains a wrong forward result: those of the layer, and settings with other values.
pub(super) fn diagnose_forward(result: &WrongGradient<'_>) -> Vec<Diagnosis> {
    let settings = MISTAKES.iter().filter(|mistake| mistake.kind == ANOTHER_SETTING);
    followed_conventions(result).into_iter().chain(settings.filter_map(|mistake| mistake.diagnose(result))).collect()
}
