// SPDX-License-Identifier: BSL-1.0
// One scenario per kind of finding, and what a verdict says.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

using namespace mmhold;

namespace {

using M = model_machine;

struct fine {
    static constexpr int actors = 2;
    M::atomic<int> word{0};
    void actor(int) { (void)word.fetch_add(1, relaxed); }
    void finish() { M::expect(word.load(relaxed) == 2, "both counted"); }
};

/// The notify comes from somebody who has seen the write, or who has not.
template<bool Looks>
struct notified_by_a_third {
    static constexpr int actors = 3;
    M::atomic<int> word{0};
    M::atomic<int> other{0};
    void actor(int who) {
        auto const set = [](int value) { return value == 1; };
        if (who == 0) {
            (void)M::await(word, set, acquire("third.wait"));
        } else if (who == 1) {
            (void)word.exchange(1, acq_rel("third.set"));
        } else {
            other.store(1, relaxed);
            if (Looks) (void)M::poll(word, set, relaxed);
            word.notify_all();
        }
    }
};

struct racy {
    static constexpr int actors = 2;
    M::plain<int> field{0};
    racy() { M::name(&field, "field"); }
    void actor(int) { field.set(1); }
};

struct published_relaxed {
    static constexpr int actors = 2;
    M::plain<int> data{0};
    M::atomic<int> flag{0};
    void actor(int who) {
        if (who == 0) {
            data.set(1);
            flag.store(1, relaxed);
        } else if (flag.load(acquire("test.flag")) == 1) {
            M::expect(data.get() == 1, "published");
        }
    }
};

template<class Publish>
struct born_unordered {
    static constexpr int actors = 2;
    M::atomic<M::atomic<int>*> found{nullptr};
    M::atomic<int>* mine{nullptr};
    void actor(int who) {
        if (who == 0) {
            mine = M::create<M::atomic<int>>(7);
            found.store(mine, Publish::order());
        } else if (auto* const word = found.load(acquire("test.found")); word != nullptr) {
            (void)word->load(relaxed);
        }
    }
    void finish() { M::destroy(mine); }
};
struct by_release {
    static auto order() { return release("test.publish"); }
};
struct by_relaxed {
    static auto order() { return relaxed; }
};

struct freed_twice {
    static constexpr int actors = 1;
    void actor(int) {
        auto* const word = M::create<M::atomic<int>>(1);
        M::destroy(word);
        M::destroy(word);
    }
};

struct freed_unknown {
    static constexpr int actors = 1;
    M::atomic<int> member{0};
    void actor(int) { M::destroy(&member); }
};

struct leaking {
    static constexpr int actors = 1;
    void actor(int) { M::name(M::create<int>(1), "forgotten"); }
};

/// Two locks of one word each, taken in both orders.
struct crossed_locks {
    static constexpr int actors = 2;
    M::atomic<int> lock[2];
    crossed_locks() {
        M::name(&lock[0], "A");
        M::name(&lock[1], "B");
    }
    void actor(int who) {
        take(lock[who]);
        take(lock[1 - who]);
        give(lock[1 - who]);
        give(lock[who]);
    }
    static void take(M::atomic<int>& word) {
        while (word.exchange(1, acquire("test.lock")) != 0) {
            (void)M::poll(
                word, [](int w) { return w == 0; }, relaxed);
        }
        M::lock_taken(&word, lock_mode::exclusive);
    }
    static void give(M::atomic<int>& word) {
        M::lock_given(&word, lock_mode::exclusive);
        word.store(0, release("test.unlock"));
    }
};

/// The same, one actor after the other: no execution deadlocks, the order is wrong all the same.
struct crossed_in_turn : crossed_locks {
    M::atomic<int> turn{0};
    void actor(int who) {
        if (who == 1)
            (void)M::poll(
                turn, [](int t) { return t == 1; }, acquire("test.turn"));
        crossed_locks::actor(who);
        if (who == 0) turn.store(1, release("test.next"));
    }
};

struct kept_lock {
    static constexpr int actors = 1;
    int lock{0};
    void actor(int) { M::lock_taken(&lock, lock_mode::shared); }
};

struct both_hold {
    static constexpr int actors = 2;
    M::atomic<int> word{0};
    void actor(int who) {
        (void)word.load(relaxed);
        M::lock_taken(&word, who == 0 ? lock_mode::shared : lock_mode::exclusive);
        (void)word.load(relaxed);
        M::lock_given(&word, who == 0 ? lock_mode::shared : lock_mode::exclusive);
    }
};

template<int Notifies>
struct woken {
    static constexpr int actors = 3;
    M::atomic<std::uint32_t> word{0};
    void actor(int who) {
        if (who < 2) {
            (void)M::await(
                word, [](std::uint32_t w) { return w != 0; }, acquire("test.await"));
            return;
        }
        word.store(1, release("test.wake"));
        for (int i = 0; i < Notifies; ++i) word.notify_one();
    }
};

struct spinning {
    static constexpr int actors = 2;
    M::atomic<int> flag{0};
    void actor(int who) {
        if (who == 0) {
            while (flag.load(acquire("test.spin")) == 0) {}
        } else {
            flag.store(1, release("test.set"));
        }
    }
};

struct retrying {
    static constexpr int actors = 2;
    M::atomic<int> flag{0};
    void actor(int who) {
        if (who == 0) {
            while (flag.load(acquire("test.spin")) == 0) M::relax();
        } else {
            flag.store(1, release("test.set"));
        }
    }
};

/// Destroyed by one actor, allocated again by another: the address repeats only if asked to.
struct reused {
    static constexpr int actors = 2;
    M::atomic<std::uint64_t*> old{nullptr};
    void actor(int who) {
        auto* const mine = M::create<std::uint64_t>(0U);
        if (who == 0) old.store(mine, relaxed);
        if (who == 1) M::expect(mine != old.load(relaxed), "a new address");
        M::destroy(mine);
    }
};

/// A waker that touches the sleeper's stack after it woke it.
struct late_waker {
    static constexpr int actors = 2;
    struct node {
        M::atomic<std::uint32_t> woken{0};
        M::atomic<std::uint32_t> count{0};
    };
    M::atomic<node*> first{nullptr};
    void actor(int who) {
        if (who == 0) {
            node mine;
            first.store(&mine, release("test.enqueue"));
            (void)M::poll(
                mine.woken, [](std::uint32_t w) { return w != 0; }, acquire("test.woken"));
            return;
        }
        auto* const other = M::poll(
            first, [](node* n) { return n != nullptr; }, acquire("test.dequeue"));
        other->woken.store(1, release("test.wake"));
        (void)other->count.fetch_add(1, relaxed);
    }
};

/// Handed over by words that order nothing; the heavy fence behind them does.
struct handed_over_by_heavy_fence {
    static constexpr int actors = 2;
    M::plain<int> data{0};
    M::atomic<int> turn{0};
    void actor(int) {
        if (turn.exchange(1, relaxed) == 1) return;
        M::heavy_fence(at("test.heavy"));
        data.set(data.get() + 1);
        turn.store(0, release("test.heavy_over"));
    }
};

struct told_who_asks {
    static constexpr int actors = 2;
    M::atomic<int> word{0};
    told_who_asks() { M::expect(M::actor() == -1, "the set-up is no actor"); }
    void actor(int who) {
        M::expect(M::actor() == who, "before a step");
        (void)word.fetch_add(1, relaxed);
        M::expect(M::actor() == who, "after it, whoever ran meanwhile");
    }
    void finish() { M::expect(M::actor() == -1, "the end is no actor"); }
};

}  // namespace

