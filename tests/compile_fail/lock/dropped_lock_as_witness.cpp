// expect(gcc): use of deleted function
// expect(clang): deleted
// expect: lock_dropped
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void needs_the_lock(shared const&);

void probe(shared& held) {
    needs_the_lock(held);
    auto const proof = held.give_up();
    (void)proof.lock();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    needs_the_lock(proof);
#endif
}
