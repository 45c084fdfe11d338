#!/usr/bin/env bash
# Writes into a directory what packages have beside the program: manual pages and completions as the program prints them, the changelog, and the
# licences of what is linked into the program. The same program and sources give the same bytes.
#
#   packaging/generate.sh PROGRAM DIRECTORY
set -euo pipefail

[ $# -eq 2 ] || {
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}
program=$(realpath "$1")
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$2"
cd "$2"
rm -rf man completions
mkdir man completions

# Without name and time in it.
compressed() {
    gzip -9n > "$1"
}

"$program" --man rlondiste | compressed man/rlondiste.1.gz
"$program" --man rlondiste.ini | compressed man/rlondiste.ini.5.gz
# update-alternatives links londiste.1 and pgqadm.1 to these: other packages may have pages of these names.
for name in londiste pgqadm; do
    "$program" --man "$name" | compressed "man/rlondiste-$name.1.gz"
done

"$program" --completions bash > completions/rlondiste
"$program" --completions zsh > completions/_rlondiste
# fish looks for a file with the name of the command; each of them may have all three.
for name in rlondiste londiste pgqadm; do
    "$program" --completions fish > "completions/$name.fish"
done

compressed changelog.gz < "$repository/CHANGELOG.md"
"$repository/packaging/crates.py" notices | compressed THIRD-PARTY.gz
