// SPDX-License-Identifier: BSL-1.0
#include "model_alone.hpp"

#include "duet.hpp"
#include "script_watch.hpp"
#include <algorithm>
#include <array>
#include <cstdint>
#include <iostream>
#include <random>
#include <utility>

namespace oracle {

using namespace parity;

namespace {

/// With a swap device, and without what only a real process has.
constexpr surroundings nowhere{.has_swap = true};

/// Puts numbers into steps that no generator would think of.
class wild_hand {
public:
    explicit wild_hand(std::uint64_t seed) : random_{seed} {}

    void spoil(script& steps) {
        for (auto& one : steps) {
            if (one.what == op::map) continue;  // the ground that the others stand on
            spoil(one.at);
            if (one.what > op::map) spoil(one.bytes);  // not what buffers are made for
            spoil(one.to);
            spoil(one.to_bytes);
            if (random_() % 8 == 0) one.how = static_cast<unsigned>(random_() % 16);
            if (random_() % 8 == 0) one.prot = static_cast<unsigned>(random_() % 16);
        }
    }

    /// A machine whose memory ends somewhere.
    surroundings poor() {
        auto out = nowhere;
        out.frames = 1 + random_() % 40 + large_bytes / page_bytes * (random_() % 4);
        out.tables = 3 + random_() % 30;
        return out;
    }

private:
    void spoil(std::uint64_t& number) {
        constexpr std::array<std::uint64_t, 10> edges{0,
                                                      1,
                                                      page_bytes - 1,
                                                      page_bytes + 1,
                                                      large_bytes,
                                                      std::uint64_t{1} << 47U,
                                                      (std::uint64_t{1} << 47U) - page_bytes,
                                                      std::uint64_t{1} << 63U,
                                                      ~std::uint64_t{0} - page_bytes + 1,
                                                      ~std::uint64_t{0}};
        auto const what = random_() % 40;
        if (what < edges.size()) number = edges[what];
        if (what == edges.size()) number = random_();
        if (what == edges.size() + 1) number += random_() % page_bytes;
        if (what == edges.size() + 2) number = ~number;
    }

    std::mt19937_64 random_;
};

/// A pager or a disk without memory lets everybody wait for ever, and is right.
bool needs_a_server(step const& one) {
    return one.what == op::map && (has_faults(one.of) || is_on_disk(one.of));
}

/// Runs it; false, after having said so: frames are lost.
bool runs_clean(script const& steps, surroundings const& where = nowhere) {
    script_watch const watch{steps};
    auto const answers = run_on_model(steps, where);
    auto const lost = answers.empty() ? 0 : answers.back().lost;
    if (lost == 0) return true;
    std::cout << lost << " frames are lost by\n";
    for (auto const& one : steps) std::cout << to_text(one) << "\n";
    return false;
}

}  // namespace

int run_model_alone(options const& chosen, menu const& from) {
    generator make{chosen.seed, from};
    wild_hand wild{chosen.seed};
    std::uint64_t steps = 0;
    std::uint64_t scripts = 0;
    std::uint64_t wrong = 0;
    auto const more = [&] {
        return chosen.steps != 0 ? steps < chosen.steps : scripts < chosen.scripts;
    };
    for (; more() && wrong < 5; ++scripts) {
        auto one = make.next();
        steps += 3 * one.size();
        wrong += runs_clean(one) ? 0 : 1;
        if (std::ranges::none_of(one, needs_a_server)) {
            wrong += runs_clean(one, wild.poor()) ? 0 : 1;
        }
        wild.spoil(one);
        wrong += runs_clean(one) ? 0 : 1;
    }
    std::cout << "seed " << chosen.seed << ": " << scripts << " scripts, each tame, poor and wild, "
              << steps << " steps on the model alone, " << wrong << " lose frames\n";
    return wrong == 0 ? 0 : 1;
}

int run_duets_alone(options const& chosen, std::vector<op> const& calls) {
    auto scripts = named_duets(calls);
    for (auto& one : told_duets()) scripts.push_back(std::move(one));
    duet_generator make{chosen.seed, calls};
    for (std::uint64_t i = 0; i < chosen.scripts; ++i) scripts.push_back(make.next());
    std::uint64_t wrong = 0;
    for (auto const& one : scripts) {
        script_watch const watch{one.before};
        auto const went = duet_on_model(one, nowhere);
        if (went.call.lost == 0) continue;
        std::cout << "frames are lost by\n" << side_by_side(one, went, went);
        ++wrong;
    }
    std::cout << "seed " << chosen.seed << ": " << scripts.size() << " duets on the model alone, "
              << wrong << " lose frames\n";
    return wrong == 0 ? 0 : 1;
}

}  // namespace oracle
