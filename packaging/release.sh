#!/usr/bin/env bash
# Builds what is released, into target/release-artefacts, with SHA256SUMS.
#
#   packaging/release.sh                  everything
#   packaging/release.sh deb rpm          only these
#
#   deb      Debian package; needs cargo-deb
#   rpm      RPM package; needs cargo-generate-rpm
#   static   archive of a program that needs no library of the system (musl); needs rustup target add TARGET, and musl-gcc (musl-tools)
#   sbom     list of what is linked into the program, as CycloneDX JSON
#
# The same commit, paths and tools give the same bytes: all times are those of SOURCE_DATE_EPOCH, else of the last commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

give_up() {
    echo "packaging/release.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" > /dev/null || give_up "$1 is missing: $2"
}

# Directories of this machine do not get into the program.
separator=$'\x1f'
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=rlondiste$separator--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH
# A directory of its own: the flags would have cargo build everything anew in the usual one.
export CARGO_TARGET_DIR=$PWD/target/package
export LC_ALL=C TZ=UTC
umask 022
out=$PWD/target/release-artefacts
host=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

cargo_build=(cargo build --release --locked --bin rlondiste --config profile.release.strip=true)

# The program for packages, and what belongs beside it; once.
built=no
build_for_packages() {
    if [ "$built" = no ]; then
        "${cargo_build[@]}"
        packaging/generate.sh "$CARGO_TARGET_DIR/release/rlondiste" "$CARGO_TARGET_DIR/generated"
        built=yes
    fi
}

make_deb() {
    need cargo-deb "cargo install --locked cargo-deb"
    need dpkg-shlibdeps "apt-get install dpkg-dev"
    build_for_packages
    cargo deb --no-build --no-strip --locked --output "$out/"
}

make_rpm() {
    need cargo-generate-rpm "cargo install --locked cargo-generate-rpm"
    build_for_packages
    cargo generate-rpm --source-date "$SOURCE_DATE_EPOCH" --output "$out/"
}

make_static() {
    local target=${host/-gnu/-musl} name
    name=rlondiste-$version-$target
    need musl-gcc "apt-get install musl-tools"
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || give_up "no standard library of $target: rustup target add $target"
    env "CC_${target//-/_}=musl-gcc" "${cargo_build[@]}" --target "$target"
    rm -rf "${CARGO_TARGET_DIR:?}/$name"
    mkdir -p "$CARGO_TARGET_DIR/$name"
    cp "$CARGO_TARGET_DIR/$target/release/rlondiste" README.md CHANGELOG.md LICENSE "$CARGO_TARGET_DIR/$name/"
    packaging/crates.py notices > "$CARGO_TARGET_DIR/$name/THIRD-PARTY"
    tar --create --directory "$CARGO_TARGET_DIR" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        --format=gnu "$name" | gzip -9n > "$out/$name.tar.gz"
}

make_sbom() {
    packaging/crates.py sbom > "$out/rlondiste-$version.cdx.json"
}

for part in "$@"; do
    declare -F "make_$part" > /dev/null || give_up "there is no artefact \"$part\": deb, rpm, static, sbom"
done
[ $# -gt 0 ] || set -- deb rpm static sbom
rm -rf "$out"
mkdir -p "$out"
for part in "$@"; do
    "make_$part"
done
cd "$out"
sha256sum -- * > SHA256SUMS
cat SHA256SUMS
