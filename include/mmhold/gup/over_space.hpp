// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/compose.hpp>
#include <mmhold/gup/longterm.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/migrate.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/walk/locked_walker.hpp>
#include <mmhold/walk/lockless_walker.hpp>

#include <cstddef>
#include <span>

namespace mmhold {

/// The parts gup works with when it is called with an address_space: its own lock and observer, the
/// fault handler of each vma (dispatch), the locked and the lockless x86 walker.
template<class Config, GupProfile Profile>
struct gup_parts<address_space<Config>, Profile> {
    using space_type = address_space<Config>;
    using cpu_type = typename space_type::cpu_type;

    /// Cheap: views of `space`.
    constexpr gup_parts(space_type& space, cpu_type& me) noexcept
        : handler_{space},
          walker_{space, me},
          fast_walker_{space},
          composed_{compose(space.lock(), handler_, walker_, fast_walker_)
                        .observed_by(space.observer())} {}
    gup_parts(gup_parts const&) = delete;
    gup_parts& operator=(gup_parts const&) = delete;
    constexpr ~gup_parts() = default;

    /// The composition; it refers to this object.
    [[nodiscard]] constexpr auto const& composed() const noexcept { return composed_; }

private:
    using lock_type = typename space_type::lock_type;
    using handler = dispatch<space_type>;
    using walker = locked_walker<space_type>;
    static constexpr auto recheck =
        Profile::fast_recheck_table ? table_recheck::yes : table_recheck::no;
    using fast_walker = lockless_walker<space_type, recheck>;

    handler handler_;
    walker walker_;
    fast_walker fast_walker_;
    composition<lock_type, handler, walker, fast_walker, typename space_type::observer_type>
        composed_;
};

/// How an address space brings pages to frames that may be pinned for ever: its own by
/// migrate_page, those of objects by page_cache::migrate. Others – of large folios, of drivers –
/// cannot be moved.
template<class Config>
struct longterm_mover<address_space<Config>> {
    using space_type = address_space<Config>;
    using cpu_type = typename space_type::cpu_type;

    /// Is the frame outside of the movable zone?
    [[nodiscard]] static constexpr bool may_stay(space_type const& space, pfn page) noexcept {
        auto const& frames = space.frames();
        return !frames.contains(page) ||
               !frames.attributes(page).has(frame_attribute::longterm_forbidden);
    }
    /// Unpins `pages`.
    static constexpr void give_back(space_type& space, std::span<pfn const> pages) noexcept {
        for (auto const page : pages) space.frames().unpin(page);
    }

    /// Moves those of `pages`, found at `span`, that may not stay. ok: they have been moved, or are
    /// not there any more. no_memory: one cannot be moved. Mm lock: held through `held`.
    template<class W>
    static constexpr errc move_held(W const& held, space_type& space, cpu_type& me, page_span span,
                                    std::span<pfn const> pages) {
        for (std::size_t i = 0; i < pages.size(); ++i) {
            if (may_stay(space, pages[i])) continue;
            auto const outcome = move_one(held, space, me, span.page(i), pages[i]);
            if (outcome == errc::bad_address || outcome == errc::again) continue;
            if (outcome != errc::ok) return errc::no_memory;
        }
        return errc::ok;
    }
    /// The same, not held by the caller.
    static constexpr errc move_under_lock(space_type& space, cpu_type& me, page_span span,
                                          std::span<pfn const> pages) {
        return under_shared_lock<errc>(space.lock(), [&](auto const& held) {
            return move_held(held, space, me, span, pages);
        });
    }

private:
    /// How often a page that somebody holds is tried: a lockless walk that comes too late holds it
    /// for a moment only, and must not make the pin fail (migrate_pages tries as often).
    static constexpr int most_tries = 10;

    template<class W>
    static constexpr errc move_one(W const& held, space_type& space, cpu_type& me, virt_addr at,
                                   pfn page) {
        auto outcome = try_move(held, space, me, at, page);
        for (int tries = 1; outcome == errc::busy && tries < most_tries; ++tries) {
            space_type::machine::relax();
            outcome = try_move(held, space, me, at, page);
        }
        return outcome;
    }
    template<class W>
    static constexpr errc try_move(W const& held, space_type& space, cpu_type& me, virt_addr at,
                                   pfn page) {
        auto const found = space.find(at, held);
        if (!found) return errc::bad_address;
        if (space.frames().kind(page) == frame_kind::anonymous) {
            return migrate_page(held, me, space, at, frame_mobility::fixed).error();
        }
        auto const& area = found->view(held);
        auto* const object = page_cache_of<space_type>(area);
        if (object == nullptr) return errc::busy;
        return object->migrate(me, area.file_page_at(at), frame_mobility::fixed).error();
    }
};

}  // namespace mmhold
