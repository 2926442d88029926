// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/laws/page_walker.hpp>
#include <mmhold/walk/locked_walker.hpp>
#include <mmhold/walk/lockless_walker.hpp>
#include <mmhold/walk/release.hpp>

#include <vector>

using namespace mmhold;
using small = mmhold_test::small_space<>;

namespace {

/// Counts what is held in the whole pool.
struct pool_books {
    small& host;
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i <= host.frames.statistics().capacity; ++i) {
            sum += host.frames.ref_count(host.frames.zero_page().plus(0 - i));
        }
        return sum;
    }
    void release(pfn first, std::uint64_t pages, holding how) {
        release_pages(host.frames, first, pages, how);
    }
};

void furnish(small& host) {
    REQUIRE(host.map(1024));
    host.fill(0);
    host.fill(1, prot::r);
    auto zero = page_entry::leaf_to(host.frames.zero_page(), prot::r);
    zero.special = true;
    host.put(2, zero);
    host.frames.clear_exclusive(host.fill(3, prot::r));
    host.put(4, page_entry::marker_for(1, 2));
    host.fill(512, prot::rw, 1);
}

std::vector<walk_request> requests() {
    std::vector<walk_request> all;
    for (std::uint64_t const page : {0U, 1U, 2U, 3U, 4U, 5U, 512U, 1023U, 5000U}) {
        for (auto const flags : {gup_flags{}, gup_flags{gup_flag::write}}) {
            for (auto const how : {holding::none, holding::reference, holding::pin}) {
                all.push_back({small::page(page), 1 + page % 7 * 10, flags, how});
            }
        }
    }
    return all;
}

/// Breaks law 4: keeps a reference although it answers "fault".
struct leaky_walker : lockless_walker<small::space_type> {
    using base = lockless_walker<small::space_type>;
    small& host;
    explicit leaky_walker(small& in) : base{in.mm}, host{in} {}
    void seek(cursor& walk, walk_request const& request, witness& inside) const {
        base::seek(walk, request, inside);
        host.frames.get(host.frames.zero_page());
    }
};

}  // namespace

TEST_CASE("the locked and the lockless walker obey the laws of PageWalker", "[laws]") {
    small host;
    furnish(host);
    pool_books books{host};
    auto const all = requests();
    SECTION("locked") {
        locked_walker<small::space_type> walker{host.mm, host.me};
        auto const held = host.hold();
        auto const verdict = page_walker_laws(walker, held, all, books);
        INFO(verdict.law << ": " << (verdict.failure ? verdict.failure : "holds"));
        CHECK(verdict.holds());
    }
    SECTION("lockless") {
        lockless_walker<small::space_type> walker{host.mm};
        irq_section inside{host.me};
        auto const verdict = page_walker_laws(walker, inside, all, books);
        INFO(verdict.law << ": " << (verdict.failure ? verdict.failure : "holds"));
        CHECK(verdict.holds());
    }
}

TEST_CASE("the laws of PageWalker find a walker that leaks", "[laws]") {
    small host;
    furnish(host);
    pool_books books{host};
    leaky_walker walker{host};
    irq_section inside{host.me};
    CHECK_FALSE(page_walker_laws(walker, inside, requests(), books).holds());
}
