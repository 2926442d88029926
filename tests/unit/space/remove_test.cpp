// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/remove.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// Pages 0 to 3 show an object, pages 8 to 11 the same privately.
struct removing : family_world {
    page_cache<space_type> object{frames, object_kind::shmem, 4 * page_size};

    removing() {
        map(0, 4, object.request(0, page_count{4}, prot::rw, mmap_flag::shared));
        map(8, 4, object.request(0, page_count{4}, prot::rw, {}));
        for (std::uint64_t n = 0; n < 4; ++n) store(parent, page(n), static_cast<int>(n + 1));
    }
    ~removing() {
        for (auto* space : {&parent, &child}) space->exit(me);
    }
    errc remove(std::uint64_t first, std::uint64_t count) {
        return remove_pages(me, parent, span(first, count)).error();
    }
};

}  // namespace

TEST_CASE("remove: the object's pages go for everybody, private copies stay") {
    removing w;
    w.store(w.parent, w.page(10), 9);
    REQUIRE(w.forks());
    CHECK(w.load(w.child, w.page(1)) == 2);
    CHECK(w.remove(1, 2) == errc::ok);
    CHECK(w.object.cached_pages() == 2);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.load(w.parent, w.page(1)) == 0);
    CHECK(w.load(w.child, w.page(2)) == 0);
    CHECK(w.load(w.parent, w.page(9)) == 0);
    CHECK(w.load(w.parent, w.page(10)) == 9);
}

TEST_CASE("remove: who may not, and holes") {
    removing w;
    w.map(20, 1);
    CHECK(w.remove(20, 1) == errc::invalid_argument);
    CHECK(w.remove(8, 1) == errc::access_denied);
    auto const reading = w.object.request(0, page_count{1}, prot::r, mmap_flag::shared,
                                          descriptor_rights::read_only);
    w.map(21, 1, reading);
    CHECK(w.remove(21, 1) == errc::access_denied);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 4), prot::r));
    CHECK(w.remove(3, 2) == errc::no_memory);
    CHECK(w.load(w.parent, w.page(3)) == 0);
    REQUIRE(w.parent.set_locked(w.me, w.span(0, 1), mark_locked::yes));
    CHECK(w.remove(0, 2) == errc::invalid_argument);
    CHECK(w.load(w.parent, w.page(1)) == 2);
    CHECK(w.remove(4, 0) == errc::ok);
}

TEST_CASE("remove: shared memory without a name has an object, too") {
    removing w;
    w.map(30, 1, {.flags = mmap_flag::shared});
    w.store(w.parent, w.page(30), 5);
    CHECK(w.remove(30, 1) == errc::ok);
    CHECK(w.load(w.parent, w.page(30)) == 0);
}
