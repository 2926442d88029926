// SPDX-License-Identifier: BSL-1.0
// Litmus tests: what each memory model shows, and what it does not. The reduced search and brute
// force must agree.
#include "support/catch.hpp"

#include "interleave/oracle.hpp"
#include <set>
#include <string>

using namespace mmhold_test;
using enum verb;

namespace {

enum class shows : std::uint8_t { no, yes };

/// A program, the state that makes it interesting, and which models reach that state.
struct litmus {
    char const* name;
    small_program program;
    char const* state;  // registers of each thread, then the final words: "end 0 0 bba"
    shows sc, tso, stale;
};

constexpr int x = 0;
constexpr int y = 1;

instruction put(verb how, int word, int value) { return {how, word, value, 0}; }
instruction get(verb how, int word) { return {how, word, 0, 0}; }
instruction fence_of(verb how) { return {how, 0, 0, 0}; }

[[nodiscard]] std::set<std::string> outcomes_of(litmus const& test, memory_model model,
                                                search_kind kind) {
    plan how;
    how.memory = model;
    how.search = kind;
    how.on_finding = after_finding::go_on;
    std::set<std::string> outcomes;
    auto const v = run_program(test.program, how, outcomes);
    CHECK(v.exhausted);
    return outcomes;
}

void judge(litmus const& test) {
    memory_model const models[] = {memory_model::sc, memory_model::tso, memory_model::stale};
    shows const expected[] = {test.sc, test.tso, test.stale};
    for (int i = 0; i < 3; ++i) {
        INFO(test.name << " under " << to_string(models[i]));
        auto const reached = outcomes_of(test, models[i], search_kind::all);
        CHECK(reached.contains(test.state) == (expected[i] == shows::yes));
        CHECK(reached == outcomes_of(test, models[i], search_kind::brute));
    }
}

litmus store_buffering_test(char const* name, verb how, verb look, verb between, shows sc,
                            shows tso, shows stale) {
    litmus t{name, {}, "end 0 0bba", sc, tso, stale};
    for (int who = 0; who < 2; ++who) {
        auto& thread = t.program.threads.emplace_back();
        thread.push_back(put(how, who == 0 ? x : y, 1));
        if (between != load) thread.push_back(fence_of(between));
        thread.push_back(get(look, who == 0 ? y : x));
        if (how == exchange) t.state = "end 00 00bba";
    }
    return t;
}

litmus message_passing(char const* name, verb publish, verb look, verb before, verb after,
                       shows stale) {
    litmus t{name, {}, "end  10bba", shows::no, shows::no, stale};
    t.program.threads = {{put(store, x, 1)}, {get(look, y)}};
    if (before != load) t.program.threads[0].push_back(fence_of(before));
    t.program.threads[0].push_back(put(publish, y, 1));
    if (after != load) t.program.threads[1].push_back(fence_of(after));
    t.program.threads[1].push_back(get(load, x));
    return t;
}

litmus independent_reads(char const* name, verb how, verb look, verb between, shows stale) {
    litmus t{name, {}, "end   10 10bba", shows::no, shows::no, stale};
    t.program.threads = {{put(how, x, 1)}, {put(how, y, 1)}, {get(look, x)}, {get(look, y)}};
    if (between != load) {
        t.program.threads[2].push_back(fence_of(between));
        t.program.threads[3].push_back(fence_of(between));
    }
    t.program.threads[2].push_back(get(look, y));
    t.program.threads[3].push_back(get(look, x));
    return t;
}

}  // namespace

TEST_CASE("litmus SB: a store may wait while a later load runs", "[litmus]") {
    using enum shows;
    judge(store_buffering_test("SB", store, load, load, no, yes, yes));
    judge(store_buffering_test("SB release/acquire", store_release, load_acquire, load, no, yes,
                               yes));
    judge(store_buffering_test("SB seq_cst", store_seq_cst, load_seq_cst, load, no, no, no));
    judge(store_buffering_test("SB + full fences", store, load, fence, no, no, no));
    judge(store_buffering_test("SB + acquire fences", store, load, fence_acquire, no, yes, yes));
    judge(store_buffering_test("SB with updates", exchange, load, load, no, no, yes));
    judge(store_buffering_test("SB + two light fences", store, load, light_fence, no, yes, yes));
    judge(store_buffering_test("SB + two heavy fences", store, load, heavy_fence, no, no, no));
}

TEST_CASE("litmus SB: one light and one heavy fence are enough, one full fence is not",
          "[litmus]") {
    using enum shows;
    litmus t{"SB light/heavy", {}, "end 0 0bba", no, no, no};
    t.program.threads = {{put(store, x, 1), fence_of(light_fence), get(load, y)},
                         {put(store, y, 1), fence_of(heavy_fence), get(load, x)}};
    judge(t);
    litmus u{"SB one fence", {}, "end 0 0bba", no, yes, yes};
    u.program.threads = {{put(store, x, 1), get(load, y)},
                         {put(store, y, 1), fence_of(fence), get(load, x)}};
    judge(u);
}

