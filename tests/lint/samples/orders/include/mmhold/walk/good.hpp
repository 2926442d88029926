#pragma once
// (good.publish) the filled table becomes visible; pairs with (good.descend,
// good.again).
inline void publish() { slot.store(word, release("good.publish")); }

inline auto descend() {
    // (good.descend) sees the filled table; pairs with (good.publish).
    auto word = slot.load(acquire("good.descend"));
    auto again = slot.load(M::acquire("good.again"));  // (good.again) pairs with (good.publish)
    return word + slot.load(relaxed) + slot.load(order);
}

template<class M>
bool swap(int& expected) {
    // Takes the slot.
    // (good.take) everything before it, as for (good.light), is visible to the next owner; pairs with (good.take_seen).
    // (good.take_seen) pairs with (good.take).
    return slot.compare_exchange_strong(
        expected,
        make(1, 2),
        acq_rel("good.take"),
        acquire("good.take_seen"));
}

inline void fences() {
    // (good.light) the reader's half; pairs with (good.heavy).
    M::light_fence(at("good.light"));
    for (int i = 0; i < 3; ++i) {
        // (good.heavy) the writer's half; pairs with (good.light).
        M::heavy_fence(at("good.heavy"));
    }
    // (good.lonely) alone: the total order with the other fences of the algorithm is all that is wanted.
    M::fence(seq_cst("good.lonely"));
    await(slot, [&] { int unused = 0; return slot.load(acquire("good.wait")) == unused; });  // (good.wait) alone: a test
}

template<class A>
concept Word = requires(A& word) {
    { word.load(acquire("")) };
    { word.load() };
};

inline void namesakes() { table.exchange(slot, at(entry)), memory.load(level, index); }
