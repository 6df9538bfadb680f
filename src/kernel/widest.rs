//! One body of code in the widest instructions that the processor has.

#[cfg(target_arch = "x86_64")]
use super::processor;

/// A kind of instructions that this processor has: only asking it makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instructions(pub(super) Kind);

/// The kinds there are. Outside of this file only [`widest`] names them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
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
    pub(super) fn best() -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            let has = processor::instructions();
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
    pub(super) fn all() -> Vec<Instructions> {
        let mut all = vec![Instructions::best(), Instructions(Kind::Any)];
        #[cfg(target_arch = "x86_64")]
        if processor::instructions().avx2 {
            all.push(Instructions(Kind::Avx2));
        }
        all
    }
}

/// Defines a function over [`Lanes`](super::lanes::Lanes) whose body is compiled once for each kind of instructions; which is
/// chosen by its first argument. All give the same bits. What it calls is `inline(always)`, and no closure computes with lanes:
/// a closure is a function of its own, without the instructions.
macro_rules! widest {
    ($(#[$about:meta])* fn $name:ident<$lanes:ident>($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$about])*
        fn $name(instructions: $crate::kernel::widest::Instructions, $($argument: $kind),*) {
            use $crate::kernel::{lanes, widest::Kind};
            #[inline(always)]
            fn body<$lanes: lanes::Lanes>($($argument: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($argument: $kind),*) {
                body::<lanes::Wide>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $kind),*) {
                body::<lanes::Halves>($($argument),*)
            }
            match instructions.0 {
                // SAFETY, of both: there is no such value but where the instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($argument),*) },
                Kind::Any => body::<lanes::Plain>($($argument),*),
            }
        }
    };
}
pub(super) use widest;
