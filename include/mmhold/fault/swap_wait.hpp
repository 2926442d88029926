// SPDX-License-Identifier: BSL-1.0
#pragma once

// swap_wait – a fault finds that the page's contents are still on a slow device (do_swap_page), and
// waits for them as for any read (read_wait.hpp); the handler reads the slot then.
//
// Meanwhile the slot cannot be freed and written anew: the waiter has a reference of its own as
// long as the lock is held. Who gives the lock up has nothing; he starts over from the lookup, and
// if the slot is somebody else's then he finds that out.

#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/read_wait.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/swap_store.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// Waits until a slot has arrived, with whatever locks the caller holds: no signal ends it. Of
/// other stores there is nothing to wait for. `slot`: the caller holds a reference. Errors: what
/// the device said; no_memory.
template<SwapStore S>
constexpr result<void> await_slot(S& store, task<typename S::machine>& sleeper,
                                  std::uint64_t slot) {
    if constexpr (SlowSwapStore<S>) {
        while (!store.arrived(slot)) {
            auto place = store.ask(sleeper, slot);
            if (!place) return place.error();
            place->ticket().wait(wait_mode::uninterruptible);
            if (place->error() != errc::ok) return place->error();
        }
    }
    return {};
}

/// What dispatch does before it lets a handler answer. A cheap view of an address space; costs
/// nothing if its store is not slow.
template<class Space>
class swap_wait {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using swap_type = typename Space::swap_type;
    using outcome = fault_outcome<lock_type, machine>;

    /// Was there something to wait for?
    enum class verdict : std::uint8_t {
        nothing,   ///< go on: nothing was waited for
        waited,    ///< go on: the contents have arrived, and it took long (MAJOR)
        answered,  ///< `now` is the answer; if the lock is lost, nothing of the site is good
    };
    /// What became of it, and for `answered` the outcome of the fault.
    struct answer {
        verdict what{verdict::nothing};
        outcome now{outcome::installed()};
    };

    constexpr explicit swap_wait(Space& space) noexcept : space_{space} {}

    /// Looks whether the page at `site` is in a slot that has not arrived, and waits as above. Mm
    /// lock: held; afterwards as the answer says.
    constexpr answer before(fault_site const& site, lock_authority<lock_type>& authority,
                            cpu_type& me) {
        if constexpr (SlowSwapStore<swap_type>) {
            if (auto const slot = missing_slot(site, me)) {
                auto got = wait_for(site, *slot, authority, me);
                space_.swap()->release(*slot);
                return got;
            }
        }
        return {};
    }

private:
    using format = typename Space::format;

    /// The slot, if its contents are not here; a reference to it is the caller's.
    constexpr std::optional<std::uint64_t> missing_slot(fault_site const& site, cpu_type& me) {
        auto const& tree = space_.table().tree();
        auto* const store = space_.swap();
        if (store == nullptr || !tree.admit(me, site.at)) return std::nullopt;
        auto const locked = tree.lock_lowest(me, site.at);
        auto const found = locked.read(format::index(site.at, locked.level()));
        if (!is_swapped(found) || store->arrived(slot_of(found))) return std::nullopt;
        if (!store->duplicate(slot_of(found))) return std::nullopt;
        return slot_of(found);
    }

    constexpr answer wait_for(fault_site const& site, std::uint64_t slot,
                              lock_authority<lock_type>& authority, cpu_type& me) {
        auto over = wait_for_read<machine>(
            site.flags, authority, [&] { return space_.swap()->ask(me.current(), slot); });
        if (!over) return {verdict::waited, outcome::installed()};
        return {verdict::answered, *std::move(over)};
    }

    Space& space_;
};

}  // namespace mmhold
