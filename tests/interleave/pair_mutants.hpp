// SPDX-License-Identifier: BSL-1.0
#pragma once

// Takers with a defence left out: walkers that do not look a second time, pools that do not count,
// domains that do not protect, handlers that do not look under the lock, and compositions of gup
// that lose pages or the truth about the lock (the seeds of gup-semantics §6.2).

#include <mmhold/gup/drive.hpp>
#include <mmhold/space/entry_rights.hpp>

#include "pair_scenarios.hpp"
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold_test {

// ---- the lockless walk
// ------------------------------------------------------------------------------

/// A lockless walker that is told what it saw before, the `Look`-th time it looks at an entry of
/// `Level`.
template<class Space, unsigned Level, int Look>
class blindfolded_walker {
public:
    using base = lockless_walker<Space>;
    using cursor = typename base::cursor;
    using witness = typename base::witness;
    using ticket = typename base::ticket;

    explicit blindfolded_walker(Space& space) : base_{space} {}
    void seek(cursor& walk, walk_request const& request, witness& inside) {
        looks_ = 0;
        base_.seek(walk, request, inside);
    }
    void deliver(cursor& walk, std::uint64_t word, witness& inside) {
        base_.deliver(walk, word, inside);
    }
    std::uint64_t read(entry_query query) {
        if (query.level != Level) return base_.read(query);
        if (++looks_ != Look) seen_ = base_.read(query);
        return seen_;
    }
    virt_addr user_end() const { return base_.user_end(); }
    auto begin_walk(holding how) { return base_.begin_walk(how); }
    bool walk_was_undisturbed(holding how, ticket seen) {
        return base_.walk_was_undisturbed(how, seen);
    }
    void put_back(pfn first, std::uint64_t pages, holding how) {
        base_.put_back(first, pages, how);
    }

private:
    base base_;
    int looks_{0};
    std::uint64_t seen_{0};
};
template<class Space>
using leaf_unchecked = blindfolded_walker<Space, 0, 2>;
template<class Space>
using parent_unchecked = blindfolded_walker<Space, 1, 3>;
template<class Space>
using link_unchecked = blindfolded_walker<Space, 1, 2>;

/// What a pool does wrong.
enum class pool_bug : std::uint8_t { grabs_freed, grabs_nothing, keeps_what_it_puts_back };

/// A view of a frame_pool, as far as the lockless walk needs one.
template<pool_bug Bug>
class wrong_pool {
public:
    explicit wrong_pool(frame_pool<model_machine>& pool) : pool_{pool} {}
    bool try_grab(pfn page, std::uint64_t n, holding how, grab_rules rules) {
        if (Bug == pool_bug::grabs_nothing) return true;
        if (Bug != pool_bug::grabs_freed) return pool_.try_grab(page, n, how, rules);
        pool_.get(page, n);  // whatever the count is
        return true;
    }
    void put(pfn page, std::uint64_t n) {
        if (Bug != pool_bug::keeps_what_it_puts_back) pool_.put(page, n);
    }
    void unpin(pfn page, std::uint64_t n) { pool_.unpin(page, n); }
    void mark_accessed(pfn page) { pool_.mark_accessed(page); }
    frame_kind kind(pfn page) const { return pool_.kind(page); }
    frame_attributes attributes(pfn page) const { return pool_.attributes(page); }
    bool exclusive(pfn page) const { return pool_.exclusive(page); }
    unsigned order_of(pfn page) const { return pool_.order_of(page); }

private:
    frame_pool<model_machine>& pool_;
};

/// The address space, with the wrong pool.
template<class Space, pool_bug Bug>
class space_with_wrong_pool {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using reclaimer = typename Space::reclaimer;
    explicit space_with_wrong_pool(Space& space) : space_{space}, pool_{space.frames()} {}
    auto& table() { return space_.table(); }
    wrong_pool<Bug>& frames() { return pool_; }
    auto& write_protect_seq() { return space_.write_protect_seq(); }
    void set_has_pinned() { space_.set_has_pinned(); }

private:
    Space& space_;
    wrong_pool<Bug> pool_;
};

template<class Space, pool_bug Bug>
class walker_with_wrong_pool : space_with_wrong_pool<Space, Bug>,
                               public lockless_walker<space_with_wrong_pool<Space, Bug>> {
public:
    explicit walker_with_wrong_pool(Space& space)
        : space_with_wrong_pool<Space, Bug>{space},
          lockless_walker<space_with_wrong_pool<Space, Bug>>{
              static_cast<space_with_wrong_pool<Space, Bug>&>(*this)} {}
};
template<class Space>
using grabs_freed = walker_with_wrong_pool<Space, pool_bug::grabs_freed>;
template<class Space>
using grabs_nothing = walker_with_wrong_pool<Space, pool_bug::grabs_nothing>;
template<class Space>
using keeps_what_it_puts_back = walker_with_wrong_pool<Space, pool_bug::keeps_what_it_puts_back>;

// ---- tables and who frees them
// ------------------------------------------------------------------------

/// A domain whose broadcast waits for nobody (a collapse without the IPI of gup-semantics §6.1).
struct impatient_domain : hazard_domain<model_machine, 1> {
    void synchronize(record&) noexcept {}
};
/// Tables that are freed at once, whoever walks them.
struct freed_at_once : pair_config<plain_mm_lock> {
    struct tables : host_tables<format, reclaimer> {
        using base = host_tables<format, reclaimer>;
        using base::base;
        void retire(cpu<reclaimer>&, pfn table) noexcept { base::release(table); }
    };
};
/// A TLB that does not hear.
struct deaf_tlb : tiny_tlb {
    void operator()(page_span) noexcept {}
};
struct never_flushed : pair_config<plain_mm_lock> {
    using flush = deaf_tlb;
};
/// An mm lock that everybody holds shared, whatever he asked for.
struct shared_by_writers : plain_mm_lock {
    bool try_lock() noexcept { return plain_mm_lock::try_lock_shared(); }
    void lock() noexcept { plain_mm_lock::lock_shared(); }
    void unlock() noexcept { plain_mm_lock::unlock_shared(); }
};

// ---- faults
// -------------------------------------------------------------------------------------------

/// What a fault does wrong on its way to an empty place.
enum class fault_bug : std::uint8_t { overwrites, loser_keeps_its_frame };

template<class Space, fault_bug Bug>
class wrong_fault : public dispatch<Space> {
public:
    using typename dispatch<Space>::lock_type;
    using typename dispatch<Space>::cpu_type;
    using typename dispatch<Space>::outcome;
    explicit wrong_fault(Space& space) : dispatch<Space>{space}, space_{space} {}

    outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                   cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        if (!site) return outcome::failed(site.error());
        auto const page = allocate_page_for(space_, *site->area);
        if (!page) return outcome::failed(page.error());
        auto const leaf = leaf_for(*site->area, *page, install_for::writing);
        if (Bug == fault_bug::loser_keeps_its_frame) {
            (void)install_leaf(space_, me, site->page(), leaf);
            return outcome::installed();
        }
        auto entry = space_.table().lock_leaf(me, site->page(), 0, if_absent::create);
        if (!entry) return outcome::failed(entry.error());
        entry->set(leaf);
        space_.note_mapped(leaf, 1);
        return outcome::installed();
    }

private:
    Space& space_;
};
template<class Space>
using overwriting_fault = wrong_fault<Space, fault_bug::overwrites>;
template<class Space>
using wasteful_fault = wrong_fault<Space, fault_bug::loser_keeps_its_frame>;

