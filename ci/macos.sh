#!/usr/bin/env bash
# Checks the macOS half of the code where there is no Mac: the compiler's and clippy's word for both kinds of Mac, with
# warnings denied, all targets and tests. Nothing is linked, and nothing is run.
#
#   ci/macos.sh               check
#   ci/macos.sh --self-test   plant faults in a copy of the tree, and fail unless each turns the check red
#
# The compiler comes from Debian's packages for building browsers: they bring the sources of the standard library, of
# the very same version, which is built for the target from there. They are unpacked below target/, once for each
# version, and not installed. Without them this fails: a check that was not made must not look like one that passed.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
targets=(aarch64-apple-darwin x86_64-apple-darwin)
packages=(rustc-web rust-web-src libstd-rust-web-dev rust-web-clippy)
base="$here/target/macos"
tools="$base/toolchain"

fail() { echo "fault: $*" >&2; exit 1; }

candidate() { apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ && $2 != "(none)" { print $2 }'; }

# Unpacks the packages below $tools, unless these very ones are there already.
toolchain() {
    command -v apt-get >/dev/null || fail "the compiler comes from Debian's packages, and there is no apt-get here"
    local version short llvm
    version=$(candidate rustc-web)
    if [ -z "$version" ] && [ "$(id -u)" = 0 ]; then
        apt-get update -qq || fail "apt-get update"
        version=$(candidate rustc-web)
    fi
    [ -n "$version" ] || fail "there is no package rustc-web (Debian 12 or later, with its security archive)"
    if [ "$(cat "$tools/version" 2>/dev/null)" = "$version" ]; then return; fi
    echo "unpacking rustc-web $version below ${tools#"$here/"}"
    rm -rf "$tools"
    mkdir -p "$tools/packages" "$tools/bin"
    short=$(cut -d. -f1,2 <<<"$version")
    llvm=$(apt-cache depends "libstd-rust-web-$short" | awk '/Depends: libllvm/ { print $2 }')
    (cd "$tools/packages" && apt-get -qq download "${packages[@]}" "libstd-rust-web-$short" "$llvm") 2>"$tools/apt.log" ||
        { tail -n 5 "$tools/apt.log" >&2; fail "the packages cannot be had: ${packages[*]}"; }
    for package in "$tools"/packages/*.deb; do dpkg -x "$package" "$tools/root"; done
    rm -rf "$tools/packages"
    # Its libraries are those of its own packages. Clippy finds out by the name `rustc` what it wraps.
    local library
    library=$(dirname "$(find "$tools/root/usr/lib" -name 'librustc_driver-*.so' -print -quit)")
    for tool in rustc clippy-driver; do
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$library" "$tools/root/usr/bin/$tool" >"$tools/bin/$tool"
        chmod +x "$tools/bin/$tool"
    done
    "$tools/bin/rustc" -vV
    echo "$version" >"$tools/version"
}

# The check itself, of the tree in the current directory.
check() {
    export RUSTC="$tools/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$base/build" CARGO_TERM_COLOR=never
    unset RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
    local target
    for target in "${targets[@]}"; do
        # The test kit plays with Linux namespaces, and is not for Macs.
        local command=(cargo check -q -p reaper -p reaper-platform --all-targets --all-features --target "$target"
            "-Zbuild-std=std,panic_abort,test")
        echo "checking for $target"
        "${command[@]}" || return 1
        RUSTC_WORKSPACE_WRAPPER="$tools/bin/clippy-driver" CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__" \
            "${command[@]}" || return 1
    done
}

# plant NAME WORDS FILE TEXT: a copy of the tree with this text added to a file must be red, and say these words.
plant() {
    local name=$1 words=$2 file=$3 text=$4 said copy
    copy=$(mktemp -d "$base/copy.XXXXXX")
    tar -C "$here" --exclude=./target --exclude=./.git -cf - . | tar -C "$copy" -xf -
    printf '%s\n' "$text" >>"$copy/$file"
    if said=$(cd "$copy" && check 2>&1); then
        rm -rf "$copy"
        fail "planted, and nothing turned red: $name"
    fi
    rm -rf "$copy"
    grep -qF -- "$words" <<<"$said" || { tail -n 20 <<<"$said" >&2; fail "red, but not for \`$words\`: $name"; }
    echo "red as it must be: $name"
}

cd "$here"
toolchain
case ${1:-} in
"") check ;;
--self-test)
    plant "a type error in code for macOS" "mismatched types" platform/src/macos/host.rs \
        'pub fn planted() -> u8 { "no number" }'
    plant "code that nothing uses on macOS" "is never used" platform/src/macos/facts.rs \
        'fn planted() {}'
    plant "a lint's complaint about code for macOS" "unneeded \`return\` statement" platform/src/macos/pinned.rs \
        'impl MacPinned { pub(super) fn planted(&self) -> u64 { return self.unique; } }'
    plant "code of the program that is for Linux only" "unresolved import" src/lib.rs \
        'pub use reaper_platform::linux::LinuxHost;'
    ;;
*) fail "usage: ci/macos.sh [--self-test]" ;;
esac
