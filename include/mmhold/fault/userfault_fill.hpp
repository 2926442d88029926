// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/install.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/fault/userfault_modes.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// What a pager's copy or zeropage came to: how many pages from the start of its range it put in
/// place, and why it stopped there.
struct [[nodiscard]] userfault_filled {
    std::uint64_t pages{0};
    /// ok: all of them. exists – something is mapped at the next page; no_memory; bad_address – the
    /// range does not lie in one vma that is registered with a userfault (Linux: ENOENT), or the
    /// next page is behind the end of its object, or there is no page to go on with;
    /// invalid_argument – an empty range, not enough bytes, or a vma that is not registered for
    /// what is asked; busy – a page that is not to be moved; again – a lock that cannot be waited
    /// for was not free, or an operation waits for the pager (userfault_notices.hpp).
    errc stop{errc::ok};

    [[nodiscard]] constexpr bool complete() const noexcept { return stop == errc::ok; }

    friend constexpr bool operator==(userfault_filled const&, userfault_filled const&) = default;
};

namespace detail {

/// `leaf`, write-protected for a userfault if that is wanted.
[[nodiscard]] constexpr page_entry with_protection(page_entry leaf,
                                                   userfault_protection protect) noexcept {
    leaf.uffd_wp = protect == userfault_protection::on;
    leaf.writable = leaf.writable && !leaf.uffd_wp;
    return leaf;
}

/// Protection is for those who registered for it.
[[nodiscard]] constexpr errc check_protection(vma const& area,
                                              userfault_protection protect) noexcept {
    auto const wanted = protect == userfault_protection::on;
    return wanted && !asks_for_writes(area) ? errc::invalid_argument : errc::ok;
}

/// Does a userfault – `source`, which may be one in its own right, or another – answer for `area`?
/// Linux does not look at which (measured on 6.18).
[[nodiscard]] constexpr bool is_served(vma const& area, fault_source const& source) noexcept {
    if (area.source == &source) return true;
    return area.source != nullptr && area.source->kind() == source_kind::userfault;
}

}  // namespace detail

namespace detail {

/// What install() answers, if `area` shows no object, or the page at `at` is in front of its end;
/// else bad_address.
template<class Space, class Install>
[[nodiscard]] constexpr result<void> in_front_of_end(vma const& area, virt_addr at,
                                                     Install&& install) {
    if (area.object == nullptr) return install();
    auto& object = static_cast<typename Space::object_type&>(*area.object);
    return object.while_in_front_of_end(area.file_page_at(at), install);
}

}  // namespace detail

/// Puts a frame, of which the caller has the only reference, in place at `at`, in a vma that may
/// show an object: a page of a shared mapping becomes the object's, a private one must stand in
/// front of its end. A marker that stands for no page is overwritten (measured on 6.18: a poisoned
/// and a guarded one, too). Mm lock: held. Errors: exists – something is mapped there, or the
/// object has a page there; bad_address – behind the object's end; no_memory. Then the caller's
/// reference is given back; if a table could not be created, the object keeps the page.
template<class Space, class Cpu>
[[nodiscard]] constexpr result<void> install_fresh_page(
    Space& space, Cpu& me, vma const& area, virt_addr at, pfn page, install_for why,
    userfault_protection protect = userfault_protection::off) {
    auto const leaf = detail::with_protection(leaf_for(area, page, why), protect);
    if (area.object == nullptr) return install_page(space, me, at, leaf, over_marker::replace);
    auto& object = static_cast<typename Space::object_type&>(*area.object);
    auto const index = area.file_page_at(at);
    auto const install = [&] { return install_leaf(space, me, at, leaf, over_marker::replace); };
    auto outcome = result<void>{};
    if (!area.flags.has(vma_flag::shared)) {
        outcome = object.while_in_front_of_end(index, install);
    } else if (outcome = object.add(index, page); outcome) {
        space.frames().get(page);
        outcome = object.while_cached(index, page, install);
        space.frames().put(page);
    }
    if (!outcome) space.frames().put(page);
    return outcome;
}

/// Puts frames filled by `Fill` in place: present, dirty, writable if the vma is and they are not
/// to be protected.
template<class Space, PageFiller Fill>
class fresh_page_filler {
public:
    constexpr fresh_page_filler(Space& space, Fill& fill,
                                userfault_protection protect = userfault_protection::off) noexcept
        : space_{space}, fill_{fill}, protect_{protect} {}

    /// Can pages of `area` be installed like this?
    [[nodiscard]] constexpr errc check(vma const& area) const noexcept {
        return detail::check_protection(area, protect_);
    }

    /// Installs page `n` of a range at `at`. Mm lock: held. Errors: exists, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t n) {
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        fill_(n, space_.frames().bytes(*page));
        return install_fresh_page(space_, me, area, at, *page, install_for::writing, protect_);
    }

