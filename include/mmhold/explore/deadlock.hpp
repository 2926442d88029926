// SPDX-License-Identifier: BSL-1.0
#pragma once

// deadlock: who waits for whom, in words. A cycle of locks is spelled out; of any other wait is
// said on which word, what is in it, and who changed it last.

#include <mmhold/explore/clock.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// An actor that will never run again.
struct stuck_actor {
    process actor{0};
    std::string lock{};                // the lock it wants; empty: it waits for something else
    std::vector<std::string> holds{};  // locks
    std::string word{};                // what it looks at
    std::string value{};               // what is in there
    std::string history{};             // who changed it
};

/// The first cycle "wants what the next one holds" among stuck actors; empty: none.
[[nodiscard]] inline std::vector<std::size_t> lock_cycle(std::vector<stuck_actor> const& all) {
    auto const holder_of = [&](std::string const& lock, std::size_t not_this) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (i == not_this) continue;
            for (auto const& h : all[i].holds) {
                if (h == lock) return i;
            }
        }
        return all.size();
    };
    for (std::size_t start = 0; start < all.size(); ++start) {
        std::vector<std::size_t> path;
        for (auto at = start; path.size() <= all.size();) {
            path.push_back(at);
            if (all[at].lock.empty()) break;
            at = holder_of(all[at].lock, at);
            if (at == all.size()) break;
            if (at == start) return path;
        }
    }
    return {};
}

/// "T0 holds A, waits for B".
[[nodiscard]] inline std::string wait_in_words(stuck_actor const& a) {
    auto text = actor_text(a.actor);
    for (std::size_t i = 0; i < a.holds.size(); ++i)
        text += (i == 0 ? " holds " : " and ") + a.holds[i];
    text += a.holds.empty() ? " waits for " : ", waits for ";
    if (!a.lock.empty()) return text + a.lock;
    text += a.word + ", which is " + a.value;
    return a.history.empty() ? text : text + " (" + a.history + ")";
}

/// The whole sentence: the cycle first.
[[nodiscard]] inline std::string deadlock_in_words(std::vector<stuck_actor> const& all) {
    std::string text;
    std::vector<bool> said(all.size());
    auto const say = [&](std::size_t i) {
        if (said[i]) return;
        said[i] = true;
        if (!text.empty()) text += "; ";
        text += wait_in_words(all[i]);
    };
    for (auto const i : lock_cycle(all)) say(i);
    for (std::size_t i = 0; i < all.size(); ++i) say(i);
    return text;
}

}  // namespace detail

}  // namespace mmhold
