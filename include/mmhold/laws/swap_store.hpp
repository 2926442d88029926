// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/laws/law_report.hpp>
#include <mmhold/space/swap_store.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

namespace detail {

/// Slots that are held once each; given back at the end.
template<SwapStore S, std::size_t N>
class held_slots {
public:
    constexpr explicit held_slots(S& store) noexcept : store_{store} {}
    held_slots(held_slots const&) = delete;
    held_slots& operator=(held_slots const&) = delete;
    constexpr ~held_slots() {
        while (count_ != 0) store_.release(slots_[--count_]);
    }
    /// Allocates one; false: the store is full, or there is no place for more here.
    constexpr bool take() {
        if (count_ == N) return false;
        auto const slot = store_.allocate();
        if (slot) slots_[count_++] = *slot;
        return slot.has_value();
    }
    [[nodiscard]] constexpr bool has(std::uint64_t slot) const noexcept {
        return std::ranges::find(all(), slot) != all().end();
    }
    [[nodiscard]] constexpr std::span<std::uint64_t const> all() const noexcept {
        return std::span{slots_}.first(count_);
    }

private:
    S& store_;
    std::array<std::uint64_t, N> slots_{};
    std::size_t count_{0};
};

constexpr void fill_for_law(std::span<std::byte> page, std::uint64_t seed) noexcept {
    for (std::size_t i = 0; i < page.size(); ++i) page[i] = std::byte((seed * 31 + i) & 255U);
}

struct nothing_to_bring {
    constexpr void operator()(std::uint64_t) const noexcept {}
};

}  // namespace detail

/// Slots: nobody gets one that somebody holds, be it through duplicate(); the last release, and
/// only that, makes it free; a full store says no_memory. Numbers: they fit into a marker. The
/// store is empty before, with room for two to eight slots that this law may take.
template<SwapStore S>
constexpr law_report swap_slots_law(S& store) {
    law_check law{"slots"};
    constexpr std::uint64_t largest = (std::uint64_t{1} << 50U) - 2;
    std::uint64_t freed = 0;
    {
        detail::held_slots<S, 8> held{store};
        while (held.take()) {
            auto const last = held.all().back();
            auto const before = held.all().first(held.all().size() - 1);
            auto const twice = std::ranges::find(before, last) != before.end();
            law.require(!twice, "allocate() gave a slot to two holders");
            law.require(last <= largest, "a slot's number does not fit into a marker");
        }
        if (!law.require(held.all().size() >= 2, "no room for two slots")) return law.report();
        freed = held.all().front();
        law.require(store.duplicate(freed), "duplicate() refused a second reference");
    }
    // All but the duplicate are free again.
    {
        detail::held_slots<S, 8> held{store};
        while (held.take()) {}
        law.require(!held.has(freed), "a slot was handed out while somebody held a reference");
        law.require(!held.all().empty(), "release() freed no slot");
    }
    store.release(freed);
    auto const again = store.allocate();
    law.require(again.has_value(), "release() of the last reference freed no slot");
    if (again) store.release(*again);
    return law.report();
}

/// Contents: what was written last is read, of each slot its own, as long as a reference is left.
/// `bring(slot)` makes a slot of a slow store arrive. The store keeps bytes, and has room for two
/// slots.
template<SwapStore S, class Bring = detail::nothing_to_bring>
constexpr law_report swap_contents_law(S& store, Bring bring = {}) {
    law_check law{"contents"};
    detail::held_slots<S, 2> held{store};
    if (!law.require(held.take() && held.take(), "no room for two slots")) return law.report();
    std::array<std::byte, page_size> written{};
    std::array<std::byte, page_size> read{};
    for (std::uint64_t round = 0; round < 2; ++round) {
        for (auto const slot : held.all()) {
            detail::fill_for_law(written, 7 * slot + round);
            store.write(slot, written);
        }
        for (auto const slot : held.all()) {
            detail::fill_for_law(written, 7 * slot + round);
            bring(slot);
            for (int times = 0; times < 2; ++times) {
                std::ranges::fill(read, std::byte{0});
                store.read(slot, read);
                law.require(std::ranges::equal(read, written),
                            "read() did not answer what was written");
            }
            if (!law.require(store.duplicate(slot), "duplicate() refused")) continue;
            store.release(slot);
            store.read(slot, read);
            law.require(std::ranges::equal(read, written),
                        "the contents went with a reference that was not the last");
        }
    }
    return law.report();
}

/// Arrival, of slow stores: a slot that was written has not arrived; one that has stays so. Room
/// for one slot.
template<SlowSwapStore S, class Bring>
constexpr law_report swap_arrival_law(S& store, Bring bring) {
    law_check law{"arrival"};
    detail::held_slots<S, 1> held{store};
    if (!law.require(held.take(), "no room for a slot")) return law.report();
    auto const slot = held.all().front();
    std::array<std::byte, page_size> page{};
    store.write(slot, page);
    law.require(!store.arrived(slot), "what was just written counts as arrived");
    bring(slot);
    law.require(store.arrived(slot), "what was brought has not arrived");
    store.read(slot, page);
    law.require(store.arrived(slot), "what was read is gone");
    store.write(slot, page);
    law.require(!store.arrived(slot), "what was written anew counts as arrived");
    return law.report();
}

/// Slots and contents.
template<SwapStore S, class Bring = detail::nothing_to_bring>
constexpr law_report swap_store_laws(S& store, Bring bring = {}) {
    auto const slots = swap_slots_law(store);
    return slots ? swap_contents_law(store, bring) : slots;
}

}  // namespace mmhold
