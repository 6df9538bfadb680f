//! One body of code in the widest instructions that the processor has.

/// Defines a function whose body is compiled once for each kind of instructions, and runs in the best that there are; and for
/// tests, by its second name, the body alone. Nothing is contracted to a multiply-add, so all give the same bits.
macro_rules! widest {
    ($(#[$about:meta])* $seen:vis fn $name:ident, $plainly:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        #[cfg(test)]
        $seen fn $plainly($($argument: $kind),*) $body

        $(#[$about])*
        $seen fn $name($($argument: $kind),*) {
            #[inline(always)]
            fn body($($argument: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512($($argument: $kind),*) {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) {
                    body($($argument),*)
                }
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: it was just detected.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: it was just detected.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}
pub(super) use widest;
