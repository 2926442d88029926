// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/vma_map.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;

constexpr page_span pages(std::uint64_t first, std::uint64_t count) {
    return *page_span::from(virt_addr{first * page_size}, page_count{count});
}
constexpr virt_addr page(std::uint64_t number) { return {number * page_size}; }

/// A mapping whose key tells it from others.
constexpr vma area(std::uint64_t first, std::uint64_t count, std::uint8_t key = 0) {
    vma made;
    made.span = pages(first, count);
    made.pkey = key;
    return made;
}

/// Has room for so many arrays, then for none.
struct rationed_machine : checked_host_machine {
    static inline int arrays_left = 0;
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        return arrays_left-- > 0 ? checked_host_machine::create_array<T>(count) : nullptr;
    }
};

template<Machine M>
std::vector<vma> contents(vma_map<M> const& map) {
    std::vector<vma> all;
    for (std::size_t i = 0; i < map.size(); ++i) all.push_back(map[i]);
    return all;
}

constexpr bool works_in_constant_evaluation() {
    vma_map<constexpr_machine> map;
    if (!map.insert(area(10, 4)) || !map.insert(area(20, 4))) return false;
    if (map.find(page(12)) != 0 || map.find(page(14)) != map.npos) return false;
    if (!map.split(page(12)) || map.size() != 3) return false;
    map.merge_around(0, 1);
    map.erase(0, 1);
    return map.size() == 1 && map[0].span == pages(20, 4);
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("an empty map finds nothing") {
    vma_map<machine> const map;
    CHECK(map.empty());
    CHECK(map.find(page(5)) == map.npos);
    CHECK(map.find_at_or_above(page(5)) == 0);
    CHECK_FALSE(map.overlaps(pages(0, 1000)));
}

TEST_CASE("lookups: containing, at or above, overlapping") {
    vma_map<machine> map;
    REQUIRE(map.insert(area(20, 2, 2)));
    REQUIRE(map.insert(area(10, 2, 1)));
    REQUIRE(map.insert(area(30, 2, 3)));
    CHECK(map.find(page(10)) == 0);
    CHECK(map.find(virt_addr{12 * page_size - 1}) == 0);
    CHECK(map.find(page(12)) == map.npos);
    CHECK(map.find_at_or_above(page(12)) == 1);
    CHECK(map.find_at_or_above(page(9)) == 0);
    CHECK(map.find_at_or_above(page(32)) == 3);
    CHECK(map.overlaps(pages(11, 1)));
    CHECK(map.overlaps(pages(5, 100)));
    CHECK_FALSE(map.overlaps(pages(12, 8)));
    CHECK_FALSE(map.overlaps(pages(12, 0)));
    CHECK(map[1].pkey == 2);
}

TEST_CASE("insert joins alike neighbours, on either side and on both") {
    vma_map<machine> map;
    REQUIRE(map.insert(area(10, 2)));
    REQUIRE(map.insert(area(12, 2)));
    CHECK(contents(map) == std::vector{area(10, 4)});
    REQUIRE(map.insert(area(8, 2)));
    CHECK(contents(map) == std::vector{area(8, 6)});
    REQUIRE(map.insert(area(16, 2)));
    REQUIRE(map.insert(area(14, 2)));
    CHECK(contents(map) == std::vector{area(8, 10)});
    REQUIRE(map.insert(area(18, 1, 5)));
    CHECK(map.size() == 2);
}

TEST_CASE("insert refuses what overlaps and what is empty") {
    vma_map<machine> map;
    REQUIRE(map.insert(area(10, 4)));
    CHECK(map.insert(area(13, 4)).error() == errc::exists);
    CHECK(map.insert(area(20, 0)).error() == errc::invalid_argument);
    CHECK(contents(map) == std::vector{area(10, 4)});
}

TEST_CASE("split makes two, and nothing where there is nothing to split") {
    vma_map<machine> map;
    auto mapping = area(10, 4);
    mapping.file = 3;
    mapping.file_page = 100;
    REQUIRE(map.insert(mapping));
    CHECK(map.split(page(10)));
    CHECK(map.split(page(14)));
    CHECK(map.split(page(50)));
    CHECK(map.size() == 1);
    REQUIRE(map.split(page(11)));
    REQUIRE(map.size() == 2);
    CHECK(map[0].span == pages(10, 1));
    CHECK(map[1].span == pages(11, 3));
    CHECK(map[1].file_page == 101);
    map.merge_around(1, 2);
    CHECK(contents(map) == std::vector{mapping});
}

TEST_CASE("families: who has pages of its own joins only its family, and who never had any") {
    vma_map<machine> map;
    auto const version = [&map] { return map.version(); };
    auto const put = [&map](std::uint64_t first, std::uint64_t count) {
        REQUIRE(map.insert(area(first, count)));
    };
    put(10, 2);
    put(14, 2);
    auto const before = version();
    map.found_family(0);
    map.found_family(0);
    CHECK(version() == before);
    CHECK(map.family(0).exists());
    CHECK_FALSE(map.family(1).exists());
    SECTION("one of both") {
        put(12, 2);
        CHECK(map.size() == 1);
        CHECK(map.family(0).exists());
    }
    SECTION("both") {
        map.found_family(1);
        CHECK(map.family(0) != map.family(1));
        put(12, 2);
        CHECK(contents(map) == std::vector{area(10, 4), area(14, 2)});
    }
    SECTION("inherited") {
        REQUIRE(map.insert_apart(area(16, 2), map.new_family(family_origin::parent)));
        CHECK(map.size() == 3);
        put(18, 2);
        CHECK(map.size() == 4);
        put(12, 2);
        CHECK(contents(map) == std::vector{area(10, 6), area(16, 2), area(18, 2)});
    }
    SECTION("split, moved within the array, and joined again") {
        auto const family = map.family(0);
        put(5, 1);
        REQUIRE(map.split(page(11)));
        CHECK(map.family(1) == family);
        CHECK(map.family(2) == family);
        map.erase(0, 1);
        CHECK(map.family(1) == family);
        map.merge_around(0, 2);
        CHECK(map.family(0) == family);
        CHECK_FALSE(map.family(1).exists());
        REQUIRE(map.reserve(100));
        CHECK(map.family(0) == family);
        map.forget_family(0);
        CHECK_FALSE(map.family(0).exists());
    }
}

TEST_CASE("families: a neighbour that differs in rights only shares its own") {
    vma_map<machine> map;
    auto const put = [&map](std::uint64_t first, protection rights) {
        auto made = area(first, 2);
        made.prot = rights;
        REQUIRE(map.insert(made));
    };
    put(10, prot::rw);
    put(12, prot::rwx);
    put(14, prot::rw);
    SECTION("the upper one's, if it has one") {
        map.found_family(0);
        map.found_family(2);
        map.found_family(1);
        CHECK(map.family(1) == map.family(2));
        CHECK(map.family(1) != map.family(0));
    }
    SECTION("the lower one's") {
        map.found_family(0);
        map.found_family(1);
        CHECK(map.family(1) == map.family(0));
    }
    SECTION("not an inherited one") {
        put(16, prot::rwx);
        REQUIRE(map.insert_apart(area(18, 2), map.new_family(family_origin::parent)));
        map.found_family(3);
        CHECK(map.family(3).exists());
        CHECK_FALSE(map.family(3).inherited());
    }
}

TEST_CASE("what grows upwards joins what it reaches, if it is its like") {
    vma_map<machine> map;
    REQUIRE(map.insert_apart(area(10, 2), map.new_family(family_origin::parent)));
    REQUIRE(map.insert(area(20, 2)));
    REQUIRE(map.insert(area(30, 2, 1)));
    map.extend_up(0, page(15));
    CHECK(map[0].span == pages(10, 5));
    map.extend_up(0, page(20));
    CHECK(contents(map) == std::vector{area(10, 12), area(30, 2, 1)});
    CHECK(map.family(0).inherited());
    map.extend_up(0, page(30));
    CHECK(map.size() == 2);
}

TEST_CASE("every change shows in the version, and nothing else does") {
    vma_map<machine> map;
    auto const& version = map.version();
    auto last = version;
    auto const changed = [&] { return std::exchange(last, version) != version; };
    REQUIRE(map.insert(area(10, 4)));
    CHECK(changed());
    REQUIRE(map.split(page(12)));
    CHECK(changed());
    map.replace(0, area(10, 2, 9));
    CHECK(changed());
    (void)map.find(page(10));
    CHECK(map.insert(area(11, 1)).error() == errc::exists);
    CHECK_FALSE(changed());
    map.erase(0, 1);
    CHECK(changed());
    map.clear();
    CHECK(changed());
}

TEST_CASE("without memory nothing changes") {
    rationed_machine::arrays_left = 1;
    vma_map<rationed_machine> map;
    auto const key_of = [](std::uint64_t first) { return static_cast<std::uint8_t>(first / 4 % 2); };
    std::uint64_t next = 10;
    while (map.insert(area(next, 4, key_of(next)))) next += 4;
    REQUIRE(map.size() > 0);
    auto const before = contents(map);
    CHECK(map.insert(area(next, 4, key_of(next))).error()
          == errc::no_memory);
    CHECK(map.split(page(12)).error() == errc::no_memory);
    CHECK(map.reserve(1).error() == errc::no_memory);
    CHECK(contents(map) == before);
    rationed_machine::arrays_left = 1;
    CHECK(map.split(page(12)));
    CHECK(map.size() == before.size() + 1);
}

TEST_CASE("erase of nothing, of the middle, of all") {
    vma_map<machine> map;
    for (std::uint8_t i = 0; i < 6; ++i) REQUIRE(map.insert(area(10U + i, 1, i)));
    map.erase(3, 3);
    CHECK(map.size() == 6);
    map.erase(1, 3);
    CHECK(contents(map) == std::vector{area(10, 1, 0), area(13, 1, 3), area(14, 1, 4), area(15, 1, 5)});
    map.erase(0, 4);
    CHECK(map.empty());
}

TEST_CASE("random changes agree with a map from page to key") {
    vma_map<machine> map;
    std::map<std::uint64_t, std::uint8_t> model;
    std::mt19937 random{7};
    for (int step = 0; step < 4000; ++step) {
        auto const first = random() % 60;
        auto const count = 1 + random() % 8;
        auto const key = static_cast<std::uint8_t>(random() % 3);
        auto const span = pages(first, count);
        if (map.overlaps(span)) {
            REQUIRE(map.split(span.start()));
            REQUIRE(map.split(span.end()));
            map.erase(map.find_at_or_above(span.start()), map.find_at_or_above(span.end()));
            for (auto i = first; i < first + count; ++i) model.erase(i);
        } else {
            REQUIRE(map.insert(area(first, count, key)));
            for (auto i = first; i < first + count; ++i) model[i] = key;
        }
        for (std::uint64_t i = 0; i < 70; ++i) {
            auto const index = map.find(page(i));
            REQUIRE((index != map.npos) == model.contains(i));
            if (index != map.npos) REQUIRE(map[index].pkey == model[i]);
        }
        for (std::size_t i = 1; i < map.size(); ++i) {
            REQUIRE(map[i - 1].span.end() <= map[i].span.start());
        }
    }
}
