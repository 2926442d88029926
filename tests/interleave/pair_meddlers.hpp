// SPDX-License-Identifier: BSL-1.0
#pragma once

// The meddlers of pair_scenarios.hpp: those who change what the taker is about to take. Each says
// what it wants to find in the beginning, what becomes of the page, and with which errors a taker
// may come home from it.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/unmapped_pages.hpp>

#include "pair_world.hpp"
#include <cstdint>
#include <optional>

namespace mmhold_test {

/// What becomes of the first page.
enum class fate_of_page : std::uint8_t {
    stays,      ///< it is the same all the time
    removed,    ///< it goes
    replaced,   ///< another one takes its place
    copied,     ///< the same, unless somebody holds it
    read_only,  ///< it stays, but may not be written any more
    hinted,     ///< it stays, but the next access must fault
};

/// What the scenario needs to know of a meddler.
struct meddler_traits {
    beginning start{};
    fate_of_page fate{fate_of_page::stays};
    std::uint64_t page{0};   ///< which of the taker's pages it is about
    errc refusal{errc::ok};  ///< what a taker may be told; ok: it gets its page
    bool ends_the_space{false};
    reach how_far{reach::complete};  ///< against a gup that faults and looks again
};

/// In place of a meddler where there is none.
struct nobody_meddles {
    static constexpr char const* name = "nobody";
    static constexpr meddler_traits traits{};
    template<class World>
    static void act(World&) {}
};

/// mmap(2) of a place where nothing was.
struct mapping_meddler {
    static constexpr char const* name = "map";
    static constexpr meddler_traits traits{
        .start = {.pages = 0}, .fate = fate_of_page::replaced, .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.mmap(w.second, w.fixed(1));
    }
};

/// mmap(2) with MAP_FIXED of a place in use: at every moment something is mapped there.
struct mapping_over_meddler {
    static constexpr char const* name = "map_over";
    static constexpr meddler_traits traits{.fate = fate_of_page::replaced};
    template<class World>
    static void act(World& w) {
        (void)w.space.mmap(w.second, w.fixed(1));
        w.live_again();
    }
};

/// munmap(2) of a page whose table is needed by its neighbour.
struct unmapping_meddler {
    static constexpr char const* name = "unmap";
    static constexpr meddler_traits traits{.start = {.pages = 2, .neighbour = 1},
                                           .fate = fate_of_page::removed,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, w.pages(1));
        w.live_again();
    }
};

/// The same of a second page, while the first one stays.
struct unmapping_second_meddler {
    static constexpr char const* name = "unmap_second";
    static constexpr meddler_traits traits{.start = {.pages = 2, .neighbour = 1},
                                           .fate = fate_of_page::removed,
                                           .page = 1,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, *page_span::from(w.place.plus(page_size), page_count{1}));
        w.live_again();
    }
};

/// munmap(2) of the last mapping that a table served: the table goes as well.
struct table_freeing_meddler {
    static constexpr char const* name = "table_free";
    static constexpr meddler_traits traits{.fate = fate_of_page::removed,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, w.pages(1));
        w.live_again();
    }
};

/// An empty table is given back while the mapping stays (PT_RECLAIM, gup-semantics §6.2 #29).
struct table_reclaiming_meddler {
    static constexpr char const* name = "table_reclaim";
    static constexpr meddler_traits traits{.start = {.what = beginning::present::table},
                                           .fate = fate_of_page::replaced,
                                           .how_far = reach::tso_only};
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        (void)w.space.table().reclaim_empty(w.second, w.place, w.space.flush());
    }
};

/// mprotect(2): the page becomes read-only.
struct protecting_meddler {
    static constexpr char const* name = "protect";
    static constexpr meddler_traits traits{.fate = fate_of_page::read_only,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.mprotect(w.second, w.pages(1), prot::r);
        auto const knows = w.tlb.cached && w.tlb.cached->writable;
        World::M::expect(!knows, "a TLB lets a page be written after mprotect returned");
    }
};

/// A large leaf becomes a table of small ones, of the same frames.
struct splitting_meddler {
    static constexpr char const* name = "split";
    static constexpr meddler_traits traits{
        .start = {.pages = 4, .what = beginning::present::folio}};
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        (void)w.space.table().split(w.second, w.place, w.space.flush());
    }
};

