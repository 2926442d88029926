// SPDX-License-Identifier: BSL-1.0
#pragma once

// The simulated process: physical memory, page tables, an address space, and who runs in it.

#include <mmhold/fault/userfault_range.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/observed_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/attributed.hpp>
#include <mmhold/observe/ring_buffer.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/frame_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace stall {

using machine = mmhold::host_machine;

/// Who runs in this thread: a lock does not know who takes it, so the log asks the thread.
inline thread_local std::uint32_t actor_of_this_thread = mmhold::unattributed;
struct ask_this_thread {
    std::uint32_t operator()() const noexcept { return actor_of_this_thread; }
};

using event_ring = mmhold::ring_buffer<machine>;
using event_log = mmhold::attributed<event_ring, ask_this_thread>;

/// The usual parts, with a lock that reports. Five levels, so that layouts from machines with more
/// than 47 bits of user space fit.
struct world_config : mmhold::default_config<machine> {
    using format = mmhold::x86_64<5>;
    using tables = mmhold::host_tables<format, reclaimer>;
    using observer = event_log;
    using lock = mmhold::observed_lock<mmhold::rw_lock<machine>, observer, machine>;
};

using space_type = mmhold::address_space<world_config>;
using cpu_type = space_type::cpu_type;
using lock_type = space_type::lock_type;
using held_shared = mmhold::held_shared<lock_type>;
using held_exclusive = mmhold::held_exclusive<lock_type>;

/// Who takes part. Their numbers are the actors of the log; callers follow from `first_caller` on.
namespace role {
inline constexpr std::uint32_t program = 0;
inline constexpr std::uint32_t reader = 1;
inline constexpr std::uint32_t writer = 2;
inline constexpr std::uint32_t pager = 3;
inline constexpr std::uint32_t first_caller = 4;
}  // namespace role

[[nodiscard]] inline std::string role_name(std::uint32_t actor) {
    switch (actor) {
        case role::program: return "program";
        case role::reader: return "/proc reader";
        case role::writer: return "writer";
        case role::pager: return "pager";
        default: return "caller " + std::to_string(actor - role::first_caller + 1);
    }
}

/// What the timeline shows besides locks, faults and gup.
enum class activity : std::uint64_t { measuring, walking, remapping, fetching };

[[nodiscard]] constexpr std::string_view activity_name(activity what) {
    switch (what) {
        case activity::measuring: return "measuring";
        case activity::walking: return "walks all mappings";
        case activity::remapping: return "maps and unmaps";
        case activity::fetching: return "fetches a page";
    }
    return "?";
}

/// What a world has to have room for.
struct world_size {
    std::size_t mappings{0};
    std::uint64_t pages{0};
    std::size_t events{0};
    std::uint32_t callers{0};
};

/// One simulated process. A fresh one for every row: nothing is left over from the one before.
struct world {
    mmhold::frame_pool<machine> frames;
    world_config::tables tables{mmhold::page_count{64}};
    world_config::reclaimer domain{};
    event_ring ring;
    event_log log{ring, {}};
    mmhold::no_flush flush{};
    space_type mm;
    std::deque<cpu_type> cpus{};  // indexed by role

    explicit world(world_size const& size)
        : frames{mmhold::page_count{size.pages}, mmhold::frame_bytes::owned},
          ring{size.events},
          mm{frames, tables, domain, log, flush, limits_for(size.mappings)} {
        for (std::uint32_t i = 0; i < role::first_caller + size.callers; ++i) {
            cpus.emplace_back(domain);
        }
    }

    /// Was there memory for all of it?
    [[nodiscard]] bool valid() const {
        return frames.valid() && tables.valid() && ring.valid() && mm.valid() &&
               std::ranges::all_of(cpus, [](cpu_type const& one) { return one.valid(); });
    }

    [[nodiscard]] held_shared hold() { return held_shared::acquire(mm.lock()); }

private:
    /// A process may have more mappings than the usual limit (vm.max_map_count can be raised).
    static mmhold::layout_limits limits_for(std::size_t mappings) {
        constexpr std::size_t ours = 16;
        auto limits = mmhold::layout_limits::of(world_config::format::virtual_bits);
        limits.max_map_count = std::max(limits.max_map_count, mappings + ours);
        return limits;
    }
};

/// What an actor does, as a slice of the timeline.
class doing {
public:
    doing(world& in, cpu_type const& who, activity what) : in_{in}, who_{who}, what_{what} {
        report(mmhold::event_kind::user_begin);
    }
    doing(doing const&) = delete;
    doing& operator=(doing const&) = delete;
    ~doing() { report(mmhold::event_kind::user_end); }

private:
    void report(mmhold::event_kind kind) {
        auto const value = static_cast<std::uint64_t>(what_);
        mmhold::notify<machine>(in_.log, kind, who_.id(), 0, value);
    }

    world& in_;
    cpu_type const& who_;
    activity what_;
};

}  // namespace stall
