// SPDX-License-Identifier: BSL-1.0
#pragma once

// copy_on_write – a write (or a pin that must not be surprised by a later write) meets a page
// that is present and read-only. The rules of do_wp_page, gup-semantics §4.3:
//
//   leaf that crosses its vma      split
//   zero page                      copy, always
//   large zero folio               a large folio in its place; if there is none: split, copy
//   shared mapping                 nothing to copy: make the entry writable, mark the page dirty
//   anonymous and exclusive        ours alone: reuse
//   anonymous, one reference       nobody else is left: becomes exclusive, reuse
//   part of a large folio          as many references as mappings, all in this table, and more
//                                  than one: the same (6.15 and later)
//   large leaf                     reuse if it is the folio's last user, as a whole; else split
//   anything else                  copy to a fresh exclusive page
//
// Copier    under the table's lock: take a reference on the old page → unlock → allocate, copy →
//           lock → the entry is still the very same? clear it → flush → install the new page, so
//           that no cpu writes to the new page while another still reads the old → unlock → give
//           back the entry's old reference and the copier's. Not the same: somebody else was
//           here; give both pages back, the access is simply tried again.
// Pinner    (lockless) pin → read the entry again → look at exclusive. Reuse sets exclusive, copy
//           changes the entry, so a pinner that comes in between notices either (§4.4, §6.1).
// unshare   leaves the result read-only. A write that FORCE has smuggled past a read-only vma
//           leaves the copy read-only as well, but dirty: later stores of the owner still fault.

#include <mmhold/fault/install.hpp>
#include <mmhold/fault/large_folio.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/split.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/vocab/errc.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// Makes a present, read-only page writable or exclusive. A cheap view of an address space.
///
/// Which address spaces map a large folio is not recorded: where its mappings do not all lie in the
/// one page table that was found they count as somebody else's (after mremap to another alignment,
/// where Linux still knows).
template<class Space>
class copy_on_write {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::guard;

    constexpr explicit copy_on_write(Space& space) noexcept : space_{space}, large_folio_{space} {}

    /// Answers a write or unshare fault at `site` on the leaf that `entry` has locked and that is
    /// not writable. Mm lock: held shared. Success: the access is permitted now, or worth another
    /// try. Errors, and then nothing has changed: no_memory; bad_address – the entry leads to no
    /// frame that could be copied; again – a large leaf was split, look at the entry again.
    [[nodiscard]] constexpr result<void> resolve(fault_site const& site, cpu_type& me,
                                                 guard entry) {
        auto const leaf = entry.read();
        auto const page = page_under(site.page(), leaf, entry.level());
        switch (judge(site, entry, leaf, page)) {
            case verdict::reuse: return reuse(site, entry, leaf, page);
            case verdict::copy:
                space_.note_own_pages(site.at);
                return copy(site, me, std::move(entry), leaf);
            case verdict::split_first: return split(site, me, std::move(entry));
            case verdict::large_zeroes: return fill_large(site, me, std::move(entry), leaf);
            case verdict::hopeless: break;
        }
        return errc::bad_address;
    }

private:
    enum class verdict : std::uint8_t { reuse, copy, split_first, large_zeroes, hopeless };

    [[nodiscard]] static constexpr pfn page_under(virt_addr at, page_entry const& leaf,
                                                  unsigned level) noexcept {
        auto const inside = at.value - entry_start<format>(at, level).value;
        return leaf.target.plus(inside >> page_shift);
    }

    [[nodiscard]] constexpr verdict judge(fault_site const& site, guard const& entry,
                                          page_entry const& leaf, pfn page) const noexcept {
        auto const& frames = space_.frames();
        auto const level = entry.level();
        // The vma was split under the leaf (mlock): Linux splits the leaf with it.
        if (crosses<format>(site.at, level, site.area->span)) return verdict::split_first;
        if (site.area->flags.has(vma_flag::shared)) return verdict::reuse;
        if (frames.is_zero(page)) return level == 0 ? verdict::copy : verdict::large_zeroes;
        if (leaf.special || !frames.contains(page)) return verdict::hopeless;
        if (is_ours_alone(entry, leaf, page)) return verdict::reuse;
        return level == 0 ? verdict::copy : verdict::split_first;
    }

