//! Files with something changed in them: read or refused, within a multiple of their size, and read back as they were read.
//! The same is asked for longer, and by coverage, in `fuzz/`.

use crate::support::memory;
use ndarray::{ArrayD, arr1, arr2};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::json::{KeyUse, Line, parse_line};
use nnlayer::format::{FORMATS, Format, InMemoryArrays, OutputDtype, Selector, Source, find_by_extension, json};
use nnlayer::network::document;
use nnlayer::operand::grammar::{OperandSpec, parse};
use proptest::prelude::*;

/// Buffers.
const ALWAYS: usize = 2 << 20;

fn times(format: &dyn Format) -> usize {
    if format.name() == ".npz" { 1032 * 8 + 200 } else { 200 }
}

/// A file of that format with two arrays, or one where it has no names.
fn file(format: &dyn Format) -> Vec<u8> {
    if format.name() == ".safetensors" {
        let header = r#"{"x":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},"w":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}"#;
        return [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1; 17]].concat();
    }
    let both = Tensors::new()
        .with(Name::X, arr2(&[[1.5, -0.0], [f64::NAN, 5e-324]]).into_dyn())
        .with(Name::W, arr1(&[f64::INFINITY, 1e22]).into_dyn());
    let one = both.clone().into_iter().take(1).collect();
    let mut bytes = Vec::new();
    let arrays = if format.has_names() { &both } else { &one };
    format.write(&mut InMemoryArrays::from(arrays), OutputDtype::F64, &mut bytes).unwrap();
    bytes
}

/// A change of bytes: its kind, two places and a value.
type Change = (u8, prop::sample::Index, prop::sample::Index, u8);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((0..5u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..6)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], words: &[&str]) -> Vec<u8> {
    for (what, here, there, with) in changes {
        let (a, b) = (here.index(bytes.len() + 1), there.index(bytes.len() + 1));
        let (begin, end) = (a.min(b), a.max(b).min(a.min(b) + 40));
        match what {
            0 => drop(bytes.splice(begin..end, [])),
            1 => drop(bytes.splice(begin..begin, bytes[begin..end].to_vec())),
            2 => drop(bytes.splice(begin..begin, words[usize::from(*with) % words.len()].bytes())),
            3 => bytes.iter_mut().skip(begin).take(1).for_each(|byte| *byte = *with),
            _ => bytes.iter_mut().skip(begin).take(1).for_each(|byte| *byte ^= 1 << (with % 8)),
        }
    }
    bytes
}

const WORDS: &[&str] = &[
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

fn same(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

const TAPE: &str = r#"{"nnlayer-tape":1,"layers":[{"kind":"affine","name":"fc1","params":{"w":[[1,2],[3,4]],"b":1},"inputs":{"x":[1,1]},"outputs":{"y":[5,7]}},
{"kind":"softmax-xent","name":"l","settings":{"reduction":"mean"},"inputs":{"x":{"from":"fc1.y"},"t":0},"outputs":{"y":[0.1,0.9],"loss":2.1,"divisor":1}}]}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn files_of_every_format(which in 0..FORMATS.len(), changes in changes(), select in prop::sample::select(vec!["", "x", "w", "/x/0"])) {
        let format = FORMATS[which];
        let bytes = changed(file(format), &changes, WORDS);
        let (found, most) = memory::peak_bytes(|| {
            let _ = format.read_all_arrays(Source::bytes("it", &bytes));
            let _ = format.read_names(Source::bytes("it", &bytes));
            format.read(Source::bytes("it", &bytes), &Selector::parse(select), &[Name::X, Name::W])
        });
        prop_assert!(most <= ALWAYS + times(format) * bytes.len(), "{most} bytes for {}", bytes.len());
        prop_assert!(changes.len() + usize::from(select == "/x/0") > 0 || found.is_ok() || !format.has_names(), "{found:?}");
        let writer = if format.can_write() { format } else { find_by_extension("npz").unwrap() };
        if let Ok(found) = found {
            let mut again = Vec::new();
            writer.write(&mut InMemoryArrays::from(&Tensors::new().with(Name::X, found.value.clone())), OutputDtype::F64, &mut again).unwrap();
            let again = writer.read(Source::bytes("it", &again), &Selector::Default, &[Name::X]).unwrap();
            // A table has no scalars and no empty rows; numbers are the same.
            let is_same = if writer.has_names() || writer.name() == ".npy" { same(&found.value, &again.value) } else {
                found.value.iter().zip(&again.value).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
            };
            prop_assert!(is_same, "{} became {}", found.value, again.value);
        }
    }

    #[test]
    fn what_stands_behind_an_option(changes in changes()) {
        let bytes = changed(b"1.5,-inf;nan 1e-3,+5;7;".to_vec(), &changes, WORDS);
        let text = String::from_utf8_lossy(&bytes);
        let (form, most) = memory::peak_bytes(|| parse(&text));
        prop_assert!(most <= ALWAYS + 200 * text.len(), "{most}");
        if let Ok(OperandSpec::Literal(values)) = form {
            let row = |row: &[f64]| row.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(",");
            let flat: Vec<f64> = values.iter().copied().collect();
            let typed = match *values.shape() {
                [_, columns] => flat.chunks(columns).map(row).collect::<Vec<_>>().join(";") + ";",
                _ => row(&flat),
            };
            let Ok(OperandSpec::Literal(again)) = parse(&typed) else { return Err(TestCaseError::fail(typed)) };
            prop_assert!(same(&values, &again), "{values} became {again}");
        }
    }

    #[test]
    fn tapes(changes in changes()) {
        let bytes = changed(TAPE.as_bytes().to_vec(), &changes, WORDS);
        let (tape, most) = memory::peak_bytes(|| document::read(&bytes, "it", None));
        prop_assert!(most <= ALWAYS + 300 * bytes.len(), "{most}");
        prop_assert!(tape.is_ok() || !changes.is_empty());
        if let Ok(tape) = tape {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            document::write(&tape, &mut once).unwrap();
            document::write(&document::read(&once, "it", None).unwrap(), &mut twice).unwrap();
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn lines(changes in changes()) {
        let bytes = changed(br#"{"x":[1,2],"t":0,"id":"a\u0062","note":{"k":[1,"x",null]}}"#.to_vec(), &changes, WORDS);
        let what = |key: &str| KeyUse { slot: (key == "x").then_some(0), is_carried: key != "x" };
        let (read, most) = memory::peak_bytes(|| parse_line(&bytes, 1, what));
        prop_assert!(most <= ALWAYS + 200 * bytes.len(), "{most}");
        prop_assert_eq!(read.is_ok(), json::parse(&bytes, "").is_ok());
        if let Ok(Line::Record { carried, .. }) = read {
            for entry in carried {
                let alone = [b"{", entry.key_text, b":", entry.value_text, b"}"].concat();
                prop_assert!(json::parse(&alone, "").is_ok(), "{}", String::from_utf8_lossy(&alone));
            }
        }
    }
}
