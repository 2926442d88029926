// SPDX-License-Identifier: BSL-1.0
#pragma once

// The same with a third actor: the page is missing, and a pager supplies it, while a meddler is at work
// (gup-semantics §2.4, §3, §8.4).

#include "pair_scenarios.hpp"

#include <mmhold/fault/userfault.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold_test {

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

/// The userfault of the library; a mutant stands in for it with the same members.
template<class Space>
using usual_userfault = userfault<Space>;

/// A taker, a meddler, and a pager who answers every event until the taker is done: it puts the page in
/// place, or wakes those who wait if that is not possible (what every pager does after ENOENT or EEXIST).
template<class Taker, class Meddler, supply How = supply::copy, template<class> class Userfault = usual_userfault,
         class Config = pair_config<plain_mm_lock>>
struct userfault_pair : judged_taker<Taker, Meddler, Config> {
    using M = model_machine;
    static constexpr int actors = 3;
    using base = judged_taker<Taker, Meddler, Config>;
    using space_type = typename pair_world<Config>::space_type;

    Userfault<space_type> supplier{this->w.space};

    userfault_pair() : base{start()} {
        auto const done = supplier.register_range(this->w.first, this->w.pages(Meddler::traits.start.pages));
        M::expect(done.has_value(), "the range is registered");
    }
    void actor(int who) {
        switch (who) {
            case 0: take(); break;
            case 1: meddle(); break;
            default: serve(); break;
        }
    }
    void finish() {
        (void)supplier.close(this->w.first);
        base::finish();
    }

private:
    static constexpr beginning start() {
        auto start = Meddler::traits.start;
        if (start.what == beginning::present::page) start.what = beginning::present::nothing;
        return start;
    }
    void take() {
        base::take();
        supplier.stop();
    }
    void meddle() {
        if constexpr (std::is_same_v<Meddler, closing_meddler>) {
            (void)supplier.close(this->w.second);
        } else if constexpr (std::is_same_v<Meddler, unregistering_meddler>) {
            (void)supplier.unregister_range(this->w.second, this->w.pages(1));
        } else {
            Meddler::act(this->w);
        }
    }
    void serve() {
        auto& me = this->w.third;
        while (auto const event = supplier.wait_event(me.current(), wait_mode::killable)) {
            auto const range = *page_span::from(event->address, page_count{1});
            if (supply_page(me, range).pages == 0) (void)supplier.wake(range);
        }
    }
    userfault_filled supply_page(typename space_type::cpu_type& me, page_span range) {
        if (How == supply::zeropage) return supplier.zeropage(me, range);
        return supplier.copy_with(me, range, [](std::uint64_t, std::span<std::byte>) {});
    }
};

using userfault_meddlers =
    type_list<mapping_over_meddler, unmapping_meddler, table_freeing_meddler, table_reclaiming_meddler,
              protecting_meddler, discarding_meddler, exiting_meddler, killing_meddler, closing_meddler,
              unregistering_meddler>;

template<supply How, class... Meddlers>
void add_userfault_row(scenario_book& book, type_list<Meddlers...>) {
    auto const by = std::string{"pair.userfault_"} + (How == supply::copy ? "copy" : "zeropage") + "_against_";
    (book.add<userfault_pair<gup_unlocked_taker<>, Meddlers, How>>(
         by + Meddlers::name, std::string{"gup_unlocked waits for a pager while "} + Meddlers::name + " is at work"),
     ...);
}

inline void add_userfault_pairs(scenario_book& book) {
    add_userfault_row<supply::copy>(book, userfault_meddlers{});
    add_userfault_row<supply::zeropage>(book, userfault_meddlers{});
}

}  // namespace mmhold_test
