// SPDX-License-Identifier: BSL-1.0
#pragma once

// install – how a page comes to stand in a page table that others are working on.
//
// Two faults on one page both find nothing, both get a frame, and both come here. The lock of the
// table decides (gup-semantics §6.2 #20): who finds the entry empty installs, the other gives its
// frame back and answers success, because the page is there. A lockless reader sees nothing or the
// finished page: the contents were written before the entry is stored with release.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// Why a page is put in place.
enum class install_for : std::uint8_t {
    reading,  ///< not writable if the mapping makes private copies, not dirty
    writing,  ///< dirty; writable if the vma is
};

/// The entry for `page` in `area`: the vma's permissions and key. Write permission is given to
/// what is written now and to shared mappings; private ones, and those of objects that want to be
/// told, keep it back until the first write.
[[nodiscard]] constexpr page_entry leaf_for(vma const& area, pfn page, install_for why) noexcept {
    auto leaf = page_entry::leaf_to(page, area.prot);
    leaf.pkey = area.pkey;
    auto const writes_now = why == install_for::writing;
    auto const from_the_start =
        area.flags.has(vma_flag::shared) && !area.flags.has(vma_flag::dirty_tracked);
    leaf.writable = leaf.writable && (writes_now || from_the_start);
    leaf.dirty = leaf.soft_dirty = writes_now;
    return leaf;
}

/// The entry for the zero page: read-only, and *special*, because nobody counts its mappings.
[[nodiscard]] constexpr page_entry zero_leaf_for(vma const& area, pfn zero_page) noexcept {
    auto leaf = leaf_for(area, zero_page, install_for::reading);
    leaf.writable = false;
    leaf.special = true;
    return leaf;
}

/// A zeroed frame to back a page of `area`: anonymous for a private mapping – and exclusive,
/// since nobody else can have it yet –, shared memory for a shared one. Secret memory says so on
/// its frame as well: the lockless walk knows no vma (gup-semantics §4.6, §6.2 #26). Its one
/// reference is the caller's. Error: no_memory.
template<class Space>
[[nodiscard]] constexpr result<pfn> allocate_page_for(Space& space, vma const& area) noexcept {
    Space::machine::note(claim::used, &area);
    auto& frames = space.frames();
    auto const shared = area.flags.has(vma_flag::shared);
    auto const page = frames.allocate(shared ? frame_kind::page_cache : frame_kind::anonymous);
    if (!page) return page;
    if (shared) {
        frames.add_attributes(*page, frame_attribute::shmem);
    } else {
        frames.set_exclusive(*page);
    }
    if (area.flags.has(vma_flag::secret)) frames.add_attributes(*page, frame_attribute::secret);
    return page;
}

/// What becomes of a marker that stands for no page where a page is to be put.
enum class over_marker : std::uint8_t {
    inherit,  ///< write protection for a userfault passes to the page; anything else is in the way
    replace,  ///< it goes, whatever it stands for
    refuse,   ///< it is in the way
};

namespace detail {

/// The leaf to install where `there` is; none: it cannot be installed.
[[nodiscard]] constexpr page_entry leaf_over(page_entry const& there, page_entry leaf,
                                             over_marker marker) noexcept {
    if (there.none()) return leaf;
    if (marker == over_marker::replace && stands_for_no_page(there)) return leaf;
    if (marker != over_marker::inherit || !is_userfault_wp(there)) return {};
    leaf.uffd_wp = true;
    leaf.writable = false;
    return leaf;
}

}  // namespace detail

/// Puts `leaf` in place for the page at `at` if nothing is there, or what `marker` admits. On
/// success a reference of the caller's belongs to the entry (unless the leaf is special), and the
/// mapping is counted.
///
/// Mm lock: held. Errors, and then nothing has changed: exists – there is a leaf, a larger leaf
/// or a marker; no_memory – a table could not be created.
template<class Space, class Cpu>
[[nodiscard]] constexpr result<void> install_leaf(Space& space, Cpu& me, virt_addr at,
                                                  page_entry const& leaf,
                                                  over_marker marker = over_marker::inherit) {
    auto entry = space.table().lock_leaf(me, at, 0, if_absent::create);
    if (!entry) return entry.error();
    auto const fitting = detail::leaf_over(entry->read(), leaf, marker);
    if (fitting.none()) return errc::exists;
    entry->set(fitting);
    space.note_mapped(fitting, 1);
    return {};
}

/// The same for a frame of the caller's, whose reference is given back if the page is not
/// installed.
template<class Space, class Cpu>
[[nodiscard]] constexpr result<void> install_page(Space& space, Cpu& me, virt_addr at,
                                                  page_entry const& leaf,
                                                  over_marker marker = over_marker::inherit) {
    auto const installed = install_leaf(space, me, at, leaf, marker);
    if (!installed) space.frames().put(leaf.target);
    return installed;
}

}  // namespace mmhold
