#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the flagship example and runs it with the arguments given here; say --help for them.
set -euo pipefail

called_from=$PWD
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

need_packages "${packages_for_building[@]}"

say "configuring and building proc_reader_stall (preset release)"
cmake --preset release
cmake --build --preset release --target proc_reader_stall
program=$PWD/build/release/examples/proc_reader_stall

# Relative paths among the arguments are the caller's.
cd -- "$called_from"
say "running it"
exec "$program" "$@"
