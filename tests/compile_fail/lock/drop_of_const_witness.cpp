// expect(gcc): use of deleted function
// expect(clang): call to deleted function
// expect: may_drop
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(shared& held, shared const& kept) {
    auto const permission = mmhold::may_drop(held);
    (void)permission.holding();
    (void)kept.holding();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto const stolen = mmhold::may_drop(kept);  // whoever passed it on relies on the lock
    (void)stolen.holding();
#endif
}
