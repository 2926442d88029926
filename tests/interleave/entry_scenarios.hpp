// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of paging/'s orders: whoever finds an entry finds what it leads to complete – a page with
// its contents, a table with its entries.

#include <mmhold/explore/scenario_book.hpp>

#include "race_parts.hpp"
#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// How the page gets into its entry.
enum class put_in_by : std::uint8_t { map, set, replace };

/// When it gets its contents.
enum class filled : std::uint8_t { before, after };

/// A fault fills a page and puts it in place; gup_fast finds it and reads.
template<put_in_by How, filled When = filled::before>
struct page_with_contents {
    using M = model_machine;
    using space_type = race_space<>;
    static constexpr int actors = 2;
    space_type space{2};
    M::plain<int> contents{0};
    pfn fresh{};
    space_type::cpu_type reader{space.domain};
    space_type::cpu_type faulter{space.domain};

    page_with_contents() {
        M::name(&contents, "contents");
        if (How == put_in_by::replace) (void)space.map_fresh();
        if (How == put_in_by::set) {
            (void)space.map_fresh();
            space.unmap(faulter);
        }
        fresh = *space.frames().allocate(frame_kind::anonymous);
    }
    void actor(int who) { who == 0 ? read() : fault(); }
    void read() {
        auto const held = hold_fast<lockless_walker<space_type>>(space, reader, holding::reference,
                                                                 gup_flag::write);
        if (!held) return;
        if (*held == fresh) M::expect(contents.get() == 42, "the page has its contents");
        release_pages(space.frames(), *held, 1, holding::reference);
    }
    void fault() {
        if (When == filled::before) contents.set(42);
        put_in_place(page_entry::leaf_to(fresh, prot::rw));
        if (When == filled::after) contents.set(42);
    }
    void put_in_place(page_entry const& leaf) {
        if (How == put_in_by::map) {
            (void)space.table().map(faulter, space_type::address, leaf, 0);
            return;
        }
        auto entry = space.table().lock_leaf(faulter, space_type::address, 0, if_absent::fail);
        if (How == put_in_by::set) return entry->set(leaf);
        auto const old = entry->replace(leaf);
        entry->unlock();
        space.frames().put(old.target);
    }
};

inline void add_entry_scenarios(scenario_book& book) {
    using enum put_in_by;
    book.add<page_with_contents<map>>("paging.page_mapped", "a page and its tables are mapped");
    book.add<page_with_contents<set>>("paging.page_set", "a page is put into an empty entry");
    book.add<page_with_contents<replace>>("paging.page_replaced", "a page replaces another");
    book.add_mutant<page_with_contents<map, filled::after>>("paging.page_mapped", "filled_after",
                                                            "maps the page before it is filled");
    book.add_mutant<page_with_contents<set, filled::after>>("paging.page_set", "filled_after",
                                                            "sets the entry before it is filled");
    book.add_mutant<page_with_contents<replace, filled::after>>(
        "paging.page_replaced", "filled_after", "replaces the page before it is filled");
}

}  // namespace mmhold_test
