// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/page_family.hpp>
#include <mmhold/space/placement.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/space/vma_map.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold {

/// The layout of an address space: its vmas and its limits, without page tables.
///
/// Locks: the owner's mm lock, shared to look, exclusive to change. Changes come in two steps, so
/// that the page tables can be changed in between: prepare_*() finds every reason to refuse and
/// reserves memory, the step after it cannot fail.
template<Machine M>
class layout {
public:
    /// Empty, within `limits` from then on.
    constexpr explicit layout(layout_limits const& limits) noexcept : limits_{limits} {}

    /// The vmas, and the limits they keep.
    [[nodiscard]] constexpr vma_map<M> const& map() const noexcept { return map_; }
    [[nodiscard]] constexpr layout_limits const& limits() const noexcept { return limits_; }

    /// The part of `span` in front of the first hole.
    [[nodiscard]] constexpr page_span mapped_part(page_span span) const noexcept {
        auto at = span.start();
        auto index = map_.find_at_or_above(at);
        while (index < map_.size() && at < span.end() && map_[index].span.start() <= at) {
            at = map_[index++].span.end();
        }
        return detail::pages_between(span.start(), std::min(at, span.end()));
    }
    /// Would a cut at an end of `span` go through a page of hugetlb, or a vma that may not be cut?
    [[nodiscard]] constexpr bool cuts_the_unsplittable(page_span span) const noexcept {
        auto const stays_whole = [this](virt_addr at) {
            auto const index = map_.find(at);
            if (index == vma_map<M>::npos || map_[index].span.start() == at) return false;
            auto const& flags = map_[index].flags;
            return flags.has(vma_flag::unsplittable) ||
                   (flags.has(vma_flag::hugetlb) && !is_hugetlb_border(at));
        };
        return stays_whole(span.start()) || stays_whole(span.end());
    }
    /// Does anything mapped in `span` name an object?
    [[nodiscard]] constexpr bool maps_objects(page_span span) const noexcept {
        for (auto index = map_.find_at_or_above(span.start());
             index < map_.size() && map_[index].span.overlaps(span); ++index) {
            if (map_[index].object != nullptr) return true;
        }
        return false;
    }

    /// May `request` be mapped, and where? Afterwards remove() of that place and add() cannot fail.
    /// Errors: as check_mmap_request() and place_mapping(); no_memory for too many vmas;
    /// invalid_argument – it would cut through a page of hugetlb, or what is unsplittable.
    [[nodiscard]] constexpr result<page_span> prepare_add(mmap_request const& request) {
        if (auto const refused = check_mmap_request(request, limits_.end); refused != errc::ok) {
            return refused;
        }
        if (map_.size() > limits_.max_map_count) return errc::no_memory;
        auto const start = place_mapping(map_, limits_, request);
        if (!start) return start.error();
        auto const span = *page_span::from(*start, request.pages);
        if (cuts_the_unsplittable(span)) return errc::invalid_argument;
        if (makes_a_hole(span) && is_full()) return errc::no_memory;
        if (auto const room = map_.reserve(2); !room) return room.error();
        return span;
    }

    /// Adds a mapping where nothing is mapped; joins it with its neighbours where they are alike.
    /// `family`: whose pages it is going to show, if they are not new.
    constexpr void add(vma const& area, page_family family = {}) {
        auto const added = map_.insert(area, family);
        M::expect(added.has_value(), "layout: a mapping was added without being prepared");
    }
    /// The same as fork does it, if that is the origin.
    constexpr void add(vma const& area, mapping_origin origin) {
        if (origin == mapping_origin::made) return add(area);
        auto family = page_family{};
        if (origin == mapping_origin::forked_used) family = map_.new_family(family_origin::parent);
        auto const added = map_.insert_apart(area, family);
        M::expect(added.has_value(), "layout: a mapping was added without being prepared");
    }

    /// Whose pages the mapping at `at` has, or has had, for its own; none, if nothing is mapped.
    [[nodiscard]] constexpr page_family family_at(virt_addr at) const noexcept {
        auto const index = map_.find(at);
        return index == vma_map<M>::npos ? page_family{} : map_.family(index);
    }
    /// The mapping at `at`, if any, is about to get a page of its own. Mm lock: shared will do.
    constexpr void note_own_pages(virt_addr at) noexcept {
        auto const index = map_.find(at);
        if (index != vma_map<M>::npos) map_.found_family(index);
    }
    /// All pages of `span` have moved away: if it is a whole mapping, it is as if it never had any.
    constexpr void forget_own_pages(page_span span) noexcept {
        auto const index = map_.find(span.start());
        if (map_[index].span == span) map_.forget_family(index);
    }