    [[nodiscard]] constexpr bool is_ours_alone(guard const& entry, page_entry const& leaf,
                                               pfn page) const noexcept {
        if (space_.frames().kind(page) != frame_kind::anonymous) return false;
        return all_exclusive(leaf, entry.level()) || is_last_user(entry, page);
    }
    /// All pages of a large leaf must be, for all of them would become writable.
    [[nodiscard]] constexpr bool all_exclusive(page_entry const& leaf,
                                               unsigned level) const noexcept {
        for (std::uint64_t i = 0; i < format::leaf_pages(level); ++i) {
            if (!space_.frames().exclusive(leaf.target.plus(i))) return false;
        }
        return true;
    }
    /// All references are those of entries in the table that `entry` has locked.
    [[nodiscard]] constexpr bool is_last_user(guard const& entry, pfn page) const noexcept {
        auto const& frames = space_.frames();
        auto const references = frames.ref_count(page);
        if (frames.order_of(page) == 0) return references == 1;
        return references > 1 && references == frames.map_count(page) &&
               references == mappings_in(entry, frames.head_of(page));
    }
    [[nodiscard]] constexpr std::uint64_t mappings_in(guard const& entry,
                                                      pfn folio) const noexcept {
        auto const& frames = space_.frames();
        if (entry.level() != 0) return format::leaf_pages(entry.level());
        std::uint64_t found = 0;
        for (unsigned index = 0; index < format::entries_per_table; ++index) {
            auto const other = entry.table().read(index);
            if (maps_frame(frames, other) && frames.head_of(other.target) == folio) ++found;
        }
        return found;
    }

    constexpr result<void> reuse(fault_site const& site, guard& entry, page_entry leaf, pfn page) {
        auto& frames = space_.frames();
        auto const counted = frames.contains(page) && frames.kind(page) == frame_kind::anonymous;
        for (std::uint64_t i = 0; counted && i < format::leaf_pages(entry.level()); ++i) {
            frames.set_exclusive(leaf.target.plus(i));
        }
        if (site.unshare()) return {};
        leaf.writable = permits(site.area->prot, access::write);
        leaf.accessed = leaf.dirty = leaf.soft_dirty = true;
        (void)entry.replace(leaf);  // what the hardware may have set meanwhile is set here too
        // After the entry is writable: page_cache.hpp, write-back.
        if (site.area->flags.has(vma_flag::shared) && frames.contains(page)) {
            frames.mark_dirty(page);
        }
        return {};
    }

    /// A large folio in place of large zeroes; small pages if there is none.
    constexpr result<void> fill_large(fault_site const& site, cpu_type& me, guard entry,
                                      page_entry const& zeroes) {
        entry.unlock();
        auto const done = large_folio_.replace(site, me, zeroes);
        if (done.error() != errc::no_memory) return done;
        auto const pieces = space_.table().split(me, site.page(), space_.flush());
        return pieces ? errc::again : pieces.error();
    }

    constexpr result<void> split(fault_site const& site, cpu_type& me, guard entry) {
        entry.unlock();
        auto const done = space_.table().split(me, site.page(), space_.flush());
        return done ? errc::again : done.error();
    }

    constexpr result<void> copy(fault_site const& site, cpu_type& me, guard entry,
                                page_entry const& old) {
        auto& frames = space_.frames();
        auto const counted = !old.special;
        if (counted) frames.get(old.target);  // it stays what it is while the table is unlocked
        entry.unlock();
        auto const fresh = copy_of(old);
        auto const outcome = fresh ? replace(site, me, old, *fresh) : result<void>{fresh.error()};
        if (counted) frames.put(old.target);
        return outcome;
    }

    [[nodiscard]] constexpr result<pfn> copy_of(page_entry const& old) {
        auto& frames = space_.frames();
        auto const broken =
            !old.special && frames.attributes(old.target).has(frame_attribute::hwpoison);
        if (broken) return errc::hardware_poison;
        if (!old.special) return allocate_copy_of(frames, old.target);
        auto const fresh = frames.allocate(frame_kind::anonymous);  // zeroes already
        if (fresh) frames.set_exclusive(*fresh);
        return fresh;
    }

    /// The new page takes the old one's place, unless the entry has changed meanwhile.
    constexpr result<void> replace(fault_site const& site, cpu_type& me, page_entry const& old,
                                   pfn fresh) {
        auto& frames = space_.frames();
        auto entry = space_.table().lock_leaf(me, site.page(), 0, if_absent::fail);
        if (!entry || entry->read() != old) {
            entry = errc::again;  // unlocks
            frames.put(fresh);
            return {};
        }
        auto const removed = entry->clear();
        flush_page(site.page());
        auto const leaf = leaf_of_copy(site, old, fresh);
        entry->set(leaf);
        space_.note_mapped(leaf, 1);
        auto const entrys_reference = space_.note_unmapped(removed, 1);
        entry->unlock();
        if (entrys_reference) frames.put(old.target);
        return {};
    }

    [[nodiscard]] static constexpr page_entry leaf_of_copy(fault_site const& site,
                                                           page_entry const& old,
                                                           pfn fresh) noexcept {
        auto const why = site.unshare() ? install_for::reading : install_for::writing;
        auto leaf = leaf_for(*site.area, fresh, why);
        if (site.unshare()) {
            leaf.soft_dirty = old.soft_dirty;
            leaf.uffd_wp = old.uffd_wp;
        }
        return leaf;
    }

    constexpr void flush_page(virt_addr at) {
        if (auto const page = page_span::from(at, page_count{1})) space_.flush()(*page);
    }

    Space& space_;
    large_folio<Space> large_folio_;
};

}  // namespace mmhold
