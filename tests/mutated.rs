//! Randomly mutated files are either read or rejected, with memory within a multiple of their size, and what is read survives a
//! round trip. The targets in `fuzz/` test the same, guided by coverage.

use crate::support::memory;
use ndarray::{ArrayD, arr1, arr2};
use nnlayer::core::error::Error;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::json::{KeyUse, Line, parse_line};
use nnlayer::format::{
    FORMATS, Format, InMemoryArrays, LoadedArray, OutputDtype, Selector, Source, find_by_extension, json,
};
use nnlayer::network::{Tape, document};
use nnlayer::operand::grammar::{OperandSpec, parse};
use proptest::prelude::*;

/// Memory for buffers, which every input may use.
const BASE_BYTES: usize = 2 << 20;

/// Returns the number of bytes of memory that a reader may use for each byte of a file.
fn max_expansion(format: &dyn Format) -> usize {
    if format.name() == ".npz" { 1032 * 8 + 200 } else { 200 }
}

/// Returns a file with two arrays, or one if the format has no names.
fn valid_file(format: &dyn Format) -> Vec<u8> {
    if format.name() == ".safetensors" {
        let header = r#"{"x":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},"w":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}"#;
        return [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1; 17]].concat();
    }
    if format.name() == ".idx" {
        return b"\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x07\x09".to_vec();
    }
    let two_arrays = Tensors::new()
        .with(Name::X, arr2(&[[1.5, -0.0], [f64::NAN, 5e-324]]).into_dyn())
        .with(Name::W, arr1(&[f64::INFINITY, 1e22]).into_dyn());
    let one_array = two_arrays.clone().into_iter().take(1).collect();
    let mut bytes = Vec::new();
    let arrays = if format.has_names() { &two_arrays } else { &one_array };
    format.write(&mut InMemoryArrays::from(arrays), OutputDtype::F64, &mut bytes).unwrap();
    bytes
}

/// A mutation of bytes: its kind, two positions and a value.
type Mutation = (u8, prop::sample::Index, prop::sample::Index, u8);

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    prop::collection::vec((0..5u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..6)
}

/// Deletes, repeats, inserts or changes bytes.
fn mutate(mut bytes: Vec<u8>, mutations: &[Mutation], tokens: &[&str]) -> Vec<u8> {
    for (kind, first, second, value) in mutations {
        let (a, b) = (first.index(bytes.len() + 1), second.index(bytes.len() + 1));
        let (begin, end) = (a.min(b), a.max(b).min(a.min(b) + 40));
        match kind {
            0 => drop(bytes.splice(begin..end, [])),
            1 => drop(bytes.splice(begin..begin, bytes[begin..end].to_vec())),
            2 => drop(bytes.splice(begin..begin, tokens[usize::from(*value) % tokens.len()].bytes())),
            3 => bytes.iter_mut().skip(begin).take(1).for_each(|byte| *byte = *value),
            _ => bytes.iter_mut().skip(begin).take(1).for_each(|byte| *byte ^= 1 << (value % 8)),
        }
    }
    bytes
}

const TOKENS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "NaN",
    "Infinity",
    "-",
    "1e308",
    "1e400",
    "0",
    "\n",
    "\r",
    ";",
    " ",
    "\u{feff}",
    "\"x\":",
    "\"x\":[1]",
    "\\u0078",
    "18446744073709551615",
    "4294967296",
    "(2, 1)",
    "<f8",
    "|u1",
    "F32",
    "PK\u{1}\u{2}",
    "affine",
    "\"relu\"",
    "\"from\"",
    "#",
    "@",
    "/",
    "e",
    ".",
];

fn same_bits(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

const TAPE: &str = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","name":"fc1","params":{"w":[[1,2],[3,4]],"b":1},"inputs":{"x":[1,1]},"outputs":{"y":[5,7]}},
{"kind":"softmax-xent","name":"l","settings":{"reduction":"mean"},"inputs":{"x":{"from":"fc1.y"},"t":0},"outputs":{"y":[0.1,0.9],"loss":2.1,"divisor":1}}]}"#;

