// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/report.hpp>

#include <source_location>
#include <string>
#include <utility>

using namespace mmhold::detail;

TEST_CASE("token: choices become text and come back", "[explore]") {
    std::vector<choice> const made{{0, 0}, {buffer_of(2), 0}, {1, 12}, {7, 3}};
    auto const text = to_token(made);
    CHECK(text == "0c1'C7'3");
    auto const again = from_token(text);
    REQUIRE(again.size() == made.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        CHECK(again[i].who == made[i].who);
        CHECK(again[i].back == made[i].back);
    }
    CHECK(switches(made) == 2);
}

namespace {

story_line told_step(int number, int actor, std::string text, char const* site = "",
                story_line::access what = story_line::access::load) {
    story_line line;
    line.step = number;
    line.column = actor;
    line.text = std::move(text);
    line.site = site;
    line.what = what;
    return line;
}
/// A read of a plain field: no step, but a place.
story_line plain_read() {
    story_line line;
    line.column = 0;
    line.text = "read field";
    line.where = std::source_location::current();
    return line;
}
bool has(std::string const& text, std::string const& piece) {
    return text.find(piece) != std::string::npos;
}

}  // namespace

TEST_CASE("story: a short one tells everything but repetitions", "[explore]") {
    story short_one;
    short_one.add(told_step(0, 0, "load word = 0"));
    short_one.add(plain_read());
    short_one.add(told_step(1, 1, "load word = 0"));
    short_one.add(told_step(2, 1, "load word = 0"));
    short_one.add(told_step(3, 0, "load word = 1"));
    auto const text = columns_of(short_one, 2);
    CHECK(has(text, "read field"));
    CHECK(has(text, "... 1 lines like that"));
    CHECK_FALSE(has(text, "left out"));
}

TEST_CASE("story: a very long one keeps named changes and what is marked", "[explore]") {
    story long_one;
    for (int i = 0; i < 300; ++i) {
        long_one.add(told_step(i, i % 2, "load word" + std::to_string(i) + " = 0"));
        long_one.add(plain_read());
        if (i == 150) {
            using enum story_line::access;
            long_one.add(told_step(i, 0, "store hidden = 1", "", store));
            long_one.add(told_step(i, 0, "load read = 1", "a.load", load));
            long_one.add(told_step(i, 0, "store flag = 1", "a.store", store));
            long_one.add(told_step(i, 0, "add count: 0 -> 1", "an.update", update));
        }
    }
    long_one.mark_step(100);
    auto const text = columns_of(long_one, 2);
    CHECK(has(text, "load word0 = 0"));
    CHECK(has(text, "load word299 = 0"));
    CHECK(has(text, "load word100 = 0"));
    CHECK_FALSE(has(text, "load word99 = 0"));
    CHECK_FALSE(has(text, "store hidden = 1"));
    CHECK_FALSE(has(text, "load read = 1"));
    CHECK(has(text, "store flag = 1"));
    CHECK(has(text, "add count: 0 -> 1"));
    CHECK_FALSE(has(text, "read field"));
    CHECK(has(text, "300 reads and writes of plain fields are left out"));
}
