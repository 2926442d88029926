// SPDX-License-Identifier: BSL-1.0
#pragma once

// hugetlb_object – what a mapping of hugetlb shows: the pages that those who share it see, and the
// promise that there are enough of them.
//
// Faulter   (fault/hugetlb.hpp) shared: the page with this number, or a fresh one that it adds;
//           private: a page of its own. Either is mapped under the pages lock, after a look whether
//           it still is the object's, and in front of the end.
// Mapper    map_hugetlb() – the reservation is made when the object is, since in Linux, too, it
//           belongs to the file, hidden or not, and not to the mapping of a shared one.
// Truncate, punch: as page_cache does them, in whole pages.
//
// Locks     mm lock → mappings lock → pages lock → page table lock → pool lock. The first of the
//           object's two also keeps changes of size and holes one at a time.

#include <mmhold/config.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/hugetlb_pool.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/page_index.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold {

/// Are the pages of a hugetlb_object promised to it from the start (MAP_NORESERVE)?
enum class hugetlb_reserve : std::uint8_t { all, none };

/// How many bytes one page of hugetlb has.
inline constexpr std::uint64_t hugetlb_bytes = hugetlb_pages * page_size;

/// A file of hugetlbfs, or what MAP_HUGETLB maps. Outlives every mapping of it.
///
/// The promise is made to whoever maps it first. That is all who share it: then it is made page by
/// page, and what is cut off or punched is not promised any more. Or it is the private mapping of
/// one address space, the owner. Others (children of fork) take what nobody was promised, and get
/// bad_address – SIGBUS – where there is none; and where there is none for the owner's copy of a
/// page that fork has shared, the owner takes that page from them (deprive). What the owner unmaps
/// is not promised any more.
///
/// Any number of cpus at once. No function needs a mm lock, and none sleeps.
template<class Space>
class hugetlb_object final : public mapped_object<Space> {
    using base = mapped_object<Space>;

public:
    using machine = typename Space::machine;
    using cpu_type = typename Space::cpu_type;
    using pool_type = hugetlb_pool<machine>;

    /// `leaves` pages of `pool`, which outlives it; see valid().
    constexpr hugetlb_object(pool_type& pool, std::uint64_t leaves,
                             hugetlb_reserve how = hugetlb_reserve::all)
        : base{object_kind::hugetlb, object_owner::host},
          pool_{pool},
          leaves_{leaves},
          promised_{how == hugetlb_reserve::all ? leaves : 0},
          no_more_{machine::template create_array<mark>(static_cast<std::size_t>(promised_))},
          promise_{pool, promised_} {
        machine::name(&pages_lock_, "hugetlb object lock");
    }
    /// Its pages are free unless somebody holds them. Precondition: nobody maps it.
    constexpr ~hugetlb_object() {
        spin_guard<machine> const held{pages_lock_};
        while (auto const page = pages_.find_from(0)) let_go(*page);
        if (no_more_ != nullptr) {
            machine::destroy_array(no_more_, static_cast<std::size_t>(promised_));
        }
    }

    /// Could the pool promise so many pages?
    [[nodiscard]] constexpr bool valid() const noexcept {
        return promise_.valid() && (promised_ == 0 || no_more_ != nullptr);
    }
    [[nodiscard]] constexpr pool_type& pool() const noexcept { return pool_; }
    /// How large it is.
    [[nodiscard]] constexpr std::uint64_t leaves() noexcept {
        spin_guard<machine> const held{pages_lock_};
        return leaves_.get();
    }

    // ---- its pages ------------------------------------------------------------------------------

