// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/operation.hpp>
#include <mmhold/explore/story.hpp>

using namespace mmhold::detail;

namespace {

story_line did(process actor, std::string text, std::int16_t tick, int step = -1) {
    story_line line{step, actor, std::move(text)};
    line.moment = epoch(actor, tick);
    return line;
}

}  // namespace

TEST_CASE("story: of two steps that clash the earlier is the one that names the thing",
          "[explore]") {
    story s;
    s.add(did(0, "write field", 1));
    s.add(did(0, "store flag = 1", 1, 0));
    s.add(did(1, "read field", 1));
    s.mark_last();
    s.mark(epoch(0, 1), "field");
    CHECK(s.lines()[0].marked == story_line::mark::first);
    CHECK(s.lines()[1].marked == story_line::mark::no);
    CHECK(s.lines()[2].marked == story_line::mark::second);
    s.mark(epoch(0, 1), "nowhere");  // the last of that moment
    CHECK(s.lines()[1].marked == story_line::mark::first);
}

TEST_CASE("story: a loop is told by what it repeats", "[explore]") {
    story s;
    CHECK(s.loop_in_words().empty());
    for (int i = 0; i < 20; ++i) s.add(did(1, "load flag = 0", 1, i));
    CHECK(s.loop_in_words() == "T1 repeats load flag = 0");
}

TEST_CASE("story: what sits in a buffer at the end says since when", "[explore]") {
    story s;
    s.still_buffered(0, "hp0", "&n0", 1);
    REQUIRE(s.remaining().size() == 1);
    CHECK(s.remaining()[0] == "T0 still holds: hp0 = &n0 (stored at step 1)");
}