    /// May `span` be unmapped? Errors (munmap(2)): invalid_argument – empty, not all user space, or
    /// it would cut through a page of hugetlb, or what is unsplittable; no_memory – one vma would
    /// become two too many.
    [[nodiscard]] constexpr result<void> prepare_remove(page_span span) {
        if (span.empty() || span.end() > limits_.end) return errc::invalid_argument;
        if (cuts_the_unsplittable(span)) return errc::invalid_argument;
        if (makes_a_hole(span) && is_full()) return errc::no_memory;
        return map_.reserve(2);  // a piece is cut off at each end before it goes
    }

    /// Takes `span` out of the vmas that lie in it.
    constexpr void remove(page_span span) noexcept {
        cut_at(span.start());
        cut_at(span.end());
        map_.erase(map_.find_at_or_above(span.start()), map_.find_at_or_above(span.end()));
    }

    /// One vma's share of a change of rights.
    struct rights_change {
        vma part{};           ///< the part concerned, as it is to be
        bool changes{false};  ///< is it different from what it is?
    };

    /// How the vma at the start of `span` is to be over its part of `span`, with rights `wanted`.
    /// Errors (mprotect(2)): no_memory – nothing is mapped there, or too many vmas; access_denied –
    /// the mapping can never have these rights; invalid_argument – it would cut through a page of
    /// hugetlb, or only a part of what is unsplittable would have them (measured on 6.18, in this
    /// order).
    [[nodiscard]] constexpr result<rights_change> prepare_protect(
        page_span span, protection wanted, std::optional<std::uint8_t> pkey) {
        auto const index = map_.find(span.start());
        if (index == vma_map<M>::npos) return errc::no_memory;
        auto const& whole = map_[index];
        if (!wanted.without(whole.may).empty()) return errc::access_denied;
        rights_change step{whole.cut_to(detail::common_pages(span, whole.span))};
        step.part.prot = wanted;
        step.part.pkey = pkey.value_or(whole.pkey);
        step.changes = step.part.prot != whole.prot || step.part.pkey != whole.pkey;
        if (!step.changes) return step;
        if (cuts_the_unsplittable(step.part.span)) return errc::invalid_argument;
        step.part.flags = with_account(step.part, whole, map_.family(index));
        auto const cuts = std::size_t{step.part.span.start() != whole.span.start()} +
                          std::size_t{step.part.span.end() != whole.span.end()};
        if (cuts != 0 && map_.size() + cuts > limits_.max_map_count) return errc::no_memory;
        if (auto const room = map_.reserve(cuts); !room) return room.error();
        return step;
    }

    /// Puts the part that prepare_protect() has answered in its place.
    constexpr void protect(vma const& part) noexcept {
        cut_at(part.span.start());
        cut_at(part.span.end());
        auto const index = map_.find(part.span.start());
        map_.replace(index, part);
        map_.merge_around(index, index + 1);
    }

    /// May `span` get another fault source, or be locked? Errors: invalid_argument – empty, or not
    /// all user space; no_memory – too many vmas.
    [[nodiscard]] constexpr result<void> prepare_source(page_span span) {
        if (span.empty() || span.end() > limits_.end) return errc::invalid_argument;
        auto const cuts =
            std::size_t{is_inside_a_vma(span.start())} + std::size_t{is_inside_a_vma(span.end())};
        if (cuts != 0 && map_.size() + cuts > limits_.max_map_count) return errc::no_memory;
        return map_.reserve(cuts);
    }

    /// The same for other flags. Also invalid_argument: it would cut through a page of hugetlb or
    /// what is unsplittable, as the mark of mlock does not (measured on 6.18).
    [[nodiscard]] constexpr result<void> prepare_flags(page_span span) {
        return cuts_the_unsplittable(span) ? errc::invalid_argument : prepare_source(span).error();
    }

