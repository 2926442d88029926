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
    advice::normal,           advice::random,        advice::sequential,
    advice::will_need,        advice::dont_need,     advice::free,
    advice::remove,           advice::dont_fork,     advice::do_fork,
    advice::mergeable,        advice::unmergeable,   advice::huge_page,
    advice::no_huge_page,     advice::dont_dump,     advice::do_dump,
    advice::wipe_on_fork,     advice::keep_on_fork,  advice::cold,
    advice::page_out,         advice::populate_read, advice::populate_write,
    advice::dont_need_locked, advice::collapse,      advice::guard_install,
    advice::guard_remove};

/// A stack that grows, a guard in it, a page that is forgotten and one that fork leaves out.
constexpr bool works_in_constant_evaluation() {
    using parts = default_config<constexpr_machine>;
    frame_pool<constexpr_machine> frames{page_count{8}};
    parts::tables tables{page_count{12}};
    parts::reclaimer domain;
    auto good = true;
    {
        cpu me{domain};
        address_space<parts> space{frames, tables, domain};
        mmap_request request{.hint = world::page(64), .pages = page_count{4}};
        request.flags = mmap_flag::fixed;
        request.properties = vma_flag::grows_down;
        good = space.mmap(me, request).has_value();
        std::array<std::byte, 1> byte{};
        auto const tell = [&](std::uint64_t first, advice what) {
            return mmhold::madvise(space, me, {world::page(first), page_size}, what).error();
        };
        good = good && write_user(space, me, world::page(62), byte).why == trap::none;
        good = good && tell(62, advice::guard_install) == errc::ok;
        good = good && read_user(space, me, world::page(62), byte).why == trap::map_error;
        good = good && tell(62, advice::guard_remove) == errc::ok;
        good = good && write_user(space, me, world::page(64), byte).why == trap::none;
        good = good && tell(64, advice::free) == errc::ok && space.resident().anonymous == 1;
        good = good && tell(64, advice::page_out) == errc::ok && space.resident().anonymous == 0;
        good = good && tell(65, advice::dont_fork) == errc::ok;
        {
            auto const held = held_shared<parts::lock>::acquire(space.lock());
            good = good && space.vma_count(held) == 3 && space.find(world::page(62), held);
        }
        space.exit(me);
        good = good && frames.statistics().free == 8;
    }
    domain.drain();
    return good && tables.in_use() == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("madvise: the arguments are looked at first", "[callers]") {
    world host;
    for (auto const what : every_advice) {
        CHECK(advise(host, 2, 0, what) == errc::ok);
        CHECK(
            mmhold::madvise(host.mm, host.me, {world::page(0).plus(1), page_size}, what).error() ==
            errc::invalid_argument);
        CHECK(
            mmhold::madvise(host.mm, host.me, {world::page(0), ~std::uint64_t{0}}, what).error() ==
            errc::invalid_argument);
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
    CHECK(advise(host, 5, page_size, advice::collapse) == errc::invalid_argument);
}

TEST_CASE("madvise: locked pages go only if they are meant to", "[callers]") {
    world host;
    CHECK(host.mm.set_locked(host.me, world::span(0, 1), mark_locked::yes));
    CHECK(advise(host, 0, page_size, advice::dont_need) == errc::invalid_argument);
    CHECK(advise(host, 0, page_size, advice::cold) == errc::invalid_argument);
    CHECK(host.first_byte(0) == 'a');
    CHECK(advise(host, 0, page_size, advice::dont_need_locked) == errc::ok);
    CHECK(host.entry(0).none());
}

TEST_CASE("madvise: some advice only marks the mappings", "[callers]") {
    world host;
    auto const flags = [&](std::uint64_t number) {
        auto const held = host.hold();
        return host.mm.find(world::page(number), held)->view(held).flags;
    };
    auto const tell = [&](advice what) { return advise(host, 5, page_size, what); };
    CHECK(tell(advice::random) == errc::ok);
    CHECK(flags(5) == vma_flags{vma_flag::reads_randomly});
    CHECK(tell(advice::sequential) == errc::ok);
    CHECK(tell(advice::dont_dump) == errc::ok);
    CHECK(tell(advice::mergeable) == errc::ok);
    CHECK(tell(advice::no_huge_page) == errc::ok);
    CHECK(flags(5) == vma_flags{vma_flag::reads_in_order, vma_flag::dont_dump,
                                vma_flag::merges_equal, vma_flag::large_refused});
    CHECK(tell(advice::huge_page) == errc::ok);
    CHECK(tell(advice::normal) == errc::ok);
    CHECK(tell(advice::do_dump) == errc::ok);
    CHECK(tell(advice::unmergeable) == errc::ok);
    CHECK(flags(5) == vma_flags{vma_flag::large_advised});
    CHECK(tell(advice::will_need) == errc::ok);
    CHECK(host.entry(5).none());
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
