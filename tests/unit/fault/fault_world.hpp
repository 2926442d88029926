// SPDX-License-Identifier: BSL-1.0
#pragma once

// A small address space with everything a fault handler needs, and ways to fault and to look at the
// result that read like sentences.

#include "support/catch.hpp"
#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/space_config.hpp>

#include "unit/fault/counting_machine.hpp"
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace mmhold_test {

/// Forgets translations by writing down which.
struct noted_flush {
    std::vector<mm::page_span> flushed{};
    void operator()(mm::page_span span) {
        std::scoped_lock const one_at_a_time{lock};  // any cpu that changes entries flushes
        flushed.push_back(span);
    }
    std::mutex lock{};
};

/// The usual parts on the counting machine, with a flush that can be asked.
struct fault_config : mm::default_config<counting_machine> {
    using flush = noted_flush;
};

using fault_space = mm::address_space<fault_config>;
using fault_lock = fault_space::lock_type;
using fault_cpu = fault_space::cpu_type;
using fault_outcome = mm::fault_outcome<fault_lock, counting_machine>;
using shared_hold = mm::held_shared<fault_lock>;
using authority = mm::lock_authority<fault_lock>;

namespace flags {
using mm::fault_flag;
inline constexpr mm::fault_flags read{};
inline constexpr mm::fault_flags write{fault_flag::write};
inline constexpr mm::fault_flags unshare{fault_flag::unshare};
inline constexpr mm::fault_flags user{fault_flag::user};
inline constexpr mm::fault_flags retry{fault_flag::allow_retry, fault_flag::killable};
inline constexpr mm::fault_flags nowait{fault_flag::allow_retry, fault_flag::retry_nowait};
}  // namespace flags

/// What a fault came to, and where its lock is.
struct faulted {
    fault_outcome outcome;
    std::optional<shared_hold> lock;

    [[nodiscard]] mm::fault_kind kind() const { return outcome.kind(); }
    [[nodiscard]] mm::errc error() const { return outcome.error(); }
    [[nodiscard]] bool holding() const { return lock->holding(); }
};

/// The world. Everything is at rest again when it ends, or its parts complain.
struct fault_world {
    static constexpr std::uint64_t frame_count = 600;

    mm::frame_pool<counting_machine> frames;
    fault_config::tables tables;
    fault_config::reclaimer domain;
    fault_cpu me{domain};
    mm::null_observer nobody{};
    noted_flush flush{};
    fault_space space;

    explicit fault_world(std::uint64_t frame_capacity = frame_count,
                         std::uint64_t table_capacity = 64)
        : frames{mm::page_count{frame_capacity}, mm::frame_bytes::owned},
          tables{mm::page_count{table_capacity}},
          space{frames, tables, domain, nobody, flush} {}

    // ---- layout -----

    static constexpr mm::virt_addr base{std::uint64_t{16} << 30U};
    static mm::virt_addr page(std::uint64_t n) { return base.plus_pages(n); }
    static mm::page_span span(std::uint64_t first, std::uint64_t count) {
        return *mm::page_span::from(page(first), mm::page_count{count});
    }

    mm::virt_addr map(mm::mmap_request request) {
        request.flags = request.flags.with(mm::mmap_flag::fixed);
        auto const at = space.mmap(me, request);
        REQUIRE(at.has_value());
        return *at;
    }
    mm::virt_addr map(std::uint64_t first, std::uint64_t count, mm::protection prot = mm::prot::rw,
                      mm::mmap_flags how = {}, mm::fault_source* source = nullptr) {
        mm::mmap_request request;
        request.hint = page(first);
        request.pages = {count};
        request.prot = prot;
        request.flags = how;
        request.source = source;
        return map(request);
    }

    // ---- faults -----

    [[nodiscard]] shared_hold hold() { return shared_hold::acquire(space.lock()); }

    /// A fault of a caller that may lose the lock.
    template<class Handler>
    faulted droppable_fault(Handler& handler, mm::virt_addr at, mm::fault_flags how) {
        auto lock = std::optional{hold()};
        auto may = authority::may_drop(mm::may_drop(*lock));
        auto outcome = handler.handle({at, how}, may, me);
        return {std::move(outcome), std::move(lock)};
    }
    /// A fault of a caller that keeps the lock.
    template<class Handler>
    faulted fault(Handler& handler, mm::virt_addr at, mm::fault_flags how) {
        auto lock = std::optional{hold()};
        auto keep = authority::keep(*lock);
        auto outcome = handler.handle({at, how}, keep, me);
        return {std::move(outcome), std::move(lock)};
    }
    /// A fault that must end with a page in place.
    template<class Handler>
    mm::page_entry touch(Handler& handler, mm::virt_addr at, mm::fault_flags how) {
        auto const done = fault(handler, at, how);
        REQUIRE(done.error() == mm::errc::ok);
        REQUIRE(done.kind() == mm::fault_kind::installed);
        REQUIRE(done.holding());
        return entry(at);
    }

    // ---- what is there -----

    /// Has the mapping at `at` had pages of its own, be they gone?
    [[nodiscard]] bool has_family(mm::virt_addr at) {
        auto const held = mm::held_exclusive<fault_lock>::acquire(space.lock());
        return space.layout_for_change(held).family_at(at).exists();
    }
    [[nodiscard]] mm::page_entry entry(mm::virt_addr at) {
        mm::page_entry found{};
        auto const one = *mm::page_span::from(at.page_start(), mm::page_count{1});
        auto const seen = space.table().visit(
            me, one, [&](mm::virt_addr, mm::page_entry const& e, unsigned) { found = e; });
        REQUIRE(seen.has_value());
        return found;
    }
    /// Puts an entry for a page of the caller's in place, as a fault would.
    void install(mm::virt_addr at, mm::page_entry const& leaf) {
        REQUIRE(space.table().map(me, at, leaf, 0).has_value());
        space.note_mapped(leaf, 1);
    }
    [[nodiscard]] std::byte& first_byte(mm::pfn frame) { return frames.bytes(frame).front(); }
    [[nodiscard]] bool all_zero(mm::pfn frame) {
        return std::ranges::all_of(frames.bytes(frame),
                                   [](std::byte b) { return b == std::byte{}; });
    }
    [[nodiscard]] std::uint64_t frames_in_use() const {
        return frames.statistics().capacity - frames.statistics().free;
    }
};

}  // namespace mmhold_test
