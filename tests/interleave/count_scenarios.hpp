// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of counts that decide who may write: a frozen frame, and a swap slot with several holders.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/swap_store.hpp>

#include "weak_machine.hpp"
#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// Does the mover freeze the page?
enum class freezing : std::uint8_t { yes, no };

/// Somebody freezes a page, changes it, and thaws it; whoever gets hold of it sees all of that or
/// nothing.
template<freezing Freeze, Machine M = model_machine>
struct changed_while_frozen {
    static constexpr int actors = 2;
    frame_pool<M> frames{page_count{1}, frame_bytes::none, pfn{16}, pin_statistics::off};
    pfn page{*frames.allocate(frame_kind::anonymous)};
    model_machine::plain<int> left{0};
    model_machine::plain<int> right{0};

    changed_while_frozen() {
        M::name(&left, "left");
        M::name(&right, "right");
    }
    void actor(int who) {
        if (who == 0) {
            if (!frames.try_grab(page, 1, holding::reference)) return;
            M::expect(left.get() == right.get(), "the page is seen before or after the change");
            frames.put(page);
            return;
        }
        if (Freeze == freezing::yes && !frames.try_freeze(page, 1)) return;
        left.set(1);
        right.set(1);
        if (Freeze == freezing::yes) frames.unfreeze(page, 1);
    }
    void finish() { M::expect(frames.ref_count(page) == 1, "the owner's reference is left"); }
};

/// Two entries name one swap slot; one reads it, the other goes and takes the slot anew.
template<Machine M>
struct slot_used_again {
    static constexpr int actors = 2;
    memory_swap<M> swap{page_count{1}};
    std::uint64_t slot{*swap.allocate()};
    model_machine::plain<int> contents{1};

    slot_used_again() {
        M::name(&contents, "slot contents");
        M::expect(swap.duplicate(slot), "two entries name it");
    }
    void actor(int who) {
        if (who == 0) {
            M::expect(contents.get() == 1, "what was swapped out is read back");
            return swap.release(slot);
        }
        swap.release(slot);
        auto const next = swap.allocate();
        if (!next) return;
        contents.set(2);
        swap.release(*next);
    }
    void finish() { M::expect(swap.in_use() == 0, "the slot is free"); }
};

inline void add_count_scenarios(scenario_book& book) {
    book.add<changed_while_frozen<freezing::yes>>("space.changed_while_frozen",
                                                  "freeze, change, thaw against a grab");
    book.add_mutant<changed_while_frozen<freezing::no>>("space.changed_while_frozen", "not_frozen",
                                                        "changes a page that others may hold");
    book.add_mutant<changed_while_frozen<freezing::yes, machine_without<"frame.unfreeze">>>(
        "space.changed_while_frozen", "unfreeze_relaxed", "thaws before the change is visible");
    book.add_mutant<changed_while_frozen<freezing::yes, machine_without<"frame.grab">>>(
        "space.changed_while_frozen", "grab_relaxed", "holds the page without seeing the change");
    book.add<slot_used_again<model_machine>>("swap.slot_used_again", "two holders of one slot");
    book.add_mutant<slot_used_again<machine_without<"swap.put">>>(
        "swap.slot_used_again", "put_relaxed", "writes a slot that somebody still reads");
}

}  // namespace mmhold_test
