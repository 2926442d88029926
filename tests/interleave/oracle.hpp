// SPDX-License-Identifier: BSL-1.0
#pragma once

// The oracle: random small programs, whose outcomes under the reduced search must be those under
// brute force.
//
// Reductions are wrong in ways that no hand-written test shows. So: a few threads, a few words, a
// few operations of every kind the model machine has; every interleaving (search_kind::brute)
// against every trace (search_kind::all), in all three memory models. Compared are the sets of
// final states, and whether some execution deadlocks or sleeps through a wake-up. A data race, a
// use after free and the like end the execution that shows them, so where brute force shows one,
// the reduced search must show one, and the states behind it do not count.
//
// The seed says what a program is made of (`flavour`): words and fences; waiting and notifying,
// where a wait needs its notify; locks around plain fields; objects that come and go in a heap that
// uses addresses again.

#include <mmhold/explore/explore.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
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
    heavy_fence,
    notify_one,
    notify_all,
    locked_add,    // lock, add to the plain field, unlock, notify
    locked_quiet,  // the same without the notify
    locked_both,   // holding one lock, take the other
    plain_read,    // of the field, without a lock
    swap_object,   // publish a fresh object, destroy the one that was there
    use_object,    // read what the published object holds
    replace_seen   // publish a fresh object if the one last used is still there
};
inline constexpr int word_verbs = 16;

/// What a program is made of.
enum class flavour : std::uint8_t { words, waiting, locks, objects };

struct instruction {
    verb what{};
    int word{0};
    int value{0};
    int expected{0};
};

struct small_program {
    std::vector<std::vector<instruction>> threads;
    int words{2};
    flavour made_of{flavour::words};
};

inline thread_local small_program const* current_program = nullptr;
inline thread_local std::set<std::string>* current_outcomes = nullptr;

template<int Threads>
struct interpreter {
    using M = model_machine;
    static constexpr int actors = Threads;
    struct object {
        M::atomic<std::uint32_t> value{0};
    };
    M::atomic<std::uint32_t> words[3];
    M::atomic<std::uint32_t> locks[2];
    M::plain<std::uint32_t> fields[2];
    M::atomic<object*> published{nullptr};
    object* seen[Threads]{};
    char registers[Threads][16]{};
    int used[Threads]{};

