// SPDX-License-Identifier: BSL-1.0
// Litmus tests: exactly what each memory model shows. Every family is run as it is, with release
// stores and acquire loads, with a full fence between any two accesses, and with seq_cst accesses,
// under all three models; the whole set of final states must be the known one, and the reduced
// search and brute force must agree on it.
#include "support/catch.hpp"

#include "interleave/oracle.hpp"
#include <cstddef>
#include <initializer_list>
#include <set>
#include <string>

using namespace mmhold_test;
using enum verb;

namespace {

using states = std::set<std::string>;

constexpr int x = 0;
constexpr int y = 1;

instruction put(int word, int value) { return {store, word, value, 0}; }
instruction get(int word) { return {load, word, 0, 0}; }
instruction put(verb how, int word, int value) { return {how, word, value, 0}; }
instruction get(verb how, int word) { return {how, word, 0, 0}; }
instruction fence_of(verb how) { return {how, 0, 0, 0}; }

/// Whether the final values of x and y belong to a state.
enum class final_words : std::uint8_t { ignored, told };

/// "01" – what the threads loaded, in their order – and "/12" for the final x and y: the short form
/// of "end 0 1bca".
[[nodiscard]] std::string short_form(std::string const& outcome, final_words words) {
    std::string text;
    auto const last = outcome.size() - 3;
    for (std::size_t i = 3; i < last; ++i) {
        if (outcome[i] != ' ') text += outcome[i];
    }
    if (words == final_words::told) {
        text += '/';
        for (auto i = last; i < last + 2; ++i) text += static_cast<char>(outcome[i] - 'a' + '0');
    }
    return text;
}

[[nodiscard]] states outcomes_of(small_program const& program, final_words words,
                                 memory_model model, search_kind kind) {
    plan how;
    how.memory = model;
    how.search = kind;
    how.on_finding = after_finding::go_on;
    states outcomes;
    auto const v = run_program(program, how, outcomes);
    CHECK(v.exhausted);
    states shortened;
    for (auto const& o : outcomes) shortened.insert(short_form(o, words));
    return shortened;
}

constexpr memory_model all_models[] = {memory_model::sc, memory_model::tso, memory_model::stale};

/// What the three models show of one program.
struct shown {
    states sc;
    states tso;
    states stale;
};

void judge(std::string const& name, small_program const& program, final_words words,
           shown const& expected) {
    states const* const sets[] = {&expected.sc, &expected.tso, &expected.stale};
    for (int i = 0; i < 3; ++i) {
        INFO(name << " under " << to_string(all_models[i]));
        auto const reached = outcomes_of(program, words, all_models[i], search_kind::all);
        CHECK(reached == *sets[i]);
        CHECK(reached == outcomes_of(program, words, all_models[i], search_kind::brute));
    }
}

[[nodiscard]] states with(states base, states const& more) {
    base.insert(more.begin(), more.end());
    return base;
}

/// What a model shows beyond sequential consistency.
struct beyond {
    states tso;
    states stale;
};

/// A program of relaxed accesses, the states that interleaving reaches, and what else is reached
/// with relaxed accesses and with release/acquire. Fences between all accesses, and seq_cst
/// accesses, leave nothing else.
struct family {
    char const* name;
    small_program program;
    final_words words;
    states interleaved;
    beyond relaxed_too;
    beyond release_acquire_too;
};

[[nodiscard]] small_program with_orders(small_program p, verb stores, verb loads) {
    for (auto& thread : p.threads) {
        for (auto& i : thread) i.what = i.what == store ? stores : loads;
    }
    return p;
}
[[nodiscard]] small_program fenced_throughout(small_program const& p) {
    small_program fenced;
    for (auto const& thread : p.threads) {
        auto& copy = fenced.threads.emplace_back();
        for (auto const& i : thread) {
            if (!copy.empty()) copy.push_back(fence_of(fence));
            copy.push_back(i);
        }
    }
    return fenced;
}

void judge(family const& f) {
    std::string const name{f.name};
    auto const& sc = f.interleaved;
    auto const show = [&](beyond const& b) {
        return shown{sc, with(sc, b.tso), with(sc, b.stale)};
    };
    judge(name, f.program, f.words, show(f.relaxed_too));
    judge(name + " release/acquire", with_orders(f.program, store_release, load_acquire), f.words,
          show(f.release_acquire_too));
    judge(name + " + full fences", fenced_throughout(f.program), f.words, show({}));
    judge(name + " seq_cst", with_orders(f.program, store_seq_cst, load_seq_cst), f.words,
          show({}));
}

[[nodiscard]] small_program threads(std::initializer_list<std::vector<instruction>> list) {
    small_program p;
    p.threads = list;
    return p;
}

/// All strings of `length` zeros and ones, but for `without`.
[[nodiscard]] states all_bits(int length, states const& without = {}) {
    states all;
    for (unsigned bits = 0; bits < 1U << static_cast<unsigned>(length); ++bits) {
        std::string text;
        for (int i = length; i-- > 0;)
            text += (bits >> static_cast<unsigned>(i) & 1U) != 0 ? '1' : '0';
        if (!without.contains(text)) all.insert(text);
    }
    return all;
}

constexpr auto registers = final_words::ignored;
constexpr auto memory_too = final_words::told;

}  // namespace

