// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/plan.hpp>

#include <set>
#include <string>

using namespace mmhold;

TEST_CASE("plan: by default every execution under x86-TSO, told as a story", "[explore]") {
    plan const p;
    CHECK(p.memory == memory_model::tso);
    CHECK(p.search == search_kind::all);
    CHECK(p.on_finding == after_finding::stop);
    CHECK(p.story == story_kind::told);
    CHECK(p.sites.empty());
    CHECK(p.replay.empty());
}

TEST_CASE("plan: every kind of finding has a name of its own", "[explore]") {
    std::set<std::string> names;
    int kinds = 0;
    for (auto kind = finding_kind::none; to_string(kind) != "?";
         kind = static_cast<finding_kind>(static_cast<int>(kind) + 1)) {
        names.insert(std::string{to_string(kind)});
        ++kinds;
    }
    CHECK(kinds > static_cast<int>(finding_kind::hidden_state));
    CHECK(names.size() == static_cast<std::size_t>(kinds));
}

TEST_CASE("plan: models and weakenings are called what the command line calls them", "[explore]") {
    CHECK(to_string(memory_model::sc) == "sc");
    CHECK(to_string(memory_model::tso) == "tso");
    CHECK(to_string(memory_model::stale) == "stale");
    CHECK(to_string(weakening::off) == "off");
    CHECK(to_string(weakening::to_acquire) == "acquire");
    CHECK(to_string(weakening::to_release) == "release");
    CHECK(to_string(weakening::to_acq_rel) == "acq_rel");
}

TEST_CASE("verdict: complete means searched to the end and nothing wrong", "[explore]") {
    verdict v;
    CHECK_FALSE(v.complete());
    CHECK_FALSE(v.found());
    v.exhausted = true;
    CHECK(v.complete());
    v.cut = true;
    CHECK(v.complete());  // up to plan::retries; who says so must say that
    v.first.kind = finding_kind::leak;
    CHECK_FALSE(v.complete());
    CHECK(v.found());
    CHECK(v.found(finding_kind::leak));
    CHECK_FALSE(v.found(finding_kind::data_race));
}
