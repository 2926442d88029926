// SPDX-License-Identifier: BSL-1.0
#pragma once

// table_tree – how page tables hang together, and how one is locked while others come and go.
//
// Actors     locker (lock_at, lock_lowest: everybody who changes entries), grower (lock_at with
//            create), remover (free_tables, reclaim_empty, collapse), lockless reader (walk/).
// Rules      1 An entry changes only under the lock of the table it stands in (table_guard.hpp).
//            2 An entry that links a table is cleared only with that table's lock held as well.
//            3 A table is unlinked only when all its entries are none – bottom-up; collapse, which
//              unlinks a full table, empties it before retiring it. So whoever holds the lock of a
//              linked table holds the whole branch above it in place.
//            4 An unlinked table is flushed, then retired, never freed at once.
// Locker     enter a section → read the parent's entry → protect the child → read it AGAIN →
//            ... → lock the child → read the parent's entry once more: changed? unlock, from the
//            start. Then, by rule 2, the table is linked and stays so until it is unlocked; the
//            section has done its work and ends. (gup-semantics §6.2 #29: a fault that finds a
//            table just when PT_RECLAIM takes it away.)
// Grower     allocate with no lock held → lock the parent → install if none → somebody was faster?
//            give the table back. (gup-semantics §6.2 #20.)
// Remover    lock the parent → lock the child → still empty? → clear the parent's entry → unlock
//            both → flush → retire.
// Mm lock    shared suffices for lockers, growers and reclaim_empty; free_tables, collapse and
//            destroy need it exclusive: they rely on nobody growing the tree meanwhile.
// Not given  that an address still has a table after the guard is gone; fairness.
//
// A locker waits for a table's lock inside its section. That is safe because whoever holds a
// table's lock never synchronizes (which would wait for that section).

#include <mmhold/paging/table_guard.hpp>
#include <mmhold/reclaim/irq_section.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <concepts>
#include <cstdint>
#include <utility>

namespace mmhold {

/// What to do where a table on the way to an entry is missing.
enum class if_absent : std::uint8_t {
    fail,    ///< answer bad_address
    create,  ///< grow the tree
};

/// What to do after an entry has been looked at.
enum class onward : std::uint8_t {
    next,  ///< go on with the next entry
    stop,  ///< give the lock up here; this entry was not dealt with
};

/// A tree of page tables: the structure only. page_table adds what one does with it.
template<PageFormat F, TableMemory T>
    requires std::same_as<typename T::format, F>
class table_tree {
public:
    using format = F;
    using memory_type = T;
    using word = typename F::word;
    using reclaimer = typename T::reclaimer;
    using machine = typename reclaimer::machine;
    using cpu_type = cpu<reclaimer>;
    using guard = table_guard<F, T>;

    static constexpr unsigned top = top_level<F>;
    static_assert(top <= reclaimer::levels, "mmhold: the reclaimer has too few protect() levels");

    /// Allocates the root table; see valid().
    constexpr explicit table_tree(T& memory)
        : memory_{memory}, root_{memory.allocate(top).value_or(pfn{})} {}
    table_tree(table_tree const&) = delete;
    table_tree& operator=(table_tree const&) = delete;
    /// Precondition: drop_root() was called, or there never was a root.
    constexpr ~table_tree() {
        machine::expect(!valid(), "a page table ends without destroy(): its tables would leak");
    }

    /// Is there a root? False if memory was exhausted, and after drop_root().
    [[nodiscard]] constexpr bool valid() const noexcept { return root() != pfn{}; }
    /// The root table. It is never retired while walks are possible, so it needs no protection.
    [[nodiscard]] constexpr pfn root() const noexcept { return root_.get(); }
    [[nodiscard]] constexpr T& memory() const noexcept { return memory_; }

    /// Reads entry `index` of `table`: the lockless reader's eye. The table is the root, protected
    /// and validated, locked, or held in place by the mm lock. Wait-free.
    [[nodiscard]] constexpr word read_entry(pfn table, unsigned index) const noexcept {
        auto&& slot = memory_.entry(table, index);
        // (paging.read) acquire: what the entry leads to is completely written; pairs with
        // (paging.set, paging.exchange, paging.install).
        return slot.load(acquire("paging.read"));
    }
    /// The same for the entry that leads on to `at` in `table`, which is at `level`.
    [[nodiscard]] constexpr word read(pfn table, virt_addr at, unsigned level) const noexcept {
        return read_entry(table, F::index(at, level));
    }

    /// May `me` work on `span` here? no_memory: the cpu or the tree could not be built;
    /// bad_address: it is not all user space.
    [[nodiscard]] constexpr result<void> admit(cpu_type const& me, page_span span) const noexcept {
        if (!me.valid() || !valid()) return errc::no_memory;
        if (span.end() > task_size_max(F::virtual_bits)) return errc::bad_address;
        machine::expect(!me.interrupts_off(), "page-table locks are not taken inside a section");
        return {};
    }
    /// The same for one address, which need not be aligned.
    [[nodiscard]] constexpr result<void> admit(cpu_type const& me, virt_addr at) const noexcept {
        if (!me.valid() || !valid()) return errc::no_memory;
        if (!is_user_address<F>(at)) return errc::bad_address;
        machine::expect(!me.interrupts_off(), "page-table locks are not taken inside a section");
        return {};
    }

