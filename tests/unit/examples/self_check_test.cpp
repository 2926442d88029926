// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/self_check.hpp"

#include "support/catch.hpp"

#include <chrono>

using namespace stall;
using namespace std::chrono_literals;
using mmhold::errc;

namespace {

constexpr duration delay = 20ms;

row with_waits(lesson shown, duration longest) {
    row out;
    out.name = "a row";
    out.shows = shown;
    out.pages_wanted = out.pages_held = 8;
    out.reader = out.writer = {100, 1us, longest, longest};
    return out;
}

row refused_row() {
    auto out = with_waits(lesson::refused, 1us);
    out.pages_held = 0;
    out.error = errc::bad_address;
    out.longest_call = 3us;
    return out;
}

std::size_t failures(row const& checked) { return failures_of(checked, delay).size(); }

}  // namespace

TEST_CASE("self-check: where pages flow, waits stay below a tenth of the delay") {
    CHECK(failures(with_waits(lesson::flows, 1'999'999ns)) == 0);
    CHECK(failures(with_waits(lesson::flows, 2ms)) == 2);
    auto only_writer = with_waits(lesson::flows, 1us);
    only_writer.writer.max = 3ms;
    auto const text = failures_of(only_writer, delay);
    REQUIRE(text.size() == 1);
    CHECK(text.front() == "a row: the writer waited 3.000 ms, the limit is 2.000 ms");
}

TEST_CASE("self-check: where the lock is kept, readers and writers wait for the whole delay") {
    CHECK(failures(with_waits(lesson::stalls, 20ms)) == 0);
    CHECK(failures(with_waits(lesson::stalls, 19'999us)) == 2);
}

TEST_CASE("self-check: a refusal is EFAULT, at once, without a page") {
    CHECK(failures(refused_row()) == 0);
    auto slow = refused_row();
    slow.longest_call = 2ms;
    CHECK(failures(slow) == 1);
    auto other = refused_row();
    other.error = errc::no_memory;
    CHECK(failures(other) == 1);
    auto successful = refused_row();
    successful.error = errc::ok;
    successful.pages_held = 1;
    CHECK(failures(successful) == 1);
}

TEST_CASE("self-check: all pages must have come, without an error") {
    auto fewer = with_waits(lesson::flows, 1us);
    fewer.pages_held = 7;
    CHECK(failures(fewer) == 1);
    auto failed = with_waits(lesson::stalls, 30ms);
    failed.error = errc::interrupted;
    CHECK(failures(failed) == 1);
}

TEST_CASE("self-check: lost events and missing samples make a row worthless") {
    auto lossy = with_waits(lesson::flows, 1us);
    lossy.lost_events = 1;
    CHECK(failures(lossy) == 1);
    auto silent = with_waits(lesson::flows, 1us);
    silent.reader.count = 0;
    CHECK(failures(silent) == 1);
}

TEST_CASE("self-check: a torn layout or a failed writer makes a row worthless") {
    auto torn = with_waits(lesson::flows, 1us);
    torn.torn_walks = 1;
    CHECK(failures(torn) == 1);
    auto failed = with_waits(lesson::flows, 1us);
    failed.writer_error = errc::no_memory;
    auto const text = failures_of(failed, delay);
    REQUIRE(text.size() == 1);
    CHECK(text.front() == "a row: the writer failed: ENOMEM");
}

TEST_CASE("self-check: says what it has checked") {
    auto const text = passed_text(delay);
    CHECK(text.find("self-check: passed (waits below 2.000 ms where pages flow, of 20.000 ms") ==
          0);
    CHECK(text.find("refusals within 2.000 ms)\n") != std::string::npos);
}

TEST_CASE("self-check: the computer stalled if an idle thread was half the limit late") {
    row late;
    late.host_stall = 999us;
    CHECK_FALSE(host_stalled(late, delay));
    late.host_stall = 1ms;
    CHECK(host_stalled(late, delay));
}
