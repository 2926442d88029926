// SPDX-License-Identifier: BSL-1.0
#pragma once

// mremap – a mapping becomes shorter, longer, or moves, and its pages with it.
//
// Remapper   mm lock exclusive → refuse what can be refused, get memory → what is mapped at a fixed
//            place goes → the new mapping: layout, then its object is told → entries move
//            (paging/move.hpp) → the object is told that the old one goes, layout, empty tables.
// Truncater  holds no mm lock. It knows both stretches while entries move, the old one in front of
//            the new one (object_mappings.hpp): it finds a page at its old place, or later at its
//            new one.
// Others     wait for the mm lock, or look at page tables only: to them a page that has moved was
//            unmapped. Pins, references and contents are the frame's, and the frame stays.
//
// Measured on 6.18, and done here in the same way:
//
// in place   Nothing but the first page has to be mapped where the size stays or shrinks: the rest
//            is munmap. Who wants to grow, or to get elsewhere with another size, names pages of
//            one mapping (else bad_address), of which those that are to go need not be mapped.
// several    A fixed move of the same size takes all mappings in the range along, and leaves holes
//            as holes – at the target as well: what is mapped there stays. The first page must be
//            mapped. A mapping that a userfaultfd watches, or of whose place its driver is asked,
//            moves alone only.
// driver     A fixed place is refused by a driver that chooses places itself, but only when what
//            was mapped there, and what the mapping was to lose, is gone.
// dont_unmap The pages go, the mapping stays, empty; of the mapping named, all of it, also what was
//            not named, the mark `locked` goes.
// no pages   of a shared mapping: its object is mapped once more, the old mapping stays.
// userfault  serves addresses: the new mapping is an ordinary one, and its pages are not
//            write-protected for userfaultfd any more, unless the heir says otherwise. It becomes
//            one only when it has been joined with neighbours that are watched like the old one –
//            with the old one itself, if it has moved to an end of it –, and takes them along:
//            they are not watched any more either. What grows in place is watched in its new
//            part, too.
// hugetlb    Lengths are rounded up to whole pages of it, places must be borders of them, and it
//            neither grows nor leaves its old mapping behind: invalid_argument.
// merging    Where there are or were pages of one's own (page_family) they keep their distance
//            (vma::moved_by); what never had any is numbered anew, private memory of /dev/zero
//            included.

#include <mmhold/lock/held.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/object_link.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/placement.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace mmhold {

/// What mremap may do (MREMAP_*).
enum class mremap_flag : std::uint8_t {
    may_move = 1,    ///< elsewhere, if there is no room in place
    fixed = 2,       ///< to `to`; what is mapped there goes. Wants may_move, too
    dont_unmap = 4,  ///< the old mapping stays, without pages. Wants may_move, and the same size
};
using mremap_flags = flag_set<mremap_flag>;

/// What is unmapped: at the fixed place, or that by which the old range becomes shorter.
enum class remap_part : std::uint8_t { target, rest };
/// Does the mapping that pages move out of stay?
enum class old_mapping : std::uint8_t { goes, stays };

/// An heir that hears of everything that is about to be unmapped or to move, and may refuse. Called
/// with the mm lock held.
template<class H>
concept RemapListener =
    SourceHeir<H> && requires(H& heir, vma const& area, page_span span, virt_addr to) {
        { heir.unmaps(span, remap_part::target) } -> std::same_as<result<void>>;
        { heir.moves(area, span, to, old_mapping::goes) } -> std::same_as<result<void>>;
    };

namespace detail {

/// What an entry is at its new place. A userfault that does not come along takes its write
/// protection with it.
struct moved_entry {
    bool keeps_userfault{true};

    [[nodiscard]] constexpr page_entry operator()(page_entry const& old) const noexcept {
        if (keeps_userfault) return old;
        if (is_marker_of(old, page_marker::userfault_wp)) return {};
        auto entry = old;
        entry.uffd_wp = false;
        return entry;
    }
};

/// One mremap with the mm lock held exclusively, and admitted.
template<class Space, class Heir>
class remapping {
public:
    using machine = typename Space::machine;
    using cpu_type = typename Space::cpu_type;
    using witness = held_exclusive<typename Space::lock_type>;
    using layout_type = layout<machine>;

