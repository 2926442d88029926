// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/walk/descent.hpp>

#include <utility>
#include <vector>

using namespace mmhold;

namespace {

/// Remembers what was protected, in place of an irq_section.
struct notes {
    std::vector<std::pair<unsigned, std::uint64_t>> protects{};
    void protect(unsigned level, std::uint64_t key) { protects.emplace_back(level, key); }
};

template<class Format>
std::uint64_t link(std::uint64_t table, unsigned level) {
    return Format::encode(page_entry::table_to(pfn{table}), level);
}

}  // namespace

TEMPLATE_TEST_CASE("each table is protected before its parent is read again, and only then entered",
                   "[walk]", x86_64<4>, x86_64<5>) {
    using format = TestType;
    virt_addr const at{0x7f1234567000};
    descent<format> way;
    notes section;
    way.start(pfn{10}, at);
    for (auto level = format::levels - 1; level > 0; --level) {
        auto const table = 10 + format::levels - 1 - level;
        CHECK(way.query() == entry_query{pfn{table}, format::index(at, level), level});
        CHECK(way.deliver(link<format>(table + 1, level), section) == descent_turn::ask);
        CHECK(section.protects.back() == std::pair{level - 1, std::uint64_t{table + 1}});
        CHECK(way.query() == entry_query{pfn{table}, format::index(at, level), level});  // again
        CHECK(way.deliver(link<format>(table + 1, level), section) == descent_turn::ask);
    }
    CHECK(way.level() == 0);
    auto const leaf = format::encode(page_entry::leaf_to(pfn{99}, prot::rw), 0);
    CHECK(way.deliver(leaf, section) == descent_turn::leaf);
    CHECK(way.entry().target == pfn{99});
    CHECK(way.parent().level == 1);
    CHECK(section.protects.size() == format::levels - 1);
}

TEST_CASE("a parent that changed in between is taken at its new value", "[walk]") {
    using format = x86_64<4>;
    descent<format> way;
    notes section;
    way.start(pfn{1}, {0x1000});
    (void)way.deliver(link<format>(2, 3), section);
    CHECK(way.deliver(link<format>(3, 3), section) ==
          descent_turn::ask);  // another table: protect it, ask again
    CHECK(section.protects.back().second == 3);
    CHECK(way.query().level == 3);
    CHECK(way.deliver(0, section) == descent_turn::absent);
}

TEST_CASE("turn_to stays in the table of 4 KiB entries if it covers the address, else goes back to the root",
    "[walk]") {
    using format = x86_64<4>;
    descent<format> way;
    notes section;
    virt_addr const at{0x200000};
    way.start(pfn{1}, at);
    for (unsigned level = 3; level > 0; --level) {
        (void)way.deliver(link<format>(10 + level, level), section);
        (void)way.deliver(link<format>(10 + level, level), section);
    }
    way.turn_to(pfn{1}, at.plus_pages(511));
    CHECK(way.query() == entry_query{pfn{11}, 511, 0});
    way.turn_to(pfn{1}, at.plus_pages(512));
    CHECK(way.query().level == 3);
    way.forget();
    way.turn_to(pfn{1}, at.plus_pages(512));
    CHECK(way.at_root());
}
