// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/page_family.hpp>

using namespace mmhold;

namespace {

constexpr page_family none{};
constexpr page_family own{1, family_origin::faults};
constexpr page_family another{2, family_origin::faults};
constexpr page_family inherited{3, family_origin::parent};
constexpr page_family inherited_too{4, family_origin::parent};

constexpr vma area(std::uint64_t first, std::uint64_t count, protection rights = prot::rw) {
    vma made;
    made.span = *page_span::from(virt_addr{first * page_size}, page_count{count});
    made.prot = rights;
    return made;
}

}  // namespace

TEST_CASE("a family is told by its number, and by being inherited", "[space]") {
    STATIC_REQUIRE(!none.exists());
    STATIC_REQUIRE(own.exists());
    STATIC_REQUIRE(inherited.inherited());
    STATIC_REQUIRE(!own.inherited());
    for (auto const one : {none, own, another, inherited}) {
        CHECK(page_family::from_bits(one.bits()) == one);
    }
}

TEST_CASE("one family joins, and one joins none at all, unless it is inherited", "[space]") {
    CHECK(none.joins(none));
    CHECK(own.joins(own));
    CHECK(own.joins(none));
    CHECK(none.joins(own));
    CHECK_FALSE(own.joins(another));
    CHECK(inherited.joins(inherited));
    CHECK_FALSE(inherited.joins(none));
    CHECK_FALSE(none.joins(inherited));
    CHECK_FALSE(inherited.joins(inherited_too));
    CHECK_FALSE(inherited.joins(own));
}

TEST_CASE("what has grown joins a mapping without a family even if its own is inherited",
          "[space]") {
    CHECK(inherited.grows_into(none));
    CHECK(own.grows_into(none));
    CHECK(own.grows_into(own));
    CHECK(none.grows_into(own));
    CHECK_FALSE(none.grows_into(inherited));
    CHECK_FALSE(inherited.grows_into(inherited_too));
}

TEST_CASE("both together are of the family that one of them has", "[space]") {
    CHECK(none.with(own) == own);
    CHECK(own.with(none) == own);
    CHECK_FALSE(none.with(none).exists());
}

TEST_CASE("neighbours may share a family if they differ in rights, name and source", "[space]") {
    auto const lower = area(0, 2);
    CHECK(may_share_family(lower, area(2, 2)));
    CHECK_FALSE(may_share_family(lower, area(3, 2)));
    auto upper = area(2, 2);
    SECTION("alike but for its rights: if memory has been promised for both") {
        upper.prot = prot::rwx;
        CHECK(may_share_family(lower, upper));
        upper.prot = prot::r;
        CHECK_FALSE(may_share_family(lower, upper));
        upper.flags = vma_flag::accounted;
        CHECK(may_share_family(lower, upper));
        CHECK_FALSE(may_share_family(area(0, 2, prot::r), upper));
    }
    SECTION("another name") {
        upper.name = vma_name{"heap"};
        CHECK(may_share_family(lower, upper));
    }
    SECTION("other flags") {
        upper.flags = vma_flag::locked;
        CHECK_FALSE(may_share_family(lower, upper));
    }
    SECTION("from another distance") {
        upper.moved_by = 1;
        CHECK_FALSE(may_share_family(lower, upper));
    }
    SECTION("pages of a file that do not continue") {
        upper.file = 1;
        CHECK_FALSE(may_share_family(lower, upper));
        auto of_file = lower;
        of_file.file = 1;
        CHECK_FALSE(may_share_family(of_file, upper));
        upper.file_page = 2;
        CHECK(may_share_family(of_file, upper));
    }
}