TEST_CASE("litmus SB: a store may wait while a later load runs", "[litmus]") {
    judge(family{"SB",
                 threads({{put(x, 1), get(y)}, {put(y, 1), get(x)}}),
                 registers,
                 {"01", "10", "11"},
                 {{"00"}, {"00"}},
                 {{"00"}, {"00"}}});
}

TEST_CASE("litmus SB: which fences are enough", "[litmus]") {
    auto const between = [](verb first, verb second) {
        return threads(
            {{put(x, 1), fence_of(first), get(y)}, {put(y, 1), fence_of(second), get(x)}});
    };
    states const sc{"01", "10", "11"};
    auto const all = all_bits(2);
    judge("SB + acquire fences", between(fence_acquire, fence_acquire), registers, {sc, all, all});
    judge("SB + release fences", between(fence_release, fence_release), registers, {sc, all, all});
    judge("SB + light fences", between(light_fence, light_fence), registers, {sc, all, all});
    judge("SB + heavy fences", between(heavy_fence, heavy_fence), registers, {sc, sc, sc});
    judge("SB + light and heavy", between(light_fence, heavy_fence), registers, {sc, sc, sc});
    judge("SB + light and full", between(light_fence, fence), registers, {sc, all, all});
    judge("SB + full on one side",
          threads({{put(x, 1), get(y)}, {put(y, 1), fence_of(fence), get(x)}}), registers,
          {sc, all, all});
    judge("SB + heavy on one side",
          threads({{put(x, 1), get(y)}, {put(y, 1), fence_of(heavy_fence), get(x)}}), registers,
          {sc, sc, sc});  // it needs no partner: a light fence is for the compiler
    judge("SB with updates",
          threads({{put(exchange, x, 1), get(y)}, {put(exchange, y, 1), get(x)}}), registers,
          {{"0001", "0100", "0101"},
           {"0001", "0100", "0101"},
           {"0000", "0001", "0100", "0101"}});  // locked on x86; in C++ acq_rel is not enough
}

TEST_CASE("litmus MP: publication needs release and acquire, which x86 gives for nothing",
          "[litmus]") {
    judge(family{"MP",
                 threads({{put(x, 1), put(y, 1)}, {get(y), get(x)}}),
                 registers,
                 {"00", "01", "11"},
                 {{}, {"10"}},
                 {{}, {}}});
}

TEST_CASE("litmus MP: one half of the pair is not enough", "[litmus]") {
    states const sc{"00", "01", "11"};
    auto const all = all_bits(2);
    auto const program = [](verb publish, verb look, verb before, verb after) {
        auto p = threads({{put(x, 1)}, {get(look, y)}});
        if (before != load) p.threads[0].push_back(fence_of(before));
        p.threads[0].push_back(put(publish, y, 1));
        if (after != load) p.threads[1].push_back(fence_of(after));
        p.threads[1].push_back(get(x));
        return p;
    };
    auto const none = load;
    judge("MP release only", program(store_release, load, none, none), registers, {sc, sc, all});
    judge("MP acquire only", program(store, load_acquire, none, none), registers, {sc, sc, all});
    judge("MP + release fence", program(store, load, fence_release, none), registers,
          {sc, sc, all});
    judge("MP + acquire fence", program(store, load, none, fence_acquire), registers,
          {sc, sc, all});
    judge("MP + both fences", program(store, load, fence_release, fence_acquire), registers,
          {sc, sc, sc});
    judge("MP fence and acquire", program(store, load_acquire, fence_release, none), registers,
          {sc, sc, sc});
    judge("MP release and fence", program(store_release, load, none, fence_acquire), registers,
          {sc, sc, sc});
}

TEST_CASE("litmus LB: load buffering is out of reach", "[litmus]") {
    judge(family{"LB",  // C++ allows 11 with relaxed accesses
                 threads({{get(x), put(y, 1)}, {get(y), put(x, 1)}}),
                 registers,
                 {"00", "01", "10"},
                 {},
                 {}});
}

TEST_CASE("litmus IRIW: readers may disagree on the order of independent stores", "[litmus]") {
    judge(family{"IRIW",
                 threads({{put(x, 1)}, {put(y, 1)}, {get(x), get(y)}, {get(y), get(x)}}),
                 registers,
                 all_bits(4, {"1010"}),
                 {{}, {"1010"}},
                 {{}, {"1010"}}});
}

TEST_CASE("litmus 2+2W: crossed stores keep an order", "[litmus]") {
    judge(family{"2+2W",  // C++ allows /11 with relaxed and with release stores
                 threads({{put(x, 1), put(y, 2)}, {put(y, 1), put(x, 2)}}),
                 memory_too,
                 {"/12", "/21", "/22"},
                 {},
                 {}});
}