    /// Lets `source` answer the faults of all vmas in `span`; nullptr: the handlers of their kinds.
    /// `modes`: the flags userfault_* that say which of them; all others are cleared.
    constexpr void set_source(page_span span, fault_source* source, vma_flags modes = {}) noexcept {
        change_each(span, [=](vma& area) {
            area.source = source;
            area.flags = area.flags.without(all_userfault_flags).with(modes);
        });
    }

    /// All vmas in `span` lose the flags `gone` and get `fresh`. Prepared by prepare_flags().
    constexpr void change_flags(page_span span, vma_flags gone, vma_flags fresh) noexcept {
        change_each(span, [=](vma& area) { area.flags = area.flags.without(gone) | fresh; });
    }

    /// Marks the vmas in `span` as locked, or not locked any more, as mlock and munlock do: all but
    /// those whose pages no one could take away. Prepared by prepare_source().
    constexpr void set_locked(page_span span, mark_locked how) noexcept {
        change_each(span, [how](vma& area) {
            if (!can_be_locked(area)) return;
            area.flags = area.flags.without(vma_flag::locked)
                             .with_if(how == mark_locked::yes, vma_flag::locked);
        });
    }

    /// change(vma&) for the one that contains `at`, as far as it reaches. It is not joined with its
    /// neighbours, not even if they are alike afterwards, and keeps its span.
    template<class Change>
    constexpr void change_whole(virt_addr at, Change change) noexcept {
        auto const index = map_.find(at);
        M::expect(index != vma_map<M>::npos, "layout: nothing to change is mapped there");
        auto area = map_[index];
        change(area);
        map_.replace(index, area);
    }

    /// Room for what mremap does: two unmappings, two mappings. Error: no_memory.
    [[nodiscard]] constexpr result<void> prepare_moves() { return map_.reserve(6); }

    /// The vma at `at` grows up to `end`; nothing is mapped in between.
    constexpr void grow_up(virt_addr at, virt_addr end) noexcept {
        map_.extend_up(map_.find(at), end);
    }
    /// The vma at `index`, a stack, grows down to `start`; nothing is mapped in between.
    constexpr void grow_down(std::size_t index, virt_addr start) noexcept {
        map_.found_family(index);
        map_.extend_down(index, start);
    }

    /// Forgets all vmas.
    constexpr void clear() noexcept { map_.clear(); }

private:
    [[nodiscard]] constexpr bool is_full() const noexcept {
        return map_.size() >= limits_.max_map_count;
    }
    // Would a cut at `at` make two vmas of one?
    [[nodiscard]] constexpr bool is_inside_a_vma(virt_addr at) const noexcept {
        auto const index = map_.find(at);
        return index != vma_map<M>::npos && map_[index].span.start() != at;
    }
    // Does `span` lie inside one vma, with something of it left on both sides?
    [[nodiscard]] constexpr bool makes_a_hole(page_span span) const noexcept {
        auto const index = map_.find(span.start());
        if (index == vma_map<M>::npos) return false;
        return map_[index].span.start() < span.start() && span.end() < map_[index].span.end();
    }
    // Where nothing changes nothing is joined, be it alike (measured on 6.18), nor cut.
    template<class Change>
    constexpr void change_each(page_span span, Change change) noexcept {
        for (auto at = span.start(); at < span.end();) {
            auto index = map_.find_at_or_above(at);
            if (index == map_.size() || map_[index].span.start() >= span.end()) return;
            auto const whole = map_[index].span;
            auto const before = map_[index].cut_to(detail::common_pages(whole, span));
            auto after = before;
            change(after);
            at = before.span.end();
            auto const stays = before.span != whole && before.flags.has(vma_flag::unsplittable);
            if (stays || after == before) continue;
            cut_at(after.span.start());
            cut_at(after.span.end());
            index = map_.find(after.span.start());
            map_.replace(index, after);
            map_.merge_around(index, index + 1);
        }
    }
    // What may not be split is not changed by who cuts here (mlock).
    constexpr void cut_at(virt_addr at) noexcept {
        auto const index = map_.find(at);
        if (index != vma_map<M>::npos && map_[index].flags.has(vma_flag::unsplittable)) return;
        auto const cut = map_.split(at);
        M::expect(cut.has_value(), "layout: a vma was split without being prepared");
    }

    vma_map<M> map_{};
    layout_limits limits_;
};

}  // namespace mmhold
