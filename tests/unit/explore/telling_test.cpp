// SPDX-License-Identifier: BSL-1.0
// What the stories of findings say: parties, marks, remedies, and a token that shows it again.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/spin_lock.hpp>

using namespace mmhold;

namespace {

using M = model_machine;

bool tells(verdict const& v, std::string_view words) {
    UNSCOPED_INFO(v.first.story);
    return v.first.story.find(words) != std::string::npos;
}
template<class Scenario>
bool replays(verdict const& v, plan p) {
    p.search = search_kind::replay;
    p.replay = v.first.token;
    auto const again = explore<Scenario>(p);
    UNSCOPED_INFO(again.first.story);
    return again.found(v.first.kind) && again.executions <= 2;
}

/// Store buffering: each side needs a fence of its own.
struct both_look_away {
    static constexpr int actors = 2;
    M::atomic<int> mine{0};
    M::atomic<int> yours{0};
    int seen[2]{};
    both_look_away() {
        M::name(&mine, "mine");
        M::name(&yours, "yours");
    }
    void actor(int who) {
        if (who == 0) {
            mine.store(1, relaxed);
            seen[0] = yours.load(relaxed);
        } else {
            yours.store(1, relaxed);
            seen[1] = mine.load(relaxed);
        }
    }
    void finish() { M::expect(seen[0] == 1 || seen[1] == 1, "one sees the other"); }
};

struct published_too_early {
    static constexpr int actors = 2;
    M::plain<int> data{0};
    M::atomic<int> flag{0};
    published_too_early() {
        M::name(&data, "data");
        M::name(&flag, "flag");
    }
    void actor(int who) {
        if (who == 0) {
            data.set(1);
            flag.store(1, release("test.told_set"));
        } else if (flag.load(acquire("test.told_look")) == 1) {
            (void)data.get();
        }
    }
};

/// The hold changes its mode while the guard inside the lock is held; the guard was first once.
struct taken_down_a_mode {
    static constexpr int actors = 1;
    big_lock<M> lock{};
    void actor(int) {
        lock.lock();
        lock.downgrade();
        lock.unlock_shared();
    }
};

/// mm lock and page table lock in both orders; `Turns`: never at the same time.
enum class turns { taken, not_taken };
template<turns Turns>
struct crossed {
    static constexpr int actors = 2;
    rw_lock<M> mm{};
    spin_lock<M> ptl{};
    M::atomic<int> turn{0};
    crossed() {
        M::name(&mm, "mm lock");
        M::name(&ptl, "ptl");
    }
    void actor(int who) {
        if (Turns == turns::taken && who == 1)
            (void)M::poll(
                turn, [](int t) { return t == 1; }, acquire("test.told_turn"));
        if (who == 0) {
            mm.lock();
            ptl.lock();
            ptl.unlock();
            mm.unlock();
        } else {
            ptl.lock();
            mm.lock();
            mm.unlock();
            ptl.unlock();
        }
        if (Turns == turns::taken && who == 0) turn.store(1, release("test.told_next"));
    }
};

/// Both orders, but each execution has only one of them.
struct one_order_at_a_time {
    static constexpr int actors = 2;
    spin_lock<M> a{};
    spin_lock<M> b{};
    M::atomic<int> first{0};
    one_order_at_a_time() {
        M::name(&a, "A");
        M::name(&b, "B");
    }
    void actor(int who) {
        if (who == 1) return first.store(1, release("test.told_first"));
        bool const early = first.load(acquire("test.told_early")) == 0;
        auto& outer = early ? a : b;
        auto& inner = early ? b : a;
        outer.lock();
        inner.lock();
        inner.unlock();
        outer.unlock();
    }
};

struct told_before_it_is_true {
    static constexpr int actors = 2;
    M::atomic<int> flag{0};
    told_before_it_is_true() { M::name(&flag, "flag"); }
    void actor(int who) {
        if (who == 0) {
            (void)M::await(
                flag, [](int f) { return f == 1; }, acquire("test.told_await"));
        } else {
            flag.notify_all();
            flag.store(1, release("test.told_flag"));
        }
    }
};

struct never_true {
    static constexpr int actors = 2;
    M::atomic<int> flag{0};
    never_true() { M::name(&flag, "flag"); }
    void actor(int who) {
        if (who == 0) {
            (void)M::await(
                flag, [](int f) { return f == 2; }, acquire("test.told_never"));
        } else {
            flag.store(1, release("test.told_one"));
        }
    }
};

struct spins {
    static constexpr int actors = 2;
    M::atomic<int> flag{0};
    spins() { M::name(&flag, "flag"); }
    void actor(int who) {
        if (who == 1) return flag.store(1, release("test.told_spin_set"));
        while (flag.load(acquire("test.told_spin")) == 0) {}
    }
};

struct touched_after_destroy {
    static constexpr int actors = 2;
    M::atomic<M::atomic<int>*> shared{nullptr};
    touched_after_destroy() {
        auto* const node = M::create<M::atomic<int>>(1);
        M::name(node, "n0");
        shared.store(node, relaxed);
    }
    void actor(int who) {
        auto* const node = shared.load(acquire("test.told_node"));
        if (who == 0) (void)node->load(relaxed);
        if (who == 1) M::destroy(node);
    }
};

}  // namespace

