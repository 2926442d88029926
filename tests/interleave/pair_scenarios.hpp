// SPDX-License-Identifier: BSL-1.0
#pragma once

// Every taker against every meddler: one scenario, two lists. What is judged, in every execution
// (gup-semantics §11.2): a page that was returned was mapped there, writable, between call and
// return; an error only if no page was obtained, and only one that the meddler explains; references
// and pins add up to nothing in the end; a pinned page stays exclusive, and mapped until its owner
// takes it away; the lock's fate; no TLB knows a freed page. Frames, tables and words that are used
// after their end the explorer finds by itself.
//
// What cannot be paired, and why: a process does not end under a lockless walk – whoever walks is
// one of its users, and the last user ends it (pair::counts_users); nothing can be missing, in the
// sense of a userfault, where nothing is mapped, nor where a large leaf is. Collapse is no operation
// of address_space, so it is table().collapse() under the exclusive lock, with the counts looked at
// as gup-semantics §6.1 says. Takers want to write, which is the stricter half.

#include "pair_meddlers.hpp"
#include "pair_takers.hpp"
#include "pair_world.hpp"

#include <mmhold/explore/scenario_book.hpp>

#include <cstdint>
#include <string>

namespace mmhold_test {

/// How the pair finds the space: as the meddler wants it, with a hole where the taker wants to
/// fault.
template<class Taker, class Meddler>
constexpr beginning beginning_of_pair() {
    using enum beginning::present;
    auto start = Meddler::traits.start;
    if (!Taker::traits.starts_without_page) return start;
    if (start.what == page) start.what = table;
    if (start.what == folio) start.what = read_only_folio;
    return start;
}

/// One taker at work, and the judgement of what it comes home with. `Number`: whose record it is.
template<class Taker, class Meddler, class World, std::size_t Number = 0>
class judged_taker {
public:
    using M = model_machine;
    explicit judged_taker(World& world) : w_{world} {}

    void take(typename World::cpu_type& me) {
        auto& record = w_.records[Number];
        record.begin();
        auto const answer = Taker::take(w_, me, out_);
        record.end();
        judge(answer);
        if (Taker::traits.how == holding::none) return;
        if (Number == 0) use(answer.pages);
        if (Taker::traits.keeps_until_the_end) {
            kept_ = answer.pages;
        } else {
            for (std::uint64_t n = 0; n < answer.pages; ++n) {
                release_pages(w_.frames, out_[n], 1, Taker::traits.how);
            }
        }
    }
    void always() const {
        for (std::uint64_t n = 0; n < kept_; ++n) {
            M::expect(w_.frames.exclusive(out_[n]), "a pinned page stopped being exclusive");
        }
    }
    void finish() {
        use(kept_);
        for (std::uint64_t n = 0; n < kept_; ++n) {
            if (stays_mapped(n))
                M::expect(is_still_mapped(n), "a pinned page is not mapped any more");
            w_.frames.unpin(out_[n]);
        }
    }

private:
    static constexpr auto fate = Meddler::traits.fate;

    void use(std::uint64_t pages) {
        for (std::uint64_t n = 0; n < pages; ++n) w_.use(out_[n]);
    }
    void judge(gup_result const& answer) {
        auto const failed = answer.stop == gup_stop::error;
        auto const explained = answer.error == Meddler::traits.refusal && answer.error != errc::ok;
        M::expect(!failed || explained, "an error that nobody has given a reason for");
        auto const nothing = !failed && answer.pages == 0;
        M::expect(!nothing || Taker::traits.may_answer_nothing, "no page, and no reason");
        auto const all = answer.pages == Taker::pages || Taker::traits.how == holding::none;
        M::expect(answer.stop != gup_stop::complete || all, "complete, but not all pages");
        for (std::uint64_t n = 0; n < answer.pages; ++n) judge_page(n);
    }
    void judge_page(std::uint64_t n) const {
        auto const life = w_.frames.generation(out_[n]);
        M::expect(w_.records[Number].saw_writable(n, out_[n], life),
                  "a page that was not mapped there during the call");
        using enum fate_of_page;
        auto const untouched = Meddler::traits.page != 0 || fate == stays || fate == hinted;
        if (n == 0 && untouched && w_.original) {
            M::expect(out_[n] == w_.original->frame,
                      "another page, although it never left its place");
        }
    }
    // A collapse replaces pages, but not pinned ones.
    static constexpr bool stays_mapped(std::uint64_t n) {
        using enum fate_of_page;
        return n != Meddler::traits.page || fate == stays || fate == read_only || fate == copied;
    }
    bool is_still_mapped(std::uint64_t n) const {
        auto const now = w_.translate(n);
        return now && now->frame == out_[n];
    }

    World& w_;
    gup_pages<Taker::pages> out_{};
    std::uint64_t kept_{0};  // pages of `out_` that are held until the end
};

/// One taker, one meddler.
template<class Taker, class Meddler, class Config = pair_config<plain_mm_lock>>
struct pair {
    using M = model_machine;
    static constexpr int actors = 2;
    /// In the kernel, too, a lockless walk keeps the process from ending: the last user ends it.
    static constexpr bool counts_users =
        Meddler::traits.ends_the_space && Taker::traits.walks_without_lock;

    pair_world<Config> w{beginning_of_pair<Taker, Meddler>()};
    judged_taker<Taker, Meddler, pair_world<Config>> taker{w};
    M::atomic<std::uint32_t> users{2};

