// expect(gcc): use of deleted function
// expect(clang): call to deleted constructor of
// expect: lock_dropped
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(lock_type& lock) {
    auto held = shared::acquire(lock);
    (void)held.holding();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    mmhold::lock_dropped<lock_type> const forged{held};  // the lock is still held
    (void)forged.of(lock);
#endif
}
