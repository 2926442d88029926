// SPDX-License-Identifier: BSL-1.0
#pragma once

// gather – collects what an unmapping has unlinked and gives it back in the only safe order.
//
// Actors     unmapper (the caller), users of stale translations (CPUs and devices whose TLB still
//            has an old entry), lockless readers (irq_section).
// Unmapper   clear entries, add() what they led to → finish(): flush → release the data pages →
//            retire the tables.                                    (gup-semantics §6.1, munmap)
// Why        A data page must outlive every translation to it (§6.2 #14), so: flush, then release.
//            Lockless readers guard themselves against released pages by looking again, but not
//            against freed tables; those go to the Reclaimer, which waits for the readers.
// Locks      add() usually runs under page-table locks, which may be dropped before finish(); what
//            must not end before finish() is whatever keeps the range from being mapped anew with
//            the caller's promise that it is unmapped (munmap: the mm lock).

#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/reclaim/retired.hpp>
#include <mmhold/reclaim/retired_list.hpp>
#include <mmhold/vocab/address.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <utility>

namespace mmhold {

namespace detail {

/// Stands for "this gather takes no data pages".
struct releases_nothing {};

}  // namespace detail

/// One batch after the other of unlinked things on their way to being freed.
///
/// `Flush` is called without arguments and makes every cached translation of what was added end.
/// `Release` is called with each pfn, once per add(pfn), after the flush that follows it. Neither
/// may use the gather. Used by one actor; pinned in place; finishes on destruction.
template<Reclaimer R, std::invocable Flush, class Release>
class gather {
public:
    /// Data pages that one flush is shared by; the page after that flushes first.
    static constexpr std::size_t pages_per_flush = 64;

    /// Collects tables and data pages. `on` must be valid().
    constexpr gather(cpu<R>& on, Flush flush, Release release)
        : on_{on}, flush_{std::move(flush)}, release_{std::move(release)} {}
    /// Collects tables only.
    constexpr gather(cpu<R>& on, Flush flush)
        requires std::same_as<Release, detail::releases_nothing>
        : gather{on, std::move(flush), {}} {}
    gather(gather const&) = delete;
    gather& operator=(gather const&) = delete;
    constexpr ~gather() { finish(); }

    /// A table (or anything else with readers) that can no longer be found. Any number of them.
    template<std::derived_from<retired_object> Object>
    constexpr void add(Object& unlinked) noexcept {
        tables_.push(detail::retired_part(unlinked));
    }

    /// A data page whose entry was cleared; the caller's reference goes with it. May flush.
    constexpr void add(pfn page)
        requires std::invocable<Release&, pfn>
    {
        if (page_count_ == pages_per_flush) finish();
        pages_[page_count_++] = page;
    }

    /// Is there anything that waits for finish()?
    [[nodiscard]] constexpr bool empty() const noexcept {
        return tables_.empty() && page_count_ == 0;
    }

    /// Flushes once if anything was added, then releases and retires all of it. Does not wait for
    /// readers. The gather can be used again.
    constexpr void finish() {
        if (empty()) return;
        flush_();
        if constexpr (std::invocable<Release&, pfn>) {
            for (std::size_t index = 0; index < page_count_; ++index) release_(pages_[index]);
        }
        page_count_ = 0;
        while (!tables_.empty()) on_.domain().retire(on_.record(), *tables_.pop());
    }

private:
    cpu<R>& on_;
    Flush flush_;
    Release release_;
    detail::retired_list<typename R::machine> tables_{};
    std::size_t page_count_{0};
    std::array<pfn, pages_per_flush> pages_{};
};

template<Reclaimer R, std::invocable Flush>
gather(cpu<R>&, Flush) -> gather<R, Flush, detail::releases_nothing>;

}  // namespace mmhold
