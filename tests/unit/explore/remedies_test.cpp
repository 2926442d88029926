// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>
#include <mmhold/explore/remedies.hpp>

using namespace mmhold;
using namespace mmhold::detail;

namespace {

using M = model_machine;

/// Message passing with a relaxed flag.
struct passed_relaxed {
    static constexpr int actors = 2;
    M::atomic<int> data{0};
    M::atomic<int> flag{0};
    void actor(int who) {
        if (who == 0) {
            data.store(1, relaxed);
            flag.store(1, relaxed);
        } else if (flag.load(acquire("test.remedy_look")) == 1) {
            M::expect(data.load(relaxed) == 1, "the data is there");
        }
    }
};

}  // namespace

TEST_CASE("searched: says whether it found something, and whether that was all", "[explore]") {
    auto const f = functions_of<passed_relaxed>();
    auto const strong = searched(f, {.memory = memory_model::tso}, {}, 1000);
    CHECK(!strong.found);
    CHECK(strong.exhausted);
    auto const weak = searched(f, {.memory = memory_model::stale}, {}, 1000);
    CHECK(weak.found);
    CHECK(!searched(f, {.memory = memory_model::tso}, {}, 1).exhausted);
}

TEST_CASE("remark_on: under stale reads the order that is missing is named", "[explore]") {
    auto const v = explore<passed_relaxed>({.memory = memory_model::stale});
    REQUIRE(v.found(finding_kind::expectation));
    INFO(v.first.story);
    CHECK(v.first.story.find("goes away with release for the store at remedies_test.cpp:") !=
          std::string::npos);
    CHECK(v.first.story.find("goes away with acquire") == std::string::npos);
}
