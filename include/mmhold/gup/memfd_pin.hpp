// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/gup/unpin.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// What memfd_pin() holds.
struct memfd_pins {
    std::size_t pages{0};     ///< pinned, one after the other in the file
    std::uint64_t offset{0};  ///< of the first byte asked for in the first of them

    friend constexpr bool operator==(memfd_pins, memfd_pins) = default;
};

namespace detail {

/// A page that may be pinned for ever, with a pin. A hole gets a zeroed one.
template<class Object, class Cpu>
constexpr result<pfn> pin_for_ever(Object& object, Cpu& me, std::uint64_t index) {
    auto& frames = object.frames();
    for (;;) {
        auto page = object.find(index);
        if (page.error() == errc::again) {
            page = object.allocate(frame_mobility::fixed);
            if (!page) return page;
            auto const added = object.add(index, *page);
            if (!added) frames.put(*page);
            if (added.error() == errc::exists) continue;  // somebody was faster
            if (!added) return added.error();
        }
        if (!page) return page;
        auto const stays = !frames.attributes(*page).has(frame_attribute::longterm_forbidden);
        auto const pinned_now = stays && frames.try_grab(*page, 1, holding::pin);
        frames.put(*page);
        if (pinned_now) return page;
        if (stays) return errc::no_memory;
        auto const moved = object.migrate(me, index, frame_mobility::fixed);
        auto const gone = moved.error() == errc::again;  // punched; there will be another
        if (!moved && !gone) return moved.error() == errc::busy ? errc::no_memory : moved.error();
    }
}

}  // namespace detail

/// Pins pages of shared memory for ever, by their place in the file: bytes `first` to `last`, both
/// included (memfd_pin_folios, 6.11; gup-semantics §1.1). No address space is involved, and nothing
/// need be mapped. Holes get pages; those that must stay movable are moved first. `out` receives
/// the frames; if it is shorter than the range only so many pages are pinned, as in Linux. The
/// caller gives them back with unpin().
///
/// No lock is held. Errors, and then nothing is pinned: invalid_argument – not shared memory, an
/// empty `out`, `first` behind `last`, or `last` not inside the file; no_memory – no frame, or a
/// page that cannot be moved; hardware_poison; bad_address – truncated meanwhile.
template<class Space>
constexpr result<memfd_pins> memfd_pin(page_cache<Space>& object, typename Space::cpu_type& me,
                                       std::uint64_t first, std::uint64_t last,
                                       std::span<pfn> out) {
    if (object.kind() != object_kind::shmem) return errc::invalid_argument;
    if (first > last || last >= object.size() || out.empty()) return errc::invalid_argument;
    auto const pages = (last >> page_shift) - (first >> page_shift) + 1;
    memfd_pins held{0, first & (page_size - 1)};
    for (; held.pages < pages && held.pages < out.size(); ++held.pages) {
        auto const page = detail::pin_for_ever(object, me, (first >> page_shift) + held.pages);
        if (!page) {
            unpin(object.frames(), std::span<pfn const>{out.first(held.pages)});
            return page.error();
        }
        out[held.pages] = *page;
    }
    return held;
}

}  // namespace mmhold
