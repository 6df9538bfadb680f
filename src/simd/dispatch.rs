//! Detects the instruction set (ISA) of the CPU, and runs one body of code with the best one.

use std::cell::Cell;

/// An instruction set that kernels are compiled for; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IsaLevel {
    /// The instructions that every CPU of the architecture has. On x86-64 these have no fused multiply-add.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl IsaLevel {
    /// Returns the best level of this CPU. The standard library caches what the CPU reports.
    fn detect() -> IsaLevel {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return if is_x86_feature_detected!("avx512f") { IsaLevel::Avx512 } else { IsaLevel::Avx2 };
        }
        IsaLevel::Portable
    }

    /// Returns the levels of this CPU, the best one last.
    pub fn available() -> impl Iterator<Item = IsaLevel> {
        let best = IsaLevel::detect();
        [IsaLevel::Portable, IsaLevel::Avx2, IsaLevel::Avx512].into_iter().filter(move |level| *level <= best)
    }
}

thread_local! {
    static ISA_LIMIT: Cell<IsaLevel> = const { Cell::new(IsaLevel::Avx512) };
}

/// Returns the highest level that kernels on this thread may use.
pub fn isa_limit() -> IsaLevel {
    ISA_LIMIT.get()
}

/// Runs `work` with kernels of at most `limit`, on this thread and on the threads that `parallel` starts for
/// it. Results are the same bits at every level; tests compare them.
pub fn with_isa_limit<R>(limit: IsaLevel, work: impl FnOnce() -> R) -> R {
    /// Restores the previous limit, even after a panic.
    struct Restore(IsaLevel);
    impl Drop for Restore {
        fn drop(&mut self) {
            ISA_LIMIT.set(self.0);
        }
    }
    let _restore = Restore(ISA_LIMIT.replace(limit));
    work()
}

/// Proof that this CPU has a level: the field is private, and only detection fills it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa(IsaLevel);

impl Isa {
    /// Returns the best level that the CPU has and [`with_isa_limit`] permits.
    pub(crate) fn current() -> Isa {
        Isa(IsaLevel::detect().min(isa_limit()))
    }

    /// Returns the proven level.
    pub(crate) fn level(self) -> IsaLevel {
        self.0
    }
}

/// Defines a function over [`F64x8`](super::f64x8::F64x8) whose body is compiled once for each [`IsaLevel`]; a call runs the best.
/// The functions that the body calls must be `inline(always)`, and no closure may compute with vectors: a closure is a function
/// of its own, compiled without the instructions.
macro_rules! dispatch {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident<$vector:ident>($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        $visibility fn $name($($argument: $type),*) {
            use $crate::simd::{dispatch::{Isa, IsaLevel}, f64x8};
            #[inline(always)]
            fn body<$vector: f64x8::F64x8>($($argument: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($argument: $type),*) {
                body::<f64x8::Avx512>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) {
                body::<f64x8::Avx2>($($argument),*)
            }
            match Isa::current().level() {
                // SAFETY: an `Isa` proves that the CPU has AVX-512F.
                #[cfg(target_arch = "x86_64")]
                IsaLevel::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: an `Isa` proves that the CPU has AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                IsaLevel::Avx2 => unsafe { avx2($($argument),*) },
                _ => body::<f64x8::Portable>($($argument),*),
            }
        }
    };
}
pub(crate) use dispatch;
