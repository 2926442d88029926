// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the tests of paging/ share: tables, a domain and a cpu on the checked host machine, and
// sinks and flushes that write down what they were told.

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/page_table.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace paging_test {

using namespace mmhold;

using test_machine = checked_host_machine;
using test_domain = hazard_domain<test_machine>;
using test_cpu = cpu<test_domain>;

inline constexpr std::uint64_t size_2m = std::uint64_t{1} << 21;
inline constexpr std::uint64_t size_1g = std::uint64_t{1} << 30;

/// `pages` pages from `start`, which the test knows to be fine.
inline page_span pages_from(std::uint64_t start, std::uint64_t pages) {
    return *page_span::from(virt_addr{start}, page_count{pages});
}
inline page_span bytes_from(std::uint64_t start, std::uint64_t bytes) {
    return pages_from(start, bytes >> page_shift);
}

/// A readable and writable user leaf.
inline page_entry rw_leaf(std::uint64_t frame) { return page_entry::leaf_to(pfn{frame}, prot::rw); }

/// Page tables of format F with everything below them. The members die in the order that
/// host_tables asks for.
template<PageFormat F>
struct setup {
    using tables_type = host_tables<F, test_domain>;
    using table_type = page_table<F, tables_type>;

    explicit setup(std::uint64_t capacity = 64) : tables{page_count{capacity}, pfn{0x100}} {}
    ~setup() {
        table.destroy(me);
        (void)domain.reclaim(me.record());
    }

    /// The entry for `at` at `level`; none where no table leads there.
    page_entry entry(std::uint64_t at, unsigned level = 0) {
        auto leaf = table.lock_leaf(me, virt_addr{at}, level, if_absent::fail);
        return leaf ? leaf->read() : page_entry{};
    }
    /// Frees what was retired; answers how many tables live then.
    std::uint64_t tables_left() {
        (void)domain.reclaim(me.record());
        return tables.in_use();
    }

    tables_type tables;
    test_domain domain;
    test_cpu me{domain};
    table_type table{tables};
};

using setup_4 = setup<x86_64<4>>;
using setup_5 = setup<x86_64<5>>;

/// What happened, in order: "removed", "flush", "release".
using diary = std::vector<std::string>;

struct removed_leaf {
    virt_addr at;
    page_entry entry;
    unsigned level;
};

/// A sink without bounds.
struct noting_sink {
    std::vector<removed_leaf> leaves{};
    void operator()(virt_addr at, page_entry const& entry, unsigned level) {
        leaves.push_back({at, entry, level});
    }
};

/// A sink with room for `room` leaves that writes into a diary.
struct small_sink {
    diary& events;
    std::size_t room;
    std::vector<removed_leaf> held{};
    std::size_t released{0};

    void operator()(virt_addr at, page_entry const& entry, unsigned level) {
        events.emplace_back("removed");
        held.push_back({at, entry, level});
    }
    bool full() const { return held.size() >= room; }
    void release() {
        if (!held.empty()) events.emplace_back("release");
        released += held.size();
        held.clear();
    }
};

/// A flush that counts.
struct noting_flush {
    std::vector<page_span> spans{};
    void operator()(page_span span) { spans.push_back(span); }
};

/// A flush that writes into a diary.
struct diary_flush {
    diary& events;
    void operator()(page_span) { events.emplace_back("flush"); }
};

}  // namespace paging_test
