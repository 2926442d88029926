// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/read_wait.hpp>

#include "unit/fault/file_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::fault_flag;
using mm::fault_kind;

namespace {

/// A page of a file on a disk, for which a fault waits.
struct waiting : disk_file_world {
    int asked{0};

    std::optional<fault_outcome> wait(mm::fault_flags how, authority& by) {
        return mm::wait_for_read<counting_machine>(how, by, [&] {
            ++asked;
            return object.ask(me.current(), 2);
        });
    }
};

}  // namespace

TEST_CASE("2.1: who must not wait asks for nothing", "[fault][read_wait]") {
    waiting world;
    auto held = world.hold();
    auto may = authority::may_drop(mm::may_drop(held));
    auto const done = world.wait(flags::retry | fault_flag::retry_nowait, may);
    REQUIRE(done.has_value());
    CHECK(done->kind() == fault_kind::retry_lock_kept);
    CHECK(world.asked == 0);
}

TEST_CASE("2.1: the first try gives the lock up, and its ticket is ready when the page is",
          "[fault][read_wait]") {
    waiting world;
    auto held = world.hold();
    auto may = authority::may_drop(mm::may_drop(held));
    auto done = world.wait(flags::retry, may);
    REQUIRE(done.has_value());
    CHECK(done->kind() == fault_kind::retry_lock_dropped);
    auto const ticket = done->take_ticket();
    CHECK_FALSE(ticket.ready());
    CHECK(world.serve() == 2U);
    CHECK(ticket.ready());
}

TEST_CASE("2.1: what has come meanwhile, or cannot come", "[fault][read_wait]") {
    waiting world;
    world.preload(2);
    auto held = world.hold();
    auto keep = authority::keep(held);
    SECTION("a later try goes on with the lock held") {
        CHECK_FALSE(world.wait(flags::retry | fault_flag::tried, keep).has_value());
    }
    SECTION("who cannot be asked says why") {
        auto const done = mm::wait_for_read<counting_machine>(flags::read, keep, [] {
            return mm::result<mm::page_reads<counting_machine>::place>{errc::no_memory};
        });
        REQUIRE(done.has_value());
        CHECK(done->error() == errc::no_memory);
    }
}