/// A fault that gives the mm lock up before it installs what it has prepared for the vma.
struct unlocked_fault_taker {
    static constexpr auto traits = fault_taker<>::traits;
    static constexpr std::uint64_t pages = 1;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>&) {
        vma area;
        {
            auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
            auto const found = w.space.find(w.place, held);
            if (!found) return {0, gup_stop::error, errc::bad_address, lock_fate::kept};
            area = found->view(held);
        }
        auto const page = allocate_page_for(w.space, area);
        if (page)
            (void)install_page(w.space, me, w.place, leaf_for(area, *page, install_for::writing));
        return {0, gup_stop::complete, errc::ok, lock_fate::kept};
    }
};

// ---- compositions of gup
// --------------------------------------------------------------------------------

/// How fast and slow are put together wrongly.
enum class sum_bug : std::uint8_t { error_hides_pages, pages_not_advanced };

template<sum_bug Bug>
struct wrong_sum_taker {
    static constexpr auto traits = gup_fast_taker<2>::traits;
    static constexpr std::uint64_t pages = 2;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<2>& out) {
        auto const fast = gup_fast_only(w.space, me, w.pages(2), gup_flag::write, out);
        if (fast.pages == 2) return fast;
        auto const rest = w.pages(2).after(fast.pages);
        auto const at = Bug == sum_bug::pages_not_advanced ? 0 : fast.pages;
        auto const slow = gup_unlocked(w.space, me, rest, gup_flag::write,
                                       std::span{out}.subspan(static_cast<std::size_t>(at)));
        if (Bug == sum_bug::error_hides_pages && slow.stop == gup_stop::error) return slow;
        return {fast.pages + slow.pages, slow.stop, slow.error, slow.lock};
    }
};

/// Takes the lock again after it was dropped, and says nothing.
struct silent_relock_taker {
    static constexpr taker_traits traits{};
    static constexpr std::uint64_t pages = 1;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>& out) {
        auto& lock = w.space.lock();
        lock.watch_me();
        auto held = held_shared<typename World::lock_type>::acquire(lock);
        auto answer = gup_locked(w.space, me, may_drop(held), w.pages(1), gup_flag::write, out);
        if (!held.holding()) {
            held = held_shared<typename World::lock_type>::acquire(lock);
            answer.lock = lock_fate::kept;
        }
        World::M::expect((answer.lock == lock_fate::kept) == !lock.was_given(),
                         "the lock is said to be kept exactly if it was never dropped");
        return answer;
    }
};

