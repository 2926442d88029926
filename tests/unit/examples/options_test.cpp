// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/options.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

using namespace stall;
using namespace std::chrono_literals;

namespace {

parsed_options parse(std::initializer_list<char const*> arguments) {
    std::vector<char const*> const copy{arguments};
    return parse_options(copy);
}

options accepted(std::initializer_list<char const*> arguments) {
    auto const out = parse(arguments);
    CHECK(out.error == "");
    return out.wanted;
}

std::string refused(std::initializer_list<char const*> arguments) {
    auto const out = parse(arguments);
    CHECK(out.error != "");
    return out.error;
}

}  // namespace

TEST_CASE("options: defaults") {
    auto const wanted = accepted({});
    CHECK_FALSE(wanted.pid);
    CHECK(wanted.maps.empty());
    CHECK(wanted.delay == 20ms);
    CHECK(wanted.callers == 2);
    CHECK(wanted.trace.empty());
    CHECK(wanted.json.empty());
    CHECK_FALSE(wanted.help);
}

TEST_CASE("options: every option, in both spellings") {
    auto const wanted = accepted({"--pid", "12", "--delay-ms=50", "--callers", "3", "--rounds=7",
                                  "--trace", "t.json", "--json=j.json"});
    CHECK(wanted.pid == 12);
    CHECK(wanted.delay == 50ms);
    CHECK(wanted.callers == 3);
    CHECK(wanted.rounds == 7);
    CHECK(wanted.trace == "t.json");
    CHECK(wanted.json == "j.json");
    CHECK(accepted({"--maps", "a b=c"}).maps == "a b=c");
    CHECK(accepted({"--maps=a=b"}).maps == "a=b");
    CHECK(accepted({"--help"}).help);
    CHECK(accepted({"-h"}).help);
}

TEST_CASE("options: the last of two wins") {
    CHECK(accepted({"--delay-ms", "1", "--delay-ms", "2"}).delay == 2ms);
}

TEST_CASE("options: a bad number is refused with its range and the text") {
    CHECK(refused({"--delay-ms", "0"}) == "--delay-ms wants a number from 1 to 10000, not '0'");
    for (auto const* bad :
         {"", "x", "-1", "1x", "1.5", " 1", "0x10", "10001", "99999999999999999999999"}) {
        CHECK(parse({"--delay-ms", bad}).error.find("--delay-ms") == 0);
    }
    CHECK(refused({"--pid", "0"}).find("'0'") != std::string::npos);
    CHECK(refused({"--pid", "2147483648"}).find("2147483647") != std::string::npos);
    CHECK(refused({"--callers", "17"}).find("from 1 to 16") != std::string::npos);
    CHECK(refused({"--rounds", "-3"}).find("from 1 to 1000") != std::string::npos);
}

TEST_CASE("options: extremes are accepted") {
    CHECK(accepted({"--pid", "2147483647"}).pid == 2'147'483'647);
    CHECK(accepted({"--delay-ms", "10000"}).delay == 10'000ms);
    CHECK(accepted({"--callers", "16"}).callers == 16);
}

TEST_CASE("options: a missing value is refused") {
    CHECK(refused({"--trace"}) == "--trace needs a value");
    CHECK(refused({"--json="}) == "--json needs a value");
    CHECK(refused({"--pid"}) == "--pid needs a value");
}

TEST_CASE("options: an unknown option is refused by name") {
    CHECK(refused({"--dealy-ms", "3"}) == "unknown option '--dealy-ms'");
    CHECK(refused({"maps"}) == "unknown option 'maps'");
    CHECK(refused({""}) == "unknown option ''");
}

TEST_CASE("options: a value for an option that takes none is refused") {
    CHECK(refused({"--help=yes"}) == "--help takes no value");
}

TEST_CASE("options: pid and maps exclude each other") {
    CHECK(refused({"--pid", "1", "--maps", "x"}) == "--pid and --maps exclude each other");
}

TEST_CASE("options: the help text names every option") {
    for (auto const* name : {"--pid", "--maps", "--delay-ms", "--callers", "--rounds", "--trace",
                             "--json", "--help"}) {
        CHECK(help_text.find(name) != std::string_view::npos);
    }
}
