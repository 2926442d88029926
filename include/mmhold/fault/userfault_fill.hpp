// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/install.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/page_cache.hpp>
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
    /// range does not lie in one vma that is registered with this userfault (Linux: ENOENT);
    /// invalid_argument – an empty range, or not enough bytes; again – a lock that cannot be waited
    /// for was not free.
    errc stop{errc::ok};

    [[nodiscard]] constexpr bool complete() const noexcept { return stop == errc::ok; }

    friend constexpr bool operator==(userfault_filled const&, userfault_filled const&) = default;
};

/// Puts a frame, of which the caller has the only reference, in place at `at`, in a vma that may
/// show an object: a page of a shared mapping becomes the object's, a private one must stand in
/// front of its end. Mm lock: held. Errors: exists – something is mapped there, or the object has a
/// page there; bad_address – behind the object's end; no_memory. Then the caller's reference is
/// given back; if a table could not be created, the object keeps the page.
template<class Space, class Cpu>
[[nodiscard]] constexpr result<void> install_fresh_page(Space& space, Cpu& me, vma const& area,
                                                        virt_addr at, pfn page, install_for why) {
    auto const leaf = leaf_for(area, page, why);
    if (area.object == nullptr) return install_page(space, me, at, leaf);
    auto& object = static_cast<typename Space::object_type&>(*area.object);
    auto const index = area.file_page_at(at);
    auto const install = [&] { return install_leaf(space, me, at, leaf); };
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

/// Puts frames filled by `Fill` in place: present, dirty, writable if the vma is.
template<class Space, PageFiller Fill>
class fresh_page_filler {
public:
    constexpr fresh_page_filler(Space& space, Fill& fill) noexcept : space_{space}, fill_{fill} {}

    /// Installs page `n` of a range at `at`. Mm lock: held. Errors: exists, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t n) {
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        fill_(n, space_.frames().bytes(*page));
        return install_fresh_page(space_, me, area, at, *page, install_for::writing);
    }

private:
    Space& space_;
    Fill& fill_;
};

/// Puts zeroes in place: the zero page in private mappings, a zeroed frame in shared ones.
template<class Space>
class zero_page_filler {
public:
    constexpr explicit zero_page_filler(Space& space) noexcept : space_{space} {}

    /// Installs the page at `at`. Mm lock: held. Errors: exists, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t) {
        if (!area.flags.has(vma_flag::shared)) {
            return install_leaf(space_, me, at, zero_leaf_for(area, space_.frames().zero_page()));
        }
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        return install_fresh_page(space_, me, area, at, *page, install_for::reading);
    }

private:
    Space& space_;
};

/// Lets `filler` install every page of `span`, which must lie in one vma of `source`; stops at
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
    if (area.source != &source || span.end() > area.span.end()) return {0, errc::bad_address};
    for (std::uint64_t n = 0; n < span.pages(); ++n) {
        if (auto const done = filler(me, area, span.page(n), n); !done) return {n, done.error()};
    }
    return {span.pages(), errc::ok};
}

}  // namespace mmhold
