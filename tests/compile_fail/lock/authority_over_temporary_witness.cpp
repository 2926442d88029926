// expect(gcc): use of deleted function
// expect(clang): call to deleted function
// expect: keep
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(lock_type& lock) {
    auto const held = shared::acquire(lock);
    (void)mmhold::lock_authority<lock_type>::keep(held).held();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    (void)mmhold::lock_authority<lock_type>::keep(shared::acquire(lock)).held();
#endif
}
