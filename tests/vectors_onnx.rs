//! The ONNX files of test vectors.

use crate::support::{fixture, numbers, python_with, shape};
use crate::vectors::{cases, written};
use nnlayer::layer::LAYERS;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Reads the fields of a message, apart from the code under test.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Result<u64, &[u8]>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Ok(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Err(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

/// A tensor: its name, the number of its type, its shape and its bytes.
fn tensor(bytes: &[u8]) -> (String, u64, Vec<usize>, Vec<u8>) {
    let fields = fields(bytes);
    let of = |field: u64| fields.iter().find(|(known, _)| *known == field).unwrap().1;
    let lengths = fields.iter().filter(|(field, _)| *field == 1).map(|(_, length)| length.unwrap() as usize);
    let name = String::from_utf8(of(8).unwrap_err().to_vec()).unwrap();
    (name, of(2).unwrap(), lengths.collect(), of(9).unwrap_err().to_vec())
}

/// The tensors of a case whose files have a kind, such as `input`, in order.
fn tensors(files: &BTreeMap<String, Vec<u8>>, case: &str, kind: &str) -> Vec<(String, u64, Vec<usize>, Vec<u8>)> {
    let file = |n: usize| files.get(&format!("{case}/test_data_set_0/{kind}_{n}.pb"));
    (0..).map_while(|n| file(n).map(|bytes| tensor(bytes))).collect()
}

#[test]
fn tensors_have_the_numbers_of_the_cases() {
    // The number of each type in ONNX, and the value of its bytes.
    type Decode = fn(&[u8]) -> f64;
    let types: [(&str, u64, usize, Decode); 4] = [
        ("f64", 11, 8, |bytes| f64::from_le_bytes(bytes.try_into().unwrap())),
        ("f32", 1, 4, |bytes| f32::from_le_bytes(bytes.try_into().unwrap()).into()),
        ("f16", 10, 2, |bytes| half::f16::from_le_bytes(bytes.try_into().unwrap()).into()),
        ("bf16", 16, 2, |bytes| half::bf16::from_le_bytes(bytes.try_into().unwrap()).into()),
    ];
    for (precision, number, size, decode) in types {
        for (layer, name, operator) in
            [("conv1d", "inexact", "Conv"), ("embedding", "ties", "Gather"), ("dropout", "without-mask", "")]
        {
            let files = written(layer, &["--cases", name, "--precision", precision]);
            let case = &cases(&files)[0];
            assert_eq!(case["onnx"]["operator"].as_str().unwrap_or_default(), operator);
            let read = |kind: &str| tensors(&files, name, kind);
            let mut found = read("dout");
            assert_eq!(found[0].0, "dout");
            let groups = [("input", "inputs"), ("output", "outputs"), ("gradient", "gradients")];
            found.extend(groups.iter().flat_map(|(kind, _)| read(kind)));
            let count: usize = groups.iter().map(|(_, group)| case[*group].as_object().unwrap().len()).sum();
            assert_eq!(found.len(), 1 + count, "{layer}");
            for (name, data_type, lengths, raw) in found {
                let value = [&case["inputs"], &case["outputs"], &case["gradients"], case];
                let value = value.into_iter().find_map(|group| group.get(&name)).unwrap();
                assert_eq!(lengths, shape(value), "{layer} {name}");
                let stored: Vec<f64> = match data_type {
                    7 => raw.chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as f64).collect(),
                    9 => raw.iter().map(|byte| f64::from(*byte)).collect(),
                    other => {
                        assert_eq!(other, number, "{layer} {name}");
                        raw.chunks(size).map(decode).collect()
                    }
                };
                assert_eq!(stored, numbers(value), "{layer} {precision} {name}");
                let expected = match name.as_str() {
                    "ids" => 7,
                    "mask" => 9,
                    _ => number,
                };
                assert_eq!(data_type, expected, "{layer} {name}");
            }
        }
    }
}

#[test]
fn every_layer_has_tensors_and_a_model_where_onnx_has_the_operator() {
    let mut without = Vec::new();
    for spec in LAYERS {
        let files = written(spec.name, &["--cases", "default", "--precision", "f32"]);
        let case = &cases(&files)[0];
        let names = |kind: &str| tensors(&files, "default", kind).into_iter().map(|(name, ..)| name);
        let keys = |group: &str| case[group].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        // Statistics that batchnorm does not update are outputs there.
        let is_result = |name: &String| !name.starts_with("kept-");
        let results: Vec<String> = names("output").chain(names("result")).filter(is_result).collect();
        assert_eq!(results.len(), keys("outputs").len(), "{}", spec.name);
        assert_eq!(BTreeSet::from_iter(results), keys("outputs"), "{}", spec.name);
        assert_eq!(names("gradient").collect::<BTreeSet<_>>(), keys("gradients"), "{}", spec.name);
        assert!(keys("inputs").is_subset(&names("input").collect()), "{}", spec.name);
        assert_eq!(names("dout").collect::<Vec<_>>(), ["dout"]);
        let inputs = case["onnx"]["inputs"].as_array();
        assert_eq!(inputs.is_some(), files.contains_key("default/model.onnx"), "{}", spec.name);
        match inputs {
            Some(inputs) => assert!(inputs.iter().map(|name| name.as_str().unwrap().to_owned()).eq(names("input"))),
            None => without.push(spec.name),
        }
    }
    // Losses have one for class indices, which other cases have.
    let expected = "xent softmax-xent log-sigmoid mse l1 huber smooth-l1 bce bce-logits kl-div dropout nll glu";
    assert_eq!(without.join(" "), expected);
}

#[test]
fn the_evaluator_of_onnx_computes_the_outputs_of_the_cases() {
    let Some(python) = python_with("onnx.reference") else { return };
    // Those whose inputs have other shapes or come from settings there, and one of each family. `.ci/run release` has all.
    let layers = ["attention", "rope", "hard-tanh", "reshape", "batchnorm", "gelu", "nll", "affine", "layernorm"];
    let ran = Command::new(python)
        .args([&fixture("onnx/vectors.py"), env!("CARGO_BIN_EXE_nnlayer"), "f32"])
        .args(layers)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(text.contains(" with the evaluator: 9 operators\n"), "{text}");
}
