// SPDX-License-Identifier: BSL-1.0
#pragma once

// Meddlers that break the order of gup-semantics §6.1: release before clearing, release before
// flushing, look before clearing, take a table that is in use, two steps where there must be one.

#include "pair_meddlers.hpp"
#include <cstdint>
#include <optional>

namespace mmhold_test {

/// Releases the page, then clears its entry.
struct releasing_first_meddler : discarding_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        page_entry seen;
        {
            auto const entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::fail);
            if (!entry || !entry->read().is_leaf()) return;
            seen = entry->read();
        }
        (void)w.space.note_unmapped(seen, 1);
        w.frames.put(seen.target);
        w.live_again();
        (void)w.space.table().unmap(w.second, w.pages(1), ignore_leaves{}, w.space.flush());
    }
};

/// Releases the page when its entry is cleared, before the flush.
struct releasing_before_flush_meddler : discarding_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const release_now = [&w](virt_addr, page_entry const& gone, unsigned) {
            if (w.space.note_unmapped(gone, 1)) w.frames.put(gone.target);
        };
        (void)w.space.table().unmap(w.second, w.pages(1), release_now, w.space.flush());
        w.live_again();
    }
};

/// Releases what it has cleared so many times.
template<int Times>
struct releasing_times_meddler : discarding_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        std::optional<pfn> page;
        auto const note = [&](virt_addr, page_entry const& gone, unsigned) {
            if (w.space.note_unmapped(gone, 1)) page = gone.target;
        };
        (void)w.space.table().unmap(w.second, w.pages(1), note, w.space.flush());
        for (int i = 0; page && i < Times; ++i) w.frames.put(*page);
    }
};

/// Does not change what the page tables say, only the TLB: the entry stays writable.
struct protecting_only_the_tlb_meddler : protecting_meddler {
    template<class World>
    static void act(World& w) {
        (void)w.space.mprotect(w.second, w.pages(1), prot::r);
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const back = [](page_entry old) {
            old.writable = true;
            return old;
        };
        (void)w.space.table().protect(w.second, w.pages(1), back, w.space.flush());
    }
};

/// Does not ask whether somebody holds a page.
struct collapsing_blindly_meddler : collapsing_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
        collapse(w, [](pfn) { return false; });
    }
};

/// Asks before the table is out of sight.
struct collapsing_after_a_glance_meddler : collapsing_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
        auto const held_by_others = w.original && w.frames.ref_count(w.original->frame) != 1;
        collapse(w, [held_by_others](pfn) { return held_by_others; });
    }
};

/// Holds the mm lock shared only, so that faults go on.
struct collapsing_among_faults_meddler : collapsing_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        collapse(w, [&w](pfn page) { return w.frames.look_after_clear(page).references != 1; });
    }
};

/// Looks whether the table is empty, lets its lock go, and takes the table away.
struct reclaiming_after_a_glance_meddler : table_reclaiming_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const& tree = w.space.table().tree();
        auto table = tree.lock_lowest(w.second, w.place, 0);
        if (table.level() != 0 || !table.empty()) return;
        auto const name = table.table();
        table.unlock();
        auto parent = tree.lock_lowest(w.second, w.place, 1);
        (void)parent.clear(0);
        parent.unlock();
        w.tables.retire(w.second, name);
    }
};

/// munmap, then mmap: for a moment nothing is there.
struct mapping_in_two_steps_meddler : mapping_over_meddler {
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, w.pages(1));
        (void)w.space.mmap(w.second, w.fixed(1));
    }
};

/// Links the new table while it is empty, and fills it under another hold of its lock.
struct splitting_in_two_steps_meddler : splitting_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const child = w.tables.allocate(0);
        page_entry large;
        {
            auto entry = w.space.table().lock_leaf(w.second, w.place, 1, if_absent::fail);
            if (!child || !entry) return;
            large = entry->replace(page_entry::table_to(*child));
        }
        for (unsigned n = 0; n < 4; ++n) {
            auto const at = w.place.plus(n * page_size);
            (void)w.space.table().map(w.second, at, piece_of<typename World::format>(large, 1, n),
                                      0);
        }
    }
};

/// Does not wait for those who walk.
struct exiting_early_meddler : exiting_meddler {
    static constexpr meddler_traits traits{.fate = fate_of_page::removed,
                                           .refusal = errc::bad_address};
};

}  // namespace mmhold_test
