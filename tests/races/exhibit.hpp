// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

#include <string>

namespace mmhold_test {

/// What stands beside an exhibit: how the bug showed itself, and the token that shows it again.
struct exhibit {
    mmhold::memory_model model;
    mmhold::finding_kind kind;
    char const* headline;
    char const* token;
};

/// Plays the token against the scenario with the bug in it. If the parts that it stands on have other
/// steps by now, the token leads elsewhere: the failure says where a new search finds the bug.
template<mmhold::Scenario Bug>
void check_replay(exhibit const& shown) {
    mmhold::plan how;
    how.memory = shown.model;
    how.search = mmhold::search_kind::replay;
    how.replay = shown.token;
    auto const replayed = mmhold::explore<Bug>(how);
    how.search = mmhold::search_kind::all;
    auto const found = mmhold::explore<Bug>(how);
    INFO("a search finds: " << found.first.headline << "\n token: " << found.first.token);
    CHECK(found.found(shown.kind));
    CHECK(replayed.found(shown.kind));
    CHECK(replayed.first.headline == shown.headline);
}

/// Searches the repaired scenario to its end in every model.
template<mmhold::Scenario Repaired>
void check_repaired() {
    using mmhold::memory_model;
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        mmhold::plan how;
        how.memory = model;
        auto const all = mmhold::explore<Repaired>(how);
        INFO(all.first.headline);
        CHECK(all.complete());
    }
}

}  // namespace mmhold_test
