#pragma once
inline void bad() {
    slot.load();
    slot.store(1);
    slot->fetch_add(1, acquire);
    slot.load(std::memory_order_acquire);
    slot.load(acquire("bad.silent"));
    // (bad.aimless) says nothing about its partner.
    slot.load(acquire("bad.aimless"));
    // (bad.ghost) pairs with (bad.nobody).
    slot.load(acquire("bad.ghost"));
    // (bad.one_sided) pairs with (bad.other).
    slot.load(acquire("bad.one_sided"));
    // (bad.other) alone: does not know of the first.
    slot.store(1, release("bad.other"));
    // (bad.other) alone: taken.
    slot.store(1, release("bad.other"));
    // (Shape) alone: not of the form.
    slot.store(1, release("Shape"));
    M::heavy_fence();
    slot.exchange(
        1,
        seq_cst);
}
