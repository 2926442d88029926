// SPDX-License-Identifier: BSL-1.0
#pragma once

// One row of the table: a fresh address space, everybody at work in it at once, what came of it.

#include <mmhold/observe/observer.hpp>
#include <mmhold/vocab/errc.hpp>

#include "actors.hpp"
#include "lock_history.hpp"
#include "pager.hpp"
#include "plan.hpp"
#include "progress.hpp"
#include "row.hpp"
#include "settle.hpp"
#include "ways.hpp"
#include "world.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace stall {

/// A world with a layout and a pager area in it, or a sentence why there is none.
struct site {
    world in;
    settled layout{};
    pager_area area{};
    std::string error{};  // empty: here it is

    explicit site(plan const& of) : in{of.size()} {
        if (!in.valid()) {
            error = "not enough memory";
            return;
        }
        auto& me = in.cpus[role::program];
        actor_of_this_thread = me.id();
        layout = settle(in, me, of.regions);
        auto const found = find_pager_area(in, me, of.pages());
        if (found) area = *found;
        check(found.error(), "mapping memory for the pager");
    }

    /// Notes the first thing that went wrong.
    void check(mmhold::errc outcome, std::string_view what) {
        if (outcome == mmhold::errc::ok || !error.empty()) return;
        error = std::string{what} + ": " + std::string{errno_name(outcome)} + ", " +
                std::string{describe(outcome)};
    }
};

/// Runs one row.
class experiment {
public:
    experiment(plan const& of, way const& how) : plan_{of}, way_{how}, site_{of} {
        if (!error().empty()) return;
        auto const armed = pager_.take_over(me(), site_.area.span, how.pages);
        site_.check(armed.error(), "arming the pager");
        for (std::uint32_t i = 0; i < of.callers; ++i) {
            callers_.emplace_back(world_, way_, part_of(i));
            if (how.pages != supply::present) continue;
            site_.check(pager_.supply_now(me(), part_of(i)).error(), "supplying pages");
        }
        world_.mm.lock().report_to(world_.log, 1);
    }
    experiment(experiment const&) = delete;
    experiment& operator=(experiment const&) = delete;
    /// Also for one that was never run.
    ~experiment() {
        if (world_.valid()) (void)pager_.let_go(me());
    }

    /// Why it cannot be run; empty: it can.
    [[nodiscard]] std::string const& error() const { return site_.error; }

    /// Everybody at once, until every caller has had its rounds.
    void run(progress& tell) {
        began_ = machine::now();
        doing const now{world_, me(), activity::measuring};
        pager_at_work const served{*this};
        auto const reading = start(role::reader, [this](cpu_type& on, std::stop_token const& end) {
            reader_.run(on, end, plan_.pause());
        });
        auto const writing = start(role::writer, [this](cpu_type& on, std::stop_token const& end) {
            writer_.run(on, end, plan_.pause());
        });
        std::vector<std::jthread> calling;
        for (std::uint32_t i = 0; i < plan_.callers; ++i) calling.push_back(start_caller(i));
        while (!enough()) {
            tell.show(way_.name, calls_done_.load(), plan_.calls());
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
    }

    /// What came of it. After run().
    [[nodiscard]] row result() const {
        row out;
        out.name = way_.name;
        out.shows = way_.shows;
        out.pages_wanted = plan_.faults();
        for (auto const& one : callers_) add(one, out);
        for (auto const& one : world_.cpus) {
            out.retries += one.stats().fault_retries;
            out.lock_drops += one.stats().lock_drops;
        }
        lock_history history;
        auto const see = [&history](mmhold::event const& what) { history.see(what); };
        out.lost_events = world_.ring.for_each(see).lost;
        out.longest_hold = history.longest_hold();
        out.reader = summarise(history.waits_of(actor(role::reader)));
        out.writer = summarise(history.waits_of(actor(role::writer)));
        out.torn_walks = reader_.torn();
        out.writer_error = writer_.error();
        return out;
    }

    /// All that happened since run() began, in order for each actor.
    [[nodiscard]] std::vector<mmhold::event> events() const {
        std::vector<mmhold::event> out;
        (void)world_.ring.for_each([&](mmhold::event const& what) {
            if (what.time_ns >= began_) out.push_back(what);
        });
        return out;
    }

private:
    /// Serves from construction to destruction.
    class pager_at_work {
    public:
        explicit pager_at_work(experiment& in)
            : in_{in}, thread_{in.start(role::pager, [&in](cpu_type& on, std::stop_token const&) {
                  in.pager_.serve(on);
              })} {}
        pager_at_work(pager_at_work const&) = delete;
        pager_at_work& operator=(pager_at_work const&) = delete;
        ~pager_at_work() { (void)in_.pager_.let_go(in_.me()); }

    private:
        experiment& in_;
        std::jthread thread_;
    };

    [[nodiscard]] cpu_type& me() { return world_.cpus[role::program]; }
    [[nodiscard]] std::uint32_t actor(std::uint32_t who) const { return world_.cpus[who].id(); }

    [[nodiscard]] mmhold::page_span part_of(std::uint32_t caller) const {
        auto const first = site_.area.span.page(caller * pages_per_call);
        return *mmhold::page_span::from(first, mmhold::page_count{pages_per_call});
    }

    template<class Work>
    std::jthread start(std::uint32_t who, Work work) {
        return std::jthread{[this, who, work](std::stop_token const& end) {
            auto& on = world_.cpus[who];
            actor_of_this_thread = on.id();
            work(on, end);
        }};
    }
    std::jthread start_caller(std::uint32_t i) {
        return start(role::first_caller + i, [this, i](cpu_type& on, std::stop_token const&) {
            auto const rest = plan_.rest(way_);
            callers_[i].run(on, plan_.rounds, rest, calls_done_);
        });
    }

    [[nodiscard]] bool enough() const {
        auto const turns = plan::least_turns(way_);
        return calls_done_.load() == plan_.calls() && reader_.rounds.load() >= turns &&
               writer_.rounds.load() >= turns;
    }

    static void add(page_caller const& one, row& to) {
        to.pages_held += one.pages_held();
        to.longest_call = std::max(to.longest_call, one.longest_call());
        if (to.error == mmhold::errc::ok) to.error = one.error();
    }

    /// The pager's own mapping is not in the layout that was counted.
    [[nodiscard]] std::uint64_t pages_at_rest() const {
        return site_.layout.built.pages + (site_.area.made ? site_.area.span.pages() : 0);
    }

    plan const& plan_;
    way const& way_;
    site site_;
    world& world_{site_.in};
    pager pager_{world_, plan_.delay};
    std::deque<page_caller> callers_{};
    maps_reader reader_{world_, pages_at_rest(), layout_writer::scratch};
    layout_writer writer_{world_};
    round_counter calls_done_{0};
    std::uint64_t began_{0};
};

}  // namespace stall
