// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/laws/law_report.hpp>

#include <string_view>

using namespace mmhold;

namespace {

constexpr law_report kept{"kept", nullptr};
constexpr law_report broken{"broken", "here is how"};
constexpr law_report worse{"worse", "and here"};

}  // namespace

TEST_CASE("a report without a failure says that the law holds") {
    STATIC_REQUIRE(kept.holds());
    STATIC_REQUIRE(static_cast<bool>(kept));
    STATIC_REQUIRE_FALSE(broken.holds());
    STATIC_REQUIRE_FALSE(static_cast<bool>(broken));
}

TEST_CASE("the first false observation becomes the report") {
    law_check law{"some law"};
    CHECK(law.require(true, "not this"));
    CHECK_FALSE(law.require(false, "this"));
    CHECK_FALSE(law.require(false, "not this either"));
    auto const report = law.report();
    CHECK(std::string_view{report.law} == "some law");
    REQUIRE(report.failure != nullptr);
    CHECK(std::string_view{report.failure} == "this");
}

TEST_CASE("of several reports the first broken one counts") {
    STATIC_REQUIRE(first_broken(kept).holds());
    STATIC_REQUIRE(first_broken(kept, kept, kept).holds());
    STATIC_REQUIRE(std::string_view{first_broken(kept, broken, worse).law} == "broken");
    STATIC_REQUIRE(std::string_view{first_broken(broken, kept).law} == "broken");
    STATIC_REQUIRE(std::string_view{first_broken(kept, worse).failure} == "and here");
}