TEST_CASE("litmus R: a store overtaken by the load behind it", "[litmus]") {
    states const sc{"0/11", "1/11", "1/12"};
    judge(family{"R",
                 threads({{put(x, 1), put(y, 1)}, {put(y, 2), get(x)}}),
                 memory_too,
                 sc,
                 {{"0/12"}, {"0/12"}},
                 {{"0/12"}, {"0/12"}}});
    judge("R + full fence behind the store",  // x86 keeps the other pair by itself
          threads({{put(x, 1), put(y, 1)}, {put(y, 2), fence_of(fence), get(x)}}), memory_too,
          {sc, sc, with(sc, {"0/12"})});
    judge("R + full fence between the stores",
          threads({{put(x, 1), fence_of(fence), put(y, 1)}, {put(y, 2), get(x)}}), memory_too,
          {sc, with(sc, {"0/12"}), with(sc, {"0/12"})});
}

TEST_CASE("litmus S: a store that loses to one it follows is out of reach", "[litmus]") {
    judge(family{"S",  // C++ allows 1/21 with relaxed accesses
                 threads({{put(x, 2), put(y, 1)}, {get(y), put(x, 1)}}),
                 memory_too,
                 {"0/11", "0/21", "1/11"},
                 {},
                 {}});
}

TEST_CASE("litmus WRC: causality through a third party", "[litmus]") {
    judge(family{"WRC",
                 threads({{put(x, 1)}, {get(x), put(y, 1)}, {get(y), get(x)}}),
                 registers,
                 all_bits(3, {"110"}),
                 {{}, {"110"}},
                 {{}, {}}});
}

TEST_CASE("litmus n6: a thread sees its own store before everybody else does", "[litmus]") {
    judge(family{"n6",
                 threads({{put(x, 1), get(x), get(y)}, {put(y, 2), put(x, 2)}}),
                 memory_too,
                 {"12/12", "10/22", "12/22", "22/22"},
                 {{"10/12"}, {"10/12", "20/22"}},
                 {{"10/12"}, {"10/12"}}});
}

TEST_CASE("litmus coherence: one word never runs backwards", "[litmus]") {
    judge(family{
        "CoRR", threads({{put(x, 1)}, {get(x), get(x)}}), registers, {"00", "01", "11"}, {}, {}});
    judge(family{"CoWW",
                 threads({{put(x, 1), put(x, 2)}, {get(x)}}),
                 memory_too,
                 {"0/20", "1/20", "2/20"},
                 {},
                 {}});
    judge(family{"CoWR",
                 threads({{put(x, 1), get(x)}, {put(x, 2)}}),
                 memory_too,
                 {"1/10", "1/20", "2/20"},
                 {},
                 {}});
    judge(family{"CoRW", threads({{get(x), put(x, 1)}}), memory_too, {"0/10"}, {}, {}});
    judge(family{"CoRW2",
                 threads({{get(x), put(x, 1)}, {put(x, 2)}}),
                 memory_too,
                 {"0/10", "0/20", "2/10"},
                 {},
                 {}});
}

TEST_CASE("litmus coherence: all readers see the stores to one word in one order", "[litmus]") {
    states both;
    for (std::string const order : {"012", "021"}) {  // from the oldest store to the newest
        for (unsigned a = 0; a < 81; ++a) {
            unsigned const at[] = {a / 27 % 3, a / 9 % 3, a / 3 % 3, a % 3};
            if (at[0] > at[1] || at[2] > at[3]) continue;
            std::string state;
            for (auto const i : at) state += order[i];
            both.insert(state.append(1, '/').append(1, order[2]).append(1, '0'));
        }
    }
    CHECK(both.size() == 72);
    judge(family{"CoRR of two readers",
                 threads({{put(x, 1)}, {put(x, 2)}, {get(x), get(x)}, {get(x), get(x)}}),
                 memory_too,
                 both,
                 {},
                 {}});
}

TEST_CASE("litmus: what C++20 allows and no model here shows", "[litmus]") {
    struct beyond_reach {
        char const* name;
        small_program program;
        final_words words;
        char const* state;
    };
    beyond_reach const gaps[] = {
        {"LB", threads({{get(x), put(y, 1)}, {get(y), put(x, 1)}}), registers, "11"},
        {"2+2W", threads({{put(x, 1), put(y, 2)}, {put(y, 1), put(x, 2)}}), memory_too, "/11"},
        {"S", threads({{put(x, 2), put(y, 1)}, {get(y), put(x, 1)}}), memory_too, "1/21"},
    };
    for (auto const& gap : gaps) {
        for (auto const model : all_models) {
            INFO(gap.name << " under " << to_string(model));
            CHECK_FALSE(
                outcomes_of(gap.program, gap.words, model, search_kind::all).contains(gap.state));
        }
    }
}
