//! One body of code in the widest instructions that the processor has.

#[cfg(target_arch = "x86_64")]
use super::cpu_features;

/// A kind of instructions that this processor has: only asking it makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions(pub(crate) Kind);

/// The kinds there are. Outside of this file only [`widest`] names them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor has.
    Any,
}

impl Instructions {
    /// The best there are.
    pub(crate) fn best() -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            let has = cpu_features::instructions();
            if has.avx512f {
                return Instructions(Kind::Avx512);
            }
            if has.avx2 {
                return Instructions(Kind::Avx2);
            }
        }
        Instructions(Kind::Any)
    }

    /// All there are.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Instructions> {
        let mut all = vec![Instructions::best(), Instructions(Kind::Any)];
        #[cfg(target_arch = "x86_64")]
        if cpu_features::instructions().avx2 {
            all.push(Instructions(Kind::Avx2));
        }
        all
    }
}

/// Defines a function over [`Lanes`](super::f64x8::Lanes) whose body is compiled once for each kind of instructions; which is
/// chosen by its first argument. All give the same bits. What it calls is `inline(always)`, and no closure computes with lanes:
/// a closure is a function of its own, without the instructions.
macro_rules! widest {
    ($(#[$about:meta])* fn $name:ident<$lanes:ident>($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$about])*
        #[allow(unsafe_code)]
        fn $name(instructions: $crate::simd::dispatch::Instructions, $($argument: $kind),*) {
            use $crate::simd::{dispatch::Kind, f64x8};
            #[inline(always)]
            fn body<$lanes: f64x8::Lanes>($($argument: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($argument: $kind),*) {
                body::<f64x8::Wide>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $kind),*) {
                body::<f64x8::Halves>($($argument),*)
            }
            match instructions.0 {
                // SAFETY, of both: there is no such value but where the instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($argument),*) },
                Kind::Any => body::<f64x8::Plain>($($argument),*),
            }
        }
    };
}
pub(crate) use widest;
