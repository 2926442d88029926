// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// Advice that marks mappings, and changes no page: what is different about them keeps them from
/// being joined with their neighbours.
enum class marking_advice : std::uint8_t {
    reads_as_usual,      ///< MADV_NORMAL
    reads_at_random,     ///< MADV_RANDOM
    reads_in_order,      ///< MADV_SEQUENTIAL
    leave_out_of_dumps,  ///< MADV_DONTDUMP
    dump,                ///< MADV_DODUMP
    merge_equal,         ///< MADV_MERGEABLE
    keep_equal,          ///< MADV_UNMERGEABLE
};

/// Can equal pages of `area` be merged? Private memory; not devices, what is never merged with its
/// neighbours, hugetlb, and what is droppable (vma_ksm_compatible).
[[nodiscard]] constexpr bool can_merge_equal_pages(vma const& area) noexcept {
    return !area.flags.has_any({vma_flag::shared, vma_flag::io, vma_flag::pfnmap,
                                vma_flag::dont_expand, vma_flag::hugetlb, vma_flag::fsdax,
                                vma_flag::droppable});
}

/// The flags that `area` has once it is so advised. invalid_argument: it may not be dumped – it is
/// a device's, or droppable. (Measured on 6.18.)
[[nodiscard]] constexpr result<vma_flags> flags_if_advised(vma const& area,
                                                           marking_advice what) noexcept {
    constexpr vma_flags reads{vma_flag::reads_randomly, vma_flag::reads_in_order};
    constexpr vma_flags never_dumped{vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand,
                                     vma_flag::droppable};
    auto const& now = area.flags;
    switch (what) {
        case marking_advice::reads_as_usual: return now.without(reads);
        case marking_advice::reads_at_random:
            return now.without(reads).with(vma_flag::reads_randomly);
        case marking_advice::reads_in_order:
            return now.without(reads).with(vma_flag::reads_in_order);
        case marking_advice::leave_out_of_dumps: return now.with(vma_flag::dont_dump);
        case marking_advice::dump:
            if (now.has_any(never_dumped)) return errc::invalid_argument;
            return now.without(vma_flag::dont_dump);
        case marking_advice::merge_equal:
            return now.with_if(can_merge_equal_pages(area), vma_flag::merges_equal);
        case marking_advice::keep_equal: return now.without(vma_flag::merges_equal);
    }
    return errc::invalid_argument;
}

/// Marks everything mapped in `span`; vmas are split and joined as needed. Nobody reads ahead,
/// dumps or merges pages by these marks: that is the host's part.
///
/// Mm lock: held exclusively. Errors: those of flags_if_advised and of change_advised_flags.
template<class Space>
constexpr result<void> mark_mappings_locked(held_exclusive<typename Space::lock_type> const& held,
                                            Space& space, page_span span, marking_advice what) {
    return change_advised_flags(held, space, span,
                                [&](vma const& area) { return flags_if_advised(area, what); });
}

/// The same under a lock of its own. Also errc::interrupted and errc::again, as mprotect().
template<class Space>
constexpr result<void> mark_mappings(typename Space::cpu_type& me, Space& space, page_span span,
                                     marking_advice what) {
    return under_exclusive_lock<result<void>>(space.lock(), me.current(), [&](auto const& held) {
        return mark_mappings_locked(held, space, span, what);
    });
}

}  // namespace mmhold
