// SPDX-License-Identifier: BSL-1.0
#pragma once

// The only way to change a page-table entry: hold the lock of the table it stands in.
//
// Writers    all software writers of a table hold its lock (table_guard for a whole table,
//            leaf_guard for one entry), so among them plain reads and writes would do.
// Hardware   sets accessed and dirty bits in present leaves without any lock. Whoever takes a
//            present leaf away therefore exchanges: what was set until then is in the answer.
// Readers    read without any lock (table_tree::read, acquire) and see an old or a new entry,
//            never a mixture. What an entry leads to – a filled table, a zeroed page – was written
//            before the release that installs the entry.

#include <mmhold/config.hpp>
#include <mmhold/paging/table_memory.hpp>

#include <utility>

namespace mmhold {

/// Holds the lock of one table and gives access to its entries. Move-only; unlocks on destruction.
///
/// While one is held the table cannot be unlinked: unlinking takes the lock. The holder neither
/// sleeps nor synchronizes, and takes further table locks only downwards (parent, then child).
template<PageFormat F, TableMemory T>
class [[nodiscard]] table_guard {
public:
    using format = F;
    using word = typename F::word;
    using machine = typename T::reclaimer::machine;

    /// Waits for the table's lock. Precondition: something keeps the table alive until then – a
    /// validated protection, or the held lock of its parent.
    constexpr table_guard(T& memory, pfn table, unsigned level) noexcept
        MMHOLD_NO_THREAD_SAFETY_ANALYSIS : memory_{&memory}, table_{table}, level_{level} {
        memory.lock(table).lock();
    }
    constexpr table_guard(table_guard&& other) noexcept
        : memory_{std::exchange(other.memory_, nullptr)},
          table_{other.table_},
          level_{other.level_} {}
    constexpr table_guard& operator=(table_guard&& other) noexcept {
        if (this != &other) {
            unlock();
            memory_ = std::exchange(other.memory_, nullptr);
            table_ = other.table_;
            level_ = other.level_;
        }
        return *this;
    }
    constexpr ~table_guard() { unlock(); }

    /// Gives the lock back early; afterwards only destruction and assignment are allowed.
    constexpr void unlock() noexcept MMHOLD_NO_THREAD_SAFETY_ANALYSIS {
        if (memory_ != nullptr) std::exchange(memory_, nullptr)->lock(table_).unlock();
    }
    /// Is the lock held through this guard?
    [[nodiscard]] constexpr bool holding() const noexcept { return memory_ != nullptr; }

    /// The level of the table; 0 holds PTEs.
    [[nodiscard]] constexpr unsigned level() const noexcept { return level_; }
    /// The table's name.
    [[nodiscard]] constexpr pfn table() const noexcept { return table_; }

    /// Entry `index` now. Accessed and dirty may still be set by the hardware afterwards.
    [[nodiscard]] constexpr page_entry read(unsigned index) const noexcept {
        // Relaxed: the lock orders us behind every software writer.
        return F::decode(memory_->entry(table_, index).load(relaxed), level_);
    }
    /// Is entry `index` none?
    [[nodiscard]] constexpr bool none(unsigned index) const noexcept {
        return memory_->entry(table_, index).load(relaxed) == 0;
    }
    /// Are all entries none?
    [[nodiscard]] constexpr bool empty() const noexcept {
        for (unsigned index = 0; index < F::entries_per_table; ++index) {
            if (!none(index)) return false;
        }
        return true;
    }