/// Answers 0 to a fatal signal (5.7-rc: gup-semantics §0, ae46d2aa6a7f).
struct zero_for_dead_taker : gup_unlocked_taker<> {
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>& out) {
        auto answer = gup_unlocked_taker<>::take(w, me, out);
        if (answer.error == errc::interrupted)
            answer = {0, gup_stop::would_wait, errc::ok, answer.lock};
        return answer;
    }
};

/// What is wrong with the loop around the retry (gup-semantics §2.4).
enum class loop_bug : std::uint8_t { none, retry_with_all_pages, start_not_advanced, vma_kept };

/// get_user_pages_unlocked as the RFC wrote it: a bulk call; after a drop a call for one page; then
/// bulk again.
template<loop_bug Bug, std::uint64_t Pages = 2>
struct retry_loop_taker {
    static constexpr char const* name = "retry_loop";
    static constexpr taker_traits traits{};
    static constexpr std::uint64_t pages = Pages;

    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        loop<World> l{w, me, out};
        return l.run();
    }

private:
    template<class World>
    struct loop {
        using space_type = typename World::space_type;
        using lock_type = typename World::lock_type;
        using walker_type = locked_walker<space_type>;
        enum class stop : std::uint8_t { done, dropped, error };

        World& w;
        typename World::cpu_type& me;
        gup_pages<Pages>& out;
        std::uint64_t done{0};
        errc error{errc::ok};
        std::optional<vma> kept{};

        gup_result run() {
            auto why = stop::dropped;
            for (auto wanted = Pages; why == stop::dropped; wanted = 1) {
                auto const before = done;
                why = one_hold(Bug == loop_bug::retry_with_all_pages ? Pages - done : wanted);
                // The bug of the RFC: what was one page for the counting was more for the holding.
                if (Bug == loop_bug::retry_with_all_pages && before == 0 && done > 1) done = 1;
                if (Bug == loop_bug::start_not_advanced && why == stop::dropped) done = 0;
                if (why == stop::done && done < Pages) why = stop::dropped;
            }
            auto const all = why == stop::done;
            return {done, all ? gup_stop::complete : gup_stop::error, error, lock_fate::never_held};
        }
        /// __get_user_pages: `wanted` pages under one hold of the lock.
        stop one_hold(std::uint64_t wanted) {
            auto held = held_shared<lock_type>::acquire(w.space.lock());
            auto authority = lock_authority<lock_type>::may_drop(may_drop(held));
            walker_type walker{w.space, me};
            typename walker_type::cursor cursor{};
            auto const end = std::min(done + wanted, Pages);
            while (done < end) {
                auto const at = w.pages(Pages).page(done);
                auto const found = look(walker, cursor, at, held);
                if (found.verdict == walk_verdict::pages) {
                    out[done++] = found.first;
                    continue;
                }
                cursor.forget();
                if (found.verdict == walk_verdict::refused) return failed(found.error);
                if (auto const why = fault(at, authority); why != stop::done) return why;
            }
            return stop::done;
        }
        walk_answer look(walker_type& walker, typename walker_type::cursor& cursor, virt_addr at,
                         held_shared<lock_type> const& held) {
            auto const flags = gup_flags{gup_flag::write}.with(gup_flag::unlockable);
            auto const found = walk(walker, cursor, {at, 1, flags, holding::reference}, held);
            auto const gone = found.verdict == walk_verdict::refused && kept;
            if (gone) return walk_answer::needs_fault(fault_cause::missing_or_protected);
            return found;
        }
        stop fault(virt_addr at, lock_authority<lock_type>& authority) {
            if (kept) return fill_kept_vma(at);
            dispatch<space_type> handler{w.space};
            if (Bug == loop_bug::vma_kept)
                kept = w.space.find(at, authority.held())->view(authority.held());
            auto const flags = fault_flags{fault_flag::write}
                                   .with(fault_flag::allow_retry)
                                   .with(fault_flag::killable);
            auto outcome = handler.handle({at, flags}, authority, me);
            if (outcome.kind() == fault_kind::failed) return failed(outcome.error());
            if (outcome.kind() != fault_kind::retry_lock_dropped) return stop::done;
            auto const ticket = outcome.take_ticket();
            ticket.wait(wait_mode::killable);
            return stop::dropped;
        }
        stop fill_kept_vma(virt_addr at) {
            auto const page = allocate_page_for(w.space, *kept);
            if (page)
                (void)install_page(w.space, me, at, leaf_for(*kept, *page, install_for::writing));
            kept.reset();
            return stop::done;
        }
        stop failed(errc with) {
            error = with;
            return stop::error;
        }
    };
};

}  // namespace mmhold_test
