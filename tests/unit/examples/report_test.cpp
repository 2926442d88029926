// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/report.hpp"

#include "support/catch.hpp"

#include <array>
#include <chrono>
#include <string>

using namespace stall;
using namespace std::chrono_literals;

namespace {

row sample_row() {
    row out;
    out.name = "gup without permission to drop";
    out.shows = lesson::refused;
    out.pages_held = 12;
    out.error = mmhold::errc::bad_address;
    out.longest_hold = 12'345us;
    out.longest_call = 2us;
    out.reader = {10, 1us, 2us, 234'567us};
    out.writer = {20, 3us, 4us, 5us};
    out.retries = 7;
    out.lock_drops = 6;
    return out;
}

}  // namespace

TEST_CASE("table: head and lines are equally long and say everything") {
    auto const head = table_head();
    auto const first = head.substr(0, head.find('\n') + 1);
    auto const second = head.substr(first.size());
    auto const line = table_line(sample_row());
    CHECK(line.size() == first.size());
    CHECK(line.size() == second.size());
    CHECK(line ==
          "gup without permission to drop    12 EFAULT   12.345    10  0.001   0.002 234.567"
          "    20  0.003   0.004   0.005       7     6\n");
    CHECK(table_line(row{}).find("  -  ") != std::string::npos);
}

TEST_CASE("table: every column has its heading right above") {
    auto const head = table_head();
    auto const second = head.substr(head.find('\n') + 1);
    auto const line = table_line(sample_row());
    auto const ends_at = [](std::string const& in, std::string const& word) {
        return in.find(word) + word.size();
    };
    CHECK(ends_at(second, "error") == ends_at(line, "EFAULT"));
    CHECK(ends_at(second, "hold ms") == ends_at(line, "12.345"));
    CHECK(ends_at(second, "max") == ends_at(line, "234.567"));
    CHECK(ends_at(second, "retries") == ends_at(line, "       7"));
}

TEST_CASE("table: a number too wide for its column pushes the rest, nothing is cut") {
    auto wide = sample_row();
    wide.pages_held = 123'456'789;
    wide.reader.max = 1234567us;
    CHECK(table_line(wide).find("drop 123456789 ") != std::string::npos);
    CHECK(table_line(wide).find(" 0.002 1234.567 ") != std::string::npos);
}

TEST_CASE("text is wrapped at blanks and nowhere else") {
    CHECK(wrapped("", 5).empty());
    CHECK(wrapped("one two", 7) == "one two");
    CHECK(wrapped("one two three", 7) == "one two\nthree");
    CHECK(wrapped("one two three", 6) == "one\ntwo\nthree");
    CHECK(wrapped("unbreakable", 4) == "unbreakable");
}

TEST_CASE("the computer's own stalls are reported, and which rows were repeated for them") {
    std::array rows{sample_row(), sample_row()};
    rows[1].name = "gup_locked";
    rows[1].host_stall = 4'762us;
    CHECK(host_text(rows).find("up to 4.762 ms late") != std::string::npos);
    CHECK(host_text(rows).find("gup_locked") == std::string::npos);
    rows[1].attempts = 3;
    CHECK(host_text(rows).find("gup_locked was measured 3 times") != std::string::npos);
    CHECK(again(rows[1]).find("gup_locked: measured again") == 0);
}

TEST_CASE("milliseconds are printed to the microsecond") {
    CHECK(milliseconds(0ns) == "0.000");
    CHECK(milliseconds(20ms) == "20.000");
    CHECK(milliseconds(1'234'567ns) == "1.235");
}

TEST_CASE("conclusion: names the worst waits of either kind") {
    std::array<row, 3> rows{};
    rows[0].shows = lesson::stalls;
    rows[0].writer.max = 41ms;
    rows[1].shows = lesson::flows;
    rows[1].reader.max = 35us;
    rows[2] = sample_row();
    auto const text = conclusion(rows, 20ms);
    CHECK(text.find("took 20.000 ms") != std::string::npos);
    CHECK(text.find("up to 41.000 ms where the fault kept the lock") != std::string::npos);
    CHECK(text.find("up to 0.035 ms where it could give") != std::string::npos);
    CHECK(text.find("within 0.002 ms") != std::string::npos);
}

TEST_CASE("json: carries the rows in nanoseconds and the verdict") {
    std::array const rows{sample_row()};
    std::array<std::string, 1> const failures{"because \"so\""};
    report out;
    out.layout = "/proc/1/maps";
    out.mappings = 3;
    out.delay = 20ms;
    out.callers = 2;
    out.rounds = 4;
    out.rows = rows;
    auto text = to_json(out);
    CHECK(text.find(R"({"layout":"/proc/1/maps","mappings":3,"delay_ns":20000000,"callers":2,)") ==
          0);
    CHECK(text.find(R"("error":"EFAULT")") != std::string::npos);
    CHECK(text.find(R"("reader_waits_ns":{"count":10,"p50":1000,"p99":2000,"max":234567000})") !=
          std::string::npos);
    CHECK(text.find(R"("failures":[],"passed":true})") != std::string::npos);
    out.failures = failures;
    text = to_json(out);
    CHECK(text.find(R"("failures":["because \"so\""],"passed":false})") != std::string::npos);
    CHECK(text.back() == '\n');
}