TEST_CASE("explore: a correct scenario is searched completely in every model", "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        auto const v = explore<fine>({.memory = model});
        CHECK(v.complete());
        CHECK(v.executions == 2);
        CHECK(v.actors == 2);
    }
}

TEST_CASE("explore: data races need happens-before, in every model", "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        CHECK(explore<racy>({.memory = model}).found(finding_kind::data_race));
        CHECK(explore<published_relaxed>({.memory = model}).found(finding_kind::data_race));
        CHECK(
            explore<born_unordered<by_relaxed>>({.memory = model}).found(finding_kind::data_race));
        CHECK(explore<born_unordered<by_release>>({.memory = model}).complete());
    }
}

TEST_CASE("explore: memory is created once, destroyed once, and not forgotten", "[explore]") {
    CHECK(explore<freed_twice>().found(finding_kind::double_free));
    CHECK(explore<freed_unknown>().found(finding_kind::wrong_free));
    auto const v = explore<leaking>();
    CHECK(v.found(finding_kind::leak));
    CHECK(v.first.headline.find("forgotten") != std::string::npos);
}

TEST_CASE("explore: addresses are used again only with heap_reuse::always", "[explore]") {
    CHECK(explore<reused>({.reuse = heap_reuse::never}).complete());
    CHECK(explore<reused>({.reuse = heap_reuse::always}).found(finding_kind::expectation));
}

