// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/mlock.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/space/stack_growth.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

constexpr std::uint64_t low = 3000;  // the stack's lowest page

/// A stack of four pages.
struct growing : family_world {
    explicit growing(protection rights = prot::rw) {
        map(low, 4, {.prot = rights, .properties = vma_flag::grows_down});
    }
    trap load_at(std::uint64_t n, access_by who = access_by::user) {
        std::array<std::byte, 1> one{};
        return read_user(parent, me, page(n), one, who).why;
    }
    trap store_at(virt_addr at) {
        std::array<std::byte, 1> const one{};
        return write_user(parent, me, at, one).why;
    }
    /// The lowest page of the vma that is the stack.
    std::uint64_t lowest() { return page_number(mappings(parent).back().span.start()); }
    static std::uint64_t page_number(virt_addr at) { return (at.value - base.value) >> page_shift; }
    errc expand(std::uint64_t n) {
        auto const held = held_exclusive<lock_type>::acquire(parent.lock());
        return expand_stack_locked(held, parent, page(n)).error();
    }
};

}  // namespace

TEST_CASE("stack growth: a touch below makes the stack longer, for user and kernel") {
    growing w;
    CHECK(w.load_at(low - 1) == trap::none);
    CHECK(w.lowest() == low - 1);
    CHECK(w.store_at(w.page(low - 90)) == trap::none);
    CHECK(w.lowest() == low - 90);
    CHECK(w.load_at(low - 91, access_by::kernel) == trap::none);
    CHECK(w.lowest() == low - 91);
    CHECK(w.entry(w.parent, w.page(low - 50)).none());
    CHECK(w.load_at(low + 4) == trap::map_error);
}

TEST_CASE("stack growth: gup does not grow it, ptrace and /proc/PID/mem do") {
    growing w;
    std::array<std::byte, 8> word{};
    std::array<user_range, 1> const far{user_range{w.page(low - 1), 8}};
    CHECK(process_vm_read(w.parent, w.me, far, word).error() == errc::bad_address);
    CHECK(mlock_pages(w.parent, w.me, w.span(low - 1, 1)).error() == errc::no_memory);
    CHECK(w.lowest() == low);
    CHECK(proc_mem_read(w.parent, w.me, w.page(low - 2), word).value_or(0) == 8);
    CHECK(w.lowest() == low - 2);
    CHECK(ptrace_poke(w.parent, w.me, w.page(low - 65), word));
    CHECK(w.lowest() == low - 65);
    CHECK(proc_mem_read(w.parent, w.me, w.page(low + 5), word).error() == errc::io);
}

TEST_CASE("stack growth: rights are asked afterwards") {
    growing none{prot::none};
    CHECK(none.load_at(low - 1) == trap::access_error);
    CHECK(none.lowest() == low - 1);
    growing read{prot::r};
    CHECK(read.load_at(low - 1) == trap::none);
    CHECK(read.store_at(read.page(low - 2)) == trap::access_error);
    CHECK(read.lowest() == low - 2);
}

TEST_CASE("stack growth: a gap stays free above what can be touched") {
    for (std::uint64_t const gap : {0U, 1U, 255U}) {
        growing w;
        w.map(low - 2 - gap, 1);
        CHECK(w.load_at(low - 1) == trap::map_error);
        CHECK(w.lowest() == low);
    }
    growing at_distance;
    at_distance.map(low - 258, 1);
    CHECK(at_distance.load_at(low - 1) == trap::none);
    growing over_none;
    over_none.map(low - 2, 1, {.prot = prot::none});
    CHECK(over_none.load_at(low - 1) == trap::none);
    growing over_stack;
    over_stack.map(low - 2, 1, {.properties = vma_flag::grows_down});
    CHECK(over_stack.load_at(low - 1) == trap::none);
    CHECK(over_stack.mappings(over_stack.parent).size() == 2);
}

TEST_CASE("stack growth: not beyond the limit, to the page") {
    growing w;
    auto const end = w.page(low + 4);
    auto const limit = w.parent.limits().stack_pages;
    CHECK(limit == 2048);
    virt_addr const lowest{end.value - (limit << page_shift)};
    CHECK(w.store_at(virt_addr{lowest.value - 1}) == trap::map_error);
    CHECK(w.lowest() == low);
    CHECK(w.store_at(lowest) == trap::none);
    CHECK(w.lowest() == low + 4 - limit);
}

TEST_CASE("stack growth: what does not grow, and where nothing is to be mapped") {
    growing w;
    CHECK(w.expand(low) == errc::ok);
    CHECK(w.expand(low + 9) == errc::bad_address);
    w.map(low - 500, 1);
    CHECK(w.expand(low - 501) == errc::bad_address);
    CHECK(w.expand(low - 1) == errc::ok);
    CHECK(w.lowest() == low - 1);
    auto const held = held_exclusive<family_world::lock_type>::acquire(w.child.lock());
    CHECK(expand_stack_locked(held, w.parent, w.page(low - 2)).error() == errc::lock_not_held);
}

TEST_CASE("stack growth: below the lowest mapping allowed nothing grows") {
    family_world w;
    mmap_request request{.hint = virt_addr{20 * page_size}, .pages = page_count{1}};
    request.flags = mmap_flag::fixed;
    request.properties = vma_flag::grows_down;
    REQUIRE(w.parent.mmap(w.me, request).has_value());
    auto const held = held_exclusive<family_world::lock_type>::acquire(w.parent.lock());
    CHECK(expand_stack_locked(held, w.parent, virt_addr{15 * page_size}).error() ==
          errc::bad_address);
    CHECK(expand_stack_locked(held, w.parent, virt_addr{16 * page_size}).error() == errc::ok);
}

TEST_CASE("stack growth: who holds the lock shared has it shared again") {
    growing w;
    using held_type = held_shared<family_world::lock_type>;
    {
        auto grown = expand_stack(held_type::acquire(w.parent.lock()), w.me.current(), w.parent,
                                  w.page(low - 1));
        REQUIRE(grown);
        CHECK(w.parent.find(w.page(low - 1), *grown).has_value());
        CHECK_FALSE(w.parent.lock().try_lock());
    }
    {
        auto const refused = expand_stack(held_type::acquire(w.parent.lock()), w.me.current(),
                                          w.parent, w.page(low + 7));
        CHECK(refused.error() == errc::bad_address);
        CHECK(w.parent.lock().try_lock());
        w.parent.lock().unlock();
    }
}