    constexpr remapping(witness const& held, cpu_type& me, Space& space, mremap_flags flags,
                        Heir& heir) noexcept
        : held_{held},
          me_{me},
          space_{space},
          layout_{space.layout_for_change(held)},
          flags_{flags},
          heir_{heir} {}

    constexpr result<virt_addr> run(page_span old, std::uint64_t pages, virt_addr to) {
        if (auto const first = find(old.start()); first && first->flags.has(vma_flag::hugetlb)) {
            auto const whole = page_span::from(old.start(), in_whole_leaves(old.pages()));
            pages = in_whole_leaves(pages).value;
            if (!whole || refuses_hugetlb(*whole, pages, to)) return errc::invalid_argument;
            old = *whole;
        }
        if (auto const refused = check(old, pages, to); refused != errc::ok) return refused;
        if (flags_.has(mremap_flag::fixed) && pages == old.pages()) return move_all(old, to);
        auto const area = find(old.start());
        if (!area) return errc::bad_address;
        if (!names_a_place() && pages <= old.pages()) {
            auto const done = drop(old.after(pages), remap_part::rest);
            return done ? result{old.start()} : done.error();
        }
        if (auto const refused = refuse(*area, old, pages); refused != errc::ok) return refused;
        return names_a_place() ? move_to(*area, old, pages, to) : grow(*area, old, pages);
    }

private:
    /// Memory that a move needs of its objects: for the new mapping, and for an old one that loses
    /// its middle.
    struct object_memory {
        object_link<Space> link;
        mapping_stretch<Space> cut;
    };

    [[nodiscard]] constexpr bool names_a_place() const noexcept {
        return flags_.has_any({mremap_flag::fixed, mremap_flag::dont_unmap});
    }
    [[nodiscard]] constexpr bool is_nearly_full(std::size_t more) const noexcept {
        return layout_.map().size() + more + 3 >= layout_.limits().max_map_count;
    }
    [[nodiscard]] constexpr std::optional<vma> find(virt_addr at) const noexcept {
        auto const& map = layout_.map();
        auto const index = map.find(at);
        return index == map.npos ? std::nullopt : std::optional{map[index]};
    }

    [[nodiscard]] static constexpr page_count in_whole_leaves(std::uint64_t pages) noexcept {
        return page_count{(pages + hugetlb_pages - 1) / hugetlb_pages * hugetlb_pages};
    }
    [[nodiscard]] constexpr bool refuses_hugetlb(page_span old, std::uint64_t pages,
                                                 virt_addr to) const noexcept {
        auto const bad_place = names_a_place() && !is_hugetlb_border(to);
        return !is_hugetlb_border(old.start()) || bad_place || pages > old.pages() ||
               flags_.has(mremap_flag::dont_unmap);
    }

    /// What no layout could make legal, and the number of mappings.
    [[nodiscard]] constexpr errc check(page_span old, std::uint64_t pages,
                                       virt_addr to) const noexcept {
        auto const end = layout_.limits().end;
        if (pages == 0 || pages > end.value >> page_shift) return errc::invalid_argument;
        if (!names_a_place()) return errc::ok;
        if (!flags_.has(mremap_flag::may_move)) return errc::invalid_argument;
        if (flags_.has(mremap_flag::dont_unmap) && pages != old.pages()) {
            return errc::invalid_argument;
        }
        auto const target = page_span::from(to, page_count{pages});
        if (!target || target->end() > end) return errc::invalid_argument;
        // Also of an empty range: it may not begin behind the first page of the target.
        if (old.end() > to && target->end() > old.start()) return errc::invalid_argument;
        return is_nearly_full(2) ? errc::no_memory : errc::ok;
    }

