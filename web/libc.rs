//! Functions of the C library that Rust's standard library calls and the C library of Debian does not have yet. There are no threads,
//! permissions and absolute paths in WebAssembly, so each refuses, as the functions of later C libraries do.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int, c_void};

/// Error numbers of WASI.
const EAGAIN: c_int = 6;
const ENOSYS: c_int = 52;

unsafe extern "C" {
    static mut errno: c_int;
}

fn refuse() -> c_int {
    // SAFETY: there is one thread.
    unsafe { errno = ENOSYS };
    -1
}

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    &raw mut errno
}

#[unsafe(no_mangle)]
extern "C" fn pthread_create(_: *mut c_void, _: *const c_void, _: *const c_void, _: *mut c_void) -> c_int {
    EAGAIN
}

#[unsafe(no_mangle)]
extern "C" fn pthread_join(_: *mut c_void, _: *mut c_void) -> c_int {
    ENOSYS
}

#[unsafe(no_mangle)]
extern "C" fn pthread_detach(_: *mut c_void) -> c_int {
    ENOSYS
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_init(_: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_setstacksize(_: *mut c_void, _: usize) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn fchmod(_: c_int, _: u32) -> c_int {
    refuse()
}

#[unsafe(no_mangle)]
extern "C" fn realpath(_: *const c_char, _: *mut c_char) -> *mut c_char {
    refuse();
    core::ptr::null_mut()
}
