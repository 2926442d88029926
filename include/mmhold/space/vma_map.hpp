// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/order.hpp>
#include <mmhold/space/page_family.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// The vmas of one address space: disjoint, sorted by address, none empty, in one flat array.
///
/// Locks: the owner's mm lock, shared to look and to found a family, exclusive to change; the map
/// itself has none.
/// Indexes and references are good until the next change, which version() tells. A change that may
/// need memory is preceded by reserve(), or reserves itself, and then cannot fail half-way: after
/// no_memory nothing has changed.
template<Machine M>
class vma_map {
public:
    using machine = M;
    /// "No such vma."
    static constexpr std::size_t npos = ~std::size_t{0};

    /// Empty.
    constexpr vma_map() noexcept { M::name(this, "vma map"); }
    vma_map(vma_map const&) = delete;
    vma_map& operator=(vma_map const&) = delete;
    constexpr ~vma_map() { free_slots(); }

    /// How many vmas there are.
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_.get(); }
    [[nodiscard]] constexpr bool empty() const noexcept { return size() == 0; }
    /// Precondition: index < size().
    [[nodiscard]] constexpr vma const& operator[](std::size_t index) const noexcept {
        M::expect(index < size(), "vma_map: no such vma");
        return slots_.get()[index].area.get();
    }
    /// Whose pages the mapping's own are. Others may be founding it, unless the lock is held
    /// exclusively. Precondition: index < size().
    [[nodiscard]] constexpr page_family family(std::size_t index) const noexcept {
        M::expect(index < size(), "vma_map: no such vma");
        return page_family::from_bits(slots_.get()[index].family.load(relaxed));
    }
    /// The mapping is about to get a page of its own: it has a family from now on. Nothing moves,
    /// and version() stays.
    constexpr void found_family(std::size_t index) noexcept {
        if (family(index).exists()) return;
        auto nobody = page_family{}.bits();
        auto const beside = family_beside(index);
        auto const chosen = beside.exists() ? beside : new_family(family_origin::faults);
        (void)slots_.get()[index].family.compare_exchange(nobody, chosen.bits(), relaxed);
    }
    /// A family that nobody has yet.
    [[nodiscard]] constexpr page_family new_family(family_origin from) noexcept {
        return {families_.fetch_add(1, relaxed) + 1, from};
    }
    /// The mapping's pages have gone elsewhere as a whole, and so has their family.
    constexpr void forget_family(std::size_t index) noexcept { set_family(index, {}); }

    /// Changes with every change of the map; stays where it is as long as the map.
    [[nodiscard]] constexpr std::uint64_t const& version() const noexcept { return version_.get(); }

    /// The first vma that ends behind `at`: it contains `at`, or is the next one above. size() if
    /// there is none. (find_vma)
    [[nodiscard]] constexpr std::size_t find_at_or_above(virt_addr at) const noexcept {
        std::size_t first = 0;
        for (auto left = size(); left > 0;) {
            auto const half = left / 2;
            if ((*this)[first + half].span.end() <= at) {
                first += half + 1;
                left -= half + 1;
            } else {
                left = half;
            }
        }
        return first;
    }

    /// The vma that contains `at`; npos if there is none. (vma_lookup)
    [[nodiscard]] constexpr std::size_t find(virt_addr at) const noexcept {
        auto const index = find_at_or_above(at);
        return index < size() && (*this)[index].span.contains(at) ? index : npos;
    }

    /// Is any page of `span` mapped?
    [[nodiscard]] constexpr bool overlaps(page_span span) const noexcept {
        auto const index = find_at_or_above(span.start());
        return index < size() && (*this)[index].span.overlaps(span);
    }

    /// Makes sure that `more` vmas can be added without memory. Errors: no_memory.
    [[nodiscard]] constexpr result<void> reserve(std::size_t more) {
        auto const wanted = size() + more;
        if (wanted <= capacity_.get()) return {};
        auto const grown = wanted > 2 * capacity_.get() ? wanted + 4 : 2 * capacity_.get();
        auto* const slots = M::template create_array<slot>(grown);
        if (slots == nullptr) return errc::no_memory;
        M::name(slots, "vmas");
        for (std::size_t i = 0; i < size(); ++i) {
            slots[i].area.set((*this)[i]);
            slots[i].family.store(family(i).bits(), relaxed);
        }
        free_slots();
        slots_.set(slots);
        capacity_.set(grown);
        touch();
        return {};
    }

    /// Adds `area`, which must not be empty, and joins it with its neighbours where they are one
    /// mapping. Errors: no_memory; exists if its place is taken; invalid_argument if it is empty.
    constexpr result<void> insert(vma const& area, page_family family = {}) {
        auto const index = insert_apart(area, family);
        if (index) merge_around(*index, *index + 1);
        return index.error();
    }
    /// The same without joining anything; answers its index.
    constexpr result<std::size_t> insert_apart(vma const& area, page_family family = {}) {
        if (area.span.empty()) return errc::invalid_argument;
        if (overlaps(area.span)) return errc::exists;
        if (auto const room = reserve(1); !room) return room.error();
        auto const index = find_at_or_above(area.span.start());
        open_gap(index);
        set(index, area);
        set_family(index, family);
        return index;
    }

    /// Removes the vmas `[first, last)`.
    constexpr void erase(std::size_t first, std::size_t last) noexcept {
        M::expect(first <= last && last <= size(), "vma_map: erase beyond the end");
        if (first == last) return;
        for (auto from = last; from < size(); ++from) move(from, first + from - last);
        size_.set(size() - (last - first));
        touch();
    }

    /// Makes two vmas of the one that contains `at`, the second beginning there; nothing to do if
    /// one begins there already or nothing is mapped there. Errors: no_memory.
    constexpr result<void> split(virt_addr at) {
        auto const index = find(at);
        if (index == npos || (*this)[index].span.start() == at) return {};
        if (auto const room = reserve(1); !room) return room;
        auto const whole = (*this)[index];
        auto const pages = family(index);
        open_gap(index);
        set_family(index, pages);
        set(index, whole.cut_to(detail::pages_between(whole.span.start(), at)));
        set(index + 1, whole.cut_to(detail::pages_between(at, whole.span.end())));
        return {};
    }

    /// Puts `area` in place of the vma at `index`, with the same span. Joins nothing.
    constexpr void replace(std::size_t index, vma const& area) noexcept {
        M::expect((*this)[index].span == area.span, "vma_map: replaced by another span");
        set(index, area);
    }

    /// The vma at `index` begins at `start`, which is lower, and where nothing is mapped. For what
    /// has no pages of a file; joins nothing.
    constexpr void extend_down(std::size_t index, virt_addr start) noexcept {
        auto area = (*this)[index];
        M::expect(start < area.span.start() && !area.has_file_pages(),
                  "vma_map: extended the wrong way, or over pages of a file");
        M::expect(index == 0 || (*this)[index - 1].span.end() <= start,
                  "vma_map: extended over another vma");
        area.span = detail::pages_between(start, area.span.end());
        set(index, area);
    }

    /// The vma at `index` ends at `end`, which is higher; nothing is mapped in between. It joins
    /// the next one if they touch now and are one mapping.
    constexpr void extend_up(std::size_t index, virt_addr end) noexcept {
        auto area = (*this)[index];
        auto const next = index + 1;
        M::expect(area.span.end() < end, "vma_map: extended the wrong way");
        M::expect(next == size() || end <= (*this)[next].span.start(),
                  "vma_map: extended over another vma");
        area.span = detail::pages_between(area.span.start(), end);
        set(index, area);
        auto const reached = next < size() && mergeable(area, (*this)[next]);
        if (reached && family(index).grows_into(family(next))) join_with_next(index);
    }

    /// Joins vmas that are one mapping, where `[first, last)` and its neighbours touch.
    constexpr void merge_around(std::size_t first, std::size_t last) noexcept {
        auto index = first > 0 ? first - 1 : 0;
        while (index + 1 < size() && index < last) {
            auto const agree = family(index).joins(family(index + 1));
            if (!agree || !mergeable((*this)[index], (*this)[index + 1])) {
                ++index;
                continue;
            }
            join_with_next(index);
            --last;
        }
    }

    /// Removes everything and gives the memory back.
    constexpr void clear() noexcept {
        free_slots();
        slots_.set(nullptr);
        capacity_.set(0);
        size_.set(0);
        touch();
    }

