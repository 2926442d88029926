// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/story_trace.hpp>

using namespace mmhold::detail;

TEST_CASE("trace_of: a buffered store and its drain are joined by an arrow", "[explore]") {
    story s;
    s.add({0, 1, "store x = 1 (buffered)"});
    s.add({1, 1, "load y = 0"});
    s.drained(2, 1, "x", "1");
    auto const text = trace_of("two", s, 2);
    CHECK(text.find("\"ph\":\"s\",\"name\":\"store buffer\",\"pid\":1,\"tid\":2") !=
          std::string::npos);
    CHECK(text.find("\"ph\":\"f\",\"name\":\"store buffer\",\"pid\":1,\"tid\":3") !=
          std::string::npos);
    CHECK(text.find("\"name\":\"load y = 0\"") != std::string::npos);
    CHECK(text.find("\"name\":\"two\"") != std::string::npos);
}

TEST_CASE("trace_of: the steps that clash are said so", "[explore]") {
    story s;
    s.add({0, 0, "write x"});
    s.mark_last();
    CHECK(trace_of("one", s, 1).find("\"clash\":\"second\"") != std::string::npos);
}
