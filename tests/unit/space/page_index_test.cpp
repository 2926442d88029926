// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/page_index.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

using namespace mmhold;
using index_type = page_index<checked_host_machine>;

TEST_CASE("an empty index has nothing", "[space]") {
    index_type pages;
    CHECK(pages.size() == 0);
    CHECK_FALSE(pages.find(0));
    CHECK_FALSE(pages.find(~std::uint64_t{0}));
    CHECK_FALSE(pages.find_from(0));
}

TEST_CASE("another page can take a number over", "[space]") {
    index_type pages;
    REQUIRE(pages.insert(5, pfn{50}));
    REQUIRE(pages.insert(500, pfn{51}));
    pages.replace(5, pfn{52});
    CHECK(pages.find(5) == pfn{52});
    CHECK(pages.find(500) == pfn{51});
    CHECK(pages.size() == 2);
}

TEST_CASE("a page is found by its number only, and once", "[space]") {
    index_type pages;
    REQUIRE(pages.insert(5, pfn{50}));
    CHECK(pages.insert(5, pfn{51}).error() == errc::exists);
    CHECK(pages.find(5) == pfn{50});
    CHECK_FALSE(pages.find(4));
    CHECK_FALSE(pages.find(21));  // the same slot of another node
    CHECK(pages.size() == 1);
    pages.erase(5);
    CHECK_FALSE(pages.find(5));
    CHECK(pages.size() == 0);
}

TEST_CASE("the largest and the smallest number live together", "[space]") {
    index_type pages;
    auto const largest = ~std::uint64_t{0};
    REQUIRE(pages.insert(largest, pfn{1}));
    REQUIRE(pages.insert(0, pfn{2}));
    CHECK(pages.find(largest) == pfn{1});
    CHECK(pages.find(0) == pfn{2});
    CHECK(pages.find_from(1) == index_type::found{largest, pfn{1}});
    pages.erase(largest);
    CHECK_FALSE(pages.find_from(1));
}

TEST_CASE("find_from goes over gaps in order", "[space]") {
    index_type pages;
    for (std::uint64_t const at : {1000UL, 3UL, 17UL, 16UL, 100000UL}) REQUIRE(pages.insert(at, pfn{at}));
    std::vector<std::uint64_t> seen;
    std::uint64_t from = 0;
    while (auto const next = pages.find_from(from)) {
        seen.push_back(next->index);
        CHECK(next->page == pfn{next->index});
        from = next->index + 1;
    }
    CHECK(seen == std::vector<std::uint64_t>{3, 16, 17, 1000, 100000});
}

namespace {

/// Overwrites what it frees, so that a pointer to a node that is gone leads nowhere good.
struct scribbling_machine : checked_host_machine {
    template<class T>
    static void destroy(T* object) noexcept {
        std::destroy_at(object);
        std::memset(static_cast<void*>(object), 0xff, sizeof(T));
        ::operator delete(object);
    }
    template<class T, class... Arguments>
    [[nodiscard]] static T* create(Arguments&&... arguments) {
        return ::new (::operator new(sizeof(T))) T(std::forward<Arguments>(arguments)...);
    }
};

}  // namespace

TEST_CASE("a node that has become empty is gone, and not looked at again", "[space]") {
    page_index<scribbling_machine> pages;
    REQUIRE(pages.insert(0, pfn{1}));
    REQUIRE(pages.insert(20, pfn{2}));  // another leaf below the same root
    pages.erase(20);
    CHECK_FALSE(pages.find(20));
    CHECK(pages.find(0) == pfn{1});
    CHECK_FALSE(pages.find_from(1));
    REQUIRE(pages.insert(21, pfn{3}));
    CHECK_FALSE(pages.find(20));
    CHECK(pages.find(21) == pfn{3});
}

TEST_CASE("random changes: it stays what a map would be", "[space]") {
    index_type pages;
    std::map<std::uint64_t, std::uint64_t> same;
    std::mt19937_64 random{20140926};
    for (int step = 0; step < 20000; ++step) {
        auto const at = random() % 7 == 0 ? random() >> (random() % 60) : random() % 300;
        if (same.contains(at)) {
            REQUIRE(pages.find(at) == pfn{same[at]});
            pages.erase(at);
            same.erase(at);
        } else {
            REQUIRE(pages.insert(at, pfn{at % 1000}));
            same[at] = at % 1000;
        }
        auto const from = random() % 400;
        auto const next = same.lower_bound(from);
        auto const found = pages.find_from(from);
        REQUIRE(found.has_value() == (next != same.end()));
        if (found) REQUIRE(found->index == next->first);
        REQUIRE(pages.size() == same.size());
    }
}

namespace {

constexpr bool works_in_constant_evaluation() {
    page_index<constexpr_machine> pages;
    if (!pages.insert(3, pfn{30}) || !pages.insert(300, pfn{31})) return false;
    pages.erase(3);
    return pages.find_from(0)->page == pfn{31};
}
static_assert(works_in_constant_evaluation());

}  // namespace
