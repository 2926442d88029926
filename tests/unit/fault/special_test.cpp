// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/special.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>

#include "unit/fault/fault_world.hpp"
#include <array>

using namespace mmhold_test;
using mm::errc;
using mm::gup_flag;

namespace {

/// Two frames of somebody's, with a 70 and a 71 in them.
struct special_world : fault_world {
    std::array<mm::pfn, 2> pages{};
    mm::dispatch<fault_space> faults{space};

    special_world() {
        for (std::size_t i = 0; i < pages.size(); ++i) {
            pages[i] = *frames.allocate(mm::frame_kind::other);
            first_byte(pages[i]) = std::byte(70 + i);
        }
    }
    ~special_world() {
        space.exit(me);
        for (auto const page : pages) {
            CHECK(frames.ref_count(page) == 1);
            frames.put(page);
        }
        CHECK(frames_in_use() == 0);
    }
    mm::virt_addr map_request(mm::mmap_request request) {
        request.hint = base;
        return map(request);
    }
    /// What gup says to the page at `at`; it is given back at once.
    mm::gup_result held(mm::virt_addr at, mm::gup_flags how) {
        std::array<mm::pfn, 1> got{};
        auto const one = *mm::page_span::from(at, mm::page_count{1});
        auto const answer = mm::pin_fast(space, me, one, how, got);
        if (answer.pages == 1) frames.unpin(got.front());
        return answer;
    }
    mm::gup_result prefault(mm::virt_addr at) {
        auto const one = *mm::page_span::from(at, mm::page_count{1});
        return mm::gup_unlocked(space, me, one, {}, mm::no_pages);
    }
};

/// A perf buffer: numbers, of which only the first page may be written.
struct toy_perf final : mm::special_source<fault_space> {
    explicit toy_perf(fault_space& in)
        : special_source{in, mm::special_numbers<fault_space>::device_traits} {}
    mm::result<mm::special_page> page_behind(std::uint64_t) override { return errc::bad_address; }
    mm::result<void> admit_write(std::uint64_t index) override {
        return index == 0 ? errc::ok : errc::bad_address;
    }
};

constexpr mm::vma_flags device{mm::vma_flag::pfnmap, mm::vma_flag::dont_expand};

}  // namespace

TEST_CASE("8.2 vdso: pages with frames are read, held, and copied by a FORCE write",
          "[fault][special]") {
    special_world world;
    mm::special_frames<fault_space> code{world.space, world.pages};
    auto const at = world.map_request(code.request(0, {2}, mm::prot::rx));
    CHECK(world.touch(world.faults, at, flags::read).target == world.pages[0]);
    CHECK(world.frames.ref_count(world.pages[0]) == 2);
    CHECK(world.held(at, {}).pages == 1);
    CHECK(world.held(at.plus_pages(1), {}).pages == 1);
    CHECK(world.held(at, gup_flag::write).error == errc::bad_address);
    auto const second = at.plus_pages(1);
    CHECK(world.space.dontneed(world.me, world.span(0, 2)).has_value());
    auto const copy = world.touch(world.faults, second, flags::write);
    CHECK(copy.target != world.pages[1]);
    CHECK_FALSE(copy.writable);  // nobody has asked mprotect
    CHECK(world.first_byte(copy.target) == std::byte{71});
    CHECK(world.frames.exclusive(copy.target));
    world.touch(world.faults, at, flags::read);
    CHECK(world.touch(world.faults, at, flags::write).target != world.pages[0]);
}

TEST_CASE("a special page keeps its number when the mapping is cut, behind the last is SIGBUS",
          "[fault][special]") {
    special_world world;
    mm::special_frames<fault_space> code{world.space, world.pages};
    world.map_request(code.request(0, {3}, mm::prot::rx));
    REQUIRE(world.space.munmap(world.me, world.span(0, 1)).has_value());
    CHECK(world.touch(world.faults, world.page(1), flags::read).target == world.pages[1]);
    CHECK(world.fault(world.faults, world.page(2), flags::read).error() == errc::bad_address);
}

TEST_CASE("8.2 uring_ring_mmap: a driver's pages are ordinary ones, and do not come back",
          "[fault][special]") {
    special_world world;
    auto const how = GENERATE(mm::mmap_flags{mm::mmap_flag::shared}, mm::mmap_flags{});
    mm::mmap_request request;
    request.pages = {2};
    request.flags = how;
    request.kind = mm::vma_kind::other;
    request.properties = mm::vma_flag::dont_expand;
    auto const at = world.map_request(request);
    {
        auto const held = world.hold();
        REQUIRE(mm::insert_page(held, world.me, world.space, at, world.pages[0]).has_value());
        CHECK(mm::insert_page(held, world.me, world.space, at, world.pages[1]).error() ==
              errc::busy);
    }
    CHECK(world.entry(at).target == world.pages[0]);
    CHECK(world.entry(at).writable == how.has(mm::mmap_flag::shared));
    CHECK(world.held(at, gup_flag::write).pages == 1);
    CHECK(world.held(at, {gup_flag::write, gup_flag::longterm}).pages == 1);
    CHECK((world.entry(at).target == world.pages[0]) == how.has(mm::mmap_flag::shared));
    CHECK(world.fault(world.faults, at.plus_pages(1), flags::read).error() == errc::bad_address);
    REQUIRE(world.space.dontneed(world.me, world.span(0, 1)).has_value());
    CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
}

