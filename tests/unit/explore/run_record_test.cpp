// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/run_record.hpp>

using namespace mmhold;
using namespace mmhold::detail;

TEST_CASE("run_record: a record is one object, with seconds as a fraction", "[explore]") {
    run_record r;
    r.scenario = "walk\t\"x\"";
    r.outcome.executions = 7;
    r.outcome.seconds = 1.25;
    r.outcome.exhausted = true;
    auto const text = json_of(r);
    CHECK(text.starts_with("{\"scenario\":\"walk\\u0009\\\"x\\\"\",\"mutant\":\"\""));
    CHECK(text.find("\"executions\":7") != std::string::npos);
    CHECK(text.find("\"seconds\":1.250000") != std::string::npos);
    CHECK(text.find("\"complete\":true") != std::string::npos);
    CHECK(json_of(std::vector<run_record>{}) == "[\n]\n");
}

TEST_CASE("write_file: says when it could not", "[explore]") {
    CHECK(!write_file("/nowhere/at/all", "text"));
    CHECK(!can_write("/nowhere/at/all"));
    CHECK(can_write("-"));
    CHECK(can_write(""));
}
