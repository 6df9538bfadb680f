//! Arrays of every rank are written and read back bit for bit, in every format that holds them.

use crate::support::{folder, piped, shell_in};
use ndarray::ArrayD;
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::format::{InMemoryArrays, OutputDtype, Selector, Source, find_by_extension};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Arrays of rank 0 to 6 with sizes from 0 to 3, of doubles of any bits.
fn arrays() -> impl Strategy<Value = ArrayD<f64>> {
    prop::collection::vec(0usize..4, 0..7).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        prop::collection::vec(any::<u64>(), count).prop_map(move |bits| {
            ArrayD::from_shape_vec(shape.clone(), bits.into_iter().map(f64::from_bits).collect()).unwrap()
        })
    })
}

/// Runs a test on the same arrays every time.
fn for_each_array(cases: u32, test: impl Fn(ArrayD<f64>)) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new_with_rng(config, rng).run(&arrays(), |array| {
        test(array);
        Ok(())
    });
    run.unwrap();
}

fn assert_same(a: &ArrayD<f64>, b: &ArrayD<f64>) {
    let is_same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    assert!(a.shape() == b.shape() && a.iter().zip(b).all(is_same), "{a:?} {b:?}");
}

#[test]
fn every_format_keeps_the_shape_and_every_bit() {
    for_each_array(400, |array| {
        let arrays = Tensors::new().with(Name::Y, array.clone());
        for format in ["json", "npy", "npz", "safetensors"].map(|name| find_by_extension(name).unwrap()) {
            let mut bytes = Vec::new();
            format.write(&mut InMemoryArrays::from(&arrays), OutputDtype::F64, &mut bytes).unwrap();
            let found = format.read(Source::bytes("y", &bytes), &Selector::Default, &[Name::Y]).unwrap();
            assert_same(&found.value, &array);
        }
    });
}

#[test]
fn a_layer_that_changes_nothing_gives_the_text_and_the_file_that_it_got() {
    for_each_array(12, |array| {
        let array = array.mapv(|v| if v.is_nan() { 0.5 } else { v.abs() });
        let (mut json, mut npy) = (Vec::new(), Vec::new());
        let arrays = Tensors::new().with(Name::Y, array);
        for (format, bytes) in [("json", &mut json), ("npy", &mut npy)] {
            find_by_extension(format)
                .unwrap()
                .write(&mut InMemoryArrays::from(&arrays), OutputDtype::F64, bytes)
                .unwrap();
        }
        let text = String::from_utf8(json).unwrap();
        assert_eq!(piped(&text, &["relu", "--forward", "--json"]).text(), text);
        let folder = folder();
        std::fs::write(folder.path().join("x.npy"), &npy).unwrap();
        shell_in(folder.path(), "nnlayer relu --forward --x x.npy --out y.npy");
        assert!(std::fs::read(folder.path().join("y.npy")).unwrap() == npy, "{text}");
    });
}
