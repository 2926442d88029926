// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/trace_writer.hpp>

#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/ring_buffer.hpp>

#include <cstdint>
#include <string>

using namespace mmhold;

namespace {

struct into {
    std::string& text;
    void operator()(std::string_view piece) const { text += piece; }
};

constexpr auto shared = static_cast<std::uint64_t>(lock_mode::shared);
constexpr auto exclusive = static_cast<std::uint64_t>(lock_mode::exclusive);

/// The lines of one event, without the heading and the end of the file.
std::string traced(event const& what, std::string_view name = {}) {
    std::string out;
    trace_writer to{into{out}, "p", 1000};
    auto const heading = out.size();
    to.write(what, name);
    return out.substr(heading + 2);  // ",\n"
}

}  // namespace

TEST_CASE("trace_writer writes one JSON object with the process named") {
    std::string out;
    trace_writer to{into{out}, "a \"process\"", 0};
    to.finish();
    CHECK(out
          == "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
             "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":0,"
             "\"args\":{\"name\":\"a \\\"process\\\"\"}}\n"
             "]}");
}

TEST_CASE("trace_writer finishes once, at the latest when it is destroyed") {
    std::string out;
    {
        trace_writer to{into{out}, "p", 0};
        to.finish();
        to.finish();
    }
    auto const finished = out;
    out.clear();
    { trace_writer to{into{out}, "p", 0}; }
    CHECK(out == finished);
}

TEST_CASE("trace_writer gives each actor a track for its work and one for its locks") {
    std::string out;
    trace_writer to{into{out}, "p", 0};
    to.track(0, "pager");
    to.track(3, "reader");
    CHECK(out.find(R"("name":"thread_name","pid":1,"tid":1,"args":{"name":"pager"})") != out.npos);
    CHECK(out.find(R"("tid":2,"args":{"name":"pager: lock"})") != out.npos);
    CHECK(out.find(R"("tid":7,"args":{"name":"reader"})") != out.npos);
    CHECK(out.find(R"("tid":8,"args":{"name":"reader: lock"})") != out.npos);
}

TEST_CASE("trace_writer draws work as nested slices, in microseconds since the origin") {
    CHECK(traced({event_kind::gup_begin, 1, 3500, 0x1000, 3})
          == R"({"ph":"B","name":"gup","pid":1,"tid":3,"ts":2.500,)"
             R"("args":{"subject":"0x1000","value":3}})");
    CHECK(traced({event_kind::gup_end, 1, 4000, 0x1000, static_cast<std::uint64_t>(-14)})
          == R"({"ph":"E","pid":1,"tid":3,"ts":3.000,"args":{"subject":"0x1000","value":-14}})");
    CHECK(traced({event_kind::user_begin, 0, 2000, 0, 0}, "answers a fault")
          == R"({"ph":"B","name":"answers a fault","pid":1,"tid":1,"ts":1.000,)"
             R"("args":{"subject":"0x0","value":0}})");
}

TEST_CASE("trace_writer shows the moment a lock is acquired as the end of the wait") {
    CHECK(traced({event_kind::lock_wait, 1, 2000, 9, shared})
          == R"({"ph":"B","name":"waits","pid":1,"tid":4,"ts":1.000,)"
             R"("args":{"lock":9,"mode":"shared"}})");
    CHECK(traced({event_kind::lock_acquired, 1, 3000, 9, exclusive})
          == "{\"ph\":\"E\",\"pid\":1,\"tid\":4,\"ts\":2.000,\"args\":{}},\n"
             R"({"ph":"B","name":"holds","pid":1,"tid":4,"ts":2.000,)"
             R"("args":{"lock":9,"mode":"exclusive"}})");
    CHECK(traced({event_kind::lock_released, 1, 4000, 9, shared})
          == R"({"ph":"E","pid":1,"tid":4,"ts":3.000,"args":{"lock":9,"mode":"shared"}})");
    CHECK(traced({event_kind::lock_abandoned, 1, 4000, 9, shared})
          == R"({"ph":"E","pid":1,"tid":4,"ts":3.000,"args":{"lock":9,"mode":"shared"}})");
}

TEST_CASE("trace_writer draws instants under the name of their kind or one of the program's") {
    CHECK(traced({event_kind::fault_retry, 0, 1000, 4096, 0})
          == R"({"ph":"i","name":"fault_retry","pid":1,"tid":1,"ts":0.000,"s":"t",)"
             R"("args":{"subject":"0x1000","value":0}})");
    CHECK(traced({event_kind::user_mark, 0, 1000, 1, 2}, "row 1").find(R"("name":"row 1")")
          != std::string::npos);
}

TEST_CASE("trace_writer puts what lies before the origin at 0 and unattributed events on track 0") {
    auto const line = traced({event_kind::freed, unattributed, 999, 0, 0});
    CHECK(line.find(R"("tid":0,"ts":0.000)") != std::string::npos);
}

TEST_CASE("trace_writer has a drawing for every kind of event") {
    for (std::size_t kind = 0; kind < event_kinds; ++kind) {
        auto const line = traced({static_cast<event_kind>(kind), 1, 1, 1, 1});
        CHECK(line.front() == '{');
        CHECK(line.substr(line.size() - 2) == "}}");
    }
}

TEST_CASE("trace_writer draws a ring buffer in constant evaluation") {
    constexpr auto length = [] {
        ring_buffer<constexpr_machine> ring{4};
        notify<constexpr_machine>(ring, event_kind::user_mark, 1);
        std::size_t written = 0;
        trace_writer to{[&written](std::string_view piece) { written += piece.size(); }, "p", 0};
        (void)ring.for_each([&to](event const& what) { to.write(what); });
        to.finish();
        return written;
    }();
    STATIC_REQUIRE(length > 100);
}
