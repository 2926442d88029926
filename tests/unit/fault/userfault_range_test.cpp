// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/userfault_range.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;

namespace {

struct toy_source : mm::fault_source {
    explicit toy_source(mm::source_kind kind = mm::source_kind::userfault) : fault_source{kind} {}
};

constexpr mm::vma area_of(mm::vma_kind kind, mm::vma_flags flags = {},
                          mm::protection may = mm::prot::rwx) {
    mm::vma area;
    area.kind = kind;
    area.flags = flags;
    area.may = may;
    return area;
}

struct shmem_object : mm::memory_object {
    shmem_object() : memory_object{mm::object_kind::shmem} {}
};

}  // namespace

TEST_CASE("what a userfault can watch: memory that starts out zero and may be written",
          "[fault][userfault]") {
    using kind = mm::vma_kind;
    using flag = mm::vma_flag;
    for (auto const good : {kind::anonymous, kind::heap, kind::stack, kind::shmem}) {
        CHECK(mm::check_userfault_vma(area_of(good)) == errc::ok);
        CHECK(mm::check_userfault_vma(area_of(good, flag::shared)) == errc::ok);
        CHECK(mm::check_userfault_vma(area_of(good, {}, mm::prot::r)) == errc::invalid_argument);
    }
    for (auto const bad : {kind::file, kind::vdso, kind::vvar, kind::vsyscall, kind::other}) {
        CHECK(mm::check_userfault_vma(area_of(bad)) == errc::invalid_argument);
    }
    for (auto const bad : {flag::io, flag::pfnmap, flag::hugetlb, flag::secret, flag::fsdax}) {
        CHECK(mm::check_userfault_vma(area_of(kind::anonymous, bad)) == errc::invalid_argument);
    }
}

TEST_CASE("hugetlb is let go though it was never registered, from where it can begin",
          "[fault][userfault]") {
    fault_world world;
    toy_source mine;
    auto const large = mm::hugetlb_pages;
    REQUIRE(mm::is_hugetlb_border(world.page(large)));
    world.map(large - 2, 2);
    world.map({.hint = world.page(large),
               .pages = {large},
               .properties = mm::vma_flag::hugetlb});
    auto const held = world.hold();
    auto const may_unregister = [&](std::uint64_t first, std::uint64_t count) {
        return mm::check_registered_range(world.space, held, world.span(first, count), mine)
            .error();
    };
    CHECK(may_unregister(large, large) == errc::ok);
    CHECK(may_unregister(large, 1) == errc::ok);
    CHECK(may_unregister(large + 1, 1) == errc::invalid_argument);
    CHECK(may_unregister(large - 1, 2) == errc::ok);
    CHECK(may_unregister(large - 2, large + 2) == errc::ok);
    CHECK(may_unregister(large - 3, large) == errc::ok);  // a hole, then small pages
}

TEST_CASE("a range is judged vma by vma, holes skipped", "[fault][userfault]") {
    fault_world world;
    toy_source mine;
    toy_source other;
    world.map(0, 2);
    world.map(4, 2, mm::prot::rw, {}, &mine);
    world.map(8, 2, mm::prot::rw, {}, &other);
    auto const held = world.hold();
    auto const may_register = [&](std::uint64_t first, std::uint64_t count) {
        return mm::check_userfault_range(world.space, held, world.span(first, count), mine).error();
    };
    auto const may_unregister = [&](std::uint64_t first, std::uint64_t count) {
        return mm::check_registered_range(world.space, held, world.span(first, count), mine)
            .error();
    };
    CHECK(may_register(0, 7) == errc::ok);
    CHECK(may_register(0, 10) == errc::busy);
    CHECK(may_register(2, 2) == errc::invalid_argument);
    CHECK(may_register(0, 0) == errc::invalid_argument);
    CHECK(may_unregister(0, 7) == errc::ok);
    CHECK(may_unregister(0, 10) == errc::invalid_argument);
    CHECK(may_unregister(2, 2) == errc::invalid_argument);
    CHECK(mm::first_registered(world.space, held, mine) == world.span(4, 2));
    toy_source nobody;
    CHECK_FALSE(mm::first_registered(world.space, held, nobody));
}

TEST_CASE("which modes fit which memory", "[fault][userfault]") {
    using kind = mm::vma_kind;
    using mode = mm::userfault_mode;
    using feature = mm::userfault_feature;
    auto const anonymous = area_of(kind::anonymous);
    auto const shmem = area_of(kind::shmem);
    auto const file = area_of(kind::file);
    CHECK(mm::check_userfault_vma(anonymous, {}) == errc::invalid_argument);
    CHECK(mm::check_userfault_vma(anonymous, {mode::missing, mode::write_protect}) == errc::ok);
    CHECK(mm::check_userfault_vma(anonymous, mode::minor) == errc::invalid_argument);
    CHECK(mm::check_userfault_vma(shmem, {mode::minor, mode::write_protect}) == errc::ok);
    CHECK(mm::check_userfault_vma(file, mode::write_protect) == errc::invalid_argument);
    auto const secret = area_of(kind::shmem, {mm::vma_flag::secret, mm::vma_flag::shared});
    CHECK(mm::check_userfault_vma(secret) == errc::invalid_argument);
    CHECK(mm::check_userfault_vma(area_of(kind::anonymous, mm::vma_flag::droppable)) ==
          errc::invalid_argument);
    // Only noted, never asked about: anything with an object.
    shmem_object object;
    auto shown = file;
    shown.object = &object;
    CHECK(mm::check_userfault_vma(shown, mode::write_protect, feature::wp_async) == errc::ok);
    CHECK(mm::check_userfault_vma(shown, mode::write_protect) == errc::invalid_argument);
    CHECK(mm::check_userfault_vma(shown, {mode::missing, mode::write_protect}, feature::wp_async) ==
          errc::invalid_argument);
}
