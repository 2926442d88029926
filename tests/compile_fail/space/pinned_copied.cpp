// expect(gcc): use of deleted function
// expect(clang): call to deleted constructor
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include <utility>

using pinned = mmhold::pinned<mmhold::frame_pool<mmhold::host_machine>>;

pinned probe(pinned&& held) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    pinned twice{held};  // both would unpin
#else
    pinned twice{std::move(held)};
#endif
    return twice;
}
