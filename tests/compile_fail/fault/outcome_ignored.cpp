// expect(gcc): ignoring returned value of type
// expect(clang): ignoring return value of function declared with 'nodiscard' attribute
// expect(gcc): fault_outcome
// SPDX-License-Identifier: BSL-1.0
// Whoever does not look at the outcome does not know whether the lock is still held.
#include <mmhold/fault/anonymous.hpp>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::constexpr_machine>>;
using authority = mmhold::lock_authority<space_type::lock_type>;

void probe(mmhold::anonymous<space_type>& memory, authority& held, space_type::cpu_type& me) {
    mmhold::fault_request const request{};
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    memory.handle(request, held, me);
#else
    auto const outcome = memory.handle(request, held, me);
    (void)outcome.lock_lost();
#endif
}
