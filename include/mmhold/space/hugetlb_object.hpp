// SPDX-License-Identifier: BSL-1.0
#pragma once

// hugetlb_object – what a mapping of hugetlb shows: the pages that those who share it see, and the
// promise that there are enough of them.
//
// Faulter   (fault/hugetlb.hpp) shared: the page with this number, or a fresh one that it adds
//           under the object's lock; private: a page of its own.
// Mapper    map_hugetlb() – the reservation is made when the object is, since in Linux, too, it
//           belongs to the file, hidden or not, and not to the mapping of a shared one.

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/hugetlb_pool.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/page_index.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>

namespace mmhold {

/// Are the pages of a hugetlb_object promised to it from the start (MAP_NORESERVE)?
enum class hugetlb_reserve : std::uint8_t { all, none };

/// A file of hugetlbfs, or what MAP_HUGETLB maps. Outlives every mapping of it.
///
/// The promise serves shared mappings, and private ones of the address space that mapped it first;
/// others (children of fork) take what nobody was promised, and get bad_address – SIGBUS – where
/// there is none. Left out: the parent's right to take a page from its child, truncation and hole
/// punching, and giving a part of the reservation back at munmap: it ends with the object.
template<Machine M>
class hugetlb_object final : public fault_source {
public:
    using machine = M;
    using pool_type = hugetlb_pool<M>;

    /// `leaves` pages of `pool`, which outlives it; see valid().
    constexpr hugetlb_object(pool_type& pool, std::uint64_t leaves,
                             hugetlb_reserve how = hugetlb_reserve::all)
        : fault_source{source_kind::hugetlb},
          pool_{pool},
          leaves_{leaves},
          promise_{pool, how == hugetlb_reserve::all ? leaves : 0} {
        M::name(&lock_, "hugetlb object lock");
    }
    hugetlb_object(hugetlb_object const&) = delete;
    hugetlb_object& operator=(hugetlb_object const&) = delete;
    /// Its pages are free unless somebody holds them.
    constexpr ~hugetlb_object() {
        while (auto const page = pages_.find_from(0)) {
            pages_.erase(page->index);
            pool_.frames().take_over_reference(page->page);
            pool_.frames().put(page->page);
        }
    }

    /// Could the pool promise so many pages?
    [[nodiscard]] constexpr bool valid() const noexcept { return promise_.valid(); }
    [[nodiscard]] constexpr pool_type& pool() const noexcept { return pool_; }
    /// How large it is.
    [[nodiscard]] constexpr std::uint64_t leaves() const noexcept { return leaves_; }

    /// The page with this number, if somebody has shared it already. It stays.
    [[nodiscard]] constexpr std::optional<pfn> find(std::uint64_t index) const noexcept {
        spin_guard const guard{lock_};
        return pages_.find(index);
    }
    /// The same; a zeroed one is added if there is none. Errors: no_memory.
    [[nodiscard]] constexpr result<pfn> find_or_add(std::uint64_t index) {
        if (auto const found = find(index)) return *found;
        auto const fresh = pool_.take(&promise_, frame_kind::page_cache, 1);
        if (!fresh) return fresh;
        spin_guard const guard{lock_};
        auto const added = pages_.insert(index, *fresh);
        if (added) {
            pool_.frames().pass_reference(*fresh);
            return fresh;
        }
        pool_.frames().put(*fresh);
        if (added.error() != errc::exists) return added.error();
        return *pages_.find(index);  // somebody else was faster
    }
    /// A page for a private mapping in the address space `whose`, with a reference per small page.
    /// Error: no_memory.
    [[nodiscard]] constexpr result<pfn> take_private(void const* whose) noexcept {
        auto const promised = owner_.load(relaxed) == whose ? &promise_ : nullptr;
        return pool_.take(promised, frame_kind::anonymous, pool_.folio_pages());
    }

    /// The address space that maps it first is the one whose private pages were promised.
    constexpr void mapped_by(void const* space) noexcept {
        void const* nobody = nullptr;
        // Relaxed: says only whose promise it is.
        (void)owner_.compare_exchange(nobody, space, relaxed);
    }

private:
    pool_type& pool_;
    std::uint64_t leaves_;
    typename pool_type::reservation promise_;
    typename M::template atomic<void const*> owner_{nullptr};
    mutable spin_lock<M> lock_{};
    page_index<M> pages_{};  // guarded by lock_
};

/// mmap(2) of hugetlb: maps `object` as `request` says – place, rights, shared or private, the
/// first small page in `file_page` and how many in `pages`. Answers where.
///
/// Mm lock: held exclusively. Errors, and then nothing has changed: no_memory – the pool could not
/// promise the object's pages, or as mmap; invalid_argument – place, length or offset are not
/// multiples of 2 MiB, or it reaches over the object's end; else as mmap. lock_not_held.
template<class Space>
constexpr result<virt_addr> map_hugetlb_locked(
    held_exclusive<typename Space::lock_type> const& held, typename Space::cpu_type& me,
    Space& space, hugetlb_object<typename Space::machine>& object, mmap_request request) {
    auto const pages = request.pages.value;
    auto const aligned = pages % hugetlb_pages == 0 && request.file_page % hugetlb_pages == 0 &&
                         is_hugetlb_border(request.hint) && request.hint.offset() == 0;
    auto const size = object.leaves() * hugetlb_pages;
    if (!aligned || pages > size || request.file_page > size - pages) return errc::invalid_argument;
    if (!object.valid()) return errc::no_memory;
    request.kind = vma_kind::other;
    request.properties = request.properties.with(vma_flag::hugetlb);
    request.source = &object;
    request.file = 1;  // its pages have numbers; which file is told by the source
    auto const at = space.mmap_locked(held, me, request);
    if (at) object.mapped_by(&space);
    return at;
}

/// The same under a lock of its own. Also errc::interrupted and errc::again, as mmap.
template<class Space>
constexpr result<virt_addr> map_hugetlb(typename Space::cpu_type& me, Space& space,
                                        hugetlb_object<typename Space::machine>& object,
                                        mmap_request const& request) {
    return under_exclusive_lock<result<virt_addr>>(
        space.lock(), me.current(), [&](auto const& held) {
            return map_hugetlb_locked(held, me, space, object, request);
        });
}

}  // namespace mmhold
