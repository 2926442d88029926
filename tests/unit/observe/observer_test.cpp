// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/observer.hpp>

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"

#include <set>
#include <string_view>

using namespace mmhold;

namespace {

struct last_event {
    static constexpr bool enabled = true;
    constexpr void record(event const& what) noexcept {
        last = what;
        ++count;
    }
    event last{};
    int count{0};
};

struct deaf {
    static constexpr bool enabled = false;
    constexpr void record(event const&) noexcept { ++count; }
    int count{0};
};

struct may_throw {
    static constexpr bool enabled = true;
    void record(event const&) {}
};

struct unsure {
    bool enabled = true;
    void record(event const&) noexcept {}
};

static_assert(Observer<last_event> && Observer<deaf>);
static_assert(!Observer<may_throw>, "an observer must not get in the way");
static_assert(!Observer<unsure>, "whether it listens is known at compile time");
static_assert(!Observer<int>);

}  // namespace

TEST_CASE("notify reports kind, actor, subject and value") {
    last_event observer;
    notify<checked_host_machine>(observer, event_kind::mapped, 7, 4096, 3);
    CHECK(observer.count == 1);
    CHECK(observer.last.kind == event_kind::mapped);
    CHECK(observer.last.actor == 7);
    CHECK(observer.last.subject == 4096);
    CHECK(observer.last.value == 3);
}

TEST_CASE("notify stamps events with the machine's clock, which never runs backwards") {
    last_event observer;
    notify<checked_host_machine>(observer, event_kind::user_mark, 0);
    auto const first = observer.last.time_ns;
    CHECK(first != 0);
    notify<checked_host_machine>(observer, event_kind::user_mark, 0);
    CHECK(observer.last.time_ns >= first);
}

TEST_CASE("notify does not call an observer that does not listen") {
    deaf observer;
    notify<checked_host_machine>(observer, event_kind::user_mark, 0);
    CHECK(observer.count == 0);
}

TEST_CASE("notify works in constant evaluation") {
    constexpr auto seen = [] {
        last_event observer;
        notify<constexpr_machine>(observer, event_kind::retired, 1, 2, 3);
        return observer.last;
    }();
    STATIC_REQUIRE(seen == event{event_kind::retired, 1, 0, 2, 3});
}

TEST_CASE("every kind of event has a name of its own") {
    std::set<std::string_view> names;
    for (std::size_t kind = 0; kind < event_kinds; ++kind) {
        names.insert(event_name(static_cast<event_kind>(kind)));
    }
    CHECK(names.size() == event_kinds);
    CHECK(names.count("?") == 0);
    CHECK(event_name(event_kind::lock_wait) == "lock_wait");
    CHECK(event_name(event_kind::fault_retry) == "fault_retry");
    CHECK(event_name(event_kind::user_mark) == "user_mark");
}

TEST_CASE("a number that is no kind of event is named ?") {
    CHECK(event_name(static_cast<event_kind>(event_kinds)) == "?");
    CHECK(event_name(static_cast<event_kind>(255)) == "?");
}
