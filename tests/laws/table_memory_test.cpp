// SPDX-License-Identifier: BSL-1.0
#include <mmhold/laws/table_memory.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

#include "support/catch.hpp"

#include <string>

using namespace mmhold;

namespace {

template<class M>
constexpr law_report judge_host_tables(std::uint64_t capacity) {
    using domain_type = hazard_domain<M>;
    host_tables<x86_64<4>, domain_type> tables{page_count{capacity}};
    domain_type domain;
    cpu<domain_type> me{domain};
    return table_memory_laws(tables, me);
}
static_assert(judge_host_tables<constexpr_machine>(3));

using domain_type = hazard_domain<checked_host_machine>;
using host_type = host_tables<x86_64<4>, domain_type>;

/// Hands tables through to a host_tables; models below break one law each.
struct passing_through {
    using format = host_type::format;
    using reclaimer = domain_type;
    host_type own{page_count{8}};

    result<pfn> allocate(unsigned level) { return own.allocate(level); }
    auto& entry(pfn table, unsigned index) { return own.entry(table, index); }
    auto& lock(pfn table) { return own.lock(table); }
    void release(pfn table) noexcept { own.release(table); }
    void retire(cpu<domain_type>& me, pfn table) noexcept { own.retire(me, table); }
};
struct dirty_tables : passing_through {
    result<pfn> allocate(unsigned level) {
        auto const table = own.allocate(level);
        if (table) own.entry(*table, 511).store(1, relaxed);
        return table;
    }
};
struct aliasing_words : passing_through {
    auto& entry(pfn table, unsigned index) { return own.entry(table, index & 255U); }
};
struct wrong_error : passing_through {
    result<pfn> allocate(unsigned level) {
        auto const table = own.allocate(level);
        return table ? table : result<pfn>{errc::busy};
    }
};
struct hasty_tables : passing_through {
    void retire(cpu<domain_type>&, pfn table) noexcept { own.release(table); }
};

template<class T>
std::string broken_law() {
    T tables;
    domain_type domain;
    cpu<domain_type> me{domain};
    auto const report = table_memory_laws(tables, me);
    return report ? "" : report.law;
}

}  // namespace

TEST_CASE("table_memory laws: host_tables keeps them") {
    for (std::uint64_t const capacity : {2U, 3U, 63U, 64U, 100U}) {
        auto const report = judge_host_tables<checked_host_machine>(capacity);
        CAPTURE(capacity, report.law, report.failure);
        REQUIRE(report);
    }
    REQUIRE_FALSE(judge_host_tables<checked_host_machine>(1));
}

TEST_CASE("table_memory laws: a broken memory is named by the law it breaks") {
    REQUIRE(broken_law<passing_through>().empty());
    REQUIRE(broken_law<dirty_tables>() == "fresh");
    REQUIRE(broken_law<aliasing_words>() == "private words");
    REQUIRE(broken_law<wrong_error>() == "exhaustion");
    REQUIRE(broken_law<hasty_tables>() == "retirement");
}
