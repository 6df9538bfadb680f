//! Loops that are no loops.

/// `unrolled!(n < N => …)` does something for each n from 0 on, at most eight: written out, since the compiler unrolls loops
/// only where it may make much code, and an array whose index varies is no array of registers.
macro_rules! unrolled {
    ($n:ident < $count:expr => $body:expr) => {
        const { assert!($count <= 8) };
        $crate::simd::unroll::unrolled!($n, $count, $body, 0 1 2 3 4 5 6 7);
    };
    ($n:ident, $count:expr, $body:expr, $($at:literal)*) => {
        $(
            if $at < $count {
                let $n: usize = $at;
                $body;
            }
        )*
    };
}
pub(crate) use unrolled;