    void actor(int who) {
        if (who == 0) taker.take(w.first);
        if (who == 1 && !counts_users) Meddler::act(w);
        // Relaxed: it says who comes last; what the two share is ordered by locks and counts of its
        // own, as the search under stale reads confirms.
        if (counts_users && users.fetch_sub(1, relaxed) == 1) Meddler::act(w);
    }
    void always() {
        w.observe();
        taker.always();
    }
    void finish() {
        taker.finish();
        w.end();
    }
};

/// Two takers of one page that is missing (gup-semantics §6.2 #20).
template<class One, class Other, class Config = pair_config<plain_mm_lock>>
struct two_takers {
    static constexpr int actors = 2;
    pair_world<Config> w{{.what = beginning::present::table}};
    judged_taker<One, nobody_meddles, pair_world<Config>, 0> one{w};
    judged_taker<Other, nobody_meddles, pair_world<Config>, 1> other{w};

    void actor(int who) { who == 0 ? one.take(w.first) : other.take(w.second); }
    void always() {
        w.observe();
        one.always();
        other.always();
    }
    void finish() {
        one.finish();
        other.finish();
        w.end();
    }
};

template<class... Members>
struct type_list {};

using lockless_takers = type_list<gup_fast_taker<>, gup_fast_only_taker<>, pin_fast_taker<>>;
using locking_takers = type_list<gup_locked_taker<>, gup_unlocked_taker<>, fault_taker<>>;
using meddlers =
    type_list<mapping_meddler, mapping_over_meddler, unmapping_meddler, table_freeing_meddler,
              table_reclaiming_meddler, protecting_meddler, splitting_meddler, collapsing_meddler,
              discarding_meddler, discarding_all_meddler, exiting_meddler>;

/// How far the search of a pair goes in the runs of every day. `mmhold_explore --scenario NAME`
/// searches any pair to its end.
template<class Taker, class Meddler>
constexpr reach reach_of_pair() {
    if (pair<Taker, Meddler>::counts_users) return reach::complete;
    return Taker::traits.faults_and_looks_again ? Meddler::traits.how_far : reach::complete;
}

/// One row of the table: a taker, all meddlers.
template<class Taker>
struct pair_row {
    template<class... Meddlers>
    static void add(scenario_book& book, type_list<Meddlers...>) {
        auto const name = std::string{"pair."} + Taker::name + "_against_";
        (book.add<pair<Taker, Meddlers>>(
             name + Meddlers::name,
             std::string{Taker::name} + " of a page; meddler: " + Meddlers::name,
             reach_of_pair<Taker, Meddlers>()),
         ...);
    }
};
template<class... Takers>
void add_pair_rows(scenario_book& book, type_list<Takers...>) {
    (pair_row<Takers>::add(book, meddlers{}), ...);
}

/// Pairs over the lock that address_space has by default. It has scenarios of its own; here it is
/// seen at work.
inline void add_pairs_on_the_fair_lock(scenario_book& book) {
    using fair = pair_config<>;
    book.add<pair<gup_fast_taker<>, unmapping_meddler, fair>>(
        "pair.gup_fast_on_rw_lock_against_unmap", "gup_fast, falling back to rw_lock");
    book.add<pair<gup_locked_taker<>, mapping_over_meddler, fair>>(
        "pair.gup_locked_on_rw_lock_against_map_over", "gup_locked and MAP_FIXED on rw_lock");
    book.add<pair<gup_locked_taker<>, discarding_meddler, fair>>(
        "pair.gup_locked_on_rw_lock_against_discard", "two who hold rw_lock shared");
    book.add<pair<fault_taker<>, table_freeing_meddler, fair>>(
        "pair.fault_on_rw_lock_against_table_free", "a fault and munmap on rw_lock");
}

/// Pairs of two pages, and of two takers.
inline void add_more_pairs(scenario_book& book) {
    book.add<pair<gup_fast_taker<2>, unmapping_second_meddler>>(
        "pair.gup_fast_two_against_unmap_second", "gup_fast of two pages, the second is unmapped");
    book.add<pair<gup_fast_taker<2>, discarding_second_meddler>>(
        "pair.gup_fast_two_against_discard_second",
        "gup_fast of two pages, the second is discarded");
    book.add<pair<pin_fast_taker<2>, unmapping_second_meddler>>(
        "pair.pin_fast_two_against_unmap_second", "pin_fast of two pages, the second is unmapped");
    book.add<pair<gup_unlocked_taker<2>, unmapping_second_meddler>>(
        "pair.gup_unlocked_two_against_unmap_second",
        "gup_unlocked of two pages, the second is unmapped");
    book.add<two_takers<fault_taker<>, fault_taker<>>>("pair.fault_beside_fault",
                                                       "two faults on one entry");
    book.add<two_takers<gup_fast_only_taker<>, fault_taker<>>>(
        "pair.gup_fast_only_beside_fault", "the lockless walk and the fault that fills its entry");
    book.add<two_takers<gup_fast_taker<>, fault_taker<>>>("pair.gup_fast_beside_fault",
                                                          "gup_fast and a fault on one page");
    book.add<two_takers<gup_unlocked_taker<>, pin_fast_taker<>>>(
        "pair.gup_unlocked_beside_pin_fast", "two ways of gup, one missing page", reach::tso_only);
}

}  // namespace mmhold_test