    /// May pages `old` of `area` move, or grow?
    [[nodiscard]] constexpr errc refuse(vma const& area, page_span old,
                                        std::uint64_t pages) const noexcept {
        if (old.empty() && !area.flags.has(vma_flag::shared)) return errc::invalid_argument;
        if (flags_.has(mremap_flag::dont_unmap) &&
            area.flags.has_any({vma_flag::pfnmap, vma_flag::dont_expand})) {
            return errc::invalid_argument;
        }
        auto const kept = old.start().plus_pages(std::min(old.pages(), pages));
        if (kept > area.span.end()) return errc::bad_address;
        if (pages <= old.pages()) return errc::ok;
        auto const first = area.has_file_pages() ? area.file_page_at(old.start()) : 0;
        if (first > ~std::uint64_t{0} - pages) return errc::invalid_argument;
        return can_grow(area) ? errc::ok : errc::bad_address;
    }

    /// munmap, where there is something to unmap.
    constexpr result<void> drop(page_span span, remap_part which) {
        if (span.empty()) return {};
        if constexpr (RemapListener<Heir>) {
            if (auto const ready = heir_.unmaps(span, which); !ready) return ready;
        }
        return space_.munmap_locked(held_, me_, span);
    }

    constexpr result<virt_addr> grow(vma const& area, page_span old, std::uint64_t pages) {
        if (old.end() == area.span.end() && !old.empty()) {
            auto const more = pages_between(old.end(), old.start().plus_pages(pages));
            auto const free = !layout_.map().overlaps(more);
            if (free && more.end() <= layout_.limits().end) return grow_in_place(area, old, more);
        }
        if (!flags_.has(mremap_flag::may_move)) return errc::no_memory;
        return move_anywhere(area, old, pages, {});
    }
    constexpr result<virt_addr> grow_in_place(vma const& area, page_span old, page_span more) {
        if (auto const room = layout_.prepare_moves(); !room) return room.error();
        auto added = area;
        added.span = more;
        if (area.has_file_pages()) added.file_page = area.file_page_at(more.start());
        auto link = object_link<Space>::make(space_, request_for(added));
        if (!link) return link.error();
        layout_.grow_up(old.start(), more.end());
        connect(added, *link);
        return old.start();
    }

    /// To the given place, unless that is only a wish.
    constexpr result<virt_addr> move_to(vma const& area, page_span old, std::uint64_t pages,
                                        virt_addr to) {
        if (!flags_.has(mremap_flag::fixed)) return move_anywhere(area, old, pages, to);
        auto memory = get_memory(area);
        if (!memory) return memory.error();
        if (auto const free = drop(*page_span::from(to, page_count{pages}), remap_part::target);
            !free) {
            return free.error();
        }
        if (auto const shorter = drop(old.after(pages), remap_part::rest); !shorter)
            return shorter.error();
        auto const left = find(old.start());
        if (!left) return errc::bad_address;  // it was mapped at the fixed place itself
        if (left->flags.has(vma_flag::driver_places)) return errc::invalid_argument;
        auto const kept = std::min(old.pages(), pages);
        return move(*left, *page_span::from(old.start(), page_count{kept}), pages, to, *memory);
    }
    constexpr result<virt_addr> move_anywhere(vma const& area, page_span old, std::uint64_t pages,
                                              virt_addr wish) {
        auto wanted = request_for(area);
        wanted.flags = wanted.flags.without(mmap_flag::fixed);
        wanted.hint = wish;
        wanted.pages = page_count{pages};
        auto const to = place_mapping(layout_.map(), layout_.limits(), wanted);
        if (!to) return to;
        auto memory = get_memory(area);
        if (!memory) return memory.error();
        return move(area, old, pages, *to, *memory);
    }

