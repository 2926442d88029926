// SPDX-License-Identifier: BSL-1.0
#pragma once

// special – mappings whose pages somebody else owns: the kernel's code and data, a driver's rings
// and registers (gup-semantics §4.6, and the rows vdso, vvar, uring_ring_mmap, perf_mmap of §8.2).
//
//                  entries             gup                   properties of the request
//   a frame        counted, as any     holds it; a private   dont_expand (VM_MIXEDMAP)
//                  other page          write makes a copy
//   a number       special: nobody     vma with pfnmap:      pfnmap, dont_expand; or dont_expand
//                  counts them         bad_address; without: alone, where both occur
//                                      exists – but success
//                                      for who wants no pages
//
// Owner     keeps a reference of its own to every frame it shows, as long as a vma names the source
//           or the frame stands in a page table; entries take references of theirs. Of numbers only
//           the owner knows what is behind them.
// Faulter   present? like any page, except that the owner is asked before a shared page becomes
//           writable → missing? page_behind() → installs it. Who finds the entry taken is done
//           (§6.2 #20).
// Driver    puts pages in place by itself when it is mapped (insert_page, insert_number); then a
//           page that MADV_DONTNEED has taken away never comes back if no source answers for it
//           (measured on 6.18: SIGBUS). Where it lies is for the driver to say, who fills in the
//           request's place; what mremap is then allowed, vma_flag::driver_places tells.

#include <mmhold/fault/custom_source.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

/// What a special mapping shows at one place.
struct special_page {
    /// Is there a frame whose mappings are counted, or only its number?
    enum class backing : std::uint8_t { frame, number };

    pfn page{};
    backing how{backing::frame};

    friend constexpr bool operator==(special_page, special_page) = default;
};

/// What a special mapping is to look like, beside place and size.
struct special_traits {
    vma_kind kind{vma_kind::other};
    vma_flags properties{vma_flag::dont_expand};
    protection may{prot::rwx};
    std::uint64_t file{1};  ///< any number but 0: pages keep theirs when the mapping is split
    vma_name name{};
};

/// The entry for `what` in `area`, as a fault for reading or a driver puts it in place.
[[nodiscard]] constexpr page_entry special_leaf_for(vma const& area, special_page what) noexcept {
    auto leaf = leaf_for(area, what.page, install_for::reading);
    leaf.special = what.how == special_page::backing::number;
    return leaf;
}

/// A source of special pages. Derive, and say which page is where; special_frames and
/// special_numbers are ready made. Map it with request().
template<class Space>
class special_source : public custom_source<Space> {
    using base = custom_source<Space>;

public:
    using typename base::cpu_type;
    using typename base::lock_type;
    using typename base::outcome;

    /// A request for its pages from number `first` on; the place is the caller's to fill in.
    [[nodiscard]] constexpr mmap_request request(std::uint64_t first, page_count count,
                                                 protection prot, mmap_flags flags = {}) noexcept {
        mmap_request wanted;
        wanted.pages = count;
        wanted.prot = prot;
        wanted.flags = flags;
        wanted.kind = traits_.kind;
        wanted.may = traits_.may;
        wanted.properties = traits_.properties;
        wanted.source = this;
        wanted.file = traits_.file;
        wanted.file_page = first;
        wanted.name = traits_.name;
        return wanted;
    }

    /// As custom_source says. installed, or failed: with what page_behind() or admit_write() says;
    /// no_memory; bad_address – a private copy of a page without a frame. Never waits.
    constexpr outcome answer(fault_site const& site, lock_authority<lock_type>&,
                             cpu_type& me) override {
        auto const index = site.area->file_page_at(site.page());
        auto const shared_write = site.write() && site.area->flags.has(vma_flag::shared);
        if (shared_write) {
            auto const admitted = admit_write(index);
            if (!admitted) return outcome::failed(admitted.error());
        }
        present_page<Space> present{space_};
        if (auto const there = present.answer(site, me)) return there->template outcome<outcome>();
        auto const done = bring_in(site, index, me);
        return done ? outcome::installed() : outcome::failed(done.error());
    }

protected:
    /// `space`: where its frames come from, and whose faults it answers; it outlives this.
    constexpr explicit special_source(Space& space, special_traits const& traits = {}) noexcept
        : space_{space}, traits_{traits} {}
    constexpr ~special_source() = default;

    /// Which page has number `index`? An error is what the fault fails with: bad_address for
    /// SIGBUS. Mm lock: held shared. Called by several cpus at once.
    virtual constexpr result<special_page> page_behind(std::uint64_t index) = 0;
    /// May page `index` of a shared mapping become writable (page_mkwrite, pfn_mkwrite)? Asked
    /// whenever a write faults. Locks as above.
    virtual constexpr result<void> admit_write(std::uint64_t) { return {}; }

    [[nodiscard]] constexpr Space& space() const noexcept { return space_; }

private:
    constexpr result<void> bring_in(fault_site const& site, std::uint64_t index, cpu_type& me) {
        auto const found = page_behind(index);
        if (!found) return found.error();
        auto const private_write = site.write() && !site.area->flags.has(vma_flag::shared);
        auto const done =
            private_write ? install_copy(site, *found, me) : install(site, *found, me);
        return done.error() == errc::exists ? errc::ok : done.error();
    }

