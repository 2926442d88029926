// SPDX-License-Identifier: BSL-1.0
// Has no code: stands in compile_commands.json for "any file that uses mmhold" (see tests/compile_fail).
