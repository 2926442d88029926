// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/file_object.hpp>

#include "fixture.hpp"

#include <array>
#include <atomic>
#include <thread>

using namespace callers_test;

TEST_CASE("user_access: loads and stores go as far as vma and entry permit", "[callers]") {
    world host;
    std::vector<std::byte> to(3 * page_size);
    auto const got = read_user(host.mm, host.me, world::page(0).plus(10), to);
    CHECK(got.bytes == 2 * page_size - 10);
    CHECK(got.why == trap::map_error);
    CHECK(count_of(to, 'a') == page_size - 10);
    auto const byte = filled<1>('x');
    CHECK(write_user(host.mm, host.me, world::page(5), byte).bytes == 1);
    CHECK(host.first_byte(5) == 'x');
    CHECK(host.entry(5).dirty);
    CHECK(write_user(host.mm, host.me, world::page(3), byte).why == trap::access_error);
    CHECK(write_user(host.mm, host.me, world::page(4), byte).why == trap::access_error);
    CHECK(host.nothing_held());
}

TEST_CASE("user_access: what is no user address, and what the key forbids", "[callers]") {
    world host;
    auto const byte = filled<1>('x');
    CHECK(write_user(host.mm, host.me, {std::uint64_t{1} << 47U}, byte).why == trap::not_canonical);
    CHECK(write_user(host.mm, host.me, {~std::uint64_t{0} - 9}, byte).why == trap::map_error);
    CHECK(write_user(host.mm, host.me, task_size_max(48), byte).why == trap::map_error);
    REQUIRE(host.mm.mprotect(host.me, world::span(0, 2), prot::rw, std::uint8_t{3}));
    host.me.set_key_rights(protection_key_rights{}.with(3, 2));
    CHECK(write_user(host.mm, host.me, world::page(0), byte).why == trap::key_error);
    std::array<std::byte, 1> to{};
    CHECK(read_user(host.mm, host.me, world::page(0), to).why == trap::none);
}

TEST_CASE("user_access: the kernel's copy is not a fault of the user for a userfault",
          "[callers]") {
    world host;
    userfault faults{host.mm, userfault_feature::user_mode_only};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    std::array<std::byte, 1> to{};
    CHECK(read_user(host.mm, host.me, world::page(5), to, access_by::kernel).why ==
          trap::bus_error);
    REQUIRE(faults.close(host.me));
}

TEST_CASE("user_access: a broken disk ends the access, it is not asked for ever", "[callers]") {
    world host;
    file_object<world::space_type> file{host.mm.frames(), page_size};
    auto request = file.request(0, page_count{1}, prot::r, {});
    request.hint = world::page(40);
    request.flags = mmap_flag::fixed;
    REQUIRE(host.mm.mmap(host.me, request));
    auto asked = 0;
    auto over = std::atomic{false};
    std::thread disk{[&] {
        while (!over) {
            auto const read = file.try_next_read();
            if (read && ++asked < 10) (void)file.fail(*read, errc::bad_address);
            if (asked >= 10) file.close();
            std::this_thread::yield();
        }
    }};
    std::array<std::byte, 1> to{};
    CHECK(read_user(host.mm, host.me, world::page(40), to).why == trap::bus_error);
    over = true;
    disk.join();
    CHECK(asked == 2);  // once on the first try, once on the second, in place
    host.mm.exit(host.me);
}
