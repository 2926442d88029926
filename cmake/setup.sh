# SPDX-License-Identifier: BSL-1.0
# Sourced by demo.sh and test.sh: goes to the top of the sources and sees to it that the tools are there.

CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"

# What Debian 12 calls the things that everybody needs.
packages_for_building=(g++ cmake ninja-build python3 libboost-dev librange-v3-dev catch2 libbenchmark-dev)
# libclang-rt-19-dev: the sanitizers' libraries, for the presets asan and tsan.
packages_for_testing=(clang-19 libclang-rt-19-dev)

say() { printf '== %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The packages among $@ that are not installed.
absent_packages() {
    local package
    for package in "$@"; do
        if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

# Installs those of the packages $@ that are absent; asks nobody for anything when none is.
need_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        need_commands_elsewhere
        return
    fi
    local absent as_root=()
    mapfile -t absent < <(absent_packages "$@")
    if ((${#absent[@]} == 0)); then
        return
    fi
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            die "these packages are missing: ${absent[*]}
Neither root nor sudo is at hand to install them. As root:  apt-get install ${absent[*]}"
        fi
        as_root=(sudo)
    fi
    say "installing ${absent[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    "${as_root[@]}" apt-get update -q ||
        say "apt-get update failed; trying with the package lists that are there"
    "${as_root[@]}" apt-get install -y -q --no-install-recommends "${absent[@]}" ||
        die "apt could not install: ${absent[*]}"
}

# Not a Debian: say what has to be there, and stop if it is not.
need_commands_elsewhere() {
    local command missing=()
    for command in g++ cmake ninja python3; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    if ((${#missing[@]} > 0)); then
        die "not found: ${missing[*]}
Also needed: Boost headers >= 1.74, range-v3 >= 0.12, Catch2 2.13 or 3, Google Benchmark; for the tests clang++-19.
This system has no apt, so please install them its own way."
    fi
}
