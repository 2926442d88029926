// SPDX-License-Identifier: BSL-1.0
#pragma once

// hugetlb – faults in mappings of a hugetlb_object: one page is one leaf of 2 MiB, always.
//
//   nothing there, shared            the object's page, writable if the vma is; added if it is new
//   nothing there, private, reading  the object's page, read-only, if it has one; else a page of
//                                    its own, read-only until the first write (there is no zero
//                                    page)
//   nothing there, private, writing  a copy of the object's page, or a page of its own
//   read-only, shared                writable
//   read-only, private, ours alone   reuse: anonymous, and exclusive or mapped here only – whatever
//                                    other references there are
//   read-only, private, else         a whole copy
//   the same, no page left           the owner of the promise takes it from all others
//   no page left in the pool         bad_address: SIGBUS
//   behind the end of the object     bad_address: SIGBUS
//   anything, in a mapping that has  bad_address: SIGBUS
//   lost a page to the owner
//
// All measured on 6.18. Copier and pinner are those of copy_on_write.hpp; the leaf is never split.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// Answers the faults of hugetlb. Never waits, never drops the mm lock. A cheap view of an address
/// space.
template<class Space>
class hugetlb {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using object_type = hugetlb_object<Space>;
    using guard = typename Space::table_type::guard;

    constexpr explicit hugetlb(Space& space) noexcept : space_{space} {}

    /// Answers a fault at `site`, in a mapping of `object`. Mm lock: held shared. Success: the
    /// access is permitted now, or worth another try. Errors: bad_address – no page can be had, or
    /// a marker is there; no_memory – for a page table.
    [[nodiscard]] constexpr result<void> answer(fault_site const& site, object_type& object,
                                                cpu_type& me) {
        auto entry = space_.table().lock_leaf(me, site.page(), level, if_absent::create);
        if (!entry) return entry.error();
        auto const found = entry->read();
        if (found.none()) {
            entry->unlock();
            return fill(site, object, me);
        }
        if (!found.is_leaf()) return errc::bad_address;
        auto const must_change = (site.write() || site.unshare()) && !found.writable;
        if (must_change) return make_ours(site, object, me, *std::move(entry), found);
        if (found.present()) entry->touch(wanted_access(site.flags));
        return {};
    }

private:
    static constexpr unsigned level = 1;

    [[nodiscard]] static constexpr page_span around(virt_addr at) noexcept {
        return detail::pages_between(entry_start<format>(at, level), entry_end<format>(at, level));
    }
    [[nodiscard]] static constexpr install_for why(fault_site const& site) noexcept {
        // A write that FORCE has smuggled past a read-only vma leaves the page read-only.
        auto const writes = site.write() && permits(site.area->prot, access::write);
        return writes ? install_for::writing : install_for::reading;
    }

    [[nodiscard]] static constexpr std::uint64_t index_of(fault_site const& site) noexcept {
        return site.area->file_page_at(entry_start<format>(site.at, level)) / hugetlb_pages;
    }

    constexpr result<void> fill(fault_site const& site, object_type& object, cpu_type& me) {
        auto const index = index_of(site);
        for (;;) {
            // After nothing was found: who is deprived is told before the page is gone.
            if (object.is_deprived(space_, site.page())) return errc::bad_address;
            auto const page = page_for(site, object, index);
            if (!page) return errc::bad_address;
            auto const done =
                object.while_there(index, *page, [&] { return install(site, me, *page); });
            if (done) return done;
            space_.frames().put(*page, hugetlb_pages);
            if (done.error() == errc::exists) return {};
            if (done.error() != errc::again) return done;  // truncated meanwhile
        }
    }
    /// exists: somebody was faster.
    constexpr result<void> install(fault_site const& site, cpu_type& me, pfn page) {
        auto entry = space_.table().lock_leaf(me, site.page(), level, if_absent::fail);
        if (!entry || !entry->read().none()) return errc::exists;
        auto leaf = leaf_for(*site.area, page, why(site));
        // A private mapping's view of the object's page is for reading.
        auto const own = space_.frames().kind(page) == frame_kind::anonymous;
        leaf.writable = leaf.writable && (own || site.area->flags.has(vma_flag::shared));
        entry->set(leaf);
        space_.note_mapped(leaf, hugetlb_pages);
        return {};
    }

