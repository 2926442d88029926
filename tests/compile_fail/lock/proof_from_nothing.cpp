// expect(gcc): use of deleted function
// expect(clang): call to deleted constructor of
// expect: lock_dropped
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

mmhold::lock_dropped<lock_type> probe(shared& held) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return {};
#endif
    return held.give_up();
}
