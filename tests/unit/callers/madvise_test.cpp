// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/madvise.hpp>
#include <mmhold/callers/user_access.hpp>

#include "fixture.hpp"

using namespace callers_test;

namespace {

errc advise(world& host, std::uint64_t first, std::uint64_t bytes, advice what) {
    return mmhold::madvise(host.mm, host.me, {world::page(first), bytes}, what).error();
}
trap why(world& host, std::uint64_t number) {
    std::array<std::byte, 1> one{};
    return read_user(host.mm, host.me, world::page(number), one).why;
}

constexpr std::array every_advice{
    advice::dont_need,    advice::free,         advice::remove,       advice::dont_fork,
    advice::do_fork,      advice::wipe_on_fork, advice::keep_on_fork, advice::page_out,
    advice::populate_read, advice::populate_write, advice::guard_install, advice::guard_remove};

}  // namespace

TEST_CASE("madvise: the arguments are looked at first", "[callers]") {
    world host;
    for (auto const what : every_advice) {
        CHECK(advise(host, 2, 0, what) == errc::ok);
        CHECK(mmhold::madvise(host.mm, host.me, {world::page(0).plus(1), page_size}, what)
                  .error() == errc::invalid_argument);
        CHECK(mmhold::madvise(host.mm, host.me, {world::page(0), ~std::uint64_t{0}}, what)
                  .error() == errc::invalid_argument);
        CHECK(advise(host, 2, page_size, what) == errc::no_memory);
    }
    auto const unknown = static_cast<advice>(77);
    CHECK(advise(host, 0, page_size, unknown) == errc::invalid_argument);
    CHECK(advise(host, 0, 0, unknown) == errc::invalid_argument);
}

TEST_CASE("madvise: each advice does what it names", "[callers]") {
    world host;
    CHECK(advise(host, 0, 1, advice::guard_install) == errc::ok);
    CHECK(why(host, 0) == trap::map_error);
    CHECK(why(host, 1) == trap::none);
    CHECK(advise(host, 0, page_size, advice::dont_need) == errc::ok);
    CHECK(why(host, 0) == trap::map_error);
    CHECK(advise(host, 0, page_size, advice::guard_remove) == errc::ok);
    CHECK(why(host, 0) == trap::none);
    CHECK(advise(host, 1, page_size, advice::free) == errc::ok);
    CHECK(host.first_byte(1) == 'b');
    CHECK(advise(host, 1, page_size, advice::page_out) == errc::ok);
    CHECK(host.entry(1).none());
    CHECK(advise(host, 5, page_size, advice::populate_write) == errc::ok);
    CHECK(host.entry(5).writable);
    CHECK(advise(host, 5, page_size, advice::dont_need) == errc::ok);
    CHECK(host.entry(5).none());
    CHECK(advise(host, 6, page_size, advice::populate_read) == errc::ok);
    CHECK(advise(host, 6, page_size, advice::remove) == errc::ok);
    CHECK(host.entry(6).none());
    CHECK(advise(host, 5, page_size, advice::remove) == errc::invalid_argument);
}

TEST_CASE("madvise: advice for fork marks the mappings", "[callers]") {
    world host;
    auto const marks = [&](vma_flag flag) {
        auto const held = host.hold();
        return host.mm.find(world::page(5), held)->view(held).flags.has(flag);
    };
    CHECK(advise(host, 5, page_size, advice::dont_fork) == errc::ok);
    CHECK(marks(vma_flag::dont_fork));
    CHECK(advise(host, 5, page_size, advice::do_fork) == errc::ok);
    CHECK_FALSE(marks(vma_flag::dont_fork));
    CHECK(advise(host, 5, page_size, advice::wipe_on_fork) == errc::ok);
    CHECK(marks(vma_flag::wipe_on_fork));
    CHECK(advise(host, 5, page_size, advice::keep_on_fork) == errc::ok);
    CHECK_FALSE(marks(vma_flag::wipe_on_fork));
    CHECK(advise(host, 6, page_size, advice::wipe_on_fork) == errc::invalid_argument);
}