    /// The page to map where nothing is mapped, with references for the entry.
    [[nodiscard]] constexpr result<pfn> page_for(fault_site const& site, object_type& object,
                                                 std::uint64_t index) {
        auto& frames = space_.frames();
        auto const shared = site.area->flags.has(vma_flag::shared);
        auto const known = shared ? object.find_or_add(index) : object.find(index);
        if (shared || (known && !site.write())) {
            if (known) frames.get(*known, hugetlb_pages - 1);
            return known;
        }
        if (!known && known.error() != errc::again) return known;
        space_.note_own_pages(site.at);
        auto const own = object.take_private(space_, index);
        if (own && known) copy_bytes(*known, *own);
        if (known) frames.put(*known);
        return own;
    }

    constexpr result<void> make_ours(fault_site const& site, object_type& object, cpu_type& me,
                                     guard entry, page_entry leaf) {
        auto& frames = space_.frames();
        auto const shared = site.area->flags.has(vma_flag::shared);
        if (!shared && !is_ours_alone(leaf.target)) {
            return copy(site, object, me, std::move(entry), leaf);
        }
        for (std::uint64_t i = 0; !shared && i < hugetlb_pages; ++i) {
            frames.set_exclusive(leaf.target.plus(i));
        }
        if (site.unshare()) return {};
        leaf.writable = permits(site.area->prot, access::write);
        leaf.accessed = leaf.dirty = leaf.soft_dirty = true;
        (void)entry.replace(leaf);
        return {};
    }
    [[nodiscard]] constexpr bool is_ours_alone(pfn page) const noexcept {
        auto const& frames = space_.frames();
        if (frames.kind(page) != frame_kind::anonymous) return false;
        return frames.exclusive(page) || frames.map_count(page) == hugetlb_pages;
    }

    constexpr result<void> copy(fault_site const& site, object_type& object, cpu_type& me,
                                guard entry, page_entry const& old) {
        auto& frames = space_.frames();
        frames.get(old.target);  // it stays what it is while the table is unlocked
        entry.unlock();
        space_.note_own_pages(site.at);
        auto const index = index_of(site);
        auto const of_object = frames.kind(old.target) != frame_kind::anonymous;
        auto const fresh =
            of_object ? object.take_private(space_, index) : object.take_copy(space_, old.target);
        if (fresh) {
            copy_bytes(old.target, *fresh);
            replace(site, me, old, *fresh);
        }
        frames.put(old.target);
        if (fresh) return {};
        if (of_object || !object.is_owner(space_)) return errc::bad_address;
        // Now it is ours alone: the next try, here or in the caller, finds it so.
        object.deprive(me, index, old.target, space_);
        return {};
    }

    constexpr void copy_bytes(pfn from, pfn to) {
        for (std::uint64_t i = 0; i < hugetlb_pages; ++i) {
            copy_frame(space_.frames(), from.plus(i), to.plus(i));
        }
    }

    /// The new page takes the old one's place, unless the entry has changed meanwhile.
    constexpr void replace(fault_site const& site, cpu_type& me, page_entry const& old, pfn fresh) {
        auto& frames = space_.frames();
        auto entry = space_.table().lock_leaf(me, site.page(), level, if_absent::fail);
        if (!entry || entry->read() != old) {
            entry = errc::again;  // unlocks
            frames.put(fresh, hugetlb_pages);
            return;
        }
        auto const removed = entry->clear();
        space_.flush()(around(site.at));
        auto const leaf = leaf_for(*site.area, fresh, why(site));
        entry->set(leaf);
        space_.note_mapped(leaf, hugetlb_pages);
        auto const entrys_references = space_.note_unmapped(removed, hugetlb_pages);
        entry->unlock();
        if (entrys_references) frames.put(old.target, hugetlb_pages);
    }

    Space& space_;
};

}  // namespace mmhold