    /// Mapping by mapping: what lies in `old`, holes included, as it lies there.
    constexpr result<virt_addr> move_all(page_span old, virt_addr to) {
        auto const& map = layout_.map();
        result<virt_addr> answer{errc::bad_address};
        for (auto at = old.start(); at < old.end();) {
            auto const index = map.find_at_or_above(at);
            if (index == map.size() || map[index].span.start() >= old.end()) break;
            auto const area = map[index];
            auto const part = common_pages(area.span, pages_between(at, old.end()));
            auto const first = at == old.start();
            if (first && part.start() != at) return errc::bad_address;
            auto const alone = first && area.span.end() >= old.end();
            if (moves_alone(area) && !alone) return errc::bad_address;
            auto const place = to.plus(part.start().value - old.start().value);
            if (auto const no = refuse(area, part, part.pages()); no != errc::ok) return no;
            auto const moved = move_to(area, part, part.pages(), place);
            if (!moved) return moved;
            if (first) answer = moved;
            at = part.end();
        }
        return answer;
    }
    /// What a userfaultfd watches, and what a driver has a say about: io_uring's rings, private
    /// memory of /dev/zero (not perf's, nor files, shared memory and hugetlb).
    [[nodiscard]] static constexpr bool moves_alone(vma const& area) noexcept {
        auto const watched =
            area.source != nullptr && area.source->kind() == source_kind::userfault;
        return watched || area.flags.has_any({vma_flag::driver_is_asked, vma_flag::driver_places});
    }

    [[nodiscard]] constexpr result<object_memory> get_memory(vma const& area) {
        if (is_nearly_full(0)) return errc::no_memory;
        if (auto const room = layout_.prepare_moves(); !room) return room.error();
        auto link = object_link<Space>::make(space_, request_for(area));
        if (!link) return link.error();
        mapping_stretch<Space> cut;
        if (area.object != nullptr) cut.fill();
        if (area.object != nullptr && cut.empty()) return errc::no_memory;
        return object_memory{*std::move(link), std::move(cut)};
    }

    /// Pages `old` of `area`, and as many more as are wanted, to where nothing is mapped.
    constexpr result<virt_addr> move(vma const& area, page_span old, std::uint64_t pages,
                                     virt_addr to, object_memory& memory) {
        // Asked as late as Linux does: what was mapped at a fixed place is gone (measured on 6.18).
        if (layout_.cuts_the_unsplittable(old)) return errc::invalid_argument;
        auto const target = *page_span::from(to, page_count{pages});
        auto const stays = old.empty() || flags_.has(mremap_flag::dont_unmap);
        if constexpr (RemapListener<Heir>) {
            auto const left = stays ? old_mapping::stays : old_mapping::goes;
            if (auto const ready = heir_.moves(area, old, to, left); !ready) return ready.error();
        }
        auto* const heir = area.source == nullptr ? nullptr : heir_(area);
        auto const comes_along = heir == area.source;
        auto const fresh = at_new_place(area, old, target);
        layout_.add(fresh, layout_.family_at(area.span.start()));
        connect(fresh, memory.link);
        auto const moved =
            space_.table().move(me_, old, to, moved_entry{comes_along}, space_.flush());
        if (moved && !comes_along) hand_over(to, heir);
        if (!moved || !stays) forget(moved ? old : target, memory.cut);
        if (!moved) return moved.error();
        if (flags_.has(mremap_flag::dont_unmap)) leave_behind(old);
        return to;
    }
    /// What has moved to `at`, with all that it was joined with, is `heir`'s.
    constexpr void hand_over(virt_addr at, fault_source* heir) noexcept {
        layout_.change_whole(at, [heir](vma& area) {
            area.source = heir;
            area.flags = area.flags.without(all_userfault_flags);
        });
    }
    /// All of `old` has moved away from where it stays mapped.
    constexpr void leave_behind(page_span old) noexcept {
        layout_.change_whole(old.start(),
                             [](vma& left) { left.flags = left.flags.without(vma_flag::locked); });
        layout_.forget_own_pages(old);
    }
    [[nodiscard]] constexpr vma at_new_place(vma const& area, page_span old, page_span target) {
        auto fresh = area;
        fresh.span = target;
        if (area.has_file_pages()) fresh.file_page = area.file_page_at(old.start());
        if (!is_anonymous(area)) return fresh;
        auto const number = target.start().value >> page_shift;
        auto const used = layout_.family_at(area.span.start()).exists();
        fresh.moved_by = used ? area.moved_by + number - (old.start().value >> page_shift) : 0;
        if (area.has_file_pages() && !used) fresh.file_page = number;
        return fresh;
    }

