// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/mlock.hpp>
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/space/guard.hpp>
#include <mmhold/space/page_cache.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// Six private pages, written to: page n holds n + 1.
struct guarded : family_world {
    explicit guarded(mmap_request how = {}) {
        map(0, 6, how);
        if (how.object == nullptr) {
            for (std::uint64_t n = 0; n < 6; ++n) store(parent, page(n), static_cast<int>(n + 1));
        }
    }
    errc install(std::uint64_t first, std::uint64_t count) {
        return guard_install(me, parent, span(first, count)).error();
    }
    errc remove(std::uint64_t first, std::uint64_t count) {
        return guard_remove(me, parent, span(first, count)).error();
    }
    bool guards(space_type& space, std::uint64_t n) { return is_guard(entry(space, page(n))); }
    trap why(space_type& space, std::uint64_t n, mmhold::access how = mmhold::access::read) {
        std::array<std::byte, 1> one{};
        return how == mmhold::access::read ? read_user(space, me, page(n), one).why
                                           : write_user(space, me, page(n), one).why;
    }
};

}  // namespace

TEST_CASE("guard: what is mapped goes, and every access ends in SIGSEGV") {
    guarded w;
    auto const before = w.frames.statistics().free;
    CHECK(w.install(1, 2) == errc::ok);
    CHECK(w.frames.statistics().free == before + 2);
    CHECK(w.why(w.parent, 1) == trap::map_error);
    CHECK(w.why(w.parent, 2, mmhold::access::write) == trap::map_error);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.load(w.parent, w.page(3)) == 4);
    CHECK(w.parent.resident().anonymous == 4);
}

TEST_CASE("guard: guards found a family") {
    guarded w;
    w.map(4096, 2);
    CHECK_FALSE(w.has_family(w.parent, w.page(4096)));
    CHECK(w.install(4096, 2) == errc::ok);
    CHECK(w.remove(4096, 2) == errc::ok);
    CHECK(w.has_family(w.parent, w.page(4096)));
}

TEST_CASE("guard: an untouched mapping gets tables for its guards") {
    guarded w;
    w.map(4096, 2);
    CHECK(w.install(4096, 2) == errc::ok);
    CHECK(w.guards(w.parent, 4096));
    CHECK(w.install(4096, 2) == errc::ok);
    CHECK(w.remove(4096, 1) == errc::ok);
    CHECK(w.load(w.parent, w.page(4096)) == 0);
    CHECK(w.why(w.parent, 4097) == trap::map_error);
}

TEST_CASE("guard: gup, populate and mlock find no page") {
    guarded w;
    REQUIRE(w.install(1, 1) == errc::ok);
    std::array<pfn, 2> out{};
    auto const got = gup_unlocked(w.parent, w.me, w.span(0, 2), {}, out);
    CHECK(got.pages == 1);
    CHECK(got.error == errc::bad_address);
    w.frames.put(out[0]);
    CHECK(gup_unlocked(w.parent, w.me, w.span(1, 1), gup_flag::force, out).error ==
          errc::bad_address);
    CHECK(gup_fast(w.parent, w.me, w.span(1, 1), {}, out).error == errc::bad_address);
    user_range const one{w.page(1), page_size};
    CHECK(madvise_populate(w.parent, w.me, one, mmhold::access::read).error() == errc::bad_address);
    CHECK(madvise_populate(w.parent, w.me, one, mmhold::access::write).error() ==
          errc::bad_address);
    CHECK(mlock_pages(w.parent, w.me, w.span(0, 3)).error() == errc::no_memory);
    CHECK(w.guards(w.parent, 1));
}

TEST_CASE("guard: locked memory gets no guards, and loses them") {
    guarded w;
    REQUIRE(w.install(1, 1) == errc::ok);
    REQUIRE(w.parent.set_locked(w.me, w.span(0, 6), mark_locked::yes));
    CHECK(w.install(0, 1) == errc::invalid_argument);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.remove(1, 1) == errc::ok);
    CHECK_FALSE(w.guards(w.parent, 1));
}

TEST_CASE("guard: mappings that refuse end it, those below are done") {
    guarded w;
    w.map(6, 1, {.properties = vma_flag::pfnmap});
    w.map(7, 1);
    CHECK(w.install(5, 3) == errc::invalid_argument);
    CHECK(w.guards(w.parent, 5));
    CHECK_FALSE(w.guards(w.parent, 7));
    for (auto const flag : {vma_flag::io, vma_flag::dont_expand, vma_flag::hugetlb}) {
        vma area;
        area.flags = flag;
        CHECK_FALSE(can_be_guarded(area));
        CHECK_FALSE(can_be_unguarded(area));
    }
    CHECK(w.remove(5, 3) == errc::invalid_argument);
    CHECK_FALSE(w.guards(w.parent, 5));
}

