//! What Rust's runtime unwinds the stack with, from the compiler's own archive: the same is in libgcc_s.so, whose loading takes a
//! tenth of a small job. The program is linked so (`src/main.rs`), and not who uses the library.
#![allow(unsafe_code)]

// Sound: nothing is declared, and nothing called, here.
#[link(name = "gcc_eh", kind = "static", modifiers = "+whole-archive,-bundle")]
unsafe extern "C" {}
