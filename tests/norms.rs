//! The normalisation layers of one table: layernorm, rmsnorm, groupnorm, instancenorm and batchnorm.

use crate::support::cases;
use crate::support::cases::{Within, largest};
use crate::support::{nnlayer, numbers, piped};
use serde_json::Value;

/// All of them.
pub const LAYERS: [&str; 5] = ["layernorm", "rmsnorm", "groupnorm", "instancenorm", "batchnorm"];

/// Cases whose dx is a difference of numbers that are larger by the factor.
const CANCELLING: [(&str, f64); 2] = [("nearly constant thirds", 1e17), ("cancelling dout", 10.0)];

#[test]
fn entries_are_within_two_ulps_and_sums_within_their_bounds() {
    for layer in LAYERS {
        cases::run(layer, layer, |result, case| {
            let cancelling = CANCELLING.iter().find(|(name, _)| case["name"] == *name);
            match (result, cancelling) {
                // A normalised number is at most the root of the number of entries, 25.
                ("dgamma", _) => Within::Roundings(25.0 * largest(case, "dout").max(1.0)),
                ("dx", Some((_, size))) => Within::Roundings(*size),
                // gamma + offset is rounded, and terms of dx cancel.
                ("dx", None) if case["options"].get("gamma-offset").is_some() => {
                    Within::Roundings(cases::largest_result(case, "dx"))
                }
                _ => Within::Ulps(2),
            }
        });
    }
}

#[test]
fn gradients_match_numerical_differentiation() {
    for layer in LAYERS {
        let x = "[[[1,-2,0.5,3],[2,0.25,1,-1]],[[0.5,1.5,-3,2],[4,1,0,0.75]]]";
        let is_trailing = ["layernorm", "rmsnorm"].contains(&layer);
        let parameters = if is_trailing { "1,-2,0.5,1" } else { "1.5,-2" };
        let beta: &[&str] = if layer == "rmsnorm" { &[] } else { &["--beta", parameters] };
        let dout = x.replace("1,-2", "3,1");
        let line = [&[layer, "--x", x, "--gamma", parameters, "--dout", &dout, "--check"], beta].concat();
        let checked = nnlayer(&line);
        assert!(checked.quiet().contains("PASS"), "{layer}: {}", checked.text());
        let precise =
            nnlayer(&[&line[..line.len() - 1 - beta.len()], beta, &["--precision", "exact", "--json"]].concat());
        assert_eq!(precise.status, 0, "{}", precise.stderr);
    }
    let evaluation = ["batchnorm", "--x", "1,2;3,5", "--gamma", "1,2", "--mean", "1,1", "--var", "4,2", "--check"];
    assert!(nnlayer(&evaluation).quiet().contains("PASS"));
}

#[test]
fn a_group_with_nan_is_nan_and_the_others_are_not() {
    for layer in LAYERS {
        let x = if layer == "batchnorm" { "1,nan;2,3" } else { "[[[1,2]],[[\"NaN\",3]]]" };
        let ran: Value = nnlayer(&[layer, "--x", x, "--dout", "ones", "--json"]).json();
        let expected = if layer == "batchnorm" { [false, true, false, true] } else { [false, false, true, true] };
        for result in ["y", "dx"] {
            let found: Vec<bool> = numbers(&ran[result]).into_iter().map(f64::is_nan).collect();
            assert_eq!(found, expected, "{layer}: {result}");
        }
    }
}

#[test]
fn infinities_and_constant_groups_without_eps_are_what_the_formula_says() {
    let y = |line: &[&str]| numbers(&nnlayer(&[line, &["--forward", "--json"]].concat()).json()["y"]);
    let found = y(&["rmsnorm", "--x", "1,inf,-2"]);
    assert!(found[0] == 0.0 && found[1].is_nan() && found[2] == 0.0, "{found:?}");
    assert!(y(&["layernorm", "--x", "1,inf,-2"]).into_iter().all(f64::is_nan));
    assert!(y(&["layernorm", "--x", "5,5,5", "--eps", "0"]).into_iter().all(f64::is_nan));
    assert_eq!(y(&["layernorm", "--x", "5,5,5"]), [0.0; 3]);
}

