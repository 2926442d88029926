// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/page_reads.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/together.hpp"

using namespace mmhold;
using machine = checked_host_machine;
using reads_type = page_reads<machine>;

namespace {

auto const not_there = [] { return false; };
auto const there = [] { return true; };

}  // namespace

TEST_CASE("what has arrived is not asked for", "[fault][page_reads]") {
    reads_type reads;
    task<machine> sleeper;
    auto place = reads.ask(sleeper, 1, 5, there);
    REQUIRE(place.has_value());
    CHECK(place->ticket().ready());
    CHECK(place->error() == errc::ok);
    CHECK_FALSE(reads.try_next().has_value());
    CHECK(reads.started() == 0);
}

TEST_CASE("two ask for one page: one read, both are woken", "[fault][page_reads]") {
    reads_type reads;
    task<machine> first, second;
    auto one = reads.ask(first, 1, 5, not_there);
    auto two = reads.ask(second, 1, 5, not_there);
    REQUIRE((one.has_value() && two.has_value()));
    CHECK(reads.outstanding() == 1);
    auto const read = reads.try_next();
    REQUIRE(read.has_value());
    CHECK(*read == page_request{1, 5, 1});
    CHECK_FALSE(reads.try_next().has_value());
    // A third comes while it is being read.
    task<machine> third;
    auto three = reads.ask(third, 1, 5, not_there);
    CHECK(reads.started() == 1);
    CHECK_FALSE(one->ticket().ready());
    CHECK(reads.in_progress(*read));
    CHECK(reads.finish(*read, errc::ok));
    CHECK(one->ticket().ready());
    CHECK(two->ticket().ready());
    CHECK(three->ticket().ready());
    CHECK(one->error() == errc::ok);
    CHECK(reads.outstanding() == 0);
    CHECK_FALSE(reads.in_progress(*read));
    CHECK_FALSE(reads.finish(*read, errc::ok));
}

TEST_CASE("reads are taken in order, and can fail", "[fault][page_reads]") {
    reads_type reads;
    task<machine> sleeper;
    auto one = reads.ask(sleeper, 0, 9, not_there);
    auto two = reads.ask(sleeper, 0, 3, not_there);
    auto const first = reads.try_next();
    CHECK(first->page == 9);
    CHECK(reads.finish(*first, errc::hardware_poison));
    CHECK(one->error() == errc::hardware_poison);
    CHECK_FALSE(two->ticket().ready());
    CHECK(reads.try_next()->page == 3);
}

TEST_CASE("a read goes on without those who wait for it", "[fault][page_reads]") {
    reads_type reads;
    task<machine> sleeper;
    {
        auto place = reads.ask(sleeper, 0, 1, not_there);
        REQUIRE(place.has_value());
    }
    auto const read = reads.try_next();
    REQUIRE(read.has_value());
    CHECK(reads.finish(*read, errc::ok));
}

TEST_CASE("closing: everything fails, now and later", "[fault][page_reads]") {
    reads_type reads;
    task<machine> sleeper, server;
    auto fresh = reads.ask(sleeper, 0, 1, not_there);
    auto const taken = reads.try_next();
    auto waiting = reads.ask(sleeper, 0, 2, not_there);
    reads.close();
    CHECK(fresh->error() == errc::bad_address);
    CHECK(waiting->ticket().ready());
    CHECK_FALSE(reads.finish(*taken, errc::ok));
    CHECK(reads.ask(sleeper, 0, 3, not_there).error() == errc::bad_address);
    CHECK(reads.next(server, wait_mode::killable).error() == errc::invalid_argument);
}

TEST_CASE("a server sleeps until somebody asks, or a signal comes", "[fault][page_reads]") {
    reads_type reads;
    task<machine> sleeper, server;
    std::uint64_t wanted = 0;
    mmhold_test::in_threads(
        [&] {
            auto const read = reads.next(server, wait_mode::killable);
            if (!read) return;
            wanted = read->page;
            (void)reads.finish(*read, errc::ok);
        },
        [&] {
            auto place = reads.ask(sleeper, 0, 7, not_there);
            place->ticket().wait(wait_mode::uninterruptible);
        });
    CHECK(wanted == 7);
    server.kill();
    CHECK(reads.next(server, wait_mode::killable).error() == errc::interrupted);
}
