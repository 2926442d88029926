// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "unit/reclaim/reclaim_objects.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/reclaim/gather.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

using namespace mmhold;
using namespace mmhold_test;

namespace {

constexpr bool a_whole_gather() {
    tracked table{1};
    unsigned flushed = 0;
    std::uint64_t released = 0;
    {
        hazard_domain<constexpr_machine, 1> domain;
        cpu me{domain};
        gather batch{me, [&] { ++flushed; }, [&](pfn page) { released += page.value; }};
        batch.add(pfn{3});
        batch.add(table);
        batch.add(pfn{4});
        if (flushed != 0 || released != 0 || table.freed != 0 || batch.empty()) return false;
    }
    return flushed == 1 && released == 7 && table.freed == 1;
}

using tables_only =
    decltype(gather{std::declval<cpu<small_domain>&>(), std::declval<void (*)()>()});
template<class G>
concept takes_pages = requires(G& batch) { batch.add(pfn{1}); };

}  // namespace

TEST_CASE("a gather flushes, then releases pages, then retires tables") {
    tracked table{1};
    small_domain domain;
    cpu me{domain};
    std::string order;
    gather batch{me, [&] { order += "flush "; },
                 [&](pfn page) { order += std::to_string(page.value) + " "; }};
    batch.add(pfn{7});
    batch.add(table);
    batch.add(pfn{8});
    CHECK(order.empty());
    CHECK_FALSE(batch.empty());
    CHECK(domain.statistics().retired == 0);
    batch.finish();
    CHECK(order == "flush 7 8 ");
    CHECK(batch.empty());
    CHECK(domain.statistics().retired == 1);
    (void)domain.reclaim(me.record());
    CHECK(table.freed == 1);
}

TEST_CASE("nothing gathered, nothing flushed") {
    small_domain domain;
    cpu me{domain};
    int flushed = 0;
    {
        gather batch{me, [&] { ++flushed; }};
        batch.finish();
        batch.finish();
        CHECK(batch.empty());
    }
    CHECK(flushed == 0);
}

TEST_CASE("a gather finishes when it ends, and can be used again before") {
    tracked first{1};
    tracked second{2};
    small_domain domain;
    cpu me{domain};
    int flushed = 0;
    {
        gather batch{me, [&] { ++flushed; }};
        batch.add(first);
        batch.finish();
        batch.add(second);
    }
    CHECK(flushed == 2);
    CHECK(domain.drain() == 0);
    CHECK(first.freed == 1);
    CHECK(second.freed == 1);
}

TEST_CASE("6.2 #14 no page is released before the flush that follows its add") {
    small_domain domain;
    cpu me{domain};
    std::uint64_t added = 0;
    std::uint64_t flushed_up_to = 0;
    std::vector<std::uint64_t> too_early;
    std::uint64_t released = 0;
    auto const flush = [&] { flushed_up_to = added; };
    auto const release = [&](pfn page) {
        ++released;
        if (page.value > flushed_up_to) too_early.push_back(page.value);
    };
    {
        gather batch{me, flush, release};
        for (std::uint64_t page = 1; page <= 1000; ++page) {
            batch.add(pfn{page});
            added = page;
        }
        CHECK(released >= 1000 - decltype(batch)::pages_per_flush);
    }
    CHECK(released == 1000);
    CHECK(too_early.empty());
}

TEST_CASE("6.2 #1 a gathered table is not freed under a reader") {
    tracked table{5};
    small_domain domain;
    cpu me{domain};
    cpu reader{domain};
    {
        irq_section inside{reader};
        inside.protect(1, 5);
        gather batch{me, [] {}};
        batch.add(table);
        batch.finish();
        CHECK(domain.reclaim(me.record()) == 0);
    }
    CHECK(domain.reclaim(me.record()) == 1);
    CHECK(table.freed == 1);
}

TEST_CASE("a gather works in constant evaluation") { STATIC_REQUIRE(a_whole_gather()); }

TEST_CASE("a gather without a release function takes tables only, and stays in place") {
    STATIC_REQUIRE_FALSE(takes_pages<tables_only>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<tables_only>);
    STATIC_REQUIRE_FALSE(std::is_move_constructible_v<tables_only>);
}
