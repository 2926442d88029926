// SPDX-License-Identifier: BSL-1.0
// What the words and fields of the model machine do, with and without an exploration. (What the
// explorer finds is explore_test.cpp's matter.)
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

#include <cstdint>

using namespace mmhold;

namespace {

using M = model_machine;

enum class colour : std::int8_t { red = -1, green = 2 };
struct pair_of_halves {
    std::int32_t low{0};
    std::int32_t high{0};
};

/// The same checks run by an actor, during set-up and at the end; `must` is M::expect there.
template<class Must>
void use_words_of_every_kind(Must must) {
    M::atomic<std::uint8_t> byte{250};
    must(byte.fetch_add(10, relaxed) == 250, "the old value is answered");
    must(byte.load(relaxed) == 4, "eight bits wrap");
    must(byte.fetch_sub(5, relaxed) == 4, "the old value is answered");
    must(byte.load(relaxed) == 255, "eight bits wrap downwards");

    M::atomic<std::uint32_t> bits{0b1100};
    must(bits.fetch_or(0b0011, relaxed) == 0b1100, "or");
    must(bits.fetch_and(0b0110, relaxed) == 0b1111, "and");
    must(bits.load(relaxed) == 0b0110, "what is left");

    M::atomic<int> number{-3};
    must(number.load(relaxed) == -3, "negative numbers");
    must(number.exchange(-4, relaxed) == -3, "exchange answers the old value");

    M::atomic<bool> flag{false};
    flag.store(true, relaxed);
    must(flag.load(relaxed), "truth values");

    M::atomic<colour> paint{colour::red};
    must(paint.load(relaxed) == colour::red, "enumerators, negative ones as well");
    paint.store(colour::green, relaxed);
    must(paint.load(relaxed) == colour::green, "enumerators");

    M::atomic<pair_of_halves> halves{{1, -2}};
    must(halves.load(relaxed).high == -2, "small classes");

    int object = 0;
    M::atomic<int*> pointer{nullptr};
    int* expected = &object;
    must(!pointer.compare_exchange(expected, &object, relaxed), "it is null");
    must(expected == nullptr, "and says so");
    must(pointer.compare_exchange(expected, &object, relaxed), "now it is expected");
    must(pointer.load(relaxed) == &object, "pointers");
}

struct words_of_every_kind {
    static constexpr int actors = 1;
    static void use() {
        use_words_of_every_kind([](bool holds, char const* text) { M::expect(holds, text); });
    }
    words_of_every_kind() { use(); }
    void actor(int) { use(); }
    void finish() { use(); }
};

struct copies_of_fields {
    static constexpr int actors = 2;
    M::plain<int> original{7};
    void actor(int) {
        auto copy = original;  // reads the original, which nobody writes
        copy.set(copy.get() + 1);
        M::expect(copy.get() == 8, "a copy has a value of its own");
        M::plain<int> other{1};
        other = copy;
        M::expect(other.get() == 8, "assigned");
    }
    void finish() { M::expect(original.get() == 7, "untouched"); }
};

struct copies_while_written {
    static constexpr int actors = 2;
    M::plain<int> original{7};
    void actor(int who) {
        if (who == 0) return original.set(8);
        auto const copy = original;
        (void)copy;
    }
};

struct counted_object {
    M::atomic<int>* alive;
    explicit counted_object(M::atomic<int>* counter = nullptr) : alive{counter} {
        if (alive != nullptr) (void)alive->fetch_add(1, relaxed);
    }
    ~counted_object() {
        if (alive != nullptr) (void)alive->fetch_sub(1, relaxed);
    }
};

struct objects_and_arrays {
    static constexpr int actors = 1;
    M::atomic<int> alive{0};
    void actor(int) {
        auto* const one = M::create<counted_object>(&alive);
        M::expect(alive.load(relaxed) == 1, "built");
        M::destroy(one);
        M::expect(alive.load(relaxed) == 0, "destroyed");
        M::destroy(static_cast<counted_object*>(nullptr));

        auto* const many = M::create_array<std::uint64_t>(3);
        M::expect(many[0] == 0 && many[2] == 0, "value-initialised");
        M::destroy_array(many, 3);
        auto* const none = M::create_array<std::uint64_t>(0);
        M::expect(none != nullptr, "an array of nothing is an array");
        M::destroy_array(none, 0);
    }
};

struct clock_counts_steps {
    static constexpr int actors = 1;
    M::atomic<int> word{0};
    void actor(int) {
        auto const before = M::now();
        (void)word.exchange(1, relaxed);
        M::expect(M::now() == before + 1, "a step is a tick");
        M::expect(M::now() == before + 1, "looking at the clock is none");
    }
};

struct says_what_it_holds {
    static constexpr int actors = 2;
    M::atomic<int> turn{0};
    void actor(int who) {
        (void)M::poll(turn, [who](int now) { return now == who; }, acquire("test.turn"));
        M::expect(!M::holds(this), "not yet");
        M::lock_taken(this, lock_mode::exclusive);
        M::expect(M::holds(this), "mine");
        M::lock_given(this, lock_mode::exclusive);
        M::expect(!M::holds(this), "no longer");
        turn.store(who + 1, release("test.next"));
    }
};

constexpr int in_constant_evaluation() {
    M::plain<int> field{2};
    field.set(field.get() + 1);
    auto const copy = field;
    return copy.get();
}
static_assert(in_constant_evaluation() == 3);

template<class S>
void complete_in_every_model() {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        auto const v = explore<S>({.memory = model});
        INFO(to_string(model) << ": " << v.first.headline);
        CHECK(v.complete());
    }
}

}  // namespace

TEST_CASE("model words: every kind of value, whoever uses them", "[explore]") {
    use_words_of_every_kind([](bool holds, char const* text) {
        INFO(text);
        CHECK(holds);
    });
    complete_in_every_model<words_of_every_kind>();
}

TEST_CASE("model fields: a copy is a new field, and copying reads", "[explore]") {
    complete_in_every_model<copies_of_fields>();
    CHECK(explore<copies_while_written>().found(finding_kind::data_race));
}

TEST_CASE("model memory: objects, arrays, and arrays of nothing", "[explore]") {
    complete_in_every_model<objects_and_arrays>();
}

TEST_CASE("model clock: it counts steps, and stands still where nothing runs", "[explore]") {
    complete_in_every_model<clock_counts_steps>();
    CHECK(M::now() == 0);
}

TEST_CASE("model locks: holds() is about the caller, and true where nothing runs", "[explore]") {
    complete_in_every_model<says_what_it_holds>();
    CHECK(M::holds(nullptr));
}
