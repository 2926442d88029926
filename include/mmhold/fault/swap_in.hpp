// SPDX-License-Identifier: BSL-1.0
#pragma once

// swap_in – a page comes back from the swap store (do_swap_page, gup-semantics §4.4).
//
// Reader    has seen the marker, and given the page table lock back → allocates, reads the slot →
//           locks → the very same marker? installs its page, the marker's reference to the slot is
//           given back. Another entry? somebody was faster, or discarded the page: its own page
//           goes, and the access is simply tried again.
// The slot  may be freed and written anew between the look and the read. Then the marker is gone,
//           and stays gone as long as the slot is somebody else's: what was read is thrown away.
//           Can the very same marker be there again? Then the slot is this address' again, but it
//           may have been read before it was filled; so the reader holds a reference of its own
//           meanwhile, taken under the page table lock, and the slot cannot be freed.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/swap_wait.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// Reads swapped pages back. A cheap view of an address space. The mm lock is never dropped. From a
/// store in memory nothing is waited for; what has not arrived from a slow one is waited for in
/// place, unless somebody has done so before and better (swap_wait.hpp).
template<class Space>
class swap_in {
public:
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::guard;

    constexpr explicit swap_in(Space& space) noexcept : space_{space} {}

    /// Answers a fault at `site` on the swapped entry that `entry` has locked. Mm lock: held.
    /// Success: the page is there, writable if this is a write, exclusive if it was so or if this
    /// is a write or unshare; or worth another try. Errors, and then nothing has changed: no_memory
    /// – no frame; bad_address – the space has no store; what a slow device said.
    [[nodiscard]] constexpr result<void> resolve(fault_site const& site, cpu_type& me,
                                                 guard entry) {
        auto const marker = entry.read();
        auto* const store = space_.swap();
        if (store == nullptr) return errc::bad_address;
        if (!store->duplicate(slot_of(marker))) return errc::no_memory;
        entry.unlock();
        auto const page = read_slot(slot_of(marker), me);
        // The page is this entry's alone: a write would find one reference, and reuse it (§4.3).
        auto const ours =
            is_marker_of(marker, page_marker::swapped_exclusive) || site.write() || site.unshare();
        if (page && ours) space_.frames().set_exclusive(*page);
        auto const outcome = page ? install(site, me, marker, *page) : result<void>{page.error()};
        store->release(slot_of(marker));
        return outcome;
    }

private:
    [[nodiscard]] constexpr result<pfn> read_slot(std::uint64_t slot, cpu_type& me) {
        auto& frames = space_.frames();
        auto const here = await_slot(*space_.swap(), me.current(), slot);
        if (!here) return here.error();
        auto const page = frames.allocate(frame_kind::anonymous);
        if (!page) return page;
        frames.mark_dirty(*page);  // the slot is given up, so memory has the only copy
        space_.swap()->read(slot, frames.bytes(*page));
        return page;
    }

    constexpr result<void> install(fault_site const& site, cpu_type& me, page_entry const& marker,
                                   pfn page) {
        auto entry = space_.table().lock_leaf(me, site.page(), 0, if_absent::fail);
        if (!entry || entry->read() != marker) {
            entry = errc::again;  // unlocks
            space_.frames().put(page);
            return {};
        }
        auto const leaf = leaf_for_swapped(site, marker, page);
        entry->set(leaf);
        space_.note_mapped(leaf, 1);
        (void)space_.note_unmapped(marker, 1);
        return {};
    }

    [[nodiscard]] static constexpr page_entry leaf_for_swapped(fault_site const& site,
                                                               page_entry const& marker,
                                                               pfn page) noexcept {
        // A write that FORCE has smuggled past a read-only vma gets a clean, read-only page.
        auto const dirties = site.write() && permits(site.area->prot, access::write);
        auto leaf =
            leaf_for(*site.area, page,
                     dirties && !marker.uffd_wp ? install_for::writing : install_for::reading);
        leaf.writable = leaf.writable && !marker.uffd_wp;
        leaf.uffd_wp = marker.uffd_wp;
        leaf.soft_dirty = leaf.soft_dirty || marker.soft_dirty;
        return leaf;
    }

    Space& space_;
};

}  // namespace mmhold
