// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/advised_range.hpp>

#include "small_world.hpp"
#include <vector>

using namespace mmhold;
using namespace mmhold_test;

namespace {

using config = default_config<checked_host_machine>;
constexpr virt_addr base{std::uint64_t{1} << 32U};

page_span pages(std::uint64_t first, std::uint64_t count) {
    return *page_span::from(base.plus_pages(first), page_count{count});
}

/// Mapped: 0 to 3, 5, 6 to 7 with other rights.
struct advised : small_world<config> {
    advised() {
        map_pages(0, 4, prot::rw);
        map_pages(5, 1, prot::rw);
        map_pages(6, 2, prot::r);
    }
    void map_pages(std::uint64_t first, std::uint64_t count, protection rights) {
        mmap_request request;
        request.hint = base.plus_pages(first);
        request.pages = page_count{count};
        request.prot = rights;
        request.flags = mmap_flag::fixed;
        REQUIRE(space->mmap(*me, request).has_value());
    }
    errc run(page_span span, protection refuse = prot::x) {
        parts.clear();
        auto const held = held_shared<config::lock>::acquire(space->lock());
        return for_each_advised(held, *space, span,
                                [&](vma const& area, page_span part) {
                                    if (area.prot == refuse)
                                        return result<void>{errc::invalid_argument};
                                    parts.push_back(part);
                                    return result<void>{};
                                })
            .error();
    }
    std::vector<page_span> parts{};
};

}  // namespace

TEST_CASE("advised range: each mapping's part, lowest first") {
    advised w;
    CHECK(w.run(pages(1, 2)) == errc::ok);
    CHECK(w.parts == std::vector{pages(1, 2)});
    CHECK(w.run(pages(5, 2)) == errc::ok);
    CHECK(w.parts == std::vector{pages(5, 1), pages(6, 1)});
    CHECK(w.run(pages(4, 0)) == errc::ok);
}

TEST_CASE("advised range: holes are told at the end, wherever they are") {
    advised w;
    CHECK(w.run(pages(2, 4)) == errc::no_memory);
    CHECK(w.parts == std::vector{pages(2, 2), pages(5, 1)});
    CHECK(w.run(pages(4, 2)) == errc::no_memory);
    CHECK(w.run(pages(7, 2)) == errc::no_memory);
    CHECK(w.run(pages(4, 1)) == errc::no_memory);
    CHECK(w.parts.empty());
}

TEST_CASE("advised range: a refusal ends it, and comes before the hole") {
    advised w;
    CHECK(w.run(pages(2, 6), prot::r) == errc::invalid_argument);
    CHECK(w.parts == std::vector{pages(2, 2), pages(5, 1)});
}

TEST_CASE("advised range: the lock must be this space's") {
    advised w;
    advised other;
    auto const held = held_shared<config::lock>::acquire(other.space->lock());
    auto const nothing = [](vma const&, page_span) { return result<void>{}; };
    CHECK(for_each_advised(held, *w.space, pages(0, 1), nothing).error() == errc::lock_not_held);
}