/// khugepaged: copies the small pages of a table into a folio, unless somebody else holds one of
/// them.
struct collapsing_meddler {
    static constexpr char const* name = "collapse";
    static constexpr meddler_traits traits{.start = {.pages = 4, .neighbour = 1},
                                           .fate = fate_of_page::copied};

    template<class World>
    static void act(World& w) {
        auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
        collapse(w, [&w](pfn page) { return w.frames.look_after_clear(page).references != 1; });
    }
    /// Mm lock: held. `is_in_use(page)` is asked once no walk can find the page any more.
    template<class World, class InUse>
    static void collapse(World& w, InUse is_in_use) {
        auto const fresh = w.frames.allocate(frame_kind::anonymous, 2);
        if (!fresh) return;
        w.frames.get(*fresh, 3);
        for (std::uint64_t n = 0; n < 4; ++n) w.frames.set_exclusive(fresh->plus(n));
        auto leaf = page_entry::leaf_to(*fresh, prot::rw);
        leaf.accessed = leaf.dirty = leaf.soft_dirty = true;
        auto const policy = [&](auto const& old) -> std::optional<page_entry> {
            for (unsigned n = 0; n < old.size(); ++n) {
                if (old.entry(n).is_leaf() && is_in_use(old.entry(n).target)) return std::nullopt;
            }
            for (unsigned n = 0; n < old.size(); ++n) copy(w, old.entry(n), fresh->plus(n));
            return leaf;
        };
        unmapped_pages<typename World::space_type> gone{w.space, w.second, empty_tables::stay};
        auto const done =
            w.space.table().collapse(w.second, w.place, 1, policy, gone, w.space.flush());
        done ? w.space.note_mapped(leaf, 4) : w.frames.put(*fresh, 4);
    }

private:
    template<class World>
    static void copy(World& w, page_entry const& from, pfn to) {
        if (from.is_leaf()) w.contents[to.value - 16].set(w.contents[from.target.value - 16].get());
    }
};

/// madvise(MADV_DONTNEED) of the page; the next access finds a fresh one.
struct discarding_meddler {
    static constexpr char const* name = "discard";
    static constexpr meddler_traits traits{.fate = fate_of_page::replaced};
    template<class World>
    static void act(World& w) {
        (void)w.space.dontneed(w.second, w.pages(1));
        w.live_again();
    }
};

/// The same of a second page: the lockless half of gup gets one page, its other half a fresh one.
struct discarding_second_meddler {
    static constexpr char const* name = "discard_second";
    static constexpr meddler_traits traits{
        .start = {.pages = 2, .neighbour = 1}, .fate = fate_of_page::replaced, .page = 1};
    template<class World>
    static void act(World& w) {
        (void)w.space.dontneed(w.second, *page_span::from(w.place.plus(page_size), page_count{1}));
    }
};

/// The same for a whole table's worth, which takes the table away (PT_RECLAIM).
struct discarding_all_meddler {
    static constexpr char const* name = "discard_all";
    static constexpr meddler_traits traits{
        .start = {.pages = 4}, .fate = fate_of_page::replaced, .how_far = reach::sampled};
    template<class World>
    static void act(World& w) {
        (void)w.space.dontneed(w.second, w.pages(4));
        w.live_again();
    }
};

/// The end of the process. Who walks without the lock has kept it alive until then (mm_users).
struct exiting_meddler {
    static constexpr char const* name = "exit";
    static constexpr meddler_traits traits{.fate = fate_of_page::removed,
                                           .refusal = errc::bad_address,
                                           .ends_the_space = true,
                                           .how_far = reach::sampled};
    template<class World>
    static void act(World& w) {
        w.space.exit(w.second);
    }
};

/// Kills the task that takes.
struct killing_meddler {
    static constexpr char const* name = "kill";
    static constexpr meddler_traits traits{.refusal = errc::interrupted};
    template<class World>
    static void act(World& w) {
        w.first.current().kill();
    }
};

}  // namespace mmhold_test
