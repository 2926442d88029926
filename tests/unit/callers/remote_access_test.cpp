// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/remote_access.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("proc_mem: FORCE reads what has no rights and writes private read-only memory",
          "[callers]") {
    world host;
    std::array<std::byte, 8> to{};
    CHECK(proc_mem_read(host.mm, host.me, world::page(4), to).value_or(0) == 8);
    CHECK(proc_mem_write(host.mm, host.me, world::page(3), filled<8>('x')).value_or(0) == 8);
    CHECK(host.first_byte(3) == 'x');
    CHECK_FALSE(host.entry(3).writable);  // later stores of the owner still fault
    CHECK(proc_mem_write(host.mm, host.me, world::page(4), filled<8>('y')).value_or(0) == 8);
    CHECK(proc_mem_write(host.mm, host.me, world::page(6), filled<8>('y')).error() == errc::io);
    CHECK(host.nothing_held());
}

TEST_CASE("proc_mem: short counts, io when there is nothing, overflow when the range wraps",
          "[callers]") {
    world host;
    std::vector<std::byte> to(3 * page_size);
    CHECK(proc_mem_read(host.mm, host.me, world::page(0).plus(50), to).value_or(0) ==
          2 * page_size - 50);
    CHECK(count_of(to, 'a') == page_size - 50);
    CHECK(proc_mem_read(host.mm, host.me, world::page(2), to).error() == errc::io);
    CHECK(proc_mem_read(host.mm, host.me, world::page(2), std::span<std::byte>{}).value_or(1) == 0);
    CHECK(proc_mem_read(host.mm, host.me, {~std::uint64_t{0} - 10}, to).error() == errc::overflow);
}

TEST_CASE("ptrace: a word or io, a poke into a bad page leaves the part before it", "[callers]") {
    world host;
    std::array<std::byte, 8> word{};
    CHECK(ptrace_peek(host.mm, host.me, world::page(0).plus(page_size - 4), word));
    CHECK(count_of(word, 'a') == 4);
    CHECK(count_of(word, 'b') == 4);
    CHECK(ptrace_peek(host.mm, host.me, world::page(1).plus(page_size - 4), word).error() ==
          errc::io);
    CHECK(ptrace_poke(host.mm, host.me, world::page(3), filled<8>('p')));
    CHECK(host.first_byte(3) == 'p');
    auto const end = world::page(1).plus(page_size - 4);
    CHECK(ptrace_poke(host.mm, host.me, end, filled<8>('q')).error() == errc::io);
    auto const page = host.frames.bytes(host.entry(1).target);
    CHECK(count_of(page, 'q') == 4);
    CHECK(host.nothing_held());
}

TEST_CASE("remote_access: neither keys of the caller matter, nor may a userfault make it wait",
          "[callers]") {
    world host;
    REQUIRE(host.mm.mprotect(host.me, world::span(0, 2), prot::rw, std::uint8_t{3}));
    host.me.set_key_rights(protection_key_rights{}.with(3, 1));
    std::array<std::byte, 8> word{};
    CHECK(ptrace_peek(host.mm, host.me, world::page(0), word));
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    CHECK(proc_mem_read(host.mm, host.me, world::page(5), word).error() == errc::io);
    CHECK(faults.counts().tickets == 0);
    REQUIRE(faults.close(host.me));
}
