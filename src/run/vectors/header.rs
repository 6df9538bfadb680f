//! Test vectors as a C header that needs no other file.

use crate::check::program::settings_json;
use crate::check::vectors::Vector;
use crate::core::tensors::Tensors;
use crate::layer::LayerSpec;
use crate::numeric::FloatType;
use ndarray::ArrayD;
use serde_json::json;
use std::io::{self, Write};

/// Numbers in a line.
const LINE: usize = 6;

const TYPES: &str = "\
#ifndef NNLAYER_VECTORS_TYPES
#define NNLAYER_VECTORS_TYPES
#include <math.h>
#include <stddef.h>

/* An array in row-major order. */
struct nnlayer_array {
    const char *name;
    size_t rank;
    size_t shape[8];
    size_t size;
    const double *values;
    /* The largest accepted error of each entry, for programs in f64, f32, f16 and bf16; NULL for inputs. */
    const double *tolerances[4];
    /* Rows of the number of an entry, and the least and the largest other value that it may have. */
    size_t alternatives;
    const double *alternative;
};

/* A case. */
struct nnlayer_vector {
    const char *name;
    const char *flags;    /* words, separated by blanks */
    const char *settings; /* JSON */
    struct nnlayer_array dout;
    size_t inputs, outputs, gradients;
    const struct nnlayer_array *input, *output, *gradient;
};
#endif
";

/// Writes the header of a layer's cases.
pub(super) fn write(
    spec: &LayerSpec,
    float_type: FloatType,
    seed: u64,
    vectors: &[Vector],
    out: &mut dyn Write,
) -> io::Result<()> {
    let layer = identifier(spec.name);
    let guard = format!("NNLAYER_VECTORS_{}_H", layer.to_uppercase());
    writeln!(
        out,
        "/* Test vectors of {}, written by nnlayer {} with seed {seed}: inputs in {}. See docs/vectors.md. */",
        spec.name,
        env!("CARGO_PKG_VERSION"),
        float_type.name()
    )?;
    writeln!(out, "#ifndef {guard}\n#define {guard}\n{TYPES}")?;
    for vector in vectors {
        let case = format!("nnlayer_{layer}_{}", identifier(&vector.name));
        let mut names = Vec::new();
        let groups = [("input", &vector.inputs), ("output", &vector.outputs), ("gradient", &vector.gradients)];
        let dout = Tensors::new().with(crate::core::name::Name::DOUT, vector.dout.clone());
        for (group, arrays) in groups.into_iter().chain([("upstream", &dout)]) {
            let mut rows = Vec::new();
            for (name, value) in arrays.iter() {
                let label = format!("{case}_{}", identifier(name.as_str()));
                write_numbers(&label, value, hexadecimal, out)?;
                let mut tolerances = Vec::new();
                for (float_type, all) in &vector.tolerances {
                    let Some(tolerance) = all.get(name) else { continue };
                    let label = format!("{label}_{}", float_type.name());
                    write_numbers(&label, tolerance, |value| format!("{value:e}"), out)?;
                    tolerances.push(pointer(&label, tolerance));
                }
                let tolerances = if tolerances.is_empty() { "0".to_owned() } else { tolerances.join(", ") };
                let alternatives = vector.alternatives.get(name);
                let mut alternative = "0, NULL".to_owned();
                if let Some(rows) = alternatives {
                    let label = format!("{label}_alternatives");
                    write_numbers(&label, rows, hexadecimal, out)?;
                    alternative = format!("{}, {label}", rows.shape()[0]);
                }
                let shape: Vec<String> = value.shape().iter().map(ToString::to_string).collect();
                let shape = if shape.is_empty() { "0".to_owned() } else { shape.join(", ") };
                rows.push(format!(
                    "{{\"{}\", {}, {{{shape}}}, {}, {}, {{{tolerances}}}, {alternative}}}",
                    name.as_str(),
                    value.ndim(),
                    value.len(),
                    pointer(&label, value)
                ));
            }
            if group == "upstream" {
                names.insert(0, rows.concat());
            } else {
                let label = format!("{case}_{group}s");
                let list = rows.join(",\n    ");
                writeln!(out, "static const struct nnlayer_array {label}[] = {{\n    {list}}};")?;
                names.push(label);
            }
        }
        writeln!(out)?;
        if let [dout, inputs, outputs, gradients] = names.as_slice() {
            let counts = [vector.inputs.len(), vector.outputs.len(), vector.gradients.len()].map(|n| n.to_string());
            let settings = json!(settings_json(&vector.settings).to_string());
            writeln!(
                out,
                "#define {}_CASE {{\"{}\", \"{}\", {settings}, \\\n    {dout}, \\\n    {}, {inputs}, {outputs}, {gradients}}}\n",
                case.to_uppercase(),
                vector.name,
                vector.flags.join(" "),
                counts.join(", ")
            )?;
        }
    }
    let cases: Vec<String> = vectors
        .iter()
        .map(|vector| format!("nnlayer_{layer}_{}", identifier(&vector.name)).to_uppercase() + "_CASE")
        .collect();
    writeln!(out, "static const struct nnlayer_vector nnlayer_{layer}[] = {{\n    {}}};", cases.join(",\n    "))?;
    writeln!(out, "static const size_t nnlayer_{layer}_count = {};\n#endif", vectors.len())
}

/// Returns a name that C accepts.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Returns the name of an array, or NULL for one without entries, which C does not have.
fn pointer(label: &str, value: &ArrayD<f64>) -> String {
    if value.is_empty() { "NULL".to_owned() } else { label.to_owned() }
}

fn write_numbers(
    label: &str,
    value: &ArrayD<f64>,
    text: impl Fn(f64) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    if value.is_empty() {
        return Ok(());
    }
    let numbers: Vec<String> = value.iter().map(|&v| text(v)).collect();
    let lines: Vec<String> = numbers.chunks(LINE).map(|line| line.join(", ")).collect();
    writeln!(out, "static const double {label}[] = {{{}}};", lines.join(",\n    "))
}

/// Returns a double as a hexadecimal constant of C99, which has every bit.
fn hexadecimal(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if !value.is_finite() {
        return if value.is_nan() { "NAN".to_owned() } else { format!("{sign}INFINITY") };
    }
    let (fraction, biased) = (value.to_bits() & ((1 << 52) - 1), value.to_bits() >> 52 & 0x7ff);
    if fraction == 0 && biased == 0 {
        return format!("{sign}0.0");
    }
    // Numbers below the smallest normal one begin with a 0.
    let (leading, exponent) = if biased == 0 { (0, -1022) } else { (1, biased.cast_signed() - 1023) };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}0x{leading}{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    /// Expected texts are those of C's `printf("%a")`.
    #[test]
    fn doubles_are_written_as_hexadecimal_constants() {
        for (value, text) in [
            (1.0, "0x1p+0"),
            (-1.5, "-0x1.8p+0"),
            (0.1, "0x1.999999999999ap-4"),
            (f64::MAX, "0x1.fffffffffffffp+1023"),
            (5e-324, "0x0.0000000000001p-1022"),
            (f64::MIN_POSITIVE, "0x1p-1022"),
            (-0.0, "-0.0"),
            (f64::NEG_INFINITY, "-INFINITY"),
            (f64::NAN, "NAN"),
        ] {
            assert_eq!(hexadecimal(value), text);
        }
    }
}
