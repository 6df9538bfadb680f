#!/usr/bin/env bash
# Builds the page with the program as WebAssembly:  web/build.sh FOLDER
#
# If rustup has installed the target (rustup target add wasm32-wasip1), cargo builds for it. Otherwise the compiler, the linker and the
# C library are packages of Debian, unpacked beside the build; nothing is installed. Cargo is then still the one of this machine, and
# the standard library is built with the program, since no package has it for this target.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?names the folder to write}
target=wasm32-wasip1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
tools=$CARGO_TARGET_DIR/web-toolchain
built=$CARGO_TARGET_DIR/$target/release

# A page is loaded before it is used: code that is small is as fast here, and a quarter less to load.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=s

# A stack of 4 MiB parses any command line and document, as in src/main.rs.
stack=-Clink-arg=-zstack-size=4194304

# Unpacks packages of Debian into $tools, at the version that apt selects.
unpack() {
    mkdir -p "$tools/packages"
    (cd "$tools/packages" && apt-get download -qq -o APT::Sandbox::User=root "$@")
    for name in "$@"; do dpkg -x "$tools/packages/$name"_*.deb "$tools"; done
    rm -r "$tools/packages"
}

# Builds the program with packages of Debian.
build_with_packages() {
    if [ ! -e "$tools/complete" ]; then
        apt-get update -qq
        # The library of the compiler carries the version in its name, and so do LLVM and its linker.
        depends() { apt-cache depends --no-recommends --no-suggests "$1" | sed -n "s/.*Depends: \($2\)$/\1/p" | head -n 1; }
        library=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
        llvm=$(depends "$library" 'libllvm[0-9]*')
        unpack rustc-web rust-web-src libstd-rust-web-dev wasi-libc "$library" "$llvm" "lld-${llvm#libllvm}"
        touch "$tools/complete"
    fi
    llvm=$(echo "$tools"/usr/lib/llvm-*)
    libc=$tools/usr/lib/wasm32-wasi
    export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$llvm/lib
    export RUSTC=$tools/usr/bin/rustc RUSTC_BOOTSTRAP=1
    # Warnings are those of code that another target uses; the native build has none. Paths of this machine are not part of the program.
    flags=(-Awarnings "-Clinker=$llvm/bin/wasm-ld" -Clink-self-contained=no "-Clink-arg=-L$libc"
        "--remap-path-prefix=$tools/usr/lib/rustlib/src/rust=rust" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
        "--remap-path-prefix=$root=nnlayer")
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
    # rustup's proxy would set another compiler's library path.
    cargo=$(rustup which cargo 2>/dev/null || command -v cargo)

    build() { (cd "$root" && "$cargo" "$1" --release --locked --quiet -Zbuild-std=std,panic_abort --target "$target" "${@:2}"); }

    # The C library of Debian is older than the standard library, which needs some functions more.
    build build --lib
    # Those of earlier compilers may lie beside the newest.
    mkdir -p "$built/libc"
    for name in core compiler_builtins; do
        cp "$(ls -t "$built/deps/lib$name"-*.rlib | head -n 1)" "$built/libc/lib$name.rlib"
    done
    "$RUSTC" --edition 2024 --target "$target" --crate-type lib --emit obj -Cpanic=abort -O -L "$built/libc" "$root/web/libc.rs" \
        -o "$built/libc.o"

    build rustc --bin nnlayer -- "-Clink-arg=$libc/crt1-command.o" "-Clink-arg=$built/libc.o" "$stack"
}

if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    (cd "$root" && cargo rustc --release --locked --target "$target" --bin nnlayer -- "$stack")
else
    build_with_packages
fi

mkdir -p "$folder"
cp -r "$root"/web/*.html "$root"/web/*.css "$root"/web/*.js "$root/web/vendor" "$root"/LICENSE-* "$folder"
gzip -9nc "$built/nnlayer.wasm" >"$folder/nnlayer.wasm.gz"
(cd "$folder" && sha256sum nnlayer.wasm.gz && wc -c nnlayer.wasm.gz)
