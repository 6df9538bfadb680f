//! The example that combines results of several machines, on few rows.

use crate::support::{has_program, shell_in};
use std::path::Path;
use std::process::Command;

#[test]
#[cfg(target_os = "linux")]
fn shards_under_gnu_parallel_give_the_results_of_one_run() {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|ran| String::from_utf8_lossy(&ran.stdout).starts_with("GNU parallel")) {
        // Another program of this name is not GNU parallel.
        has_program("GNU parallel");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = format!("NNLAYER={} sh examples/parallel/run.sh 3000 64k", env!("CARGO_BIN_EXE_nnlayer"));
    let ran = shell_in(root, &run);
    assert_eq!(ran.status, 0, "{}{}", ran.text(), ran.stderr);
    let shards: usize = ran.text().lines().nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(shards > 3 && ran.text().contains(&format!("{shards} shards in three orders: the same bits")));
    for name in ["dw (64×10)", "db (10)", "loss (scalar)", "divisor (scalar)"] {
        assert!(ran.text().contains(&format!("PASS {name}: ")), "{name}\n{}", ran.text());
    }
}
