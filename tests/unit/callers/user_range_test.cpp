// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/user_range.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("user_range: in user space up to the last byte, never beyond, never wrapping",
          "[callers]") {
    auto const end = task_size_max(48);
    CHECK(in_user_space({virt_addr{end.value - 4}, 4}, end));
    CHECK_FALSE(in_user_space({virt_addr{end.value - 4}, 5}, end));
    CHECK(in_user_space({end, 0}, end));
    CHECK_FALSE(in_user_space({virt_addr{5}, ~std::uint64_t{0}}, end));
    CHECK_FALSE(in_user_space({virt_addr{~std::uint64_t{0}}, 2}, end));
}

TEST_CASE("user_range: bytes are copied across held pages, from any place in the first",
          "[callers]") {
    world host;
    std::array const pages{host.entry(0).target, host.entry(1).target};
    std::array<std::byte, 100> to{};
    copy_from_pages(host.frames, pages, page_size - 30, to);
    CHECK(count_of(to, 'a') == 30);
    CHECK(count_of(to, 'b') == 70);
    copy_to_pages(host.frames, pages, page_size - 1, filled<2>('z'));
    CHECK(host.frames.bytes(pages[0]).back() == std::byte{'z'});
    CHECK(host.first_byte(1) == 'z');
}

TEST_CASE("user_range: a pool without bytes copies nothing", "[callers]") {
    frame_pool<checked_host_machine> bare{page_count{4}};
    std::array const pages{*bare.allocate(frame_kind::anonymous)};
    auto to = filled<4>('k');
    copy_from_pages(bare, pages, 0, to);
    CHECK(count_of(to, 'k') == 4);
    bare.put(pages.front());
}