TEST_CASE("telling: what buffers did, what sequential consistency says, which fences help",
          "[explore]") {
    auto const v = explore<both_look_away>();
    REQUIRE(v.found(finding_kind::expectation));
    CHECK(tells(v, "(buffered)"));
    CHECK(tells(v, "drains"));
    CHECK(tells(v, "invisible under sequential consistency"));
    CHECK(tells(v, "goes away with a full fence after the store at telling_test.cpp:"));
    CHECK(tells(v, " and a full fence after the store at telling_test.cpp:"));
    CHECK(replays<both_look_away>(v, {}));
}

TEST_CASE("telling: a site that was weakened is what the finding needs", "[explore]") {
    plan const p{.memory = memory_model::stale, .sites = {{"test.told_set", weakening::off}}};
    auto const v = explore<published_too_early>(p);
    REQUIRE(v.found(finding_kind::data_race));
    CHECK(tells(v, "site test.told_set off"));
    CHECK(replays<published_too_early>(v, p));
    CHECK(tells(v, "\n  <"));
    CHECK(tells(v, "\n  >"));
}

TEST_CASE("telling: a deadlock spells out the cycle, a wait its word and who changed it",
          "[explore]") {
    auto const v = explore<crossed<turns::not_taken>>({.seed = 3});
    REQUIRE(v.found());
    auto const stuck = explore<crossed<turns::not_taken>>(
        {.search = search_kind::random, .executions = 2000, .seed = 3});
    REQUIRE(stuck.found());
    if (stuck.found(finding_kind::deadlock)) {
        CHECK(tells(stuck, "T0 holds mm lock, waits for ptl; T1 holds ptl, waits for mm lock"));
    }
    auto const alone = explore<never_true>();
    REQUIRE(alone.found(finding_kind::deadlock));
    CHECK(tells(alone, "T0 waits for flag, which is 1 (T1 changed it last, at step"));
    CHECK(tells(alone, "and has ended)"));
}

TEST_CASE("telling: a lock order shows both chains and replays in one call", "[explore]") {
    auto const v = explore<crossed<turns::taken>>();
    REQUIRE(v.found(finding_kind::lock_order));
    CHECK(tells(v, "T0 takes ptl while holding mm lock"));
    CHECK(tells(v, "T1 takes mm lock while holding ptl"));
    CHECK(tells(v, "  <"));
    CHECK(replays<crossed<turns::taken>>(v, {}));

    auto const w = explore<one_order_at_a_time>();
    REQUIRE(w.found(finding_kind::lock_order));
    CHECK(tells(w, "the other order, in an execution of its own"));
    CHECK(w.first.token.find('+') != std::string::npos);
    CHECK(replays<one_order_at_a_time>(w, {}));
}

TEST_CASE("telling: a downgrade under the lock's own guard is no order of locks", "[explore]") {
    CHECK(explore<taken_down_a_mode>().complete());
}

TEST_CASE("telling: a lost wake-up names the notify that came too early", "[explore]") {
    auto const v = explore<told_before_it_is_true>();
    REQUIRE(v.found(finding_kind::lost_wakeup));
    CHECK(tells(v, "T1 made it true at step"));
    CHECK(tells(v, "T1's notify_all after 0 steps came too early"));
    CHECK(tells(v, "notify_all flag"));
    CHECK(replays<told_before_it_is_true>(v, {}));
}

TEST_CASE("telling: an endless execution names its loop, shows it once, has a short token",
          "[explore]") {
    auto const v = explore<spins>({.longest = 300});
    REQUIRE(v.found(finding_kind::endless));
    CHECK(tells(v, "T0 repeats load flag = 0 [test.told_spin] at telling_test.cpp:"));
    CHECK(tells(v, "lines like that"));
    CHECK(v.first.token.size() < 10);
    CHECK(replays<spins>(v, {.longest = 300}));
}

TEST_CASE("telling: a use after free marks both steps and names the object", "[explore]") {
    auto const v = explore<touched_after_destroy>();
    REQUIRE(v.found(finding_kind::use_after_free));
    CHECK(tells(v, "n0"));
    CHECK(tells(v, "&n0"));
    CHECK(tells(v, "\n  <"));
    CHECK(tells(v, "\n  >"));
    CHECK(replays<touched_after_destroy>(v, {}));
}

TEST_CASE("telling: with a command the last line is that command", "[explore]") {
    auto const v = explore<spins>({.longest = 300, .command = "prog --scenario spins"});
    CHECK(tells(v, "prog --scenario spins --model tso --replay " + v.first.token + "\n"));
}
