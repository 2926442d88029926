// expect(gcc): use of deleted function
// expect(clang): deleted
// expect: held_exclusive
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void changes_the_layout(mmhold::held_exclusive<lock_type> const&);

void probe(shared const& reading, mmhold::held_exclusive<lock_type> const& writing) {
    changes_the_layout(writing);
    (void)reading.holding();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    changes_the_layout(reading);
#endif
}
