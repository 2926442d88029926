// expect(gcc): use of deleted function
// expect(clang): call to deleted function
// expect: may_drop
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(lock_type& lock) {
    auto held = shared::acquire(lock);
    auto const permission = mmhold::may_drop(held);
    (void)permission.holding();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto const dangling = mmhold::may_drop(shared::acquire(lock));  // nobody would see the drop
    (void)dangling.holding();
#endif
}
