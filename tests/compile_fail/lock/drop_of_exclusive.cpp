// expect: no matching function for call to
// expect: may_drop
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(shared& held, mmhold::held_exclusive<lock_type>& writing) {
    (void)mmhold::may_drop(held).holding();
    (void)writing.holding();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    (void)mmhold::may_drop(writing).holding();  // a fault only ever drops a shared hold
#endif
}
