// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/process_vm.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("process_vm: reads across ranges until the local side is full", "[callers]") {
    world host;
    std::array<std::byte, 150> to{};
    std::array const remote{user_range{world::page(0).plus(4000), 200},
                            user_range{world::page(3), 100}};
    CHECK(process_vm_read(host.mm, host.me, remote, to).value_or(0) == 150);
    CHECK(count_of(to, 'a') == 96);
    CHECK(count_of(to, 'b') == 54);
    CHECK(host.nothing_held());
}

TEST_CASE("process_vm: a bad page ends the call, bytes before it count, else bad_address",
          "[callers]") {
    world host;
    std::vector<std::byte> to(4 * page_size);
    auto const read = [&](virt_addr at, std::uint64_t bytes) {
        std::array const remote{user_range{at, bytes}};
        return process_vm_read(host.mm, host.me, remote, to);
    };
    CHECK(read(world::page(1).plus(100), 2 * page_size).value_or(0) == page_size - 100);
    CHECK(read(world::page(2), 1).error() == errc::bad_address);
    CHECK(read(world::page(4), 1).error() == errc::bad_address);
    CHECK(read(world::page(2), 0).value_or(1) == 0);
    CHECK(read({~std::uint64_t{0} - 5}, 3).error() == errc::bad_address);
    std::array const two{user_range{world::page(0), 10}, user_range{world::page(2), 10}};
    CHECK(process_vm_read(host.mm, host.me, two, to).value_or(0) == 10);
    std::array const bad_first{user_range{world::page(2), 10}, user_range{world::page(0), 10}};
    CHECK(process_vm_read(host.mm, host.me, bad_first, to).error() == errc::bad_address);
    CHECK(host.nothing_held());
}

TEST_CASE("process_vm: writes need a writable vma, and mark the page dirty", "[callers]") {
    world host;
    auto const from = filled<10>('x');
    auto const write = [&](std::uint64_t page) {
        std::array const remote{user_range{world::page(page), 10}};
        return process_vm_write(host.mm, host.me, remote, from);
    };
    CHECK(write(0).value_or(0) == 10);
    CHECK(host.first_byte(0) == 'x');
    CHECK(host.frames.dirty(host.entry(0).target));
    CHECK(write(3).error() == errc::bad_address);
    CHECK(host.first_byte(3) == 'd');
    CHECK(write(5).value_or(0) == 10);
    CHECK(host.first_byte(5) == 'x');
    CHECK(host.nothing_held());
}

TEST_CASE("process_vm: the batch is not seen in the answer, nor are the caller's key rights",
          "[callers]") {
    world host;
    REQUIRE(host.mm.mprotect(host.me, world::span(0, 2), prot::rw, std::uint8_t{3}));
    host.me.set_key_rights(protection_key_rights{}.with(3, 1));
    std::vector<std::byte> to(3 * page_size);
    std::array const remote{user_range{world::page(0), 3 * page_size}};
    CHECK(process_vm_read<1>(host.mm, host.me, remote, to).value_or(0) == 2 * page_size);
    CHECK(process_vm_read<2>(host.mm, host.me, remote, to).value_or(0) == 2 * page_size);
    CHECK(process_vm_read<1024>(host.mm, host.me, remote, to).value_or(0) == 2 * page_size);
}