    constexpr void connect(vma const& area, object_link<Space>& link) {
        link.connect(space_, area.span, area.file_page);
        notify<machine>(space_.observer(), event_kind::mapped, me_.id(), area.span.start().value,
                        area.span.pages());
    }
    /// No entry is left in `span`, one mapping's part: it is not mapped any more.
    constexpr void forget(page_span span, mapping_stretch<Space>& cut) {
        forget_objects(space_, layout_.map(), span, cut);
        layout_.remove(span);
        auto const& map = layout_.map();
        auto const above = map.find_at_or_above(span.start());
        auto const floor = above == 0 ? virt_addr{} : map[above - 1].span.end();
        auto const ceiling = above == map.size() ? layout_.limits().end : map[above].span.start();
        auto const freed = space_.table().free_tables(me_, span, floor, ceiling, space_.flush());
        machine::expect(freed.has_value(), "mremap: its limits cut into the span");
        notify<machine>(space_.observer(), event_kind::unmapped, me_.id(), span.start().value,
                        span.pages());
    }

    witness const& held_;
    cpu_type& me_;
    Space& space_;
    layout_type& layout_;
    mremap_flags flags_;
    Heir& heir_;
};

}  // namespace detail

/// mremap(2): the mapping of `old` gets `pages` pages, in place or where `flags` allow; answers
/// where it is now. `to`: the fixed place, or with dont_unmap alone a wish; unused otherwise.
/// `heir` says who answers the faults of a mapping that has moved, if somebody answered them at its
/// old place; by default a userfault stays behind. Pages that are new are brought in by the first
/// access: who wants them at once (a `locked` mapping that has grown) populates them after the
/// return.
///
/// Mm lock: held exclusively. Errors: invalid_argument – no new pages, no user space, flags that
/// contradict each other, the old place overlaps the fixed one, no old pages of a private mapping,
/// dont_unmap of what cannot be merged, a fixed place for what its driver places; bad_address –
/// nothing is mapped at the first page, the range leaves its mapping (see above), or the mapping
/// cannot grow; no_memory – no room, too many mappings, memory exhausted; not_supported – a large
/// leaf has to be split and cannot be; lock_not_held.
///
/// After an error nothing has changed, with these exceptions, as in Linux: of several mappings
/// those below the one that failed have moved; and if memory is exhausted, a driver wants to choose
/// the place, or no old pages are named of a mapping that lies at the fixed place itself, what was
/// mapped at the fixed place is gone, and so are the pages by which the old range was to become
/// shorter.
template<class Space, SourceHeir Heir = default_heir const>
constexpr result<virt_addr> mremap_locked(held_exclusive<typename Space::lock_type> const& held,
                                          typename Space::cpu_type& me, Space& space, page_span old,
                                          page_count pages, mremap_flags flags = {},
                                          virt_addr to = {}, Heir&& heir = {}) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (!space.valid() || !me.valid()) return errc::no_memory;
    return detail::remapping<Space, std::remove_reference_t<Heir>>{held, me, space, flags, heir}
        .run(old, pages.value, to);
}

/// The same under a lock of its own. Also errc::interrupted and errc::again, as the operations of
/// address_space.
template<class Space, SourceHeir Heir = default_heir const>
constexpr result<virt_addr> mremap(typename Space::cpu_type& me, Space& space, page_span old,
                                   page_count pages, mremap_flags flags = {}, virt_addr to = {},
                                   Heir&& heir = {}) {
    return under_exclusive_lock<result<virt_addr>>(
        space.lock(), me.current(), [&](auto const& held) {
            return mremap_locked(held, me, space, old, pages, flags, to, heir);
        });
}

}  // namespace mmhold
