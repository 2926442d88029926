// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/cool_down.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A large folio of the parent's, with something written to page 5, and other memory behind it.
struct cold_world : family_world {
    cold_world() : family_world{2048} {
        mmap_request request;
        request.properties = vma_flag::large_advised;
        map(0, 512, request);
        map(512, 4);
        REQUIRE(touch(parent, page(5), access::write) == errc::ok);
        frames.bytes(leaf(5).target.plus(5)).front() = std::byte{7};
    }
    ~cold_world() { frames.release_zero_folio(); }

    unsigned level(std::uint64_t n) {
        unsigned found = 9;
        (void)parent.table().visit(me, span(n, 1),
                                   [&](virt_addr, page_entry const&, unsigned l) { found = l; });
        return found;
    }
    page_entry leaf(std::uint64_t n) {
        page_entry found;
        (void)parent.table().visit(me, span(n, 1),
                                   [&](virt_addr, page_entry const& e, unsigned) { found = e; });
        return found;
    }
    errc cool(std::uint64_t first, std::uint64_t count) {
        return cool_down(me, parent, span(first, count)).error();
    }
};

}  // namespace

TEST_CASE("what is cold as a whole stays as it is", "[advice]") {
    cold_world w;
    CHECK(w.cool(0, 516) == errc::ok);
    CHECK(w.level(5) == 1);
    CHECK(w.parent.resident().anonymous == 512);
}

TEST_CASE("a large folio that is cold in part is split, and shares its zeroes", "[advice]") {
    for (auto const& [first, count] : {std::pair{0U, 5U}, std::pair{500U, 12U}}) {
        cold_world w;
        CHECK(w.cool(first, count) == errc::ok);
        CHECK(w.level(5) == 0);
        CHECK(w.parent.resident().anonymous == 1);
        CHECK(w.leaf(6).special);
        CHECK(w.load(w.parent, w.page(5)) == 7);
    }
}

TEST_CASE("a large folio that somebody holds stays large", "[advice]") {
    cold_world w;
    auto const held = w.pin(w.parent, w.page(5), gup_flag::write);
    CHECK(w.cool(0, 5) == errc::ok);
    CHECK(w.level(5) == 1);
    w.frames.unpin(held);
    REQUIRE(w.forks());
    CHECK(w.cool(0, 5) == errc::ok);
    CHECK(w.level(5) == 1);
}

TEST_CASE("locked memory is not cold", "[advice]") {
    cold_world w;
    REQUIRE(w.parent.set_locked(w.me, w.span(512, 2), mark_locked::yes));
    CHECK(w.cool(500, 14) == errc::invalid_argument);
    CHECK(w.level(5) == 0);  // what lies below
    CHECK(w.cool(516, 1) == errc::no_memory);
}