fn read_tape(bytes: &[u8]) -> Result<Tape, Error> {
    document::from_json(&json::parse(bytes, "input")?, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn files_of_every_format_are_read_within_their_memory_limit(format_index in 0..FORMATS.len(), mutations in mutations(), selector in prop::sample::select(vec!["", "x", "w", "/x/0"])) {
        let format = FORMATS[format_index];
        let bytes = mutate(valid_file(format), &mutations, TOKENS);
        let (result, peak) = memory::peak_bytes(|| {
            let _ = format.read_all_arrays(Source::bytes("input", &bytes));
            let _ = format.read_names(Source::bytes("input", &bytes));
            format.read(Source::bytes("input", &bytes), &Selector::parse(selector), &[Name::X, Name::W])
        });
        prop_assert!(peak <= BASE_BYTES + max_expansion(format) * bytes.len(), "{peak} bytes for {}", bytes.len());
        prop_assert!(mutations.len() + usize::from(selector == "/x/0") > 0 || result.is_ok() || !format.has_names(), "{result:?}");
        let writer = if format.can_write() { format } else { find_by_extension("npz").unwrap() };
        if let Ok(found) = result {
            let mut written = Vec::new();
            writer.write(&mut InMemoryArrays::from(&Tensors::new().with(Name::X, found.value.clone())), OutputDtype::F64, &mut written).unwrap();
            let again = writer.read(Source::bytes("input", &written), &Selector::Default, &[Name::X]).unwrap();
            // A table has no scalars or empty rows, so only its numbers are compared.
            let is_same = if writer.has_names() || writer.name() == ".npy" { same_bits(&found.value, &again.value) } else {
                found.value.iter().zip(&again.value).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
            };
            prop_assert!(is_same, "{} became {}", found.value, again.value);
        }
    }

    #[test]
    fn doubles_are_read_back_bit_for_bit(which in 0..FORMATS.len(), bits in prop::collection::vec(any::<u64>(), 2..20), rank in 0..3) {
        let format = FORMATS[which];
        prop_assume!(format.can_write());
        let values: Vec<f64> = bits.into_iter().map(f64::from_bits).map(|v| if v.is_nan() { f64::NAN } else { v }).collect();
        let shape = match rank {
            0 => vec![values.len()],
            1 => vec![values.len() / 2, 2],
            _ => vec![1, values.len()],
        };
        let count = shape.iter().product();
        let value = ArrayD::from_shape_vec(shape, values[..count].to_vec()).unwrap();
        let mut bytes = Vec::new();
        let arrays = Tensors::new().with(Name::X, value.clone());
        format.write(&mut InMemoryArrays::from(&arrays), OutputDtype::F64, &mut bytes).unwrap();
        let found = format.read(Source::bytes("input", &bytes), &Selector::Default, &[Name::X]).unwrap().value;
        prop_assert!(same_bits(&found, &value), "{value} became {found}");
    }

    #[test]
    fn arbitrary_bytes_of_every_format_do_not_panic(which in 0..FORMATS.len(), bytes: Vec<u8>) {
        let _ = FORMATS[which].read(Source::bytes("input", &bytes), &Selector::parse("w"), &[Name::W]);
        let _ = FORMATS[which].read_all_arrays(Source::bytes("input", &bytes));
    }

    #[test]
    fn literals_are_parsed_within_their_memory_limit(mutations in mutations()) {
        let bytes = mutate(b"1.5,-inf;nan 1e-3,+5;7;".to_vec(), &mutations, TOKENS);
        let text = String::from_utf8_lossy(&bytes);
        let (spec, peak) = memory::peak_bytes(|| parse(&text));
        prop_assert!(peak <= BASE_BYTES + 200 * text.len(), "{peak}");
        if let Ok(OperandSpec::Literal(LoadedArray { value: values, .. })) = spec {
            let row = |row: &[f64]| row.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(",");
            let flat: Vec<f64> = values.iter().copied().collect();
            let retyped = match *values.shape() {
                [_, columns] => flat.chunks(columns).map(row).collect::<Vec<_>>().join(";") + ";",
                _ => row(&flat),
            };
            let Ok(OperandSpec::Literal(again)) = parse(&retyped) else { return Err(TestCaseError::fail(retyped)) };
            let again = again.value;
            prop_assert!(same_bits(&values, &again), "{values} became {again}");
        }
    }

    #[test]
    fn tapes_survive_a_round_trip(mutations in mutations()) {
        let bytes = mutate(TAPE.as_bytes().to_vec(), &mutations, TOKENS);
        let (tape, peak) = memory::peak_bytes(|| read_tape(&bytes));
        prop_assert!(peak <= BASE_BYTES + 300 * bytes.len(), "{peak}");
        prop_assert!(tape.is_ok() || !mutations.is_empty());
        if let Ok(tape) = tape {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            document::write(&tape, &mut once).unwrap();
            document::write(&read_tape(&once).unwrap(), &mut twice).unwrap();
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn records_are_accepted_if_they_are_json(mutations in mutations()) {
        let bytes = mutate(br#"{"x":[1,2],"t":0,"id":"a\u0062","note":{"k":[1,"x",null]}}"#.to_vec(), &mutations, TOKENS);
        let key_use = |key: &str| KeyUse {
            slot: key.eq_ignore_ascii_case("x").then_some(0),
            is_carried: key != "x",
            is_in_other_case: key == "X",
        };
        let (line, peak) = memory::peak_bytes(|| parse_line(&bytes, 1, key_use));
        prop_assert!(peak <= BASE_BYTES + 200 * bytes.len(), "{peak}");
        prop_assert_eq!(line.is_ok(), json::parse(&bytes, "").is_ok());
        if let Ok(Line::Record { carried, .. }) = line {
            for entry in carried {
                let document = [b"{", entry.key_text, b":", entry.value_text, b"}"].concat();
                prop_assert!(json::parse(&document, "").is_ok(), "{}", String::from_utf8_lossy(&document));
            }
        }
    }
}