    /// Locks the table in which the walk for `at` ends: its entry for `at` is not a table. Not
    /// further down than `floor`, where the entry may be anything. Precondition: admit().
    [[nodiscard]] constexpr guard lock_lowest(cpu_type& me, virt_addr at,
                                              unsigned floor = 0) const noexcept {
        for (;;) {
            irq_section<reclaimer> inside{me};
            auto const here = descend(inside, at, floor);
            guard locked{memory_, here.table, here.level};
            if (still_linked(here, at) && ends_here(locked, at, floor)) return locked;
        }
    }

    /// Locks the table that holds `at`'s entry at `level`. Precondition: admit(), level <= top.
    /// Errors: exists – a larger leaf (or a marker) covers `at`; bad_address – a table is absent
    /// and must not be created; no_memory – it cannot be created. An error leaves nothing locked.
    [[nodiscard]] constexpr result<guard> lock_at(cpu_type& me, virt_addr at, unsigned level,
                                                  if_absent missing) const {
        for (;;) {
            auto locked = lock_lowest(me, at, level);
            if (locked.level() == level) return locked;
            auto const here = locked.level();
            if (!locked.none(F::index(at, here))) return errc::exists;
            if (missing == if_absent::fail) return errc::bad_address;
            locked.unlock();
            if (auto const grown = grow(me, at, here); !grown) return grown.error();
        }
    }

    /// Locks the table that entry `index` of the locked `parent` links. Precondition: it links one.
    [[nodiscard]] constexpr guard lock_child(guard const& parent, unsigned index) const noexcept {
        auto const entry = parent.read(index);
        machine::expect(entry.is_table(), "lock_child: the entry does not link a table");
        return guard{memory_, entry.target, parent.level() - 1};
    }

    /// A fresh table. If memory is exhausted, tables that wait for their readers are freed first.
    [[nodiscard]] constexpr result<pfn> allocate(cpu_type& me, unsigned level) const {
        auto table = memory_.allocate(level);
        if (table || me.domain().reclaim(me.record()) == 0) return table;
        return memory_.allocate(level);
    }

    /// Calls body(locked, index, at, entry) for the entries of one table, from `at` on, which are
    /// neither none nor tables; `at` is the first address inside both the entry and the range.
    /// Returns where to go on: `end`, the next table, or the entry at which body said stop.
    template<class Body>
    constexpr virt_addr visit_one_table(cpu_type& me, virt_addr at, virt_addr end,
                                        Body&& body) const {
        auto locked = lock_lowest(me, at);
        auto const level = locked.level();
        do {
            auto const index = F::index(at, level);
            auto const entry = locked.read(index);
            if (entry.is_table()) return at;
            if (!entry.none() && body(locked, index, at, entry) == onward::stop) return at;
            at = entry_end<F>(at, level);
        } while (at < end && F::index(at, level) != 0);
        return at < end ? at : end;
    }

    /// Retires the root. Precondition: all its entries are none and nobody walks the tree any more.
    constexpr void drop_root(cpu_type& me) noexcept {
        memory_.retire(me, root());
        root_.set(pfn{});
    }

private:
    /// Where a descent has come to, and the link it came by.
    struct place {
        pfn table;
        unsigned level;
        pfn parent;
        word link;  // the parent's entry as it was validated; 0 for the root
    };

    /// Walks down without locks. The table it answers is the root, or protected and validated.
    constexpr place descend(irq_section<reclaimer>& inside, virt_addr at,
                            unsigned floor) const noexcept {
        place here{root(), top, pfn{}, 0};
        while (here.level > floor) {
            auto const link = read(here.table, at, here.level);
            auto const entry = F::decode(link, here.level);
            if (!entry.is_table()) break;
            inside.protect(here.level - 1, entry.target.value);
            if (read(here.table, at, here.level) != link) continue;
            here = {entry.target, here.level - 1, here.table, link};
        }
        return here;
    }
    /// Rule 2 read backwards: true under the table's lock means linked until it is unlocked.
    constexpr bool still_linked(place const& here, virt_addr at) const noexcept {
        return here.level == top || read(here.parent, at, here.level + 1) == here.link;
    }
    constexpr bool ends_here(guard const& locked, virt_addr at, unsigned floor) const noexcept {
        return locked.level() == floor || !locked.read(F::index(at, locked.level())).is_table();
    }

    /// Gives `at` a table below `level`, where its entry was none a moment ago.
    constexpr result<void> grow(cpu_type& me, virt_addr at, unsigned level) const {
        auto const child = allocate(me, level - 1);
        if (!child) return child.error();
        auto parent = lock_lowest(me, at, level);
        auto const link = page_entry::table_to(*child);
        auto const won = parent.level() == level && parent.install(F::index(at, level), link);
        parent.unlock();
        if (!won) memory_.release(*child);
        return {};
    }

    T& memory_;
    typename machine::template plain<pfn> root_;  // set by construction and destruction only
};

}  // namespace mmhold
