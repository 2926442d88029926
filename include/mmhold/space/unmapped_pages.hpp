// SPDX-License-Identifier: BSL-1.0
#pragma once

// unmapped_pages – what an unmapping has taken out of the page tables, until it may be released.
//
// Unmapper  clear the entry → note it here (the page stays, somebody may still use an old
//           translation) → flush → only then release(): drop the references, and free what that
//           frees (gup-semantics §6.1, §6.2 #14). page_table::unmap keeps that order.

#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// What becomes of lowest tables that an unmapping leaves empty.
enum class empty_tables : std::uint8_t {
    stay,  ///< somebody else takes them away, or nobody
    go,    ///< they are retired at once (PT_RECLAIM)
};

/// What may outlive the pages of a mapping, but not the mapping: it stays as a marker.
enum class staying_mark : std::uint8_t {
    guard = 1,         ///< guards (MADV_DONTNEED, truncation; measured on 6.18)
    userfault_wp = 2,  ///< write protection for a userfault, where the contents may come back
};
using staying_marks = flag_set<staying_mark>;

/// The sink of every unmapping in an address_space: up to 64 entries at a time. Used by one actor.
template<class Space>
class unmapped_pages {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;

    /// For pages of `space`, unmapped by `me`, both of which outlive it. Tables `go` if all they
    /// serve lies in `within`, unless that is empty.
    constexpr unmapped_pages(Space& space, cpu_type& me, empty_tables tables,
                             staying_marks stay = {}, page_span within = {}) noexcept
        : space_{space}, me_{me}, tables_{tables}, stay_{stay}, within_{within} {}
    unmapped_pages(unmapped_pages const&) = delete;
    unmapped_pages& operator=(unmapped_pages const&) = delete;
    constexpr ~unmapped_pages() = default;

    /// Notes an entry that was removed. Page table lock held.
    constexpr void operator()(virt_addr at, page_entry const& removed, unsigned level) noexcept {
        auto const pages = entry_pages<format>(level);
        if (space_.note_unmapped(removed, pages)) notes_[used_++] = {removed.target, pages};
        if (tables_ == empty_tables::go && level == 0) note_table(entry_start<format>(at, 1));
    }
    /// Is it none of our business?
    [[nodiscard]] constexpr bool keeps(page_entry const& entry) const noexcept {
        return stay_.has(staying_mark::guard) && is_guard(entry);
    }
    /// What stays where `removed` was (LeavingSink).
    [[nodiscard]] constexpr page_entry left_behind(page_entry const& removed,
                                                    unsigned level) const noexcept {
        auto const is_protected = removed.uffd_wp || is_userfault_wp(removed);
        auto const stays = stay_.has(staying_mark::userfault_wp) && is_protected && level == 0;
        return stays ? userfault_wp_entry() : page_entry{};
    }
    /// Is there no room for one more?
    [[nodiscard]] constexpr bool full() const noexcept {
        return used_ == notes_.size() || tables_used_ == tables_seen_.size();
    }
    /// Drops the references, then retires the tables that are empty. No page table lock is held,
    /// and everything noted has been flushed.
    constexpr void release() noexcept {
        for (std::size_t i = 0; i < used_; ++i) {
            space_.frames().put(notes_[i].page, notes_[i].pages);
        }
        used_ = 0;
        for (std::size_t i = 0; i < tables_used_; ++i) {
            (void)space_.table().reclaim_empty(me_, tables_seen_[i], space_.flush());
        }
        tables_used_ = 0;
    }

private:
    struct note {
        pfn page{};
        std::uint64_t pages{};
    };

    // Entries come in address order, so a table is noted once as long as nothing is released.
    constexpr void note_table(virt_addr start) noexcept {
        auto const end = entry_end<format>(start, 1);
        if (!within_.empty() && (start < within_.start() || end > within_.end())) return;
        if (tables_used_ != 0 && tables_seen_[tables_used_ - 1] == start) return;
        tables_seen_[tables_used_++] = start;
    }

    Space& space_;
    cpu_type& me_;
    empty_tables tables_;
    staying_marks stay_;
    page_span within_;
    std::size_t used_{0};
    std::size_t tables_used_{0};
    std::array<note, 64> notes_{};
    std::array<virt_addr, 64> tables_seen_{};
};

}  // namespace mmhold
