// SPDX-License-Identifier: BSL-1.0
#pragma once

// The same with a third actor: the page is missing, and a pager supplies it, while a meddler is at
// work (gup-semantics §2.4, §3, §8.4).

#include <mmhold/fault/userfault.hpp>

#include "pair_scenarios.hpp"
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold_test {

/// Who meddles: somebody else, or the pager itself before it looks for events. With two actors the
/// search can be complete.
enum class meddling : std::uint8_t { by_the_pager, by_another };

/// When the pager supplies: after each event, until the taker is done, or once, at any time.
/// Without events the search can be complete where several of them could come.
enum class serving : std::uint8_t { events, once };

/// What the pager puts in place.
enum class supply : std::uint8_t { copy, zeropage };

/// Closes the userfault: who waits is woken, and finds ordinary memory.
struct closing_meddler {
    static constexpr char const* name = "close";
    static constexpr meddler_traits traits{.fate = fate_of_page::replaced};
};
/// Takes the range away from the userfault (UFFDIO_UNREGISTER).
struct unregistering_meddler {
    static constexpr char const* name = "unregister";
    static constexpr meddler_traits traits{.fate = fate_of_page::replaced};
};

/// Nobody meddles, and a second page is there; or the first one is, and the second is missing.
struct second_page_present : nobody_meddles {
    static constexpr char const* name = "nobody_first_missing";
    static constexpr meddler_traits traits{.start = {.pages = 2, .neighbour = 1},
                                           .fate = fate_of_page::replaced};
};
struct first_page_present : nobody_meddles {
    static constexpr char const* name = "nobody_second_missing";
    static constexpr meddler_traits traits{
        .start = {.pages = 2}, .fate = fate_of_page::replaced, .page = 1};
};

/// What the pager writes into a page, where frames have bytes.
inline constexpr std::byte of_the_pager{80};
struct config_with_bytes : pair_config<plain_mm_lock> {
    static constexpr auto bytes = frame_bytes::owned;
};
/// Reads what it has got, which is what the pager has written.
struct reading_taker : gup_unlocked_taker<> {
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>& out) {
        auto const answer = gup_unlocked_taker<>::take(w, me, out);
        auto const right = answer.pages == 0 || w.frames.bytes(out[0])[0] == of_the_pager;
        World::M::expect(right, "a page without what the pager has written");
        return answer;
    }
};

/// The userfault of the library; a mutant stands in for it with the same members.
template<class Space>
using usual_userfault = userfault<Space>;

/// A taker, a meddler, and a pager who answers every event until the taker is done: it puts the
/// page in place, or wakes those who wait if that is not possible (what every pager does after
/// ENOENT or EEXIST).
template<class Taker, class Meddler, supply How = supply::copy,
         meddling Who = meddling::by_the_pager, serving When = serving::events,
         template<class> class Userfault = usual_userfault,
         class Config = pair_config<plain_mm_lock>>
struct userfault_pair {
    using M = model_machine;
    using world = pair_world<Config>;
    using space_type = typename world::space_type;
    static constexpr int actors = Who == meddling::by_the_pager ? 2 : 3;

    world w{start()};
    judged_taker<Taker, Meddler, world> taker{w};
    Userfault<space_type> supplier{w.space};

    userfault_pair() {
        auto const done = supplier.register_range(w.third, missing());
        M::expect(done.has_value(), "the range is registered");
    }
    void actor(int who) {
        if (who == 0) take();
        if (who == 1) meddle();
        if (who == actors - 1) serve();
    }
    void always() {
        w.observe();
        taker.always();
    }
    void finish() {
        (void)supplier.close(w.first);
        taker.finish();
        w.end();
    }

private:
    static constexpr beginning start() {
        auto start = Meddler::traits.start;
        auto const first_is_missing = Meddler::traits.page == 0;
        if (first_is_missing && start.what == beginning::present::page)
            start.what = beginning::present::nothing;
        return start;
    }
    static page_span missing() {
        return *page_span::from(world::place.plus(Meddler::traits.page * page_size), page_count{1});
    }
    void take() {
        taker.take(w.first);
        supplier.stop();
    }
    void meddle() {
        if constexpr (std::is_same_v<Meddler, closing_meddler>) {
            (void)supplier.close(w.second);
        } else if constexpr (std::is_same_v<Meddler, unregistering_meddler>) {
            (void)supplier.unregister_range(w.second, missing());
        } else {
            Meddler::act(w);
        }
    }
    void serve() {
        auto& me = w.third;
        if (When == serving::once) return (void)supply_page(me, missing());
        while (auto const event = supplier.wait_event(me.current(), wait_mode::killable)) {
            auto const range = *page_span::from(event->address, page_count{1});
            if (supply_page(me, range).pages == 0) (void)supplier.wake(range);
        }
    }
    userfault_filled supply_page(typename space_type::cpu_type& me, page_span range) {
        if (How == supply::zeropage) return supplier.zeropage(me, range);
        return supplier.copy_with(me, range, [](std::uint64_t, std::span<std::byte> bytes) {
            if (!bytes.empty()) bytes[0] = of_the_pager;
        });
    }
};

/// Those whose pairs are searched completely: with events, and with a pager that supplies once.
using userfault_few =
    type_list<mapping_over_meddler, unmapping_meddler, table_freeing_meddler, protecting_meddler,
              collapsing_meddler, unregistering_meddler, closing_meddler>;
using userfault_once =
    type_list<nobody_meddles, killing_meddler, closing_meddler, unregistering_meddler>;
/// Those after which gup may have to wait again, and those who meddle as a third: samples.
using userfault_many = type_list<table_reclaiming_meddler, discarding_meddler, exiting_meddler>;
using userfault_beside = type_list<mapping_over_meddler, unmapping_meddler, protecting_meddler,
                                   discarding_meddler, closing_meddler>;

/// One row of userfault pairs: which taker, what the pager supplies, who meddles, when it supplies.
template<class Taker, supply How, meddling Who, serving When>
struct userfault_row {
    template<class... Meddlers>
    static void add(scenario_book& book, reach how_far, type_list<Meddlers...>) {
        auto const name = std::string{"pair.userfault_"} +
                          (How == supply::copy ? "copy_" : "zeropage_") +
                          (When == serving::once ? "once_" : "") +
                          (Who == meddling::by_another ? "beside_" : "against_");
        (book.add<userfault_pair<Taker, Meddlers, How, Who, When>>(
             name + Meddlers::name,
             std::string{Taker::name} + " waits for a pager; meddler: " + Meddlers::name, how_far),
         ...);
    }
};

inline void add_userfault_pairs(scenario_book& book) {
    using enum supply;
    using enum meddling;
    using enum serving;
    userfault_row<gup_unlocked_taker<>, copy, by_the_pager, once>::add(book, reach::complete,
                                                                       userfault_once{});
    userfault_row<gup_unlocked_taker<>, copy, by_the_pager, events>::add(book, reach::complete,
                                                                         userfault_few{});
    userfault_row<gup_unlocked_taker<>, zeropage, by_the_pager, events>::add(book, reach::complete,
                                                                             userfault_few{});
    userfault_row<gup_unlocked_taker<>, copy, by_the_pager, events>::add(book, reach::sampled,
                                                                         userfault_many{});
    userfault_row<gup_unlocked_taker<>, copy, by_another, events>::add(book, reach::sampled,
                                                                       userfault_beside{});
}

}  // namespace mmhold_test
