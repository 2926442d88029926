// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/json_writer.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>

using namespace mmhold;

namespace {

struct into {
    std::string& text;
    void operator()(std::string_view piece) const { text += piece; }
};

/// What `write(json_writer&)` writes.
template<class F>
std::string json(F write) {
    std::string out;
    json_writer to{into{out}};
    write(to);
    return out;
}

}  // namespace

TEST_CASE("json_writer separates keys, values and elements") {
    CHECK(json([](auto& to) {
              to.begin_object();
              to.key("a");
              to.number(1);
              to.key("b");
              to.begin_array();
              to.number(2);
              to.text("x");
              to.begin_object();
              to.end_object();
              to.end_array();
              to.key("c");
              to.truth(true);
              to.end_object();
          })
          == R"({"a":1,"b":[2,"x",{}],"c":true})");
}

TEST_CASE("json_writer writes empty containers") {
    CHECK(json([](auto& to) {
              to.begin_array();
              to.end_array();
          })
          == "[]");
    CHECK(json([](auto& to) {
              to.begin_array();
              to.begin_array();
              to.end_array();
              to.begin_object();
              to.end_object();
              to.end_array();
          })
          == "[[],{}]");
}

TEST_CASE("json_writer writes numbers at their extremes") {
    CHECK(json([](auto& to) { to.number(0); }) == "0");
    CHECK(json([](auto& to) { to.number(std::numeric_limits<std::uint64_t>::max()); })
          == "18446744073709551615");
    CHECK(json([](auto& to) { to.signed_number(-14); }) == "-14");
    CHECK(json([](auto& to) { to.signed_number(std::numeric_limits<std::int64_t>::min()); })
          == "-9223372036854775808");
    CHECK(json([](auto& to) { to.truth(false); }) == "false");
}

TEST_CASE("json_writer writes nanoseconds as exact microseconds") {
    CHECK(json([](auto& to) { to.microseconds(0); }) == "0.000");
    CHECK(json([](auto& to) { to.microseconds(7); }) == "0.007");
    CHECK(json([](auto& to) { to.microseconds(1'234'560); }) == "1234.560");
}

TEST_CASE("json_writer writes addresses as hexadecimal text") {
    CHECK(json([](auto& to) { to.address(0); }) == R"("0x0")");
    CHECK(json([](auto& to) { to.address(0x7f00'0000'1000); }) == R"("0x7f0000001000")");
    CHECK(json([](auto& to) { to.address(~std::uint64_t{0}); }) == R"("0xffffffffffffffff")");
}

TEST_CASE("json_writer escapes quotes, backslashes and control characters") {
    CHECK(json([](auto& to) { to.text("a\"b\\c\nd\x1f"); }) == R"("a\"b\\c\u000ad\u001f")");
    CHECK(json([](auto& to) { to.text(std::string_view{"\0x", 2}); }) == R"("\u0000x")");
    CHECK(json([](auto& to) { to.text("\""); }) == R"("\"")");
    CHECK(json([](auto& to) { to.text(""); }) == R"("")");
    CHECK(json([](auto& to) { to.text("Grüße"); }) == "\"Grüße\"");
    CHECK(json([](auto& to) { to.text("two ", "parts"); }) == R"("two parts")");
}

TEST_CASE("json_writer breaks lines where it is asked to") {
    CHECK(json([](auto& to) {
              to.begin_array();
              to.new_line();
              to.number(1);
              to.new_line();
              to.number(2);
              to.new_line();
              to.end_array();
          })
          == "[\n1,\n2\n]");
}