TEST_CASE("litmus MP: publication needs release and acquire, which x86 gives for nothing",
          "[litmus]") {
    using enum shows;
    judge(message_passing("MP", store, load, load, load, yes));
    judge(message_passing("MP release only", store_release, load, load, load, yes));
    judge(message_passing("MP acquire only", store, load_acquire, load, load, yes));
    judge(message_passing("MP release/acquire", store_release, load_acquire, load, load, no));
    judge(message_passing("MP + fences", store, load, fence_release, fence_acquire, no));
    judge(message_passing("MP seq_cst", store_seq_cst, load_seq_cst, load, load, no));
}

TEST_CASE("litmus LB: load buffering is out of reach of all three models", "[litmus]") {
    using enum shows;
    litmus t{"LB", {}, "end 1 1bba", no, no, no};  // C++ allows it with relaxed accesses
    t.program.threads = {{get(load, x), put(store, y, 1)}, {get(load, y), put(store, x, 1)}};
    judge(t);
}

TEST_CASE("litmus IRIW: readers may disagree on the order of independent stores", "[litmus]") {
    using enum shows;
    judge(independent_reads("IRIW", store, load, load, yes));
    judge(independent_reads("IRIW release/acquire", store_release, load_acquire, load, yes));
    judge(independent_reads("IRIW seq_cst", store_seq_cst, load_seq_cst, load, no));
    judge(independent_reads("IRIW + full fences", store, load, fence, no));
}

TEST_CASE("litmus 2+2W: crossed stores keep an order in all three models", "[litmus]") {
    using enum shows;
    litmus t{"2+2W", {}, "end  bba", no, no, no};  // C++ allows it with relaxed stores
    t.program.threads = {{put(store, x, 1), put(store, y, 2)},
                         {put(store, y, 1), put(store, x, 2)}};
    judge(t);
}

TEST_CASE("litmus R: a store overtaken by the load behind it", "[litmus]") {
    using enum shows;
    litmus t{"R", {}, "end  0bca", no, yes, yes};
    t.program.threads = {{put(store, x, 1), put(store, y, 1)}, {put(store, y, 2), get(load, x)}};
    judge(t);
    litmus u{"R + fences", {}, "end  0bca", no, no, no};
    u.program.threads = {{put(store, x, 1), fence_of(fence), put(store, y, 1)},
                         {put(store, y, 2), fence_of(fence), get(load, x)}};
    judge(u);
}

TEST_CASE("litmus S: a store that loses to one it follows is out of reach", "[litmus]") {
    using enum shows;
    litmus t{"S", {}, "end  1cba", no, no, no};  // C++ allows it with relaxed accesses
    t.program.threads = {{put(store, x, 2), put(store, y, 1)}, {get(load, y), put(store, x, 1)}};
    judge(t);
}

TEST_CASE("litmus WRC: causality through a third party", "[litmus]") {
    using enum shows;
    litmus t{"WRC", {}, "end  1 10bba", no, no, yes};
    t.program.threads = {
        {put(store, x, 1)}, {get(load, x), put(store, y, 1)}, {get(load, y), get(load, x)}};
    judge(t);
    litmus u{"WRC release/acquire", {}, "end  1 10bba", no, no, no};
    u.program.threads = {{put(store_release, x, 1)},
                         {get(load_acquire, x), put(store_release, y, 1)},
                         {get(load_acquire, y), get(load, x)}};
    judge(u);
}

TEST_CASE("litmus coherence: one word never runs backwards", "[litmus]") {
    using enum shows;
    litmus rr{"CoRR", {}, "end  10baa", no, no, no};
    rr.program.threads = {{put(store, x, 1)}, {get(load, x), get(load, x)}};
    judge(rr);
    litmus wr{"CoWR", {}, "end 0 baa", no, no, no};
    wr.program.threads = {{put(store, x, 1), get(load, x)}, {put(store, x, 2)}};
    judge(wr);
    litmus rw{"CoRW", {}, "end 1 baa", no, no, no};
    rw.program.threads = {{get(load, x), put(store, x, 1)}, {get(load, y)}};
    judge(rw);
}

TEST_CASE("litmus n6: a thread sees its own store before everybody else does", "[litmus]") {
    using enum shows;
    litmus t{"n6", {}, "end 10 bca", no, yes, yes};
    t.program.threads = {{put(store, x, 1), get(load, x), get(load, y)},
                         {put(store, y, 2), put(store, x, 2)}};
    judge(t);
}
