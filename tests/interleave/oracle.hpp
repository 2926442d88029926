// SPDX-License-Identifier: BSL-1.0
#pragma once

// The oracle: random small programs, whose outcomes under the reduced search must be those under
// brute force.
//
// Reductions are wrong in ways that no hand-written test shows. So: a few threads, a few words, a
// few operations of every kind the model machine has; every interleaving (search_kind::brute)
// against every trace (search_kind::all), in all three memory models; the sets of final states must
// be equal.

#include <mmhold/explore/explore.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace mmhold_test {

using namespace mmhold;

enum class verb : std::uint8_t {
    load,
    load_acquire,
    load_seq_cst,
    store,
    store_release,
    store_seq_cst,
    exchange,
    add,
    cas,
    await_value,
    await_not,
    fence,
    fence_acquire,
    fence_release,
    light_fence,
    heavy_fence
};
inline constexpr int verb_count = 16;

struct instruction {
    verb what{};
    int word{0};
    int value{0};
    int expected{0};
};

struct small_program {
    std::vector<std::vector<instruction>> threads;
    int words{2};
};

inline thread_local small_program const* current_program = nullptr;
inline thread_local std::set<std::string>* current_outcomes = nullptr;

template<int Threads>
struct interpreter {
    using M = model_machine;
    static constexpr int actors = Threads;
    M::atomic<std::uint32_t> words[3];
    char registers[Threads][8]{};
    int used[Threads]{};

    void actor(int who) {
        for (auto const& i : current_program->threads[static_cast<std::size_t>(who)]) run(who, i);
    }
    void finish() { note("end"); }
    void blocked() { note("blocked"); }

private:
    void keep(int who, std::uint32_t value) {
        registers[who][used[who]++] = static_cast<char>('0' + value);
    }
    void run(int who, instruction const& i) {
        auto& w = words[i.word];
        auto const v = static_cast<std::uint32_t>(i.value);
        auto const e = static_cast<std::uint32_t>(i.expected);
        switch (i.what) {
            case verb::load: return keep(who, w.load(relaxed));
            case verb::load_acquire: return keep(who, w.load(acquire("oracle.load")));
            case verb::load_seq_cst: return keep(who, w.load(seq_cst("oracle.load")));
            case verb::store: return w.store(v, relaxed);
            case verb::store_release: return w.store(v, release("oracle.store"));
            case verb::store_seq_cst: return w.store(v, seq_cst("oracle.store"));
            case verb::exchange: return keep(who, w.exchange(v, acq_rel("oracle.exchange")));
            case verb::add: return keep(who, w.fetch_add(1, relaxed));
            case verb::cas: {
                auto expected = e;
                bool const done = w.compare_exchange(expected, v, acq_rel("oracle.cas"));
                return keep(who, done ? 9 : expected);
            }
            case verb::await_value:
                return keep(
                    who,
                    M::await(w, [e](std::uint32_t x) { return x == e; }, acquire("oracle.await")));
            case verb::await_not:
                return keep(who, M::poll(w, [e](std::uint32_t x) { return x != e; }, relaxed));
            default: return run_fence(i.what);
        }
    }
    static void run_fence(verb what) {
        switch (what) {
            case verb::fence: return M::fence(seq_cst("oracle.fence"));
            case verb::fence_acquire: return M::fence(acquire("oracle.fence"));
            case verb::fence_release: return M::fence(release("oracle.fence"));
            case verb::light_fence: return M::light_fence(at("oracle.light"));
            default: return M::heavy_fence(at("oracle.heavy"));
        }
    }
    void note(char const* how) {
        std::string text{how};
        for (int t = 0; t < Threads; ++t) {
            text += ' ';
            text.append(registers[t], static_cast<std::size_t>(used[t]));
        }
        for (auto const& w : words) text += static_cast<char>('a' + w.load(relaxed));
        current_outcomes->insert(text);
    }
};

