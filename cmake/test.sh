#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, then builds and tests everything with g++, the same with clang++ (without what no compiler
# changes, or what takes long), and the whole library without exceptions and RTTI.
# The last line has the form of ctest's own and counts all three.
set -euo pipefail

source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

need_packages "${packages_for_building[@]}" "${packages_for_testing[@]}"

total=0
failed=0
summary=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The sum of all stages as ctest would say it; ends the script.
finish() {
    say "summary"
    printf '%s\n' "${summary[@]}"
    if ((total == 0)); then
        die "no test ran"
    fi
    printf '%d%% tests passed, %d tests failed out of %d\n' $(((total - failed) * 100 / total)) "$failed" "$total"
    exit $((failed > 0))
}

# stage <name> <command>...: runs a command that ends with ctest, and adds its tests to the sum. A command that fails
# before or beside its tests counts as one failed test, and is the last one.
stage() {
    local name=$1 status=0 begin=$SECONDS last here_failed here_total skipped
    shift
    say "$name: $*"
    "$@" 2>&1 | tee "$log" || status=$?
    last=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1) || last=""
    here_failed=$(sed -E 's/.*passed, ([0-9]+) tests.*/\1/' <<<"${last:-passed, 0 tests}")
    here_total=$(sed -E 's/.*out of ([0-9]+).*/\1/' <<<"${last:-out of 0}")
    skipped=$(grep -cE '\*\*\*Skipped' "$log" || true)
    total=$((total + here_total))
    failed=$((failed + here_failed))
    summary+=("$(printf '%-9s %5d tests, %d failed, %d skipped, %d s' \
        "$name" "$here_total" "$here_failed" "$skipped" $((SECONDS - begin)))")
    mapfile -t -O "${#summary[@]}" summary < <(sed -nE \
        -e 's/^\t *[0-9]+ - (.*) \(Skipped\)$/          skipped: \1/p; t' \
        -e 's/^\t *[0-9]+ - (.*) \(([^()]+)\)$/          failed: \1 (\2)/p' "$log")
    if ((here_total == 0 || (status != 0 && here_failed == 0))); then
        summary+=("$(printf '%-9s did not get through its tests (counted as one failed test)' "$name")")
        total=$((total + 1))
        failed=$((failed + 1))
        finish
    fi
}

# configure_build_test <preset> <labels to leave out>: like the workflow, with fewer tests, without building every header
# on its own once more, and without the programs whose tests are left out.
configure_build_test() {
    cmake --preset "$1" -DMMHOLD_EXPLORER=OFF -DMMHOLD_KERNEL_TESTS=OFF &&
        cmake --build --preset "$1" --target all &&
        ctest --test-dir "build/$1" --output-on-failure --no-tests=error --parallel 2 --label-exclude "$2"
}

stage dev cmake --workflow --preset dev
stage clang configure_build_test clang '^(lint|consumer|stress|kernel|explore)$'
stage noexcept configure_build_test noexcept '^(lint|consumer|stress|kernel|explore|compile-fail|codegen)$'
finish
