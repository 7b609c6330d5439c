# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=bash
#
# What ./demo, ./check, tests/asterisk/rootfs and tests/tools/fresh share: the package lists, how
# packages are installed, how root is had, who owns what is built, and which mirror is asked.
# Sourced, never run; it starts nothing by itself.

# Debian's names, the same in Debian 12 and 13. libwebsockets-dev brings libcap's.
# shellcheck disable=SC2034 # used by those who source this file
ARIZMQ_PACKAGES_BUILD=(
    gcc libc6-dev cmake ninja-build pkgconf xz-utils libzmq3-dev libczmq-dev libwebsockets-dev
    libssl-dev libcurl4-openssl-dev libjansson-dev libcyaml-dev libyaml-dev libunistring-dev
    libsqlite3-dev uthash-dev
)
# Criterion is among them because the build of the tests, the fake Asterisk too, asks for it.
# shellcheck disable=SC2034
ARIZMQ_PACKAGES_DEMO=(libcriterion-dev python3 python3-zmq)
# shellcheck disable=SC2034
ARIZMQ_PACKAGES_TEST=(
    libcriterion-dev python3 python3-zmq python3-jsonschema python3-yaml clang libclang-rt-dev
    openssl
)
# What tests/bench/gateway compares with, and what its clients need.
# shellcheck disable=SC2034
ARIZMQ_PACKAGES_BENCH=(zurl python3-zmq)
# What tests/bench/run compares with, beside Node and npm, which may be there from elsewhere.
# shellcheck disable=SC2034
ARIZMQ_PACKAGES_SPEED=(openssl python3-websockets python3-zmq)
# What tests/asterisk/rootfs and tests/asterisk/run need. Only of use to root.
# shellcheck disable=SC2034
ARIZMQ_PACKAGES_ASTERISK=(mmdebstrap debian-archive-keyring ca-certificates openssl python3)

# The status with which a test, or a helper of one, says that something cannot be had here.
# shellcheck disable=SC2034
ARIZMQ_SKIP=77

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Prints those of the packages that are not installed, in one line; nothing where all are.
packages_missing() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    printf '%s' "${missing[*]}"
}

# How to run a command as root: "" for root, "sudo" where that works or may ask at the terminal.
# Fails where there is no way.
root_prefix() {
    if ((EUID == 0)); then
        return 0
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]; }; then
        printf 'sudo'
    else
        return 1
    fi
}

# Installs what is missing of the packages. Fails, and says exactly what is missing, where it
# cannot.
packages_install() {
    local missing prefix words log
    missing=$(packages_missing "$@")
    [[ -n $missing ]] || return 0
    read -ra words <<<"$missing"
    if ! command -v apt-get >/dev/null || ! prefix=$(root_prefix); then
        say "these packages are missing and cannot be installed without root: $missing"
        say "as root: apt-get install --no-install-recommends $missing"
        return 1
    fi
    say "installing $missing"
    log=$(mktemp)
    local -a as_root=(${prefix:+"$prefix"} env DEBIAN_FRONTEND=noninteractive)
    # A machine that never ran apt-get update knows no package; one that ran it long ago asks for
    # versions that are gone. So the lists are fetched whenever something has to be installed.
    if ! "${as_root[@]}" apt-get -qq -o Acquire::Retries=2 update >"$log" 2>&1 ||
        ! "${as_root[@]}" apt-get -qq -y -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120 \
            install --no-install-recommends "${words[@]}" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        say "apt-get could not install: $missing"
        return 1
    fi
    rm -f "$log"
}

# Put before a command it runs as the one who called sudo, so that what is built belongs to them;
# empty without sudo. An array, so that a background job's pid is that of the command itself.
ARIZMQ_AS_OWNER=()
if ((EUID == 0)) && [[ ${SUDO_UID:-0} != 0 ]]; then
    ARIZMQ_AS_OWNER=(env "HOME=$(getent passwd "$SUDO_UID" | cut -d: -f6)" setpriv
        --reuid "$SUDO_UID" --regid "${SUDO_GID:-$SUDO_UID}" --init-groups --)
fi

# Hands a build directory that an earlier run as root left behind to the one who called sudo.
own_build_dir() {
    if ((${#ARIZMQ_AS_OWNER[@]} > 0)) && [[ -d $1 && $(stat -c %u "$1") != "$SUDO_UID" ]]; then
        chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$1"
    fi
}

# The build directory of a preset, as CMakePresets.json has it.
build_dir() {
    if [[ $1 == release ]]; then
        printf 'build'
    else
        printf 'build-%s' "$1"
    fi
}

# Configures the preset $1 where that was not done yet, and builds. In the source directory;
# further arguments go to the build. The second run compiles what changed and nothing else.
build_preset() {
    local preset=$1 dir
    shift
    dir=$(build_dir "$preset")
    own_build_dir "$dir"
    if [[ ! -f $dir/build.ninja && ! -f $dir/Makefile ]]; then
        "${ARIZMQ_AS_OWNER[@]}" cmake --preset "$preset" -G Ninja || return
    fi
    "${ARIZMQ_AS_OWNER[@]}" cmake --build --preset "$preset" -j "${ARIZMQ_JOBS:-2}" "$@"
}

# Prints the address of the Debian archive that this machine's apt uses; nothing where it uses
# none (another distribution, lists never fetched): then mmdebstrap takes its own default.
debian_mirror() {
    # shellcheck disable=SC2016 # apt's own format fields
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# Prints, one in a line, what apt is told here about proxies, as mmdebstrap's --aptopt takes it.
apt_proxy_options() {
    apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy' || true
}