    /// The page with this number, with a reference for the caller. Errors: bad_address – behind the
    /// end; again – nobody has shared one yet.
    [[nodiscard]] constexpr result<pfn> find(std::uint64_t index) noexcept {
        spin_guard<machine> const held{pages_lock_};
        return look_up(index);
    }
    /// The same; a zeroed one is added if there is none. Errors: bad_address; no_memory.
    [[nodiscard]] constexpr result<pfn> find_or_add(std::uint64_t index) {
        if (auto const there = find(index); there || there.error() != errc::again) return there;
        auto const fresh = take_shared(index);
        if (!fresh) return fresh;
        spin_guard<machine> const held{pages_lock_};
        if (auto const there = look_up(index); there || there.error() != errc::again) {
            pool_.frames().put(*fresh);  // somebody else was faster
            return there;
        }
        if (auto const added = pages_.insert(index, *fresh); !added) {
            pool_.frames().put(*fresh);
            return added.error();
        }
        pool_.frames().get(*fresh);
        pool_.frames().pass_reference(*fresh);
        return fresh;
    }
    /// A page for a private mapping in the address space `whose`, where it has no page `index` yet,
    /// with a reference per small page. Error: no_memory.
    [[nodiscard]] constexpr result<pfn> take_private(Space const& whose,
                                                     std::uint64_t index) noexcept {
        auto const promised = is_owner(whose) && is_still_promised(index);
        return pool_.take(promised ? &promise_ : nullptr, frame_kind::anonymous,
                          pool_.folio_pages());
    }
    /// A page for whoever was promised none, as above. Error: no_memory.
    [[nodiscard]] constexpr result<pfn> take_unpromised() noexcept {
        return pool_.take(nullptr, frame_kind::anonymous, pool_.folio_pages());
    }
    /// The same for a copy of `page`, which is somebody else's as well: nobody was promised one
    /// (measured on 6.18). If `whose` is the owner, what was promised for `page` is kept by the
    /// copy. Error: no_memory.
    [[nodiscard]] constexpr result<pfn> take_copy(Space const& whose, pfn page) noexcept {
        auto const fresh = take_unpromised();
        if (fresh && is_owner(whose)) pool_.pass_promise(promise_, page, *fresh);
        return fresh;
    }
    /// Is `whose` the address space whose private pages were promised?
    [[nodiscard]] constexpr bool is_owner(Space const& whose) const noexcept {
        return promised_ != 0 && owner_.load(relaxed) == &whose;
    }

    /// Every mapping but those of the owner, `whose`, loses private `page`, which it has as page
    /// `index`: no page comes to it any more, lest a zero one be taken for the one that was lost.
    constexpr void deprive(cpu_type& me, std::uint64_t index, pfn page, Space const& whose) {
        page_range const small{index * hugetlb_pages, (index + 1) * hugetlb_pages};
        spin_guard<machine> const held{base::mappings_lock_};
        base::mappings_.deprive(me, small, page, whose);
    }
    /// Has the mapping around `at` lost a page in this way?
    [[nodiscard]] constexpr bool is_deprived(Space const& space, virt_addr at) noexcept {
        spin_guard<machine> const held{base::mappings_lock_};
        return base::mappings_.is_deprived(space, at);
    }

    /// Calls use() -> result<void> with the pages lock held, if `page` is still the one with number
    /// `index` – or, being private, stands where it could be; use() may take page table locks.
    /// Errors: bad_address – behind the end; again – it is another page, or none; what use()
    /// answers.
    template<class Use>
    constexpr result<void> while_there(std::uint64_t index, pfn page, Use&& use) {
        spin_guard<machine> const held{pages_lock_};
        if (index >= leaves_.get()) return errc::bad_address;
        auto const shared = pool_.frames().kind(page) != frame_kind::anonymous;
        if (shared && pages_.find(index) != page) return errc::again;
        return use();
    }

    // ---- operations -----------------------------------------------------------------------------

    /// ftruncate(2): the object has `bytes` bytes from now on. What was mapped behind the end is
    /// unmapped, private copies included; nothing more is promised than before. Errors, and then
    /// nothing has changed: invalid_argument – not whole pages; no_memory – the cpu is not valid().
    constexpr result<void> resize(cpu_type& me, std::uint64_t bytes) {
        if (bytes % hugetlb_bytes != 0) return errc::invalid_argument;
        if (!me.valid()) return errc::no_memory;
        auto const leaves = bytes / hugetlb_bytes;
        spin_guard<machine> const one_at_a_time{base::mappings_lock_};
        if (set_size(leaves) > leaves) take_away(me, leaves, ~std::uint64_t{0} / hugetlb_pages);
        return {};
    }

