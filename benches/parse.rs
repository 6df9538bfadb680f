//! Prints the times to parse a JSON document in memory into a flat buffer, in seconds, one per line: `parse FILE THREADS TIMES`.
#![allow(clippy::expect_used)] // a benchmark that cannot run ends with the message

use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [file, threads, times] = args.as_slice() else {
        eprintln!("usage: cargo bench --bench parse -- FILE THREADS TIMES");
        return;
    };
    let bytes = std::fs::read(file).expect("a readable file");
    nnlayer::parallel::scope::with_thread_limit(threads.parse().expect("a number"), || {
        for _ in 0..times.parse().expect("a number") {
            let begin = Instant::now();
            let node = nnlayer::format::json::parse(&bytes, file).expect("a document");
            println!("{}", begin.elapsed().as_secs_f64());
            drop(node);
        }
    });
}