TEST_CASE("explore: a stack object that outlives its frame in somebody's hands is found",
          "[explore]") {
    for (auto const model : {memory_model::tso, memory_model::stale}) {
        CHECK(explore<late_waker>({.memory = model}).found(finding_kind::use_after_free));
    }
}

TEST_CASE("explore: deadlocks say who waits for what and who holds it", "[explore]") {
    auto const v = explore<crossed_locks>();
    REQUIRE(v.found());
    if (v.found(finding_kind::deadlock))
        CHECK(v.first.headline.find("holding A") != std::string::npos);
    CHECK((v.found(finding_kind::deadlock) || v.found(finding_kind::lock_order)));
    CHECK(explore<crossed_in_turn>().found(finding_kind::lock_order));
}

TEST_CASE("explore: the ledger of locks", "[explore]") {
    CHECK(explore<kept_lock>().found(finding_kind::lock_misuse));
    CHECK(explore<both_hold>().found(finding_kind::exclusion));
}

TEST_CASE("explore: a wait without a notify is a lost wake-up, also where it did not wait",
          "[explore]") {
    CHECK(explore<woken<0>>().found(finding_kind::lost_wakeup));
    CHECK(explore<woken<1>>().found(finding_kind::lost_wakeup));  // two wait, one is woken
    CHECK(explore<woken<2>>().complete());
    CHECK(explore<woken<0>>({.wakes = wake_rule::lenient}).complete());
}

TEST_CASE("explore: spinning by hand is endless, retrying with relax() is cut and said so",
          "[explore]") {
    CHECK(explore<spinning>({.longest = 100}).found(finding_kind::endless));
    auto const v = explore<retrying>({.retries = 2});
    CHECK(v.complete());
    CHECK(v.cut);
}

TEST_CASE("explore: the story ends with a token that replays", "[explore]") {
    auto const v = explore<racy>();
    REQUIRE(v.found());
    CHECK(v.first.story.starts_with("data race: "));
    CHECK(v.first.story.find("replay: " + v.first.token) != std::string::npos);
    auto const again = explore<racy>({.search = search_kind::replay, .replay = v.first.token});
    CHECK(again.first.headline == v.first.headline);
}

TEST_CASE("explore: a token that does not fit is called hidden state", "[explore]") {
    CHECK(explore<fine>({.search = search_kind::replay, .replay = "0000"})
              .found(finding_kind::hidden_state));
}

TEST_CASE("explore: a heavy fence acquires and releases in every model, sc included", "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        CHECK(explore<handed_over_by_heavy_fence>({.memory = model}).complete());
        CHECK(explore<handed_over_by_heavy_fence>(
                  {.memory = model, .sites = {{"test.heavy", weakening::off}}})
                  .found(finding_kind::data_race));
    }
}

TEST_CASE("explore: actors can be asked who they are, as threads can by thread_local",
          "[explore]") {
    CHECK(M::actor() == -1);
    CHECK(explore<told_who_asks>().complete());
}

TEST_CASE("explore: a notify that only happened to come after the write answers nobody",
          "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso}) {
        plan const how{.memory = model, .story = story_kind::omitted};
        CHECK(explore<notified_by_a_third<false>>(how).found(finding_kind::lost_wakeup));
        CHECK(explore<notified_by_a_third<true>>(how).complete());
    }
}

TEST_CASE("explore: words outside an exploration are plain variables", "[explore]") {
    M::atomic<std::uint32_t> word{3};
    CHECK(word.fetch_add(2, relaxed) == 3);
    std::uint32_t expected = 5;
    CHECK(word.compare_exchange(expected, 9, relaxed));
    CHECK(word.exchange(1, relaxed) == 9);
    M::plain<int> field{4};
    field.set(5);
    CHECK(field.get() == 5);
}
