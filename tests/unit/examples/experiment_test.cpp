// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/experiment.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <vector>

using namespace stall;
using namespace std::chrono_literals;
using mmhold::errc;

// What the rows hold, without their times: those are judged where the program runs alone.

namespace {

constexpr std::string_view layout_text =
    "555555554000-555555556000 r-xp 00001000 fe:01 42         /usr/bin/x\n"
    "555555577000-555555598000 rw-p 00000000 00:00 0          [heap]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n";

row ran(way const& how, std::vector<maps_region> const& regions) {
    plan const of{regions, 1ms, 2, 2};
    experiment one{of, how};
    REQUIRE(one.error().empty());
    std::FILE* const nowhere = std::tmpfile();
    REQUIRE(nowhere != nullptr);
    {
        progress silent{nowhere};
        one.run(silent);
    }
    std::fclose(nowhere);
    return one.result();
}

row ran(std::string_view name, std::string_view text = layout_text) {
    auto const how = std::ranges::find(ways, name, &way::name);
    REQUIRE(how != std::end(ways));
    auto const out = ran(*how, parse_maps(text).regions);
    CHECK(out.lost_events == 0);
    CHECK(out.torn_walks == 0);
    CHECK(out.writer_error == errc::ok);
    CHECK(out.pages_wanted == 16);
    CHECK(out.reader.count != 0);
    CHECK(out.writer.count != 0);
    CHECK(out.longest_hold > 0ns);
    return out;
}

}  // namespace

TEST_CASE("experiment: a handler that waits holds the lock for several pages' time") {
    auto const out = ran("blocking handler under gup");
    CHECK(out.error == errc::ok);
    CHECK(out.pages_held == 16);
    CHECK(out.lock_drops == 0);
    CHECK(out.longest_hold >= 4ms);
    CHECK(out.longest_call >= out.longest_hold / 2);
}

TEST_CASE("experiment: gup without permission is refused, and holds nothing") {
    auto const out = ran("gup without permission to drop");
    CHECK(out.error == errc::bad_address);
    CHECK(out.pages_held == 0);
    CHECK(out.retries == 0);
}

TEST_CASE("experiment: with permission every page comes after one drop and one retry") {
    for (auto const* name : {"gup_locked", "gup_unlocked", "gup_fast falling back"}) {
        INFO(name);
        auto const out = ran(name);
        CHECK(out.error == errc::ok);
        CHECK(out.pages_held == 16);
        CHECK(out.retries == 16);
        CHECK(out.lock_drops == 16);
        CHECK(out.longest_call >= 4ms);
    }
}

TEST_CASE("experiment: present pages need no lock and no pager") {
    auto const out = ran("gup_fast on present pages");
    CHECK(out.error == errc::ok);
    CHECK(out.pages_held == 16);
    CHECK(out.retries == 0);
    CHECK(out.lock_drops == 0);
}

TEST_CASE("experiment: a layout without a part for the pager gets one") {
    auto const out = ran("gup_unlocked", "10000-20000 r--p 00000000 00:00 0\n");
    CHECK(out.pages_held == 16);
}

TEST_CASE("experiment: the log begins with the measurement") {
    auto const regions = parse_maps(layout_text).regions;
    plan const of{regions, 1ms, 1, 1};
    experiment one{of, ways[4]};
    progress silent;
    one.run(silent);
    auto const log = one.events();
    REQUIRE_FALSE(log.empty());
    CHECK(log.front().kind == mmhold::event_kind::user_begin);
    CHECK(std::ranges::none_of(
        log, [](mmhold::event const& what) { return what.actor == mmhold::unattributed; }));
}

TEST_CASE("experiment: where no place is left for the pager, it says so") {
    auto const regions = parse_maps("0-fffffffffff000 r--p 00000000 00:00 0\n").regions;
    plan const of{regions, 1ms, 1, 1};
    experiment one{of, ways[0]};
    CHECK(one.error().find("mapping memory for the pager: ENOMEM") == 0);
}

TEST_CASE("world: the actors are numbered by their roles") {
    world const in{{1, 16, 64, 3}};
    REQUIRE(in.valid());
    for (std::uint32_t role = 0; role < in.cpus.size(); ++role) CHECK(in.cpus[role].id() == role);
    CHECK(in.cpus.size() == role::first_caller + 3);
    CHECK(role_name(role::first_caller + 2) == "caller 3");
}

TEST_CASE("pages can be told apart by their contents") {
    std::array<std::byte, mmhold::page_size> bytes{};
    auto const pages = *mmhold::page_span::from({0x7000}, mmhold::page_count{2});
    contents_of{pages}(1, bytes);
    CHECK(is_page({0x8000}, bytes));
    CHECK_FALSE(is_page({0x7000}, bytes));
}
