// expect(gcc): cannot convert 'mmhold::held_shared<
// expect(clang): no known conversion from 'mmhold::held_shared<lock_type>'
// expect: lock_dropped
// SPDX-License-Identifier: BSL-1.0
// RETRY with the lock gone can only be said by who has given it up.
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

using machine = mmhold::constexpr_machine;
using lock_type = mmhold::null_lock<machine>;
using outcome = mmhold::fault_outcome<lock_type, machine>;

outcome probe(mmhold::held_shared<lock_type>& held) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return outcome::retry(held, {});
#else
    return outcome::retry(held.give_up(), {});
#endif
}
