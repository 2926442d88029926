// expect(gcc): use of deleted function
// expect(clang): selected deleted operator
// expect(gcc): operator=
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

using lock_type = mmhold::rw_lock<mmhold::host_machine>;
using shared = mmhold::held_shared<lock_type>;

void probe(lock_type& one, lock_type& two) {
    auto held = shared::acquire(one);
    auto other = shared::acquire(two);
    held = std::move(other);
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    other = held;
#endif
}