    /// fallocate(2) with PUNCH_HOLE of `count` bytes from byte `from` on: whole pages go, private
    /// copies included (measured on 6.18: those of page_cache stay); of a page that is hit in part
    /// the part becomes zero, if the page is there. Errors, and then nothing has changed:
    /// invalid_argument – no bytes; no_memory – the cpu is not valid().
    constexpr result<void> punch(cpu_type& me, std::uint64_t from, std::uint64_t count) {
        if (count == 0 || from + count < from) return errc::invalid_argument;
        if (!me.valid()) return errc::no_memory;
        auto const end = from + count;
        auto const first = from / hugetlb_bytes + std::uint64_t{from % hugetlb_bytes != 0};
        auto const last = end / hugetlb_bytes;
        spin_guard<machine> const one_at_a_time{base::mappings_lock_};
        zero(from, std::min(end, first * hugetlb_bytes));
        zero(std::max(from, last * hugetlb_bytes), end);
        take_away(me, first, last);
        return {};
    }

    /// For address_space: `space` maps less of it than before. What its owner does not map any more
    /// is not promised any more.
    constexpr void give_back_unmapped(Space const& space) noexcept {
        if (!is_owner(space)) return;
        spin_guard<machine> const held{base::mappings_lock_};
        for (std::uint64_t index = 0; index < promised_; ++index) {
            auto const mapped = base::mappings_.maps(space, index * hugetlb_pages);
            if (!mapped) promise_no_more(index, index + 1);
        }
    }
    /// For map_hugetlb: `space` maps it; the first to do so is the one the promise is made to.
    constexpr void mapped_by(Space const& space, mmap_flags how) noexcept {
        void const* nobody = nullptr;
        // Relaxed: says only whose promise it is.
        (void)owner_.compare_exchange(nobody, how.has(mmap_flag::shared) ? everybody() : &space,
                                      relaxed);
    }

private:
    using found = typename page_index<machine>::found;
    using mark = typename machine::template plain<bool>;

    [[nodiscard]] constexpr void const* everybody() const noexcept { return this; }
    [[nodiscard]] constexpr bool is_promised_to_all() const noexcept {
        void const* const whose = owner_.load(relaxed);
        return whose == nullptr || whose == everybody();
    }
    [[nodiscard]] constexpr bool is_still_promised(std::uint64_t index) noexcept {
        spin_guard<machine> const held{pages_lock_};
        return index < promised_ && !no_more_[index].get();
    }
    [[nodiscard]] constexpr result<pfn> take_shared(std::uint64_t index) noexcept {
        auto const promised = is_promised_to_all() && is_still_promised(index);
        return pool_.take(promised ? &promise_ : nullptr, frame_kind::page_cache, 1);
    }

    [[nodiscard]] constexpr result<pfn> look_up(std::uint64_t index) noexcept
        MMHOLD_REQUIRES(pages_lock_) {
        if (index >= leaves_.get()) return errc::bad_address;
        auto const page = pages_.find(index);
        if (!page) return errc::again;
        pool_.frames().take_over_reference(*page);
        pool_.frames().get(*page);
        pool_.frames().pass_reference(*page);
        return *page;
    }
    constexpr std::uint64_t set_size(std::uint64_t leaves) noexcept {
        spin_guard<machine> const held{pages_lock_};
        auto const before = leaves_.get();
        leaves_.set(leaves);
        return before;
    }

    /// Truncate and punch: entries, then pages, as page_cache::take_away.
    constexpr void take_away(cpu_type& me, std::uint64_t first, std::uint64_t last)
        MMHOLD_REQUIRES(base::mappings_lock_) {
        if (first >= last) return;
        unmap(me, first, last);
        for (auto from = first; auto const index = remove_one(me, from, last);) from = *index + 1;
        if (is_promised_to_all()) promise_no_more(first, last);
    }
    constexpr void unmap(cpu_type& me, std::uint64_t first, std::uint64_t last)
        MMHOLD_REQUIRES(base::mappings_lock_) {
        page_range const small{first * hugetlb_pages, last * hugetlb_pages};
        base::mappings_.unmap(me, small, private_copies::go);
    }
    /// The lowest page from `first` on leaves the object; answers its number.
    constexpr std::optional<std::uint64_t> remove_one(cpu_type& me, std::uint64_t first,
                                                      std::uint64_t last)
        MMHOLD_REQUIRES(base::mappings_lock_) {
        spin_guard<machine> const held{pages_lock_};
        auto const page = pages_.find_from(first);
        if (!page || page->index >= last) return std::nullopt;
        // A fault may have mapped it since: none can while the pages lock is held.
        if (pool_.frames().map_count(page->page) != 0) unmap(me, page->index, page->index + 1);
        let_go(*page);
        return page->index;
    }
    /// The pages are gone; whoever holds one does not count for the promise either.
    constexpr void promise_no_more(std::uint64_t first, std::uint64_t last) noexcept {
        spin_guard<machine> const held{pages_lock_};
        for (auto index = first; index < std::min(last, promised_); ++index) {
            if (no_more_[index].get()) continue;
            no_more_[index].set(true);
            pool_.give_back_one(promise_);
        }
    }
    constexpr void let_go(found const& page) noexcept MMHOLD_REQUIRES(pages_lock_) {
        pages_.erase(page.index);
        pool_.forget_promise(page.page);
        pool_.frames().take_over_reference(page.page);
        pool_.frames().put(page.page);
    }

