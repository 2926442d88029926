// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/story_page.hpp>

using namespace mmhold;
using namespace mmhold::detail;

TEST_CASE("page_text: markup becomes letters, control characters nothing", "[explore]") {
    CHECK(page_text("a<b>&\"c\"\x01\x1b") == "a&lt;b&gt;&amp;&quot;c&quot;");
}

TEST_CASE("page_writer: one row per search, one section per finding", "[explore]") {
    told_run f;
    f.record.scenario = "walk";
    f.record.outcome.actors = 2;
    f.record.outcome.first.kind = finding_kind::data_race;
    f.record.outcome.first.headline = "T1 reads data";
    f.record.outcome.first.token = "01";
    f.lines.add({0, 0, "write data"});
    f.lines.mark_last();
    auto const page = page_writer{}.page("Title", {f.record}, {f});
    CHECK(page.find("<title>Title</title>") != std::string::npos);
    CHECK(page.find("<h2>walk: data race</h2>") != std::string::npos);
    CHECK(page.find("<tr class=\"mark\">") != std::string::npos);
    CHECK(page.find("replay: 01") != std::string::npos);
    CHECK(page.find("T1 reads data") != std::string::npos);
    CHECK(page_writer{}.page("Title", {}, {}).find("<h2>") == std::string::npos);
}
