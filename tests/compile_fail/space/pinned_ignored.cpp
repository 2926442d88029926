// expect(gcc): ignoring returned value of type
// expect(clang): ignoring return value of function declared with
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include <span>

using pool = mmhold::frame_pool<mmhold::host_machine>;

mmhold::pinned<pool> hold(pool& frames, std::span<mmhold::pfn const> pages) {
    return {frames, pages, mmhold::holding::pin};
}

void probe(pool& frames, std::span<mmhold::pfn const> pages) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    hold(frames, pages);  // unpinned before anybody could use them
#else
    auto const held = hold(frames, pages);
    (void)held.size();
#endif
}
