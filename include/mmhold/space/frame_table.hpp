// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/vocab/address.hpp>

#include <cstdint>

namespace mmhold {

/// What is known about each frame of a range of frame numbers, apart from who holds it: which folio
/// it belongs to, what it is used for, whether it is dirty. The last frame of the table is the zero
/// page.
///
/// frame_pool is built on it. Every function may be called from any cpu at any time, waits for
/// nobody, and expects a frame of the table. The answers are a moment's: a fact stays true only for
/// who holds the frame, or the page table lock of its only mapping.
template<Machine M>
class frame_table {
public:
    using machine = M;

    frame_table(frame_table const&) = delete;
    frame_table& operator=(frame_table const&) = delete;

    /// Was there memory for the table?
    [[nodiscard]] constexpr bool valid() const noexcept { return frames_ != nullptr; }
    /// Is this frame in the table? Others have no counts ("no struct page").
    [[nodiscard]] constexpr bool contains(pfn page) const noexcept {
        return valid() && page.value - first_.value <= capacity_;
    }
    /// The frame of zeroes that every reader may share: never freed, and pinning it takes nothing.
    [[nodiscard]] constexpr pfn zero_page() const noexcept { return first_.plus(capacity_); }

    /// Is it the zero page, or a page of the large zero folio (frame_pool::zero_folio)?
    [[nodiscard]] constexpr bool is_zero(pfn page) const noexcept {
        return contains(page) && kind(page) == frame_kind::zero;
    }

    /// The first page of the folio that `page` belongs to.
    [[nodiscard]] constexpr pfn head_of(pfn page) const noexcept {
        return pfn_at(head_index(page));
    }
    /// The folio has 2^order pages.
    [[nodiscard]] constexpr unsigned order_of(pfn page) const noexcept {
        return order_at(head_index(page));
    }
    [[nodiscard]] constexpr frame_kind kind(pfn page) const noexcept {
        return detail::frame_state::kind(state(page));
    }
    /// How often the frame has been freed: tells a frame from its former life.
    [[nodiscard]] constexpr std::uint32_t generation(pfn page) const noexcept {
        return frames_[index(page)].generation.load(relaxed);
    }

    /// Is this anonymous page mapped by one process only, so that a write fault may reuse it
    /// (PageAnonExclusive, gup-semantics §4.4)? A pinner asks after it has read its entry again;
    /// who installed that entry has made the answer visible with it.
    [[nodiscard]] constexpr bool exclusive(pfn page) const noexcept {
        return (state(page) & detail::frame_state::exclusive) != 0;
    }
    /// Only for who is about to map the page writable, or holds the page table lock of its only
    /// mapping.
    constexpr void set_exclusive(pfn page) noexcept {
        add_bits(index(page), detail::frame_state::exclusive);
    }
    /// Only for who knows that nobody has pinned the page: frame_pool::try_share().
    constexpr void clear_exclusive(pfn page) noexcept {
        remove_bits(index(page), detail::frame_state::exclusive);
    }

    /// The page stands in its page table as "moving" (page_marker.hpp) from now on; no longer. Set
    /// before the marker can be seen, cleared after it is gone, by who holds the page.
    constexpr void set_moving(pfn page) noexcept {
        add_bits(index(page), detail::frame_state::moving);
    }
    constexpr void clear_moving(pfn page) noexcept {
        remove_bits(index(page), detail::frame_state::moving);
    }
    /// Waits until `page`, found in a marker, is not moving; then the entry is to be looked at
    /// again. Looks again and again: a move takes as long as it takes to copy a page. No page table
    /// lock may be held.
    constexpr void await_moved(pfn page) const noexcept {
        // Relaxed: the page table lock, taken next, orders us behind the mover.
        (void)M::poll(
            frames_[index(page)].state,
            [](std::uint32_t word) { return (word & detail::frame_state::moving) == 0; }, relaxed);
    }

    /// Have the folio's contents been changed, so that they must be written back some day?
    [[nodiscard]] constexpr bool dirty(pfn page) const noexcept {
        return (folio_state(page) & detail::frame_state::dirty) != 0;
    }
    constexpr void mark_dirty(pfn page) noexcept {
        add_bits(head_index(page), detail::frame_state::dirty);
    }
    /// Write-back begins: the folio counts as clean from now on. Answers whether it was dirty. Who
    /// dirties it later marks it after having made it writable, so nothing is lost as long as the
    /// caller write-protects its mappings after this and copies the contents after that.
    constexpr bool take_dirty(pfn page) noexcept {
        auto& word = frames_[head_index(page)].state;
        auto const before = word.fetch_and(~detail::frame_state::dirty, relaxed);
        return (before & detail::frame_state::dirty) != 0;
    }
    /// Has the folio been looked at, so that it is better kept ("referenced")?
    [[nodiscard]] constexpr bool accessed(pfn page) const noexcept {
        return (folio_state(page) & detail::frame_state::accessed) != 0;
    }
    constexpr void mark_accessed(pfn page) noexcept {
        add_bits(head_index(page), detail::frame_state::accessed);
    }

    /// What else is known about the folio; forgotten when it is freed.
    [[nodiscard]] constexpr frame_attributes attributes(pfn page) const noexcept {
        return detail::frame_state::attributes(folio_state(page));
    }
    constexpr void add_attributes(pfn page, frame_attributes set) noexcept {
        add_bits(head_index(page), detail::frame_state::with(set));
    }
    constexpr void remove_attributes(pfn page, frame_attributes set) noexcept {
        remove_bits(head_index(page), detail::frame_state::with(set));
    }

