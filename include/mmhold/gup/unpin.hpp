// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

/// Were the pages written to while they were held?
enum class make_dirty : std::uint8_t { no, yes };

/// Gives pinned pages back, each once (unpin_user_pages, unpin_user_pages_dirty_lock). `pool` is
/// the frame_pool they came from; no lock is needed. gup never dirties by itself: gup-semantics
/// §1.3 rules 1 and 4. To have it done at the end of a scope: pinned.
template<PagePool Pool>
constexpr void unpin(Pool& pool, std::span<pfn const> pages, make_dirty dirty = make_dirty::no) {
    pinned held{pool, pages, holding::pin};
    if (dirty == make_dirty::yes) held.release_dirty();
}

/// Gives referenced pages back, each once (put_page).
template<PagePool Pool>
constexpr void put_pages(Pool& pool, std::span<pfn const> pages) {
    pinned{pool, pages, holding::reference}.release();
}

}  // namespace mmhold
