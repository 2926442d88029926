// SPDX-License-Identifier: BSL-1.0
#pragma once

// Who meets whom at the lock. Each scenario is a class: its constructor is the set-up, actor(who)
// is what number `who` does, finish() looks at the result. The explorer builds one for every
// execution.

#include <mmhold/explore/model_machine.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/over_space.hpp>

#include "roster_lock.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace roster {

using M = mmhold::model_machine;

/// Every actor has a line of its own. Set-up and end are nobody's and borrow the first: nobody else
/// runs then.
struct by_actor {
    std::size_t operator()() const { return static_cast<std::size_t>(std::max(M::actor(), 0)); }
};

/// Two accounts under the lock; a transfer must not be seen half done.
///
/// The accounts are words that order nothing themselves (relaxed): order is the lock's business.
template<class Speech, int Actors>
struct accounts {
    roster_lock<M, by_actor, Actors, Speech> lock;
    M::atomic<int> savings{10};
    M::atomic<int> checking{0};

    accounts() {
        M::name(&lock, "lock");
        M::name(&savings, "savings");
        M::name(&checking, "checking");
    }
    void look() {
        auto const sum = savings.load(relaxed) + checking.load(relaxed);
        M::expect(sum == 10, "money is neither made nor lost");
    }
    void transfer() {
        savings.store(savings.load(relaxed) - 1, relaxed);
        checking.store(checking.load(relaxed) + 1, relaxed);
    }
};

/// The first `Readers` actors look, the others transfer.
template<class Speech, int Readers, int Writers>
struct readers_and_writers : accounts<Speech, Readers + Writers> {
    static constexpr int actors = Readers + Writers;

    void actor(int who) {
        if (who < Readers) {
            this->lock.lock_shared();
            this->look();
            this->lock.unlock_shared();
        } else {
            this->lock.lock();
            this->transfer();
            this->lock.unlock();
        }
    }
    void finish() {
        M::expect(this->checking.load(relaxed) == Writers, "no transfer is lost");
        this->look();
    }
};

/// A reader and a writer that do not wait.
template<class Speech>
struct impatient : accounts<Speech, 2> {
    static constexpr int actors = 2;

    void actor(int who) {
        if (who == 0 && this->lock.try_lock_shared()) {
            this->look();
            this->lock.unlock_shared();
        } else if (who == 1 && this->lock.try_lock()) {
            this->transfer();
            this->lock.unlock();
        }
    }
    void finish() { this->look(); }
};

/// The usual parts of an address space, and the roster_lock as its mm lock.
template<class Speech>
struct config : mmhold::default_config<M> {
    using lock = roster_lock<M, by_actor, 2, Speech>;
};

/// gup_unlocked wants a page; munmap takes it away. Either comes first: then gup has faulted the
/// page in and holds it, or finds nothing.
template<class Speech>
struct gup_and_munmap {
    static constexpr int actors = 2;
    using space_type = mmhold::address_space<config<Speech>>;

    mmhold::frame_pool<M> frames{mmhold::page_count{1}, mmhold::frame_bytes::none};
    typename space_type::tables_type tables{mmhold::page_count{8}};
    typename space_type::reclaimer domain{};
    space_type mm{frames, tables, domain};
    typename space_type::cpu_type caller{domain};
    typename space_type::cpu_type other{domain};
    mmhold::page_span wanted{};

    gup_and_munmap() {
        // Two pages; one is fought over, the other keeps the page tables in place.
        auto const start = mm.mmap(caller, {.pages = mmhold::page_count{2}});
        M::expect(start.has_value(), "there is room for a mapping");
        wanted = *mmhold::page_span::from(*start, mmhold::page_count{1});
    }
    void actor(int who) {
        if (who == 0) {
            hold();
        } else {
            M::expect(mm.munmap(other, wanted).has_value(), "what is mapped can be unmapped");
        }
    }
    void hold() {
        std::array<mmhold::pfn, 1> page{};
        auto const got = gup_unlocked(mm, caller, wanted, mmhold::gup_flag::write, page);
        auto const gone = got.pages == 0 && got.error == mmhold::errc::bad_address;
        M::expect(got.complete() || gone, "the page is held, or the mapping is gone");
        if (got.complete()) frames.put(page[0]);
    }
    void finish() { M::expect(frames.statistics().free == 1, "the page is free again"); }
};

}  // namespace roster
