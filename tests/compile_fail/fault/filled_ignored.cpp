// expect(gcc): ignoring returned value of type
// expect(clang): ignoring return value of function declared with 'nodiscard' attribute
// expect(gcc): userfault_filled
// SPDX-License-Identifier: BSL-1.0
// A pager that does not look how far its copy came leaves somebody asleep.
#include <mmhold/fault/userfault.hpp>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::constexpr_machine>>;

void probe(mmhold::userfault<space_type>& pager, space_type::cpu_type& me, mmhold::page_span span) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    pager.zeropage(me, span);
#else
    (void)pager.zeropage(me, span);
#endif
}
