// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/timeline.hpp"

#include "support/catch.hpp"

#include <sstream>
#include <string>
#include <vector>

using namespace stall;
using mmhold::event;
using mmhold::event_kind;

namespace {

std::string written(timeline const& of) {
    std::ostringstream out;
    of.write(out);
    return out.str();
}

bool contains(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

constexpr auto value_of(activity what) { return static_cast<std::uint64_t>(what); }

}  // namespace

TEST_CASE("timeline: every actor has two tracks with its name") {
    timeline of;
    of.add("gup_locked", {{event_kind::gup_begin, role::first_caller + 1, 1000, 0x5000, 4}});
    auto const text = written(of);
    for (auto const* name : {"program", "/proc reader", "writer", "pager", "caller 1", "caller 2",
                             "/proc reader: lock", "caller 2: lock"}) {
        CHECK(contains(text, "\"name\":\"" + std::string{name} + "\""));
    }
    CHECK_FALSE(contains(text, "caller 3"));
}

TEST_CASE("timeline: rows and activities are slices by name, times start at 0") {
    timeline of;
    of.add("gup_fast falling back",
           {{event_kind::user_begin, role::program, 5'000, 0, value_of(activity::measuring)},
            {event_kind::user_begin, role::reader, 6'500, 0, value_of(activity::walking)},
            {event_kind::user_end, role::reader, 7'000, 0, value_of(activity::walking)},
            {event_kind::user_end, role::program, 9'000, 0, value_of(activity::measuring)}});
    auto const text = written(of);
    CHECK(contains(text, R"("ph":"B","name":"gup_fast falling back","pid":1,"tid":1,"ts":0.000)"));
    CHECK(contains(text, R"("ph":"B","name":"walks all mappings","pid":1,"tid":3,"ts":1.500)"));
    CHECK(contains(text, R"("ph":"E","pid":1,"tid":1,"ts":4.000)"));
    CHECK(text.substr(text.size() - 4) == "\n]}\n");
}

TEST_CASE("timeline: nothing measured is still a timeline") {
    auto const text = written(timeline{});
    CHECK(contains(text, "\"traceEvents\":["));
    CHECK(contains(text, "\"name\":\"pager\""));
}