    /// Bytes [from, to), which lie in one page, become zero if the page is there.
    constexpr void zero(std::uint64_t from, std::uint64_t to) noexcept {
        if (from >= to) return;
        spin_guard<machine> const held{pages_lock_};
        auto const page = pages_.find(from / hugetlb_bytes);
        if (!page) return;
        auto const inside = from % hugetlb_bytes;
        zero_frames(pool_.frames(), *page, inside, inside + (to - from));
    }

    pool_type& pool_;
    spin_lock<machine> pages_lock_{};
    typename machine::template plain<std::uint64_t> leaves_ MMHOLD_GUARDED_BY(pages_lock_);
    std::uint64_t promised_;  // how many pages, at first
    mark* no_more_;           // what it points to: guarded by pages_lock_
    typename pool_type::reservation promise_;
    typename machine::template atomic<void const*> owner_{nullptr};
    page_index<machine> pages_ MMHOLD_GUARDED_BY(pages_lock_){};
};

/// The hugetlb that `area` shows; nullptr: none.
template<class Space>
[[nodiscard]] constexpr hugetlb_object<Space>* hugetlb_object_of(vma const& area) noexcept {
    auto const has = area.object != nullptr && area.object->kind() == object_kind::hugetlb;
    return has ? static_cast<hugetlb_object<Space>*>(area.object) : nullptr;
}

/// mmap(2) of hugetlb: maps `object` as `request` says – place, rights, shared or private, the
/// first small page in `file_page` and how many in `pages`. Answers where.
///
/// Mm lock: held exclusively. Errors, and then nothing has changed: no_memory – the pool could not
/// promise the object's pages, or as mmap; invalid_argument – place, length or offset are not
/// multiples of 2 MiB, or it reaches over the object's end; else as mmap. lock_not_held.
template<class Space>
constexpr result<virt_addr> map_hugetlb_locked(
    held_exclusive<typename Space::lock_type> const& held, typename Space::cpu_type& me,
    Space& space, hugetlb_object<Space>& object, mmap_request request) {
    auto const pages = request.pages.value;
    auto const aligned = pages % hugetlb_pages == 0 && request.file_page % hugetlb_pages == 0 &&
                         is_hugetlb_border(request.hint) && request.hint.offset() == 0;
    auto const size = object.leaves() * hugetlb_pages;
    if (!aligned || pages > size || request.file_page > size - pages) return errc::invalid_argument;
    if (!object.valid()) return errc::no_memory;
    request.kind = vma_kind::other;
    request.properties = request.properties.with(vma_flag::hugetlb);
    request.object = &object;
    auto const at = space.mmap_locked(held, me, request);
    if (at) object.mapped_by(space, request.flags);
    return at;
}

/// The same under a lock of its own. Also errc::interrupted and errc::again, as mmap.
template<class Space>
constexpr result<virt_addr> map_hugetlb(typename Space::cpu_type& me, Space& space,
                                        hugetlb_object<Space>& object,
                                        mmap_request const& request) {
    return under_exclusive_lock<result<virt_addr>>(
        space.lock(), me.current(),
        [&](auto const& held) { return map_hugetlb_locked(held, me, space, object, request); });
}

}  // namespace mmhold