TEST_CASE("8.2 vvar: numbers without frames are loaded, but nobody can hold them",
          "[fault][special]") {
    special_world world;
    mm::special_numbers<fault_space> clock{world.space, mm::pfn{7}, {2}};
    auto const at = world.map_request(clock.request(0, {3}, mm::prot::r));
    auto const leaf = world.touch(world.faults, at.plus_pages(1), flags::read);
    CHECK(leaf.special);
    CHECK(leaf.target == mm::pfn{8});
    CHECK(world.fault(world.faults, at.plus_pages(2), flags::read).error() == errc::bad_address);
    CHECK(world.held(at.plus_pages(1), {}).error == errc::bad_address);
    CHECK(world.prefault(at).error == errc::bad_address);
    CHECK(world.space.resident().total() == 0);
}

TEST_CASE("8.2 perf_mmap: mapped read-only, the driver hears of the first write",
          "[fault][special]") {
    special_world world;
    toy_perf perf{world.space};
    auto const at = world.map_request(perf.request(0, {2}, mm::prot::rw, mm::mmap_flag::shared));
    {
        auto const held = world.hold();
        for (std::uint64_t i = 0; i < 2; ++i) {
            REQUIRE(mm::insert_number(held, world.me, world.space, at.plus_pages(i), mm::pfn{7 + i},
                                      mm::insert_as::read_only));
        }
    }
    CHECK_FALSE(world.entry(at).writable);
    CHECK(world.touch(world.faults, at, flags::write).writable);
    CHECK(world.fault(world.faults, at.plus_pages(1), flags::write).error() == errc::bad_address);
    CHECK(world.touch(world.faults, at.plus_pages(1), flags::read).target == mm::pfn{8});
}

TEST_CASE(
    "4.2 item 4: where numbers and frames are mixed, a number is success for who holds nothing",
    "[fault][special]") {
    special_world world;
    mm::special_numbers<fault_space> some{
        world.space, mm::pfn{7}, {1}, {.properties = mm::vma_flag::dont_expand}};
    auto const at = world.map_request(some.request(0, {2}, mm::prot::rw, mm::mmap_flag::shared));
    {
        auto const held = world.hold();
        REQUIRE(mm::insert_page(held, world.me, world.space, at.plus_pages(1), world.pages[1])
                    .has_value());
    }
    CHECK(world.held(at, {}).error == errc::exists);
    CHECK(world.prefault(at).pages == 1);
    CHECK(world.held(at.plus_pages(1), gup_flag::write).pages == 1);
}

TEST_CASE("a private write to a number cannot be copied", "[fault][special]") {
    special_world world;
    mm::special_numbers<fault_space> device_memory{world.space, mm::pfn{7}, {1}};
    auto const at = world.map_request(device_memory.request(0, {1}, mm::prot::rw));
    CHECK(world.fault(world.faults, at, flags::write).error() == errc::bad_address);
    CHECK(world.entry(at).none());
}

TEST_CASE("insert_page and insert_number: what they refuse", "[fault][special]") {
    special_world world;
    auto const plain = world.map(0, 1);
    mm::mmap_request request;
    request.hint = world.page(1);
    request.pages = {1};
    request.properties = device;
    auto const fits = world.map(request);
    auto const own = *world.frames.allocate(mm::frame_kind::anonymous);
    {
        auto const held = world.hold();
        auto const page = [&](mm::virt_addr at, mm::pfn what) {
            return mm::insert_page(held, world.me, world.space, at, what).error();
        };
        CHECK(page(plain, world.pages[0]) == errc::invalid_argument);
        CHECK(page(fits, own) == errc::invalid_argument);
        CHECK(page(fits, mm::pfn{7}) == errc::invalid_argument);
        CHECK(page(fits, world.frames.zero_page()) == errc::invalid_argument);
        CHECK(page(world.page(9), world.pages[0]) == errc::bad_address);
        CHECK(mm::insert_number(held, world.me, world.space, plain, mm::pfn{7}).error() ==
              errc::invalid_argument);
        CHECK(page(fits, world.pages[0]) == errc::ok);
    }
    auto gone = world.hold();
    (void)mm::may_drop(gone).drop();
    CHECK(mm::insert_page(gone, world.me, world.space, fits, world.pages[0]).error() ==
          errc::lock_not_held);
    world.frames.put(own);
}
