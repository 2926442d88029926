// SPDX-License-Identifier: BSL-1.0
#pragma once

// The ways of getting pages that are compared.

#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>

#include "pager.hpp"
#include "row.hpp"
#include "world.hpp"

#include <span>
#include <string_view>

namespace stall {

/// Gets the pages of `wanted`, to be written to, one reference each, into `out`.
using gup_function = mmhold::gup_result (*)(space_type& mm, cpu_type& me, mmhold::page_span wanted,
                                            std::span<mmhold::pfn> out);

/// One way: where missing pages come from, how the caller asks for them, and what is to be seen.
struct way {
    std::string_view name;
    lesson shows;
    supply pages;
    gup_function get;

    /// Does a call end without waiting for the pager?
    [[nodiscard]] constexpr bool instant() const {
        return pages == supply::present || shows == lesson::refused;
    }
};

/// The lock is the caller's, and stays held whatever happens.
inline mmhold::gup_result by_gup(space_type& mm, cpu_type& me, mmhold::page_span wanted,
                                 std::span<mmhold::pfn> out) {
    auto const held = held_shared::acquire(mm.lock());
    return mmhold::gup(mm, me, held, wanted, mmhold::gup_flag::write, out);
}

/// The lock is the caller's, who is ready to lose it.
inline mmhold::gup_result by_gup_locked(space_type& mm, cpu_type& me, mmhold::page_span wanted,
                                        std::span<mmhold::pfn> out) {
    auto held = held_shared::acquire(mm.lock());
    return mmhold::gup_locked(mm, me, may_drop(held), wanted, mmhold::gup_flag::write, out);
}

/// The caller has no business with the lock.
inline mmhold::gup_result by_gup_unlocked(space_type& mm, cpu_type& me, mmhold::page_span wanted,
                                          std::span<mmhold::pfn> out) {
    return mmhold::gup_unlocked(mm, me, wanted, mmhold::gup_flag::write, out);
}

/// Nobody takes the lock, as long as the pages are there.
inline mmhold::gup_result by_gup_fast(space_type& mm, cpu_type& me, mmhold::page_span wanted,
                                      std::span<mmhold::pfn> out) {
    return mmhold::gup_fast(mm, me, wanted, mmhold::gup_flag::write, out);
}

inline constexpr way ways[] = {
    {"blocking handler under gup", lesson::stalls, supply::device, by_gup},
    {"gup without permission to drop", lesson::refused, supply::userfault, by_gup},
    {"gup_locked", lesson::flows, supply::userfault, by_gup_locked},
    {"gup_unlocked", lesson::flows, supply::userfault, by_gup_unlocked},
    {"gup_fast on present pages", lesson::flows, supply::present, by_gup_fast},
    {"gup_fast falling back", lesson::flows, supply::userfault, by_gup_fast},
};

}  // namespace stall