    constexpr result<void> install(fault_site const& site, special_page what, cpu_type& me) {
        auto const writes = site.write() && permits(site.area->prot, access::write);
        auto leaf = special_leaf_for(*site.area, what);
        leaf.writable = leaf.writable || writes;
        leaf.dirty = leaf.soft_dirty = writes;
        if (leaf.special) return install_leaf(space_, me, site.page(), leaf);
        space_.frames().get(what.page);
        return install_page(space_, me, site.page(), leaf);
    }

    /// The first write to a private mapping: a page of its own with the same contents.
    constexpr result<void> install_copy(fault_site const& site, special_page what, cpu_type& me) {
        space_.note_own_pages(site.at);
        if (what.how == special_page::backing::number) return errc::bad_address;
        auto const copy = allocate_copy_of(space_.frames(), what.page);
        if (!copy) return copy.error();
        auto const leaf = leaf_for(*site.area, *copy, install_for::writing);
        return install_page(space_, me, site.page(), leaf);
    }

    Space& space_;
    special_traits traits_;
};

/// Pages with frames: a vdso, a driver's buffer.
template<class Space>
class special_frames final : public special_source<Space> {
public:
    /// Page i of it is pages[i]: frames of kind `other`, each held by a reference of the caller's.
    /// The array outlives this.
    constexpr special_frames(Space& space, std::span<pfn const> pages,
                             special_traits const& traits = {}) noexcept
        : special_source<Space>{space, traits}, pages_{pages} {}
    constexpr ~special_frames() = default;

private:
    constexpr result<special_page> page_behind(std::uint64_t index) override {
        if (index >= pages_.size()) return errc::bad_address;
        return special_page{pages_[static_cast<std::size_t>(index)], special_page::backing::frame};
    }

    std::span<pfn const> pages_;
};

/// Consecutive frame numbers, for which nothing counts: a device's registers, a vvar.
template<class Space>
class special_numbers final : public special_source<Space> {
public:
    /// How a mapping of it is to be: VM_PFNMAP.
    static constexpr special_traits device_traits{
        .properties = {vma_flag::pfnmap, vma_flag::dont_expand}};

    /// Page i of it has number `first` + i, up to `count` pages.
    constexpr special_numbers(Space& space, pfn first, page_count count,
                              special_traits const& traits = device_traits) noexcept
        : special_source<Space>{space, traits}, first_{first}, count_{count} {}
    constexpr ~special_numbers() = default;

private:
    constexpr result<special_page> page_behind(std::uint64_t index) override {
        if (index >= count_.value) return errc::bad_address;
        return special_page{first_.plus(index), special_page::backing::number};
    }

    pfn first_;
    page_count count_;
};

/// May a driver map it writable at once, or only after the first write has been admitted?
enum class insert_as : std::uint8_t { vma_permits, read_only };

namespace detail {

template<class Space, class W>
constexpr result<void> insert_special(W const& held, typename Space::cpu_type& me, Space& space,
                                      virt_addr at, special_page what, vma_flags wanted,
                                      insert_as how) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto const found = space.find(at, held);
    if (!found) return errc::bad_address;
    auto const& area = found->view(held);
    if (!area.flags.has_any(wanted)) return errc::invalid_argument;
    auto leaf = special_leaf_for(area, what);
    leaf.writable = leaf.writable && how == insert_as::vma_permits;
    auto const done = install_leaf(space, me, at.page_start(), leaf);
    return done.error() == errc::exists ? errc::busy : done.error();
}

}  // namespace detail

/// Puts a frame of the caller's in place at `at` (vm_insert_page), with the rights of the vma; the
/// entry takes a reference of its own.
///
/// Mm lock: held, shared or exclusively, through `held`. Errors, and then nothing has changed:
/// bad_address – no vma; invalid_argument – not a vma with dont_expand, or an anonymous page; busy
/// – something is there; no_memory; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> insert_page(W const& held, typename Space::cpu_type& me, Space& space,
                                   virt_addr at, pfn page) {
    auto& frames = space.frames();
    auto const fits = frames.contains(page) && frames.kind(page) != frame_kind::anonymous &&
                      page != frames.zero_page();
    if (!fits) return errc::invalid_argument;
    frames.get(page);
    auto const done = detail::insert_special(held, me, space, at,
                                             special_page{page, special_page::backing::frame},
                                             vma_flag::dont_expand, insert_as::vma_permits);
    if (!done) frames.put(page);
    return done;
}

/// Puts a frame number in place at `at` (vmf_insert_pfn, one page of remap_pfn_range). Perf maps
/// its buffer `read_only`, and hears of the first write (measured on 6.18: the control page takes
/// it, the data pages SIGBUS).
///
/// Mm lock and errors as insert_page(); invalid_argument – a vma with neither pfnmap nor
/// dont_expand.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> insert_number(W const& held, typename Space::cpu_type& me, Space& space,
                                     virt_addr at, pfn number,
                                     insert_as how = insert_as::vma_permits) {
    return detail::insert_special(held, me, space, at,
                                  special_page{number, special_page::backing::number},
                                  {vma_flag::pfnmap, vma_flag::dont_expand}, how);
}

}  // namespace mmhold