private:
    template<class T>
    using plain = typename M::template plain<T>;
    struct slot {
        plain<vma> area{};
        typename M::template atomic<std::uint64_t> family{0};  ///< page_family::bits()
    };

    /// The family that a fault at `index` finds; none if there is none.
    [[nodiscard]] constexpr page_family family_beside(std::size_t index) const noexcept {
        if (index + 1 < size() && may_share_family((*this)[index], (*this)[index + 1])) {
            auto const upper = family(index + 1);
            if (upper.exists() && !upper.inherited()) return upper;
        }
        if (index > 0 && may_share_family((*this)[index - 1], (*this)[index])) {
            auto const lower = family(index - 1);
            if (!lower.inherited()) return lower;
        }
        return {};
    }
    constexpr void set_family(std::size_t index, page_family now) noexcept {
        if (family(index) != now) slots_.get()[index].family.store(now.bits(), relaxed);
    }
    constexpr void move(std::size_t from, std::size_t to) noexcept {
        set(to, (*this)[from]);
        set_family(to, family(from));
    }
    constexpr void join_with_next(std::size_t index) noexcept {
        auto joined = (*this)[index];
        joined.span = detail::pages_between(joined.span.start(), (*this)[index + 1].span.end());
        set(index, joined);
        set_family(index, family(index).with(family(index + 1)));
        erase(index + 1, index + 2);
    }
    constexpr void free_slots() noexcept {
        if (slots_.get() != nullptr) M::destroy_array(slots_.get(), capacity_.get());
    }
    constexpr void touch() noexcept { version_.set(version_.get() + 1); }
    constexpr void set(std::size_t index, vma const& area) noexcept {
        slots_.get()[index].area.set(area);
        touch();
    }
    // Room for one vma at `index`; what is there is unspecified until it is set.
    constexpr void open_gap(std::size_t index) noexcept {
        M::expect(size() < capacity_.get(), "vma_map: no room was reserved");
        size_.set(size() + 1);
        for (auto to = size() - 1; to > index; --to) move(to - 1, to);
        touch();
    }

    plain<slot*> slots_{nullptr};
    plain<std::size_t> capacity_{0};
    plain<std::size_t> size_{0};
    plain<std::uint64_t> version_{0};
    typename M::template atomic<std::uint64_t> families_{0};
};

}  // namespace mmhold
