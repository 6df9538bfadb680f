//! What an x86-64 processor can do. glibc asks it when a program starts, and knows. Under a hypervisor each question is a trap, and the
//! nine that the standard library has are a twentieth of a small job: they are left to systems without glibc.

use std::sync::OnceLock;

/// Instructions that processor and system have beyond those that all have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Instructions {
    pub(crate) avx2: bool,
    pub(crate) avx512f: bool,
    pub(crate) fma: bool,
}

/// Those of this processor.
pub(crate) fn instructions() -> Instructions {
    static KNOWN: OnceLock<Instructions> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        if let Some(known) = known_to_glibc() {
            return known;
        }
        asked()
    })
}

fn asked() -> Instructions {
    Instructions {
        avx2: is_x86_feature_detected!("avx2"),
        avx512f: is_x86_feature_detected!("avx512f"),
        fma: is_x86_feature_detected!("fma"),
    }
}

/// What glibc found, from 2.33 on: <sys/platform/x86.h>.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn known_to_glibc() -> Option<Instructions> {
    /// `struct cpuid_feature`: the registers eax, ebx, ecx and edx of an answer, and what of it can be used.
    #[repr(C)]
    struct Answer {
        said: [u32; 4],
        usable: [u32; 4],
    }
    type Ask = unsafe extern "C" fn(u32) -> Option<&'static Answer>;
    // SAFETY: the name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__x86_get_cpuid_feature_leaf".as_ptr()) };
    // SAFETY: a null pointer is None, and glibc declares what has this name so: a pure function, and answers that stay.
    let ask: Option<Ask> = unsafe { std::mem::transmute(found) };
    // SAFETY: it takes any number.
    let usable = |question| unsafe { ask?(question) }.map(|answer| answer.usable);
    // `CPUID_INDEX_1` and `CPUID_INDEX_7`.
    let ([_, _, ecx, _], [_, ebx, _, _]) = (usable(0)?, usable(1)?);
    let bit = |register: u32, bit: u32| register >> bit & 1 == 1;
    Some(Instructions { avx2: bit(ebx, 5), avx512f: bit(ebx, 16), fma: bit(ecx, 12) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_the_processor_says() {
        assert_eq!(instructions(), asked());
    }
}
