//! The report on a program that was run over test vectors.

use super::numbers::{format_number, format_short, json_number, pass_or_fail, write_json};
use crate::check::vectors::ComparedArray;
use crate::core::error::format_index;
use crate::core::name::Name;
use serde_json::{Value, json};
use std::io;

/// The report on all cases.
pub struct VectorsReport {
    /// The layer.
    pub layer: &'static str,
    /// Name of the type that the program computes in.
    pub type_name: &'static str,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
}

/// The report on a case.
pub struct CaseReport {
    /// Name of the case.
    pub name: String,
    /// The results that the program returned.
    pub arrays: Vec<ComparedArray>,
    /// The results that it left out.
    pub missing: Vec<Name>,
    /// A sentence about the error, if there was no usable reply.
    pub error: Option<String>,
}

impl CaseReport {
    fn passes(&self) -> bool {
        self.error.is_none() && self.arrays.iter().all(ComparedArray::passes)
    }
}

impl VectorsReport {
    /// Returns true if every case passes.
    pub fn passes(&self) -> bool {
        self.cases.iter().all(CaseReport::passes)
    }

    /// Returns true if no case got a usable reply.
    pub fn has_no_reply(&self) -> bool {
        self.cases.iter().all(|case| case.error.is_some())
    }

    /// Writes a line for each case, with its wrong results below it, and a line with the verdict.
    pub fn write_text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for case in &self.cases {
            let missing: Vec<&str> = case.missing.iter().map(Name::as_str).collect();
            let missing = if missing.is_empty() { String::new() } else { format!(" (without {})", missing.join(", ")) };
            writeln!(out, "{} {}{missing}", pass_or_fail(case.passes()), case.name)?;
            if let Some(error) = &case.error {
                writeln!(out, "  {error}")?;
            }
            for array in case.arrays.iter().filter(|array| !array.passes()) {
                writeln!(out, "  {}: {}", array.name, describe(array))?;
            }
        }
        let failed = self.cases.iter().filter(|case| !case.passes()).count();
        let (count, layer, type_name) = (self.cases.len(), self.layer, self.type_name);
        match failed {
            0 => writeln!(out, "PASS: all {count} cases of {layer} in {type_name}"),
            _ => writeln!(out, "FAIL: {failed} of {count} cases of {layer} in {type_name}"),
        }
    }

    /// Writes one object, on one line or indented.
    pub fn write_json(&self, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
        let cases: Vec<Value> = self.cases.iter().map(case_to_json).collect();
        let object = json!({
            "verdict": pass_or_fail(self.passes()),
            "layer": self.layer,
            "type": self.type_name,
            "cases": cases,
        });
        write_json(&object, pretty, out)
    }
}

fn describe(array: &ComparedArray) -> String {
    match (&array.mismatch, &array.worst) {
        (Some(mismatch), _) => mismatch.clone(),
        (None, Some(worst)) => {
            let index = worst.index.as_deref().unwrap_or_default();
            let place = if index.is_empty() { String::new() } else { format!(" at {}", format_index(index)) };
            let [got, right] = [worst.analytic, worst.numeric].map(format_number);
            let allowed = format_short(worst.allowed);
            let [wrong, entries] = [array.wrong, array.entries];
            format!("{wrong} of {entries} entries are wrong, worst{place}: got {got}, expected {right} ± {allowed}")
        }
        (None, None) => String::new(),
    }
}

fn case_to_json(case: &CaseReport) -> Value {
    let array = |array: &ComparedArray| {
        let worst = array.worst.as_ref().map(|worst| {
            let [value, right, allowed] = [worst.analytic, worst.numeric, worst.allowed].map(json_number);
            json!({"index": worst.index, "value": value, "expected": right, "allowed": allowed})
        });
        json!({
            "name": array.name.as_str(),
            "verdict": pass_or_fail(array.passes()),
            "entries": array.entries,
            "wrong": array.wrong,
            "misfit": array.mismatch,
            "worst": worst,
        })
    };
    json!({
        "name": case.name,
        "verdict": pass_or_fail(case.passes()),
        "arrays": case.arrays.iter().map(array).collect::<Vec<_>>(),
        "missing": case.missing.iter().map(Name::as_str).collect::<Vec<_>>(),
        "error": case.error,
    })
}