[[nodiscard]] inline verdict run_program(small_program const& p, plan const& how,
                                         std::set<std::string>& outcomes) {
    current_program = &p;
    current_outcomes = &outcomes;
    switch (p.threads.size()) {
        case 1: return explore<interpreter<1>>(how);
        case 2: return explore<interpreter<2>>(how);
        case 3: return explore<interpreter<3>>(how);
        default: return explore<interpreter<4>>(how);
    }
}

[[nodiscard]] inline std::string to_string(small_program const& p) {
    static constexpr char const* names[] = {
        "load", "load.acq", "load.sc", "store", "store.rel", "store.sc",  "xchg",  "add",
        "cas",  "await=",   "await!=", "fence", "fence.acq", "fence.rel", "light", "heavy"};
    std::string text;
    for (auto const& t : p.threads) {
        text += " |";
        for (auto const& i : t) {
            text += std::string{" "} + names[static_cast<int>(i.what)] + " w" +
                    std::to_string(i.word) + " v" + std::to_string(i.value) + " e" +
                    std::to_string(i.expected) + ";";
        }
    }
    return text;
}

/// Draws a program from a seed.
[[nodiscard]] inline small_program draw_program(std::uint64_t seed) {
    detail::random_numbers random{seed};
    small_program p;
    int const threads = random.below(3) == 0 ? 3 : 2;
    p.words = 2 + static_cast<int>(random.below(2));
    int const longest = threads == 2 ? 5 : 3;
    for (int t = 0; t < threads; ++t) {
        auto& thread = p.threads.emplace_back();
        int const length = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(longest)));
        for (int i = 0; i < length; ++i) {
            instruction next;
            next.what = static_cast<verb>(random.below(verb_count));
            next.word = static_cast<int>(random.below(static_cast<std::uint32_t>(p.words)));
            next.value = static_cast<int>(random.below(3));
            next.expected = static_cast<int>(random.below(3));
            thread.push_back(next);
        }
    }
    return p;
}

struct oracle_result {
    std::uint64_t comparisons{0};
    std::uint64_t skipped{0};  // too large for brute force
    std::uint64_t mismatches{0};
    std::uint64_t reduced{0};  // executions
    std::uint64_t redundant{0};
    std::uint64_t brute{0};
    std::string first_mismatch{};
};

inline void compare_one(std::uint64_t seed, memory_model model, oracle_result& result) {
    small_program const p = draw_program(seed);
    plan how;
    how.memory = model;
    how.on_finding = after_finding::go_on;
    how.story = story_kind::omitted;
    how.wakes = wake_rule::lenient;
    how.longest = 100;
    how.buffer_depth = 1 + static_cast<int>(seed % 4);
    std::set<std::string> expected;
    std::set<std::string> actual;
    how.search = search_kind::brute;
    how.executions = 20'000;
    auto const brute = run_program(p, how, expected);
    if (!brute.exhausted) {
        ++result.skipped;
        return;
    }
    how.search = search_kind::all;
    auto const reduced = run_program(p, how, actual);
    ++result.comparisons;
    result.brute += brute.executions;
    result.reduced += reduced.executions;
    result.redundant += reduced.redundant;
    bool const hidden =
        reduced.found(finding_kind::hidden_state) || brute.found(finding_kind::hidden_state);
    if (expected == actual && !hidden) return;
    ++result.mismatches;
    if (result.first_mismatch.empty()) {
        result.first_mismatch =
            "seed " + std::to_string(seed) + " " + std::string{to_string(model)} + to_string(p) +
            ": " + std::to_string(expected.size()) + " outcomes by brute force, " +
            std::to_string(actual.size()) + " by the reduced search; first missing: ";
        for (auto const& o : expected) {
            if (!actual.contains(o)) {
                result.first_mismatch += o;
                break;
            }
        }
    }
}

/// Compares `programs` programs under all three models.
[[nodiscard]] inline oracle_result consult_oracle(std::uint64_t first_seed,
                                                  std::uint64_t programs) {
    oracle_result result;
    for (std::uint64_t seed = first_seed; seed < first_seed + programs; ++seed) {
        for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
            compare_one(seed, model, result);
        }
    }
    return result;
}

}  // namespace mmhold_test