private:
    Space& space_;
    Fill& fill_;
    userfault_protection protect_;
};

/// Puts zeroes in place: the zero page in private mappings, a zeroed frame in shared ones.
template<class Space>
class zero_page_filler {
public:
    constexpr explicit zero_page_filler(Space& space) noexcept : space_{space} {}

    /// Installs the page at `at`. Any marker is in the way of the zero page, none of a frame
    /// (measured on 6.18). Mm lock: held. Errors: exists, bad_address, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t) {
        if (!area.flags.has(vma_flag::shared)) {
            return detail::in_front_of_end<Space>(area, at, [&] {
                auto const zeroes = zero_leaf_for(area, space_.frames().zero_page());
                return install_leaf(space_, me, at, zeroes, over_marker::refuse);
            });
        }
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        return install_fresh_page(space_, me, area, at, *page, install_for::reading);
    }

private:
    Space& space_;
};

/// Puts the object's own page in place (UFFDIO_CONTINUE): writable in a shared mapping that is,
/// read-only in a private one, whose first write copies it.
template<class Space>
class cached_page_filler {
public:
    constexpr cached_page_filler(Space& space, userfault_protection protect) noexcept
        : space_{space}, protect_{protect} {}

    /// Only shared memory has pages that a mapping does not show.
    [[nodiscard]] constexpr errc check(vma const& area) const noexcept {
        auto const shmem = area.object != nullptr && area.object->kind() == object_kind::shmem;
        return shmem ? detail::check_protection(area, protect_) : errc::invalid_argument;
    }
    /// Installs the page at `at`. Mm lock: held. Errors: bad_address – the object has none there;
    /// invalid_argument – behind its end; exists; no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t) {
        auto& object = static_cast<typename Space::object_type&>(*area.object);
        auto const index = area.file_page_at(at);
        for (;;) {
            auto const page = object.find(index);
            if (page.error() == errc::again) return errc::bad_address;
            if (!page) return errc::invalid_argument;
            auto const done =
                object.while_cached(index, *page, [&] { return install(me, area, at, *page); });
            space_.frames().put(*page);
            if (done.error() != errc::again) return done;
        }
    }

private:
    constexpr result<void> install(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                   pfn page) {
        auto const shared = area.flags.has(vma_flag::shared);
        auto leaf = detail::with_protection(leaf_for(area, page, install_for::writing), protect_);
        leaf.writable = leaf.writable && shared;
        space_.frames().get(page);
        auto const done = install_page(space_, me, at, leaf, over_marker::replace);
        if (done) space_.frames().mark_dirty(page);
        return done;
    }

    Space& space_;
    userfault_protection protect_;
};

/// Puts markers in place: whoever touches the page is told that it is lost (UFFDIO_POISON). The
/// marker stays through mprotect, holes punched into its object, the end of the registration and a
/// private mapping's fork; it goes with MADV_DONTNEED, truncation, the mapping, and a copy()
/// (measured on 6.18).
template<class Space>
class poison_filler {
public:
    constexpr explicit poison_filler(Space& space) noexcept : space_{space} {}

    /// Marks the page at `at`. Mm lock: held. Errors: exists – something is there, be it a marker;
    /// bad_address – behind the object's end; no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t) {
        return detail::in_front_of_end<Space>(area, at, [&] {
            return install_leaf(space_, me, at, poisoned_entry(), over_marker::refuse);
        });
    }

private:
    Space& space_;
};

/// Lets `filler` install every page of `span`, which must lie in one vma of a userfault's; stops at
/// the first that fails. Mm lock: held shared, `held` is the witness.
template<class Space, class Filler>
constexpr userfault_filled fill_userfault_range(Space& space,
                                                held_shared<typename Space::lock_type> const& held,
                                                typename Space::cpu_type& me, page_span span,
                                                fault_source const& source, Filler& filler) {
    if (span.empty()) return {0, errc::invalid_argument};
    if (!me.valid()) return {0, errc::no_memory};
    auto const found = space.find(span.start(), held);
    if (!found) return {0, errc::bad_address};
    auto const& area = found->view(held);
    // Whatever comes of it, and whoever serves it (measured on 6.18).
    if (!area.flags.has(vma_flag::shared)) space.note_own_pages(span.start());
    if (!detail::is_served(area, source) || span.end() > area.span.end()) {
        return {0, errc::bad_address};
    }
    if constexpr (requires { filler.check(area); }) {
        if (auto const refused = filler.check(area); refused != errc::ok) return {0, refused};
    }
    for (std::uint64_t n = 0; n < span.pages(); ++n) {
        if (auto const done = filler(me, area, span.page(n), n); !done) return {n, done.error()};
    }
    return {span.pages(), errc::ok};
}

}  // namespace mmhold
