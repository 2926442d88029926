// expect: mmhold: gup() never gives up the mm lock; call gup_locked() if you may lose it
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/gup/gup.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

using lock = mmhold::null_lock<mmhold::constexpr_machine>;

mmhold::gup_result probe(int& mm, int& me, mmhold::held_shared<lock>& held, mmhold::page_span span) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return mmhold::gup(mm, me, mmhold::may_drop(held), span, {}, mmhold::no_pages);
#else
    (void)mm, (void)me, (void)held, (void)span;
    return {};
#endif
}
