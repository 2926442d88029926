// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/paging/table_memory.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/retired.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Page tables in the host's own memory, created when they are needed: at most `capacity` at a
/// time, named by consecutive page frame numbers.
///
/// Looking a table up by name takes no lock; allocating and freeing take one spin lock. It must
/// outlive the reclaimer that its tables are retired to, or the reclaimer must be drained first:
/// declare host_tables, then the domain, then the cpus and page tables.
template<PageFormat F, Reclaimer R>
class host_tables {
public:
    using format = F;
    using reclaimer = R;
    using machine = typename R::machine;
    using word = typename F::word;
    using entry_type = typename machine::template atomic<word>;

    /// Room for `capacity` tables, called `first`, first + 1 and so on. `first` must not be 0: a
    /// hazard cannot name it.
    constexpr explicit host_tables(page_count capacity, pfn first = pfn{1})
        : first_{first},
          capacity_{capacity.value <= most_tables ? static_cast<std::size_t>(capacity.value) : 0},
          pages_{machine::template create_array<page_pointer>(capacity_)},
          free_{machine::template create_array<name_cell>(capacity_)} {
        machine::expect(first.value != 0, "host_tables: a table cannot be called 0");
    }
    host_tables(host_tables const&) = delete;
    host_tables& operator=(host_tables const&) = delete;
    /// Precondition: every table was given back, and retired ones have been freed.
    constexpr ~host_tables() {
        machine::expect(in_use() == 0, "host_tables end while some of their tables live");
        if (pages_ != nullptr) machine::destroy_array(pages_, capacity_);
        if (free_ != nullptr) machine::destroy_array(free_, capacity_);
    }

    /// Was there memory for the directory (and is the capacity below 2^32)? If not, allocate()
    /// answers no_memory.
    [[nodiscard]] constexpr bool valid() const noexcept {
        return pages_ != nullptr && free_ != nullptr && capacity_ != 0;
    }
    /// How many tables fit.
    [[nodiscard]] constexpr page_count capacity() const noexcept { return {capacity_}; }
    /// How many tables live now: linked, on the way to be, or retired and not yet freed.
    [[nodiscard]] constexpr std::uint64_t in_use() const noexcept { return live_.load(relaxed); }
    /// Is `table` in the range of names given out here?
    [[nodiscard]] constexpr bool contains(pfn table) const noexcept {
        return table.value >= first_.value && table.value - first_.value < capacity_;
    }

    /// Is there a table of this name now? Stale as soon as it is answered: for tests.
    [[nodiscard]] constexpr bool lives(pfn table) const noexcept {
        return contains(table) && pages_[slot_of(table)].load(relaxed) != nullptr;
    }

    /// A table with all entries none. Error: no_memory (all names in use, or the host's memory is
    /// exhausted).
    [[nodiscard]] constexpr result<pfn> allocate(unsigned level) {
        auto const slot = take_name();
        if (slot == no_slot) return errc::no_memory;
        auto* const page = machine::template create<table_page>(*this, name_of(slot));
        if (page == nullptr) {
            give_name(slot);
            return errc::no_memory;
        }
        machine::name(page, F::level_name(level), slot);
        // Relaxed: nobody can ask for the name before it stands in a parent's entry, and that
        // store publishes the table and this pointer alike.
        pages_[slot].store(page, relaxed);
        (void)live_.fetch_add(1, relaxed);
        return name_of(slot);
    }

    /// One entry. Precondition: the table is live, or protected.
    [[nodiscard]] constexpr entry_type& entry(pfn table, unsigned index) const noexcept {
        return page(table).entries[index];
    }
    /// The table's own lock. Precondition: the table is live, or protected.
    [[nodiscard]] constexpr spin_lock<machine>& lock(pfn table) const noexcept {
        return page(table).lock;
    }

    /// Takes back a table that was never linked.
    constexpr void release(pfn table) noexcept { free_page(table); }

    /// Takes an unlinked table; it is destroyed when no section names it.
    constexpr void retire(cpu<R>& me, pfn table) noexcept {
        me.domain().retire(me.record(), page(table));
    }

private:
    struct table_page : retired_object {
        constexpr table_page(host_tables& in, pfn name) noexcept : owner{in} {
            key = name.value;
            free = [](retired_object& object) noexcept {
                static_cast<table_page&>(object).owner.free_page(pfn{object.key});
            };
        }

        host_tables& owner;
        spin_lock<machine> lock;
        alignas(64) entry_type entries[F::entries_per_table];  // away from the contended lock
    };
    using page_pointer = typename machine::template atomic<table_page*>;
    using name_cell = typename machine::template plain<std::uint32_t>;

    static constexpr std::uint32_t no_slot = ~std::uint32_t{0};
    static constexpr std::uint64_t most_tables = no_slot;

    [[nodiscard]] constexpr pfn name_of(std::uint32_t slot) const noexcept {
        return first_.plus(slot);
    }
    [[nodiscard]] constexpr std::uint32_t slot_of(pfn table) const noexcept {
        return static_cast<std::uint32_t>(table.value - first_.value);
    }
    [[nodiscard]] constexpr table_page& page(pfn table) const noexcept {
        machine::expect(contains(table), "host_tables: this is not the name of a table");
        auto* const found = pages_[slot_of(table)].load(relaxed);
        machine::expect(found != nullptr, "host_tables: a table is used after it was freed");
        return *found;
    }
    constexpr void free_page(pfn table) noexcept {
        auto const slot = slot_of(table);
        auto* const gone = &page(table);
        pages_[slot].store(nullptr, relaxed);
        machine::destroy(gone);
        (void)live_.fetch_sub(1, relaxed);
        give_name(slot);
    }

    [[nodiscard]] constexpr std::uint32_t take_name() noexcept {
        if (!valid()) return no_slot;
        spin_guard<machine> const hold{directory_lock_};
        if (auto const left = free_count_.get(); left != 0) {
            free_count_.set(left - 1);
            return free_[left - 1].get();
        }
        if (handed_out_.get() == capacity_) return no_slot;
        auto const fresh = handed_out_.get();
        handed_out_.set(fresh + 1);
        return static_cast<std::uint32_t>(fresh);
    }
    constexpr void give_name(std::uint32_t slot) noexcept {
        spin_guard<machine> const hold{directory_lock_};
        free_[free_count_.get()].set(slot);
        free_count_.set(free_count_.get() + 1);
    }

    pfn first_;
    std::size_t capacity_;
    page_pointer* pages_;  // by slot; null where no table lives
    typename machine::template atomic<std::uint64_t> live_{0};  // tables that exist: for in_use()
    spin_lock<machine> directory_lock_;
    name_cell* free_;  // guarded by directory_lock_: names given back, a stack
    typename machine::template plain<std::size_t> free_count_{0};  // how many of them
    typename machine::template plain<std::size_t> handed_out_{0};  // names ever used
};

static_assert(TableMemory<host_tables<x86_64<4>, hazard_domain<constexpr_machine>>>);

}  // namespace mmhold
