# Installing packages of a Debian or Ubuntu distribution. To be sourced.

as_root=()
can_be_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo > /dev/null || return 1
    as_root=(sudo)
    # Without a terminal a password cannot be asked for.
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true
}

apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" < /dev/null
}

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2> /dev/null | grep -q 'ok installed'
}

# Installs packages unless that would change what is installed: servers of this machine may be running.
install_packages() {
    local plan
    apt_get update > /dev/null || return 1
    plan=$(apt_get install --simulate --no-install-recommends --no-remove "$@") || return 1
    if grep -qE '^Inst [^ ]+ \[' <<< "$plan"; then
        echo "installing $* would upgrade other packages:" >&2
        grep -E '^Inst [^ ]+ \[' <<< "$plan" >&2
        return 1
    fi
    apt_get install --no-install-recommends --no-remove "$@"
}
