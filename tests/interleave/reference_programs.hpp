// SPDX-License-Identifier: BSL-1.0
#pragma once

// Small programs whose number of executions is known from other model checkers (GenMC and Nidhugg
// agree on them under TSO). They pin the reduction: one execution more is redundancy, one less is a
// hole.

#include <mmhold/explore/explore.hpp>

#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// Whether a fence under test is there.
enum class fenced : std::uint8_t { no, yes };

/// Store buffering: 3 executions with the fence, 4 without.
template<fenced F>
struct store_buffering {
    using M = model_machine;
    static constexpr int actors = 2;
    M::atomic<int> x{0};
    M::atomic<int> y{0};
    int seen[2]{};

    store_buffering() {
        M::name(&x, "x");
        M::name(&y, "y");
    }
    void actor(int who) {
        (who == 0 ? x : y).store(1, relaxed);
        if constexpr (F == fenced::yes) M::fence(seq_cst("sb.fence"));
        seen[who] = (who == 0 ? y : x).load(relaxed);
    }
    void finish() { M::expect(seen[0] + seen[1] > 0, "one of the two sees the other's store"); }
};

/// Dekker's entry protocol, tried once and left again: 7 executions with the fence.
template<fenced F>
struct dekker {
    using M = model_machine;
    static constexpr int actors = 2;
    M::atomic<int> wants[2];
    M::plain<int> inside{0};

    dekker() {
        M::name(&wants[0], "wants", 0);
        M::name(&wants[1], "wants", 1);
        M::name(&inside, "inside");
    }
    void actor(int who) {
        wants[who].store(1, relaxed);
        if constexpr (F == fenced::yes) M::fence(seq_cst("dekker.fence"));
        if (wants[1 - who].load(acquire("dekker.look")) == 0) inside.set(inside.get() + 1);
        wants[who].store(0, release("dekker.leave"));
    }
};

/// Which defence of the hazard pointer protocol is missing.
enum class hazard_bug : std::uint8_t { none, no_reader_fence, no_writer_fence, no_recheck };

/// Hazard pointers: Readers readers protect and use the object `Rounds` times each, a writer
/// replaces and frees it `Rounds` times. Executions under TSO: 1,1: 7 – 1,2: 195 – 2,1: 49 – 2,2:
/// 55,097 (SC: 37,266).
template<int Readers, int Rounds, hazard_bug Bug = hazard_bug::none>
struct hazard_pointers {
    using M = model_machine;
    static constexpr int actors = Readers + 1;
    struct node {
        M::plain<int> value{42};
    };
    M::atomic<node*> source{nullptr};
    M::atomic<node*> slot[Readers];
    node* kept[Rounds]{};

    hazard_pointers() {
        M::name(&source, "source");
        for (int i = 0; i < Readers; ++i) M::name(&slot[i], "slot", static_cast<std::size_t>(i));
        auto* const first = M::create<node>();
        M::name(first, "n0");
        source.store(first, relaxed);
        for (int i = 1; i < Rounds; ++i) {
            spare[i] = M::create<node>();
            M::name(spare[i], "n", static_cast<std::size_t>(i));
        }
    }
    void actor(int who) {
        for (int round = 0; round < Rounds; ++round)
            who < Readers ? read(slot[who]) : replace(round);
    }
    void finish() {
        for (int i = 0; i < retired; ++i) M::destroy(kept[i]);
    }

private:
    void read(M::atomic<node*>& mine) {
        node* found = source.load(acquire("hp.find"));
        while (found != nullptr) {
            mine.store(found, release("hp.publish"));
            if constexpr (Bug != hazard_bug::no_reader_fence) M::fence(seq_cst("hp.reader_fence"));
            if constexpr (Bug == hazard_bug::no_recheck) break;
            node* const again = source.load(acquire("hp.recheck"));
            if (again == found) break;
            found = again;
        }
        if (found != nullptr) M::expect(found->value.get() == 42, "the object is whole");
        mine.store(nullptr, release("hp.clear"));
    }
    void replace(int round) {
        kept[retired++] = source.load(relaxed);
        source.store(round + 1 < Rounds ? spare[round + 1] : nullptr, release("hp.unlink"));
        if constexpr (Bug != hazard_bug::no_writer_fence) M::fence(seq_cst("hp.writer_fence"));
        int still = 0;
        for (int i = 0; i < retired; ++i) {
            if (in_use(kept[i])) {
                kept[still++] = kept[i];
            } else {
                M::destroy(kept[i]);
            }
        }
        retired = still;
    }
    [[nodiscard]] bool in_use(node const* object) const {
        bool used = false;
        for (auto const& s : slot) used = s.load(acquire("hp.scan")) == object || used;
        return used;
    }
    int retired{0};
    node* spare[Rounds]{};
};

/// Does the head of the stack carry a count against ABA?
enum class tagged : std::uint8_t { no, yes };

/// Treiber's stack of three elements: one actor pops; the other pops twice and pushes the first one
/// back. With a tag 33 executions under TSO; without it an element ends up both in the stack and in
/// a hand.
template<tagged T>
struct treiber_stack {
    using M = model_machine;
    static constexpr int actors = 2;
    M::atomic<std::uint32_t> head{1};  // tag above, element (from 1) below; 0: empty
    M::atomic<std::uint32_t> next[3];
    std::uint32_t kept[2]{};  // by each actor

    treiber_stack() {
        M::name(&head, "head");
        for (std::uint32_t i = 0; i < 3; ++i) M::name(&next[i], "next", i);
        next[0].store(2, relaxed);
        next[1].store(3, relaxed);
    }
    void actor(int who) {
        auto const first = pop();
        kept[who] = who == 0 ? first : pop();
        if (who == 1 && first != 0) push(first);
    }
    void finish() {
        M::expect(kept[0] != kept[1] || kept[0] == 0, "an element is in two hands");
        auto element = head.load(relaxed) & 255U;
        for (int i = 0; i < 4 && element != 0; ++i) {
            M::expect(element != kept[0] && element != kept[1],
                      "an element is in the stack and in a hand");
            element = next[element - 1].load(relaxed);
        }
    }

private:
    static constexpr std::uint32_t one_tag = T == tagged::yes ? 256U : 0U;

    std::uint32_t pop() {
        for (;;) {
            auto seen = head.load(acquire("treiber.look"));
            auto const element = seen & 255U;
            if (element == 0) return 0;
            auto const below = next[element - 1].load(relaxed);
            auto const wanted = ((seen & ~255U) + one_tag) | below;
            if (head.compare_exchange(seen, wanted, acq_rel("treiber.pop"))) return element;
        }
    }
    void push(std::uint32_t element) {
        for (;;) {
            auto seen = head.load(relaxed);
            next[element - 1].store(seen & 255U, relaxed);
            auto const wanted = (seen & ~255U) | element;
            if (head.compare_exchange(seen, wanted, acq_rel("treiber.push"))) return;
        }
    }
};

}  // namespace mmhold_test
