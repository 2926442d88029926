// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/laws/law_report.hpp>
#include <mmhold/paging/table_memory.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <array>
#include <cstddef>

namespace mmhold {

namespace detail {

/// Up to `N` tables that were never linked; given back at the end.
template<TableMemory T, std::size_t N>
class borrowed_tables {
public:
    constexpr explicit borrowed_tables(T& memory) noexcept : memory_{memory} {}
    borrowed_tables(borrowed_tables const&) = delete;
    borrowed_tables& operator=(borrowed_tables const&) = delete;
    constexpr ~borrowed_tables() { give_back(); }

    /// Allocates until memory is exhausted or N tables are here.
    constexpr void take_all() {
        while (count_ < N) {
            auto const table = memory_.allocate(0);
            if (!table) return;
            names_[count_++] = *table;
        }
    }
    constexpr void give_back() {
        for (; count_ != 0; --count_) memory_.release(names_[count_ - 1]);
    }
    [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }
    [[nodiscard]] constexpr pfn operator[](std::size_t i) const noexcept { return names_[i]; }

private:
    T& memory_;
    std::array<pfn, N> names_{};
    std::size_t count_{0};
};

template<TableMemory T>
constexpr bool is_blank(T& memory, pfn table) {
    for (unsigned index = 0; index < T::format::entries_per_table; ++index) {
        if (memory.entry(table, index).load(relaxed) != 0) return false;
    }
    return true;
}

}  // namespace detail

/// An allocated table has a name that is not 0 and no other table has, and is all none – also when
/// its memory was used before. Needs room for two tables.
template<TableMemory T>
constexpr law_report fresh_table_law(T& memory) {
    law_check law{"fresh"};
    for (int round = 0; round < 2; ++round) {
        detail::borrowed_tables<T, 4> tables{memory};
        tables.take_all();
        law.require(tables.count() >= 2, "no room for two tables");
        for (std::size_t i = 0; i < tables.count(); ++i) {
            law.require(tables[i] != pfn{}, "a table is called 0");
            law.require(detail::is_blank(memory, tables[i]), "a fresh table is not empty");
            for (std::size_t j = 0; j < i; ++j) {
                law.require(tables[i] != tables[j], "two tables have one name");
            }
            memory.entry(tables[i], 0).store(1, relaxed);
        }
    }
    return law.report();
}

/// Entries of different tables or indexes are different words. Needs room for two tables.
template<TableMemory T>
constexpr law_report private_words_law(T& memory) {
    using word = typename T::format::word;
    law_check law{"private words"};
    detail::borrowed_tables<T, 2> tables{memory};
    tables.take_all();
    if (!law.require(tables.count() == 2, "no room for two tables")) return law.report();
    auto const expected = [](std::size_t table, unsigned index) {
        return static_cast<word>(1 + index * 2 + table);
    };
    for (std::size_t table = 0; table < 2; ++table) {
        for (unsigned index = 0; index < T::format::entries_per_table; ++index) {
            memory.entry(tables[table], index).store(expected(table, index), relaxed);
        }
    }
    for (std::size_t table = 0; table < 2; ++table) {
        for (unsigned index = 0; index < T::format::entries_per_table; ++index) {
            auto const found = memory.entry(tables[table], index).load(relaxed);
            law.require(found == expected(table, index), "two entries share a word");
        }
    }
    return law.report();
}

/// allocate() answers no_memory or a table; after a no_memory everything given back can be
/// allocated again. Judged for memories of fewer than 64 tables.
template<TableMemory T>
constexpr law_report exhaustion_law(T& memory) {
    law_check law{"exhaustion"};
    detail::borrowed_tables<T, 64> tables{memory};
    tables.take_all();
    auto const most = tables.count();
    if (most < 64) {
        auto const one_more = memory.allocate(0);
        law.require(!one_more && one_more.error() == errc::no_memory,
                    "an exhausted memory does not say no_memory");
    }
    tables.give_back();
    tables.take_all();
    law.require(tables.count() == most, "tables that were given back are lost");
    return law.report();
}

/// A retired table stays readable while a validated protection names it, and is freed later.
/// Precondition: `me` is in no section.
template<TableMemory T>
constexpr law_report retirement_law(T& memory, cpu<typename T::reclaimer>& me) {
    law_check law{"retirement"};
    auto const table = memory.allocate(0);
    if (!law.require(table.has_value(), "no room for a table")) return law.report();
    {
        irq_section<typename T::reclaimer> inside{me};
        inside.protect(0, table->value);
        memory.retire(me, *table);
        (void)me.domain().reclaim(me.record());
        auto const waits = me.domain().statistics().held_back != 0;
        if (!law.require(waits, "a protected table was freed")) return law.report();
        law.require(detail::is_blank(memory, *table), "a protected table changed");
    }
    (void)me.domain().reclaim(me.record());
    law.require(me.domain().statistics().held_back == 0, "a table that nobody names stays");
    return law.report();
}

/// All laws of TableMemory: the first that is broken, or the last. Leaves `memory` as it was.
/// Preconditions: room for two tables; nothing retired waits in the domain of `me`.
template<TableMemory T>
constexpr law_report table_memory_laws(T& memory, cpu<typename T::reclaimer>& me) {
    return first_broken(fresh_table_law(memory), private_words_law(memory), exhaustion_law(memory),
                        retirement_law(memory, me));
}

}  // namespace mmhold