    void actor(int who) {
        for (auto const& i : current_program->threads[static_cast<std::size_t>(who)]) run(who, i);
    }
    void finish() {
        note("end");
        M::destroy(published.load(relaxed));
    }
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
                    who, M::await(
                             w, [e](std::uint32_t x) { return x == e; }, acquire("oracle.await")));
            case verb::await_not:
                return keep(who, M::poll(
                                     w, [e](std::uint32_t x) { return x != e; }, relaxed));
            case verb::notify_one: return w.notify_one();
            case verb::notify_all: return w.notify_all();
            default: return i.what < verb::notify_one ? run_fence(i.what) : run_more(who, i);
        }
    }
    void run_more(int who, instruction const& i) {
        int const which = i.word % 2;
        switch (i.what) {
            case verb::locked_add:
            case verb::locked_quiet: {
                take(which);
                auto const old = fields[which].get();
                fields[which].set(old + 1);
                keep(who, old);
                give(which, i.what == verb::locked_add);
                return;
            }
            case verb::locked_both: {
                take(which);
                take(1 - which);
                keep(who, fields[0].get() + fields[1].get());
                give(1 - which, true);
                give(which, true);
                return;
            }
            case verb::plain_read: return keep(who, fields[which].get());
            default: return run_object(who, i);
        }
    }
    void take(int which) {
        while (locks[which].exchange(1, acquire("oracle.lock")) != 0)
            (void)M::await(
                locks[which], [](std::uint32_t held) { return held == 0; }, relaxed);
        M::lock_taken(&locks[which], lock_mode::exclusive);
    }
    void give(int which, bool loud) {
        M::lock_given(&locks[which], lock_mode::exclusive);
        locks[which].store(0, release("oracle.unlock"));
        if (loud) locks[which].notify_all();
    }
    void run_object(int who, instruction const& i) {
        if (i.what == verb::use_object) {
            seen[who] = published.load(acquire("oracle.find"));
            if (seen[who] == nullptr) return keep(who, 0);
            return keep(who, seen[who]->value.load(relaxed));
        }
        auto* const fresh = M::create<object>();
        fresh->value.store(static_cast<std::uint32_t>(1 + i.value), relaxed);
        if (i.what == verb::swap_object) {
            M::destroy(published.exchange(fresh, acq_rel("oracle.swap")));
        } else {
            auto* expected = seen[who];
            bool const done = published.compare_exchange(expected, fresh, acq_rel("oracle.swap"));
            keep(who, done ? 9 : 8);
            M::destroy(done ? expected : fresh);
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
        auto const* const left = published.load(relaxed);
        if (left != nullptr) text += static_cast<char>('A' + left->value.load(relaxed));
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
        "load",  "load.acq", "load.sc", "store",   "store.rel", "store.sc",      "xchg",
        "add",   "cas",      "await=",  "await!=", "fence",     "fence.acq",     "fence.rel",
        "light", "heavy",    "notify1", "notify*", "section",   "section.quiet", "nested",
        "plain", "swap",     "use",     "replace"};
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

/// What a program of that flavour does next.
[[nodiscard]] inline verb draw_verb(detail::random_numbers& random, flavour made_of) {
    static constexpr verb waiting[] = {verb::store,      verb::store_release, verb::exchange,
                                       verb::cas,        verb::await_value,   verb::await_value,
                                       verb::notify_one, verb::notify_all,    verb::notify_all};
    static constexpr verb locking[] = {verb::locked_add,  verb::locked_add, verb::locked_quiet,
                                       verb::locked_both, verb::plain_read, verb::load,
                                       verb::store,       verb::add};
    static constexpr verb objects[] = {verb::swap_object,  verb::use_object, verb::use_object,
                                       verb::replace_seen, verb::load,       verb::store,
                                       verb::fence};
    auto const one_of = [&](auto const& verbs) {
        return verbs[random.below(static_cast<std::uint32_t>(std::size(verbs)))];
    };
    switch (made_of) {
        case flavour::waiting: return one_of(waiting);
        case flavour::locks: return one_of(locking);
        case flavour::objects: return one_of(objects);
        case flavour::words: break;
    }
    return static_cast<verb>(random.below(word_verbs));
}

/// Draws a program from a seed.
[[nodiscard]] inline small_program draw_program(std::uint64_t seed) {
    static constexpr flavour flavours[] = {flavour::words, flavour::words, flavour::waiting,
                                           flavour::locks, flavour::objects};
    detail::random_numbers random{seed};
    small_program p;
    p.made_of = flavours[seed % std::size(flavours)];
    bool const large_steps = p.made_of == flavour::locks || p.made_of == flavour::objects;
    int const threads = random.below(3) == 0 ? 3 : 2;
    p.words = 2 + static_cast<int>(random.below(2));
    int const longest = large_steps ? (threads == 2 ? 3 : 1) : threads == 2 ? 5 : 3;
    for (int t = 0; t < threads; ++t) {
        auto& thread = p.threads.emplace_back();
        int const length = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(longest)));
        for (int i = 0; i < length; ++i) {
            instruction next;
            next.what = draw_verb(random, p.made_of);
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
    std::uint64_t wrong{0};    // comparisons of programs with a race or the like
    std::uint64_t reduced{0};  // executions
    std::uint64_t redundant{0};
    std::uint64_t brute{0};
    std::string first_mismatch{};
};

/// Do the two searches tell the same about the program? Under stale reads they need not about lost
/// wake-ups: brute force lets a waiter park only if no store at all would let it go on, the reduced
/// search if the newest does not.
[[nodiscard]] inline bool agree(memory_model model, verdict const& brute, verdict const& reduced,
                                std::set<std::string> const& expected,
                                std::set<std::string> const& actual) {
    auto const bit = [](finding_kind kind) { return 1U << static_cast<unsigned>(kind); };
    auto const at_the_end = bit(finding_kind::deadlock) | bit(finding_kind::lost_wakeup);
    if (((brute.kinds | reduced.kinds) & bit(finding_kind::hidden_state)) != 0) return false;
    bool const ends_early = (brute.kinds & ~at_the_end) != 0;
    if (ends_early != ((reduced.kinds & ~at_the_end) != 0)) return false;
    auto const parked = model == memory_model::stale ? bit(finding_kind::lost_wakeup) : 0U;
    bool const same_kinds = ((brute.kinds ^ reduced.kinds) & ~parked) == 0;
    return ends_early || (same_kinds && expected == actual);
}

[[nodiscard]] inline std::string difference(std::set<std::string> const& expected,
                                            std::set<std::string> const& actual) {
    auto text = std::to_string(expected.size()) + " outcomes by brute force, " +
                std::to_string(actual.size()) + " by the reduced search; first missing: ";
    for (auto const& o : expected) {
        if (!actual.contains(o)) return text + o;
    }
    return text + "none";
}

[[nodiscard]] inline plan plan_for(std::uint64_t seed, small_program const& p, memory_model model) {
    plan how;
    how.memory = model;
    how.on_finding = after_finding::go_on;
    how.story = story_kind::omitted;
    how.wakes = p.made_of == flavour::words ? wake_rule::lenient : wake_rule::strict;
    how.reuse = p.made_of == flavour::objects ? heap_reuse::always : heap_reuse::never;
    how.longest = 200;
    how.buffer_depth = 1 + static_cast<int>(seed % 4);
    return how;
}

inline void compare_one(std::uint64_t seed, memory_model model, oracle_result& result,
                        std::uint64_t budget) {
    small_program const p = draw_program(seed);
    plan how = plan_for(seed, p, model);
    std::set<std::string> expected;
    std::set<std::string> actual;
    how.search = search_kind::brute;
    how.executions = budget;
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
    auto const harmless = (1U << static_cast<unsigned>(finding_kind::deadlock)) |
                          (1U << static_cast<unsigned>(finding_kind::lost_wakeup));
    result.wrong += (brute.kinds & ~harmless) != 0;
    if (agree(model, brute, reduced, expected, actual)) return;
    ++result.mismatches;
    if (!result.first_mismatch.empty()) return;
    result.first_mismatch = "seed " + std::to_string(seed) + " " + std::string{to_string(model)} +
                            to_string(p) + ": kinds " + std::to_string(brute.kinds) + " and " +
                            std::to_string(reduced.kinds) + ", " + difference(expected, actual);
}

/// Compares `programs` programs under all three models.
/// `budget`: brute force gives up a program after so many executions.
[[nodiscard]] inline oracle_result consult_oracle(std::uint64_t first_seed, std::uint64_t programs,
                                                  std::uint64_t budget = 20'000) {
    oracle_result result;
    for (std::uint64_t seed = first_seed; seed < first_seed + programs; ++seed) {
        for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
            compare_one(seed, model, result, budget);
        }
    }
    return result;
}

}  // namespace mmhold_test
