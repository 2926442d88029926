// expect(gcc): use of deleted function
// expect(clang): call to implicitly-deleted copy constructor of
// expect: wait_ticket
// SPDX-License-Identifier: BSL-1.0
// A ticket is one place in one queue, given back once.
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

#include <utility>

using ticket = mmhold::wait_ticket<mmhold::constexpr_machine>;

ticket probe(ticket& mine) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return ticket{mine};
#else
    return ticket{std::move(mine)};
#endif
}