    /// Writes entry `index`. For an entry the hardware cannot be changing: none, marker, protnone.
    constexpr void set(unsigned index, page_entry const& entry) noexcept {
        auto&& slot = memory_->entry(table_, index);
        // (paging.set) release: a reader that finds the entry finds what it leads to completely
        // written; pairs with (paging.read).
        slot.store(legal(entry), release("paging.set"));
    }
    /// Replaces entry `index` in one step and answers what was there, accessed and dirty included.
    /// Not a barrier: who removes a page and then asks whether it is pinned synchronizes or puts a
    /// full fence in between (gup-semantics §6.1, A1 – A2).
    [[nodiscard]] constexpr page_entry exchange(unsigned index, page_entry const& entry) noexcept {
        auto&& slot = memory_->entry(table_, index);
        // (paging.exchange) release, as for (paging.set); what we read needs no more than the lock;
        // pairs with (paging.read).
        return F::decode(slot.exchange(legal(entry), release("paging.exchange")), level_);
    }
    /// Removes entry `index` and answers what was there.
    [[nodiscard]] constexpr page_entry clear(unsigned index) noexcept {
        return exchange(index, page_entry{});
    }

    /// Writes entry `index` if it is none; answers whether it was.
    [[nodiscard]] constexpr bool install(unsigned index, page_entry const& entry) noexcept {
        word expected = 0;
        auto&& slot = memory_->entry(table_, index);
        // (paging.install) release: publishes the page or table, as for (paging.set); pairs with
        // (paging.read).
        return slot.compare_exchange(expected, legal(entry), release("paging.install"));
    }
    /// Marks the present leaf at `index` as used for `how`, as the hardware does: accessed, and
    /// dirty for a write. Keeps what the hardware sets at the same time.
    constexpr void touch(unsigned index, access how) noexcept {
        machine::expect(read(index).present(), "touch: the entry is not a present leaf");
        // Relaxed: publishes nothing, and an RMW continues the release that installed the leaf.
        (void)memory_->entry(table_, index).fetch_or(F::used_bits(how), relaxed);
    }

private:
    [[nodiscard]] constexpr word legal(page_entry const& entry) const noexcept {
        machine::expect(F::legal(entry, level_), "an entry that the format cannot express");
        return F::encode(entry, level_);
    }

    T* memory_;  // null once the lock is given back
    pfn table_;
    unsigned level_;
};

/// Holds the lock of the table that holds one entry. Made by page_table::lock_leaf.
///
/// Because it is one entry of a locked table, two leaf_guards for entries of one table exclude each
/// other; take them one after the other.
template<PageFormat F, TableMemory T>
class [[nodiscard]] leaf_guard {
public:
    /// Entry `index` of the table that `in` has locked.
    constexpr leaf_guard(table_guard<F, T>&& in, unsigned index) noexcept
        : in_{std::move(in)}, index_{index} {}

    /// The entry now. Accessed and dirty may still be set by the hardware afterwards.
    [[nodiscard]] constexpr page_entry read() const noexcept { return in_.read(index_); }
    /// Writes it. For an entry the hardware cannot be changing: none, marker, protnone.
    constexpr void set(page_entry const& entry) noexcept { in_.set(index_, entry); }
    /// Replaces it in one step and answers what was there, accessed and dirty included.
    [[nodiscard]] constexpr page_entry replace(page_entry const& entry) noexcept {
        return in_.exchange(index_, entry);
    }
    /// Removes it and answers what was there.
    [[nodiscard]] constexpr page_entry clear() noexcept { return in_.clear(index_); }
    /// Marks a present leaf as used for `how`: accessed, and dirty for a write.
    constexpr void touch(access how) noexcept { in_.touch(index_, how); }

    /// The level of the entry; 0 is a PTE.
    [[nodiscard]] constexpr unsigned level() const noexcept { return in_.level(); }
    /// The whole table, which is locked: for who must look at the entry's neighbours.
    [[nodiscard]] constexpr table_guard<F, T> const& table() const noexcept { return in_; }
    [[nodiscard]] constexpr table_guard<F, T>& table() noexcept { return in_; }
    /// Which entry of the table it is.
    [[nodiscard]] constexpr unsigned index() const noexcept { return index_; }
    /// Gives the lock back early; afterwards only destruction and assignment are allowed.
    constexpr void unlock() noexcept { in_.unlock(); }
    /// Is the lock held through this guard?
    [[nodiscard]] constexpr bool holding() const noexcept { return in_.holding(); }

private:
    table_guard<F, T> in_;
    unsigned index_;
};

}  // namespace mmhold