    /// A frozen folio that nobody maps begins a new life as `kind`: neither dirty nor accessed,
    /// without attributes, none of its pages exclusive. Its order stays.
    constexpr void renew(pfn page, frame_kind kind) noexcept {
        auto const head = head_index(page);
        auto const order = order_at(head);
        M::expect(frames_[head].references.load(relaxed) == 0, "renew: the folio is not frozen");
        M::expect(frames_[head].mappings.load(relaxed) == 0, "renew: the folio is mapped");
        for (std::uint32_t behind = 0; behind < std::uint32_t{1} << order; ++behind) {
            auto& one = frames_[head + behind];
            one.state.store(detail::frame_state::make(kind, behind == 0 ? order : 0), relaxed);
            one.generation.store(one.generation.load(relaxed) + 1, relaxed);
        }
    }

    /// Page table entries map `n` more pages of the folio; n fewer; how many do. Whoever changes an
    /// entry changes the count with it, under the same page table lock. With the entry goes a
    /// reference per page: have it before the first, give it back after the second.
    constexpr void add_mappings(pfn page, std::uint32_t n = 1) noexcept {
        auto& head = folio(page);
        M::note(claim::used, &head);
        M::note(claim::reference_passed, &head, n);
        (void)head.mappings.fetch_add(n, relaxed);
    }
    constexpr void remove_mappings(pfn page, std::uint32_t n = 1) noexcept {
        auto& head = folio(page);
        M::note(claim::reference_taken, &head, n);
        auto const before = head.mappings.fetch_sub(n, relaxed);
        M::expect(before >= n, "frame_table::remove_mappings: more than there were");
    }
    /// A reference of the caller's, to a small folio, is kept in a structure from now on, a page
    /// cache; the caller takes it out of there again. No count changes: only a model machine wants
    /// to know who answers for it.
    constexpr void pass_reference(pfn page) const noexcept {
        M::note(claim::reference_passed, &frames_[index(page)], 1);
    }
    constexpr void take_over_reference(pfn page) const noexcept {
        M::note(claim::reference_taken, &frames_[index(page)], 1);
    }
    [[nodiscard]] constexpr std::uint32_t map_count(pfn page) const noexcept {
        return frames_[head_index(page)].mappings.load(relaxed);
    }

protected:
    using frame = detail::frame<M>;

    /// A table of `capacity` frames and the zero page; the frames have the numbers from `first` on.
    constexpr frame_table(std::uint32_t capacity, pfn first)
        : first_{first}, capacity_{capacity}, frames_{M::template create_array<frame>(slots())} {
        if (frames_ == nullptr) return;
        frames_[capacity_].state.store(detail::frame_state::make(frame_kind::zero, 0), relaxed);
        frames_[capacity_].references.store(1, relaxed);
        for (std::uint32_t at = 0; at <= capacity_; ++at) M::name(&frames_[at], "frame", at);
    }
    constexpr ~frame_table() {
        if (frames_ != nullptr) M::destroy_array(frames_, slots());
    }

    [[nodiscard]] constexpr std::uint32_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] constexpr std::size_t slots() const noexcept {
        return std::size_t{capacity_} + 1;
    }
    [[nodiscard]] constexpr frame* frames() const noexcept { return frames_; }
    [[nodiscard]] constexpr frame& at(std::uint32_t index) noexcept { return frames_[index]; }
    [[nodiscard]] constexpr frame const& at(std::uint32_t index) const noexcept {
        return frames_[index];
    }

    [[nodiscard]] constexpr pfn pfn_at(std::uint32_t index) const noexcept {
        return first_.plus(index);
    }
    [[nodiscard]] constexpr std::uint32_t index(pfn page) const noexcept {
        M::expect(contains(page), "frame_table: no such frame");
        return static_cast<std::uint32_t>(page.value - first_.value);
    }
    /// Where the folio of `page` begins. May be out of date at once, unless the caller holds the
    /// folio.
    [[nodiscard]] constexpr std::uint32_t head_index(pfn page) const noexcept {
        auto const own = index(page);
        return own - frames_[own].behind_head.load(relaxed);
    }
    [[nodiscard]] constexpr frame& folio(pfn page) noexcept { return frames_[head_index(page)]; }
    [[nodiscard]] constexpr unsigned order_at(std::uint32_t head) const noexcept {
        return detail::frame_state::order(frames_[head].state.load(relaxed));
    }

private:
    [[nodiscard]] constexpr std::uint32_t state(pfn page) const noexcept {
        return frames_[index(page)].state.load(relaxed);
    }
    [[nodiscard]] constexpr std::uint32_t folio_state(pfn page) const noexcept {
        return frames_[head_index(page)].state.load(relaxed);
    }
    // Looking first keeps the cache line shared when there is nothing to change.
    constexpr void add_bits(std::uint32_t index, std::uint32_t bits) noexcept {
        auto& word = frames_[index].state;
        if ((word.load(relaxed) & bits) != bits) (void)word.fetch_or(bits, relaxed);
    }
    constexpr void remove_bits(std::uint32_t index, std::uint32_t bits) noexcept {
        auto& word = frames_[index].state;
        if ((word.load(relaxed) & bits) != 0) (void)word.fetch_and(~bits, relaxed);
    }

    pfn first_;
    std::uint32_t capacity_;
    frame* frames_;
};

static_assert(sizeof(detail::frame<constexpr_machine>) == 32,
              "a pool of a million frames stays small");

}  // namespace mmhold