TEST_CASE("guard: a hole is told when the rest is done") {
    guarded w;
    REQUIRE(w.parent.munmap(w.me, w.span(2, 1)));
    CHECK(w.install(1, 3) == errc::no_memory);
    CHECK(w.guards(w.parent, 1));
    CHECK(w.guards(w.parent, 3));
    CHECK(w.remove(1, 3) == errc::no_memory);
    CHECK_FALSE(w.guards(w.parent, 3));
    CHECK(w.install(2, 1) == errc::no_memory);
    CHECK(w.install(0, 0) == errc::ok);
}

TEST_CASE("guard: MADV_DONTNEED leaves it, munmap and a new mapping do not") {
    guarded w;
    REQUIRE(w.install(1, 2) == errc::ok);
    CHECK(w.parent.dontneed(w.me, w.span(0, 6)));
    CHECK(w.guards(w.parent, 1));
    CHECK(w.entry(w.parent, w.page(0)).none());
    w.map(1, 1);
    CHECK(w.load(w.parent, w.page(1)) == 0);
    CHECK(w.guards(w.parent, 2));
    REQUIRE(w.parent.munmap(w.me, w.span(2, 1)));
    w.map(2, 1);
    CHECK(w.load(w.parent, w.page(2)) == 0);
}

TEST_CASE("guard: changes of rights, splits and merges leave it") {
    guarded w;
    REQUIRE(w.install(1, 1) == errc::ok);
    REQUIRE(w.parent.mprotect(w.me, w.span(1, 1), prot::r));
    CHECK(w.why(w.parent, 1) == trap::map_error);
    CHECK(w.why(w.parent, 1, mmhold::access::write) == trap::access_error);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 6), prot::none));
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 6), prot::rw));
    CHECK(w.mappings(w.parent).size() == 1);
    CHECK(w.why(w.parent, 1) == trap::map_error);
    CHECK(w.load(w.parent, w.page(2)) == 3);
}

TEST_CASE("guard: a child of fork has it, and its own") {
    guarded w;
    REQUIRE(w.install(1, 2) == errc::ok);
    REQUIRE(w.forks());
    CHECK(w.why(w.child, 1) == trap::map_error);
    CHECK(w.load(w.child, w.page(0)) == 1);
    CHECK(guard_remove(w.me, w.child, w.span(1, 1)));
    CHECK(w.load(w.child, w.page(1)) == 0);
    CHECK(w.why(w.child, 2) == trap::map_error);
    CHECK(w.why(w.parent, 1) == trap::map_error);
}

TEST_CASE("guard: of an object's mapping it hides the page, here only") {
    guarded w;
    page_cache<family_world::space_type> object{w.frames, object_kind::shmem, 4 * page_size};
    auto request = object.request(0, page_count{4}, prot::rw, mmap_flag::shared);
    w.map(16, 4, request);
    w.map(32, 4, request);
    w.store(w.parent, w.page(17), 7);
    REQUIRE(w.install(17, 2) == errc::ok);
    CHECK(w.why(w.parent, 17) == trap::map_error);
    CHECK(w.load(w.parent, w.page(33)) == 7);
    REQUIRE(w.forks());
    CHECK(w.why(w.child, 17) == trap::map_error);
    REQUIRE(object.punch(w.me, {0, 4}));
    CHECK(w.why(w.parent, 17) == trap::map_error);
    REQUIRE(object.resize(w.me, 0));
    REQUIRE(object.resize(w.me, 4 * page_size));
    CHECK(w.why(w.parent, 18) == trap::map_error);
    REQUIRE(w.remove(16, 4) == errc::ok);
    CHECK(w.load(w.parent, w.page(17)) == 0);
    for (auto* space : {&w.parent, &w.child}) space->exit(w.me);
}

TEST_CASE("guard: a private copy behind it is lost") {
    guarded w;
    page_cache<family_world::space_type> object{w.frames, object_kind::shmem, 4 * page_size};
    w.map(16, 4, object.request(0, page_count{4}, prot::rw, {}));
    w.store(w.parent, w.page(17), 9);
    REQUIRE(w.install(17, 1) == errc::ok);
    REQUIRE(w.remove(17, 1) == errc::ok);
    CHECK(w.load(w.parent, w.page(17)) == 0);
    w.parent.exit(w.me);
}

TEST_CASE("guard: the zero page and a pinned page make room as any other") {
    guarded w;
    w.map(8, 1);
    CHECK(w.load(w.parent, w.page(8)) == 0);
    CHECK(w.install(8, 1) == errc::ok);
    CHECK(w.guards(w.parent, 8));
    auto const held = w.pin(w.parent, w.page(0), gup_flag::write);
    CHECK(w.install(0, 1) == errc::ok);
    CHECK(w.frames.kind(held) == frame_kind::anonymous);
    w.frames.unpin(held);
    CHECK(w.frames.kind(held) == frame_kind::free);
}

TEST_CASE("guard: no table, no guard, and nothing leaks") {
    family_world w{64, 6};
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    w.map(std::uint64_t{1} << 20U, 1);
    CHECK(guard_install(w.me, w.parent, w.span(std::uint64_t{1} << 20U, 1)).error() ==
          errc::no_memory);
}
