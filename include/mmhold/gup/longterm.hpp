// SPDX-License-Identifier: BSL-1.0
#pragma once

// longterm – pins that last for ever must not stand on frames that have to stay movable
// (gup-semantics §1.2 rule 6, §5.4, §6.2 #23; __gup_longterm_locked).
//
// Pinner    pin all that can be pinned, wherever it lies → does every page lie where it may stay?
//           Then that is the answer. → Unpin all, move those that do not to fixed frames, and begin
//           anew: meanwhile anything may have happened to the rest.
//
// The operation below (operation.hpp) knows nothing of this: it is a loop around whole calls. A
// page that cannot be moved, in several tries, ends it with no_memory, and nothing is pinned, as in
// Linux (read, not run: the running kernel has no movable memory); Linux goes on for ever where a
// page cannot even be isolated (§10 #12), here that is no_memory as well. Two long-term pinners
// cannot hinder each other for ever: a page that one of them holds the other finds busy.
//
// New pages that a fault brings in while a long-term pin waits for them come from the movable zone
// like any other, and are moved then; Linux has them allocated elsewhere from the start.

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/gup_result.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// How pages of a `Mm` are moved to where they may be pinned for ever. This one: not at all, and
/// long-term pins take them as they are; address spaces have a better one (over_space.hpp).
///
/// A specialisation has may_stay(mm, page), give_back(mm, pages) – of pins –, and
/// move_under_lock(mm, me, span, pages) and move_held(witness, mm, me, span, pages), which move
/// those of `pages`, found at `span`, that may not stay, and answer ok or why one could not be
/// moved.
template<class Mm>
struct longterm_mover {};

/// Are its pages moved?
template<class Mm>
concept MovesLongterm = requires(Mm& mm, pfn page, std::span<pfn const> pages) {
    { longterm_mover<Mm>::may_stay(mm, page) } -> std::same_as<bool>;
    {longterm_mover<Mm>::give_back(mm, pages)};
};

namespace detail {

/// Repeats `pin()` – a whole call for `span` into `out` – until every page may stay. `move(pages)`
/// moves those that may not.
template<class Mm, class Pin, class Move>
[[nodiscard]] constexpr gup_result pin_where_it_may_stay(Mm& mm, std::span<pfn> out, Pin pin,
                                                         Move move) {
    using mover = longterm_mover<Mm>;
    for (;;) {
        gup_result const got = pin();
        auto const pages = out.first(static_cast<std::size_t>(got.pages));
        auto all_stay = true;
        for (auto const page : pages) all_stay = all_stay && mover::may_stay(mm, page);
        if (all_stay) return got;
        mover::give_back(mm, pages);
        auto const moved = move(std::span<pfn const>{pages}, got.lock);
        if (moved != errc::ok) return {0, gup_stop::error, moved, got.lock};
    }
}

/// Is this a call that must look where its pages lie?
[[nodiscard]] constexpr bool is_longterm(gup_flags flags, holding how) noexcept {
    return how == holding::pin && flags.has(gup_flag::longterm);
}

}  // namespace detail

}  // namespace mmhold
