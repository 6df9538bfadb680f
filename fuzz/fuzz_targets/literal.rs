//! Values of matrix options, such as `1,2;3,4`: a literal survives being formatted and parsed again.
#![no_main]

use ndarray::ArrayD;
use nnlayer::format::LoadedArray;
use nnlayer::operand::grammar::{OperandSpec, parse};
use nnlayer_fuzz::{bounded, same};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(OperandSpec::Literal(LoadedArray { value: values, .. })) = bounded(text.len(), 100, || parse(text)) {
        let text = format_literal(&values);
        match parse(&text) {
            Ok(OperandSpec::Literal(again)) => assert!(same(&values, &again.value), "{values} became {}", again.value),
            other => panic!("{text} became {other:?}"),
        }
    }
});

fn format_literal(values: &ArrayD<f64>) -> String {
    let row = |row: &[f64]| row.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(",");
    let flat: Vec<f64> = values.iter().copied().collect();
    match *values.shape() {
        [_, columns] => flat.chunks(columns.max(1)).map(row).collect::<Vec<_>>().join(";") + ";",
        _ => row(&flat),
    }
}
