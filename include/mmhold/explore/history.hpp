// SPDX-License-Identifier: BSL-1.0
#pragma once

// history: what each actor asked and was answered, judged at the end of every execution – does some
// serial order of the operations explain all answers?
//
// 1. A scenario records. Operations and answers are small values that own no memory:
//
//     struct request { enum { map, unmap } what; int page; std::string text() const; };
//     struct races_of_two {
//         static constexpr int actors = 2;
//         my_space<rw_lock<model_machine>> space;
//         history<request, errc> log;
//         void actor(int who) {
//             log.record(who == 0 ? request{...} : request{...},
//                        [&](request const& r) { return space.serve(r); });
//         }
//         void finish() { expect_explained_by<reference>(log); }   // or <my_space<big_lock<...>>>
//     };
//
// 2. `reference` says what is right. Any of
//      * a small model: copyable, `errc apply(request const&)`; with operator== states are
//        remembered, which keeps long histories cheap;
//      * the same with `bool admits(request const&, errc answered)` where several answers are right
//        (a gup that may stop early);
//      * the big-lock oracle: the subject itself on a lock that lets nobody overlap
//        (`my_space<big_lock<model_machine>>` with apply()). It need not be copyable: for each
//        order that is tried a fresh one is built and does the operations one after the other.
//    A second argument may look at what is left behind: it is given the model after the last
//    operation, and answers whether the subject looks alike.
//
// 3. A history that nothing explains is finding_kind::not_linearizable; its story shows the
//    operations as intervals, the longest serial order that fits, and what comes after it.
//
// Which operations may not be swapped? precedence::real_time (the default): those where one was
// answered before the other was called – linearizability (Herlihy and Wing, 1990). Call and answer
// are then steps of the search, so that every overlap is tried, and cost executions.
// precedence::causal: those where the answer happens-before the call. That costs nothing, asks for
// less, and is the honest question under stale reads, which know no common clock.

#include <mmhold/explore/clock.hpp>
#include <mmhold/explore/model_machine.hpp>
#include <mmhold/explore/serial_order.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace mmhold {

/// Which of two operations of a history must stay the first.
enum class precedence : std::uint8_t {
    real_time,  ///< the one that was answered before the other was called
    causal,     ///< the one whose answer happens-before the call of the other
};

/// Up to `Capacity` (at most 64) operations of one execution. A member of a scenario; used by its
/// actors.
template<class Operation, class Result, std::size_t Capacity = 16>
class history {
    static_assert(Capacity <= 64, "mmhold: a history has at most 64 operations");
    static_assert(std::is_trivially_destructible_v<Operation> &&
                      std::is_trivially_destructible_v<Result>,
                  "mmhold: executions may be given up half-way: what is recorded owns no memory");

public:
    using operation = Operation;
    using answer = Result;

    history() noexcept = default;
    explicit history(precedence order) noexcept : order_{order} {}

    /// Does `op` by calling `deed(op)` and records it with its answer, which is passed on.
    template<class Deed>
    Result record(Operation op, Deed&& deed) {
        auto const number = call(op);
        Result answered = std::forward<Deed>(deed)(std::as_const(op));
        respond(number, answered);
        return answered;
    }

    /// The two halves of record(). call() answers the number that respond() wants.
    [[nodiscard]] std::size_t call(Operation op) {
        model_machine::expect(detail::running->who() >= 0, "history: only actors record");
        model_machine::expect(count_ < Capacity, "history: more operations than its capacity");
        if (order_ == precedence::real_time) detail::running->mark_call();
        auto const number = count_++;
        auto& mine = all_[number];
        mine.record.op = std::move(op);
        mine.record.actor = detail::running->who();
        mine.record.called = ++moment_;
        mine.record.answered = 0;
        mine.known = detail::running->knowledge();
        return number;
    }
    void respond(std::size_t number, Result answered) {
        if (order_ == precedence::real_time) detail::running->mark_answer();
        auto& mine = all_[number];
        mine.record.answer = std::move(answered);
        mine.record.answered = ++moment_;
        auto const actor = static_cast<detail::process>(mine.record.actor);
        auto const tick = detail::running->knowledge().ticks[actor];
        // The last step of the operation; if it had none, what its actor does next.
        bool const idle = tick == mine.known.ticks[actor];
        mine.over_at = static_cast<std::int16_t>(idle ? tick : tick - 1);
    }

    /// How many operations were called so far.
    [[nodiscard]] std::size_t size() const noexcept { return count_; }

    /// The operations in the order of their calls, each with the set of those that precede it.
    [[nodiscard]] std::array<detail::recorded<Operation, Result>, Capacity> ordered() const {
        std::array<detail::recorded<Operation, Result>, Capacity> all{};
        for (std::size_t i = 0; i < count_; ++i) {
            all[i] = all_[i].record;
            all[i].first = 0;
            for (std::size_t k = 0; k < count_; ++k) {
                if (k != i && precedes(all_[k], all_[i])) all[i].first |= std::uint64_t{1} << k;
            }
        }
        return all;
    }

private:
    struct entry {
        detail::recorded<Operation, Result> record{};
        detail::sync_clock known{};  // when it was called
        std::int16_t over_at{0};     // tick
    };
    [[nodiscard]] bool precedes(entry const& a, entry const& b) const noexcept {
        if (a.record.answered == 0) return false;
        if (a.record.actor == b.record.actor || order_ == precedence::real_time)
            return a.record.answered < b.record.called;
        return b.known.covers(static_cast<detail::process>(a.record.actor), a.over_at);
    }

    precedence order_{precedence::real_time};
    std::size_t count_{0};
    int moment_{0};
    std::array<entry, Capacity> all_{};
};

/// Finds a serial order of the operations in which `Model` answers what was answered and
/// `looks_alike(model)` holds at the end; without one the execution is not_linearizable. Call it
/// from a scenario's finish().
template<class Model, class Operation, class Result, std::size_t Capacity, class AtEnd>
requires SequentialModel<Model, Operation, Result>
void expect_explained_by(history<Operation, Result, Capacity> const& log, AtEnd looks_alike) {
    using search = detail::serial_search<Model, Operation, Result>;
    std::string headline;
    std::string details;
    {
        auto const all = log.ordered();
        std::span<detail::recorded<Operation, Result> const> const used{all.data(), log.size()};
        auto const found = search::run(
            used, [] { return model_machine::create<Model>(); },
            [](Model* model) { model_machine::destroy(model); }, looks_alike);
        if (found.explained) return;
        headline = "no serial order of the " + std::to_string(log.size()) +
                   " operations explains their answers";
        details = detail::intervals_in_words(used, found);
    }
    detail::running->reject(finding_kind::not_linearizable, headline, details);
}

/// The same, whatever is left behind.
template<class Model, class Operation, class Result, std::size_t Capacity>
requires SequentialModel<Model, Operation, Result>
void expect_explained_by(history<Operation, Result, Capacity> const& log) {
    expect_explained_by<Model>(log, [](Model const&) { return true; });
}

}  // namespace mmhold
