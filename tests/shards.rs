//! The example that combines results of several machines, on few rows.

use crate::support::{has_program, shell_in};
use std::path::Path;
use std::process::Command;

/// Runs the example with this network and checks its report.
fn assert_shards_add_up(arguments: &str, names: &[&str]) {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|ran| String::from_utf8_lossy(&ran.stdout).starts_with("GNU parallel")) {
        // Another program of this name is not GNU parallel.
        has_program("GNU parallel");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = format!("NNLAYER={} sh examples/parallel/run.sh {arguments}", env!("CARGO_BIN_EXE_nnlayer"));
    let ran = shell_in(root, &run);
    assert_eq!(ran.status, 0, "{}{}", ran.text(), ran.stderr);
    let lines = ran.text().lines().filter_map(|line| line.split_once(" shards under GNU parallel"));
    let [shards] = lines.map(|(shards, _)| shards.parse::<usize>().unwrap()).collect::<Vec<_>>()[..] else {
        panic!("{}", ran.text())
    };
    assert!(shards > 3 && ran.text().contains(&format!("{shards} shards in three orders: the same bits")));
    for name in names {
        assert!(ran.text().contains(&format!("PASS {name}: ")), "{name}\n{}", ran.text());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn shards_under_gnu_parallel_give_the_results_of_one_run() {
    assert_shards_add_up("3000 64k", &["dw (64×10)", "db (10)", "loss (scalar)", "divisor (scalar)"]);
}

#[test]
#[cfg(target_os = "linux")]
fn shards_of_a_convolutional_network_give_the_results_of_one_run() {
    let names = ["dw (8×1×3×3)", "db (8)", "dgamma (128)", "dbeta (128)", "dw (128×10)", "loss (scalar)"];
    assert_shards_add_up("400 16k conv", &names);
}