#[test]
fn results_are_the_same_for_any_number_of_threads() {
    // More rows than are added up together, and more entries than one thread gets.
    let number = |n: usize| format!("{}", ((n * 7919) % 1009) as f64 / 13.0 - 30.0);
    let row = |n: usize| format!("[{}]", (0..601).map(|k| number(n * 601 + k)).collect::<Vec<_>>().join(","));
    let x = format!("[{}]", (0..150).map(row).collect::<Vec<_>>().join(","));
    let parameters = row(7);
    let record = format!("{{\"x\":{x},\"dout\":{x},\"gamma\":{parameters}}}");
    for layer in LAYERS {
        let run = |threads: &str| piped(&record, &[layer, "--json", "--threads", threads]);
        let one = run("1");
        assert_eq!(one.status, 0, "{layer}: {}", one.stderr);
        for threads in ["2", "3"] {
            assert!(run(threads).stdout == one.stdout, "{layer} {threads}");
        }
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    for (line, words) in [
        ("layernorm --x 1,2 --axis 1", "expected an axis of x (2), got 1"),
        ("layernorm --x 1,2 --eps=-1", "expected a number of at least 0, got -1"),
        ("layernorm --x 1,2 --eps nan", "expected a number of at least 0, got NaN"),
        ("layernorm --x 1,2 --gamma-offset inf --gamma 1,2", "expected a finite number"),
        ("layernorm --x [[1,2],[3,4]] --gamma 1,2,3", "expected (2), one value for each entry of a group, got (3)"),
        ("layernorm --x [[1,2],[3,4]] --gamma [[1,2],[3,4]]", "use --axis -2 to normalise these axes"),
        ("groupnorm --x 1,2,3 --groups 2", "expected a divisor of 3, the number of channels, got 2"),
        ("groupnorm --x 1,2,3 --groups 0", "expected a number of at least 1, got 0"),
        ("batchnorm --x [[1,2],[3,4]] --beta 1,2,3", "expected (2), one value for each channel, got (3)"),
        ("batchnorm --x 1,2 --mean 1,2", "is required with --mean"),
        ("batchnorm --x 1,2 --running-var 1,2", "is required with --running-var"),
        ("batchnorm --x 1,2 --mean 1,2 --var 1,-2", "expected a variance, got -2"),
        ("batchnorm --x 1,2 --momentum 0.5", "has an effect only with --running-mean and --running-var"),
        ("batchnorm --x 1,2 --running biased", "has an effect only with --running-mean and --running-var"),
        ("batchnorm --x 1,2 --momentum 2 --running-mean 1,2 --running-var 1,2", "expected a number from 0 to 1, got 2"),
        ("batchnorm --x 1,2 --running-mean 1,2 --running-var 1,2", "the variance of 1 entries a channel is undefined"),
        (
            "batchnorm --x 1,2 --mean 1,2 --var 1,2 --running-mean 1,2 --running-var 1,2",
            "has no effect with --mean and --var",
        ),
    ] {
        let refused = nnlayer(&line.split(' ').collect::<Vec<_>>());
        assert!(refused.refusal().contains(words), "{line}: {}", refused.stderr);
    }
}

#[test]
fn empty_groups_and_batches_have_empty_results() {
    for (layer, shape, parameters) in
        [("layernorm", "[3,0]", 0), ("layernorm", "[0,2]", 2), ("batchnorm", "[0,2]", 2), ("groupnorm", "[2,2,0]", 2)]
    {
        let x = format!("{{\"shape\":{shape},\"data\":[]}}");
        let gamma = format!("{{\"shape\":[{parameters}],\"data\":[{}]}}", vec!["1"; parameters].join(","));
        let ran = piped(format!("{{\"x\":{x},\"gamma\":{gamma}}}"), &[layer, "--json"]).json();
        assert_eq!(ran["y"]["shape"], serde_json::from_str::<Value>(shape).unwrap(), "{layer}");
        assert_eq!(numbers(&ran["dgamma"]), vec![0.0; parameters], "{layer}");
    }
}
