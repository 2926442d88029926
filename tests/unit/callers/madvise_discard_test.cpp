// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/madvise.hpp>
#include <mmhold/fault/userfault.hpp>

#include "fixture.hpp"
#include <atomic>
#include <optional>
#include <thread>
#include <type_traits>

using namespace callers_test;

namespace {

using space_type = std::remove_reference_t<decltype(std::declval<world&>().mm)>;
using pager_type = userfault<space_type>;

/// Four private pages from page 16 on, all of them present, whose pager is told what is discarded.
struct told_world : world {
    pager_type pager{mm, userfault_feature::event_remove};
    std::vector<std::byte> bytes = std::vector<std::byte>(4 * page_size, std::byte{5});

    told_world() {
        (void)map({.hint = page(16), .pages = page_count{4}});
        REQUIRE(pager.register_range(me, span(16, 4)).has_value());
        REQUIRE(pager.copy(me, span(16, 4), bytes).complete());
    }
    ~told_world() { (void)pager.close(me); }

    static page_span span(std::uint64_t first, std::uint64_t pages) {
        return *page_span::from(page(first), page_count{pages});
    }
    bool is_there(std::uint64_t number) { return entry(number).is_leaf(); }
    std::remove_reference_t<decltype(me)> another{domain};  ///< who discards
};

/// discard() by another thread; `meanwhile()` happens when it waits and has not been heard, then
/// everything is.
template<class Meanwhile>
errc discard_and(told_world& host, page_span span, discard_how how, Meanwhile meanwhile) {
    auto answer = errc::ok;
    std::atomic<bool> ended{false};
    std::thread caller{[&] {
        answer = discard(host.another, host.mm, span, how).error();
        ended.store(true);
    }};
    while (host.pager.counts().unheard == 0) std::this_thread::yield();
    meanwhile();
    while (!ended.load()) {
        if (!host.pager.read_event()) std::this_thread::yield();
    }
    caller.join();
    return answer;
}

}  // namespace

TEST_CASE("discard: the pages go when the pager has heard of it", "[callers]") {
    told_world host;
    std::optional<userfault_event> event;
    auto const done = discard_and(host, told_world::span(17, 2), discard_how::now, [&] {
        CHECK(host.is_there(17));
        CHECK(host.pager.zeropage(host.me, told_world::span(17, 1)).stop == errc::again);
        event = host.pager.read_event();
    });
    CHECK(done == errc::ok);
    REQUIRE(event.has_value());
    CHECK(event->kind == userfault_event_kind::remove);
    CHECK(event->range == told_world::span(17, 2));
    CHECK(host.is_there(16));
    CHECK_FALSE(host.is_there(17));
    CHECK_FALSE(host.is_there(18));
    CHECK(host.pager.zeropage(host.me, told_world::span(17, 1)).complete());
}

TEST_CASE("discard: what is mapped when the pager has heard counts", "[callers]") {
    told_world host;
    auto const span = told_world::span(16, 4);
    SECTION("the start is gone") {
        CHECK(discard_and(host, span, discard_how::now, [&] {
                  (void)host.mm.munmap(host.me, told_world::span(16, 1));
              }) == errc::no_memory);
        CHECK(host.is_there(17));
    }
    SECTION("a page in the middle is gone") {
        CHECK(discard_and(host, span, discard_how::now, [&] {
                  (void)host.mm.munmap(host.me, told_world::span(17, 1));
              }) == errc::no_memory);
        CHECK_FALSE(host.is_there(16));
    }
    SECTION("it is locked now") {
        CHECK(discard_and(host, span, discard_how::lazily, [&] {
                  (void)host.mm.set_locked(host.me, span, mark_locked::yes);
              }) == errc::invalid_argument);
        CHECK(host.is_there(16));
    }
}

TEST_CASE("discard: what may not be is refused before anybody is told", "[callers]") {
    told_world host;
    CHECK(discard(host.me, host.mm, told_world::span(16, 1), discard_how::for_all).error() ==
          errc::invalid_argument);
    (void)host.mm.set_locked(host.me, told_world::span(16, 1), mark_locked::yes);
    CHECK(discard(host.me, host.mm, told_world::span(16, 1), discard_how::now).error() ==
          errc::invalid_argument);
    CHECK(discard(host.me, host.mm, told_world::span(0, 1), discard_how::now).has_value());
    CHECK(host.pager.counts().raised == 0);
}

TEST_CASE("discard: a fatal signal ends the wait, not the call", "[callers]") {
    told_world host;
    host.another.current().kill();
    CHECK(discard(host.another, host.mm, told_world::span(16, 2), discard_how::now).has_value());
    CHECK_FALSE(host.is_there(16));
    CHECK_FALSE(host.pager.read_event().has_value());
}

TEST_CASE("discard: a hole is told when the rest is done", "[callers]") {
    told_world host;
    CHECK(discard(host.me, host.mm, told_world::span(0, 4), discard_how::now).error() ==
          errc::no_memory);
    CHECK_FALSE(host.is_there(0));
    CHECK_FALSE(host.is_there(3));
    CHECK(discard(host.me, host.mm, told_world::span(40, 2), discard_how::now).error() ==
          errc::no_memory);
    CHECK(discard(host.me, host.mm, told_world::span(0, 0), discard_how::now).has_value());
}
