// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault_move – a page goes to another address of the same space, and is not copied
// (UFFDIO_MOVE).
//
// Mover     (mm lock shared) both places locked: the lower address' table first → nothing at the
//           destination → take the source's entry out → flush → look at the pins: there are some?
//           the entry again, busy → the page at its new place → both unlocked.
// Pinner    (lockless) read the entry → pin → read it again: it is gone or elsewhere, unpin.
// Holder    of a plain reference sees the page where it is, not the address: it may move
//           (measured on 6.18: a vmspliced page moves, a pinned one is busy).
// Others    take one page table lock at a time; fork takes two, of two spaces, and holds both mm
//           locks exclusively.
//
// Only a page that is exclusive can be at one place less; one that others may map is busy, even if
// they are gone by now (measured).

#include <mmhold/fault/install.hpp>
#include <mmhold/fault/userfault_fill.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// What a source without a page means.
enum class userfault_holes : std::uint8_t {
    refused,  ///< the end of the move
    allowed,  ///< a page that need not be moved (UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES)
};

namespace detail {

/// May pages of `from` be moved to `to`, which `source` serves (validate_move_areas)? Private
/// anonymous memory with the same rights, writable.
[[nodiscard]] constexpr errc check_move(vma const& from, vma const& to,
                                        fault_source const& source) noexcept {
    auto const alike = from.prot == to.prot && from.pkey == to.pkey &&
                       from.flags.has(vma_flag::locked) == to.flags.has(vma_flag::locked);
    auto const own =
        is_anonymous(from) && is_anonymous(to) && from.object == nullptr && to.object == nullptr;
    auto const fits = alike && own && from.prot.has(protection_bit::write) && to.source == &source;
    return fits ? errc::ok : errc::invalid_argument;
}

/// Moves single pages between two vmas of one space. The mm lock is held.
template<class Space>
class page_mover {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::tree_type::guard;

    constexpr page_mover(Space& space, cpu_type& me, vma const& to, userfault_holes holes) noexcept
        : space_{space}, me_{me}, to_{to}, holes_{holes} {}

    /// Moves the page at `from` to `at`. Errors: exists – something is there; not_supported –
    /// nothing is at `from`, or a large leaf that cannot be split; busy; bad_address – a marker
    /// that is no page; no_memory.
    constexpr result<void> move(virt_addr from, virt_addr at) {
        for (;;) {
            auto const done = try_move(from, at);
            if (done.error() != errc::again) return done;
        }
    }

private:
    constexpr result<void> try_move(virt_addr from, virt_addr at) {
        // Tables are made, and large leaves split, while no page table lock is held.
        if (auto const ready = provide(from); !ready) return ready;
        if (auto const ready = provide(at); !ready) return ready;
        auto const lower = from < at ? from : at;
        auto const upper = from < at ? at : from;
        auto first = space_.table().tree().lock_at(me_, lower, 0, if_absent::fail);
        if (!first) return errc::again;
        auto second = std::optional<guard>{};
        if (!share_table(lower, upper)) {
            auto locked = space_.table().tree().lock_at(me_, upper, 0, if_absent::fail);
            if (!locked) return errc::again;
            second = *std::move(locked);
        }
        auto& of_lower = *first;
        auto& of_upper = second ? *second : *first;
        return from < at ? move_locked(of_lower, from, of_upper, at)
                         : move_locked(of_upper, from, of_lower, at);
    }

    constexpr result<void> provide(virt_addr at) {
        auto const table = space_.table().tree().lock_at(me_, at, 0, if_absent::create);
        if (table.error() != errc::exists) return table.error();
        auto const split = space_.table().split(me_, at, space_.flush());
        return split ? errc::again : split.error();
    }
    [[nodiscard]] static constexpr bool share_table(virt_addr a, virt_addr b) noexcept {
        if constexpr (format::levels == 1) {
            return true;
        } else {
            return entry_start<format>(a, 1) == entry_start<format>(b, 1);
        }
    }

    constexpr result<void> move_locked(guard& source, virt_addr from, guard& target, virt_addr at) {
        auto const index = format::index(from, 0);
        auto const into = format::index(at, 0);
        if (!target.none(into)) return errc::exists;
        auto const entry = source.read(index);
        if (entry.none()) {
            return holes_ == userfault_holes::allowed ? errc::ok : errc::not_supported;
        }
        if (is_moving(entry)) {
            auto const page = entry.target;
            source.unlock();
            target.unlock();
            space_.frames().await_moved(page);
            return errc::again;
        }
        if (entry.is_marker()) return move_marker(source, index, target, into, entry);
        return move_leaf(source, from, target, into, entry);
    }

    constexpr result<void> move_marker(guard& source, unsigned index, guard& target, unsigned into,
                                       page_entry const& marker) {
        if (!is_swapped(marker)) return errc::bad_address;
        if (!is_marker_of(marker, page_marker::swapped_exclusive)) return errc::busy;
        target.set(into, source.clear(index));
        return {};
    }

    constexpr result<void> move_leaf(guard& source, virt_addr from, guard& target, unsigned into,
                                     page_entry const& leaf) {
        auto& frames = space_.frames();
        auto const zeroes = leaf.special && leaf.target == frames.zero_page();
        if (!zeroes && (leaf.special || !is_ours_alone(leaf.target))) return errc::busy;
        auto const index = format::index(from, 0);
        auto const old = source.clear(index);
        if (auto const page = page_span::from(from, page_count{1})) space_.flush()(*page);
        if (zeroes) {
            target.set(into, zero_leaf_for(to_, old.target));
            return {};
        }
        if (!frames.try_share(old.target)) {
            source.set(index, old);
            return errc::busy;
        }
        frames.set_exclusive(old.target);
        auto moved = leaf_for(to_, old.target, install_for::writing);
        moved.dirty = old.dirty;
        target.set(into, moved);
        return {};
    }
    [[nodiscard]] constexpr bool is_ours_alone(pfn page) const noexcept {
        auto const& frames = space_.frames();
        return frames.contains(page) && frames.kind(page) == frame_kind::anonymous &&
               frames.exclusive(page);
    }

    Space& space_;
    cpu_type& me_;
    vma const& to_;
    userfault_holes holes_;
};

}  // namespace detail

/// Moves the pages of `from` to the same number of pages from `at` on, which `source` serves. Mm
/// lock: held, through `held`. See userfault::move.
template<class Space, class Witness>
constexpr userfault_filled move_userfault_pages(Space& space, Witness const& held,
                                                typename Space::cpu_type& me, virt_addr at,
                                                page_span from, fault_source const& source,
                                                userfault_holes holes) {
    auto const to = page_span::from(at, page_count{from.pages()});
    if (from.empty() || !to) return {0, errc::invalid_argument};
    if (!me.valid()) return {0, errc::no_memory};
    auto const into = space.find(at, held);
    auto const out_of = space.find(from.start(), held);
    if (!into || !out_of) return {0, errc::not_supported};
    auto const& target = into->view(held);
    if (!target.flags.has(vma_flag::shared)) space.note_own_pages(at);
    auto const& origin = out_of->view(held);
    auto const inside = to->end() <= target.span.end() && from.end() <= origin.span.end();
    auto const refused = detail::check_move(origin, target, source);
    if (!inside || refused != errc::ok) return {0, errc::invalid_argument};
    detail::page_mover<Space> mover{space, me, target, holes};
    for (std::uint64_t n = 0; n < from.pages(); ++n) {
        if (auto const done = mover.move(from.page(n), to->page(n)); !done) {
            return {n, done.error()};
        }
    }
    return {from.pages(), errc::ok};
}

}  // namespace mmhold
