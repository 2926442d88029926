// SPDX-License-Identifier: BSL-1.0
#pragma once

// Race 31 (gup-semantics §5.3, §6.2): a 64-bit entry that is read and written in two halves.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/paging/torn_entry.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include "weak_machine.hpp"
#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// What somebody who has only halves does in another order.
enum class torn_bug : std::uint8_t {
    none,
    low_read_once,
    low_written_first,
    high_cleared_first,
    not_flushed,
};

/// An entry in two halves whose accesses are made as `Bug` says.
template<torn_bug Bug>
struct careless_halves {
    using M = model_machine;
    M::atomic<std::uint32_t> low{0};
    M::atomic<std::uint32_t> high{0};

    std::uint64_t read() {
        for (;;) {
            auto const first = low.load(acquire("mutant.low"));
            auto const top = high.load(acquire("mutant.high"));
            if (Bug == torn_bug::low_read_once || low.load(relaxed) == first)
                return (std::uint64_t{top} << 32U) | first;
            M::relax();
        }
    }
    void set(std::uint64_t entry) {
        auto const bottom = static_cast<std::uint32_t>(entry);
        auto const top = static_cast<std::uint32_t>(entry >> 32U);
        if (Bug == torn_bug::low_written_first) low.store(bottom, release("mutant.set_low"));
        high.store(top, release("mutant.set_high"));
        if (Bug != torn_bug::low_written_first) low.store(bottom, release("mutant.set_low"));
    }
    void clear() {
        if (Bug == torn_bug::high_cleared_first) high.store(0, release("mutant.clear_high"));
        low.store(0, relaxed);
        if (Bug != torn_bug::high_cleared_first) high.store(0, release("mutant.clear_high"));
    }
};

/// A reader with interrupts off against set, clear, flush and set again – the second time with the
/// same low half, which only the flush can tell from the first.
template<class Entry, torn_bug Bug = torn_bug::none>
struct torn_while_read {
    using domain_type = hazard_domain<model_machine, 1>;
    static constexpr int actors = 2;
    static constexpr std::uint64_t before = 0x1'0000'1001;
    static constexpr std::uint64_t after = 0x2'0000'1001;
    domain_type domain;
    cpu<domain_type> reader{domain};
    cpu<domain_type> writer{domain};
    Entry entry;

    torn_while_read() {
        model_machine::name(&entry, "entry");
        entry.set(before);
    }
    void actor(int who) {
        if (who == 1) {
            entry.clear();
            if (Bug != torn_bug::not_flushed) domain.synchronize(writer.record());
            return entry.set(after);
        }
        irq_section inside{reader};
        auto const seen = entry.read();
        if ((seen & 1) != 0)
            model_machine::expect(seen == before || seen == after,
                                  "half of one entry, half of another");
    }
};

/// Another low half, and a writer that does not wait: the two looks at the low half tell.
template<class Entry>
struct changed_while_read {
    static constexpr int actors = 2;
    static constexpr std::uint64_t before = 0x1'0000'1001;
    static constexpr std::uint64_t after = 0x2'0000'2001;
    Entry entry;

    changed_while_read() {
        model_machine::name(&entry, "entry");
        entry.set(before);
    }
    void actor(int who) {
        if (who == 1) {
            entry.clear();
            return entry.set(after);
        }
        auto const seen = entry.read();
        if ((seen & 1) != 0)
            model_machine::expect(seen == before || seen == after,
                                  "half of one entry, half of another");
    }
};

template<torn_bug Bug>
using careless_torn = torn_while_read<careless_halves<Bug>, Bug>;
template<site_name Missing>
using weakly_torn = torn_while_read<torn_entry<machine_without<Missing>>>;

inline void add_race_entry_scenarios(scenario_book& book) {
    using enum torn_bug;
    book.add<torn_while_read<torn_entry<model_machine>>>("race.31_torn_entry",
                                                         "an entry of two halves is read whole");
    book.add<changed_while_read<torn_entry<model_machine>>>("race.31_changed_entry",
                                                            "the same with another low half");
    book.add_mutant<changed_while_read<torn_entry<machine_without<"torn.set_high">>>>(
        "race.31_changed_entry", "set_high_relaxed", "may show the new high half with the old low");
    book.add_mutant<careless_torn<low_read_once>>("race.31_torn_entry", "low_read_once",
                                                  "does not read the low half again");
    book.add_mutant<careless_torn<low_written_first>>("race.31_torn_entry", "low_written_first",
                                                      "makes the entry present too early");
    book.add_mutant<careless_torn<high_cleared_first>>("race.31_torn_entry", "high_cleared_first",
                                                       "takes the high half from a present entry");
    book.add_mutant<careless_torn<not_flushed>>("race.31_torn_entry", "not_flushed",
                                                "sets the entry again under a reader");
    book.add_mutant<weakly_torn<"torn.low">>("race.31_torn_entry", "low_relaxed",
                                             "may read an older high half");
    book.add_mutant<weakly_torn<"torn.set_low">>("race.31_torn_entry", "set_low_relaxed",
                                                 "may show the low half first");
}

}  // namespace mmhold_test
