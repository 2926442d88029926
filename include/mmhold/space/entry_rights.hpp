// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>

namespace mmhold {

/// May the page that `entry` maps be written without a fault, now that its vma permits writing?
///
/// Shared mappings: yes, unless the first write must be announced. Private ones: only a page of its
/// own, which nobody else has mapped (can_change_pte_writable in Linux). Never while userfaultfd
/// protects it. The page table lock is held.
template<Machine M>
[[nodiscard]] constexpr bool may_be_writable(frame_pool<M> const& frames, vma const& area,
                                             page_entry const& entry) noexcept {
    if (!permits(area.prot, access::write) || entry.uffd_wp) return false;
    if (area.flags.has(vma_flag::shared)) {
        return entry.dirty || !area.flags.has(vma_flag::dirty_tracked);
    }
    // Measured on 6.18: a private page of hugetlb waits for the next write.
    if (area.flags.has(vma_flag::hugetlb)) return false;
    if (entry.special || !frames.contains(entry.target)) return false;
    return frames.kind(entry.target) == frame_kind::anonymous && frames.exclusive(entry.target);
}

/// What becomes of an entry when the rights of its vma change: the change that page_table::protect
/// applies for mprotect. Markers stay; pages without any right stay mapped as PROT_NONE.
template<Machine M>
class entry_rights {
public:
    /// `area` has the new rights already.
    constexpr entry_rights(frame_pool<M> const& frames, vma const& area) noexcept
        : frames_{frames}, area_{area} {}

    /// The entry with the vma's rights.
    [[nodiscard]] constexpr page_entry operator()(page_entry const& old) const noexcept {
        if (!old.is_leaf()) return old;
        auto entry = old;
        entry.protnone = area_.prot.empty();
        entry.user = !entry.protnone;
        entry.no_execute = !area_.prot.has(protection_bit::execute);
        entry.writable = may_be_writable(frames_, area_, old);
        entry.pkey = area_.pkey;
        return entry;
    }

private:
    frame_pool<M> const& frames_;
    vma const& area_;
};

}  // namespace mmhold
