// SPDX-License-Identifier: BSL-1.0
// Histories of a register and of a small stack, correct and not, judged by models and by the
// subject itself under a big lock.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>
#include <mmhold/explore/history.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>

using namespace mmhold;

namespace {

using M = model_machine;

/// Adds to a counter and answers what it was.
struct add {
    int amount{0};
    [[nodiscard]] std::string text() const { return "add " + std::to_string(amount); }
};
struct counter_model {
    int value{0};
    int apply(add const& a) { return std::exchange(value, value + a.amount); }
    friend bool operator==(counter_model const&, counter_model const&) = default;
};

/// A counter that reads and writes under a lock – or, torn, under two holds of it.
enum class held { once, twice };
template<class Lock, held How>
struct locked_counter {
    Lock lock{};
    M::plain<int> value{0};
    locked_counter() {
        M::name(&lock, "counter lock");
        M::name(&value, "counter");
    }
    int apply(add const& a) {
        if constexpr (How == held::once) {
            auto const hold = held_exclusive<Lock>::acquire(lock);
            int const old = value.get();
            value.set(old + a.amount);
            return old;
        } else {
            int const old = [&] {
                auto const hold = held_exclusive<Lock>::acquire(lock);
                return value.get();
            }();
            auto const hold = held_exclusive<Lock>::acquire(lock);
            value.set(old + a.amount);
            return old;
        }
    }
};

template<class Subject, class Reference>
struct two_adders {
    static constexpr int actors = 2;
    Subject counter{};
    history<add, int> log{};
    void actor(int who) {
        (void)log.record(add{who + 1}, [&](add const& a) { return counter.apply(a); });
    }
    void finish() {
        expect_explained_by<Reference>(
            log, [&](Reference const& serial) { return number_in(serial) == counter.value.get(); });
    }
    static int number_in(counter_model const& m) { return m.value; }
    template<class Lock, held How>
    static int number_in(locked_counter<Lock, How> const& c) {
        return c.value.get();
    }
};

using sound = locked_counter<rw_lock<M>, held::once>;
using torn = locked_counter<rw_lock<M>, held::twice>;
using oracle = locked_counter<big_lock<M>, held::once>;
using torn_oracle = locked_counter<big_lock<M>, held::twice>;

/// A register whose write sits in a store buffer when it is answered – with a fence it does not.
struct access {
    int written{0};  // 0: read
};
struct register_model {
    int value{0};
    int apply(access const& a) {
        if (a.written != 0) value = a.written;
        return a.written != 0 ? 0 : value;
    }
};
enum class fenced { yes, no };
template<fenced Fence, precedence Order>
struct written_and_read {
    static constexpr int actors = 2;
    M::atomic<int> word{0};
    history<access, int> log{Order};
    void actor(int who) {
        (void)log.record(access{who == 0 ? 5 : 0}, [&](access const& a) {
            if (a.written == 0) return word.load(relaxed);
            word.store(a.written, relaxed);
            if constexpr (Fence == fenced::yes) M::fence(seq_cst("test.history_fence"));
            return 0;
        });
    }
    void finish() { expect_explained_by<register_model>(log); }
};

/// Two writers and a reader that reads twice: does everybody see one order?
struct each_own_word {
    static constexpr int actors = 2;
    M::atomic<int> copy[2]{};
    history<access, int> log{};
    void actor(int who) {
        (void)log.record(access{who + 1}, [&](access const& a) {
            copy[who].store(a.written, seq_cst("test.own_copy"));
            return 0;
        });
        (void)log.record(
            access{}, [&](access const&) { return copy[who].load(seq_cst("test.own_copy_read")); });
    }
    void finish() { expect_explained_by<register_model>(log); }
};

}  // namespace

TEST_CASE("history: a counter under one hold is explained by the model and by the big lock",
          "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        CHECK(explore<two_adders<sound, counter_model>>({.memory = model}).complete());
        CHECK(explore<two_adders<sound, oracle>>({.memory = model}).complete());
    }
}

TEST_CASE("history: a counter under two holds loses an addition, and the story shows how",
          "[explore]") {
    auto const v = explore<two_adders<torn, counter_model>>();
    REQUIRE(v.found(finding_kind::not_linearizable));
    CHECK(v.first.story.find("T0 add 1 -> 0") != std::string::npos);
    CHECK(v.first.story.find("T1 add 2 -> 0") != std::string::npos);
    CHECK(v.first.story.find("would answer") != std::string::npos);
    CHECK(explore<two_adders<torn, oracle>>().found(finding_kind::not_linearizable));
    // Alone, two holds are as good as one: the oracle itself may be the torn one.
    CHECK(explore<two_adders<torn, torn_oracle>>().found(finding_kind::not_linearizable));
    auto const again =
        explore<two_adders<torn, oracle>>({.search = search_kind::replay, .replay = v.first.token});
    CHECK(again.found(finding_kind::not_linearizable));
}

TEST_CASE("history: a write answered from the store buffer breaks real time, not causality",
          "[explore]") {
    using enum precedence;
    CHECK(explore<written_and_read<fenced::yes, real_time>>().complete());
    CHECK(
        explore<written_and_read<fenced::no, real_time>>({.memory = memory_model::sc}).complete());
    CHECK(explore<written_and_read<fenced::no, real_time>>().found(finding_kind::not_linearizable));
    CHECK(explore<written_and_read<fenced::no, causal>>().complete());
    CHECK(
        explore<written_and_read<fenced::no, causal>>({.memory = memory_model::stale}).complete());
}

TEST_CASE("history: copies that nobody compares are not one register", "[explore]") {
    CHECK(explore<each_own_word>().found(finding_kind::not_linearizable));
}
