// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/collapse.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/together.hpp"

#include <boost/atomic/atomic.hpp>

#include <algorithm>
#include <chrono>
#include <thread>

using namespace paging_test;
using format = x86_64<4>;

namespace {

/// Maps pages 0 … 511 except for a hole at 3 and a marker at 4.
void fill(setup_4& s) {
    for (std::uint64_t i = 0; i < 512; ++i) {
        if (i == 3) continue;
        auto const entry = i == 4 ? page_entry::marker_for(1, 44) : rw_leaf(1000 + i);
        REQUIRE(s.table.map(s.me, virt_addr{i * page_size}, entry, 0));
    }
}

constexpr auto agree = [](auto const&) -> std::optional<page_entry> {
    return page_entry::leaf_to(pfn{0x200}, prot::rw);
};
constexpr auto refuse = [](auto const&) -> std::optional<page_entry> { return std::nullopt; };

}  // namespace

TEST_CASE("6.1 anon THP collapse: table out, flush, ask, leaf in, table retired, pages released") {
    setup_4 s;
    fill(s);
    diary events;
    small_sink sink{events, 1000};
    diary_flush flush{events};
    std::vector<page_entry> shown;
    auto const policy = [&](auto const& view) -> std::optional<page_entry> {
        events.emplace_back("asked");
        REQUIRE(view.start() == virt_addr{0});
        REQUIRE(view.size() == 512);
        REQUIRE(s.domain.statistics().retired == 0);
        for (unsigned i = 0; i < view.size(); ++i) shown.push_back(view.entry(i));
        // Neither hardware nor a lockless reader finds a way in.
        auto at = s.table.root();
        for (unsigned level : {3U, 2U}) {
            at = format::decode(s.table.read(at, {}, level), level).target;
        }
        REQUIRE(s.table.read(at, {}, 1) == 0);
        return agree(view);
    };
    REQUIRE(s.table.collapse(s.me, virt_addr{0x123456}, 1, policy, sink, flush));
    REQUIRE(events.at(0) == "flush");
    REQUIRE(events.at(1) == "asked");
    REQUIRE(events.back() == "release");
    REQUIRE(sink.released == 511);
    REQUIRE(shown.at(3).none());
    REQUIRE(shown.at(4).is_marker());
    REQUIRE(shown.at(511) == rw_leaf(1511));
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
    REQUIRE(s.tables_left() == 3);
}

TEST_CASE("6.1 collapse: a refusal puts the table back as it was") {
    setup_4 s;
    fill(s);
    noting_sink sink;
    noting_flush flush;
    REQUIRE(s.table.collapse(s.me, virt_addr{0}, 1, refuse, sink, flush).error() == errc::busy);
    REQUIRE(sink.leaves.empty());
    REQUIRE(flush.spans.size() == 1);
    REQUIRE(s.entry(0) == rw_leaf(1000));
    REQUIRE(s.entry(0x4000) == page_entry::marker_for(1, 44));
    REQUIRE(s.tables_left() == 4);
}

TEST_CASE("6.1 collapse: a leaf that cannot stand there is refused like that") {
    setup_4 s;
    fill(s);
    noting_sink sink;
    for (auto const wrong :
         {rw_leaf(0x201), page_entry::table_to(pfn{1}), page_entry::marker_for(1, 1)}) {
        auto const policy = [wrong](auto const&) -> std::optional<page_entry> { return wrong; };
        REQUIRE(s.table.collapse(s.me, virt_addr{0}, 1, policy, sink).error() ==
                errc::invalid_argument);
    }
    REQUIRE(sink.leaves.empty());
    REQUIRE(s.entry(0) == rw_leaf(1000));
}

TEST_CASE("collapse: a sink of limited room is emptied on the way") {
    setup_4 s;
    fill(s);
    diary events;
    small_sink sink{events, 100};
    REQUIRE(s.table.collapse(s.me, virt_addr{0}, 1, agree, sink));
    REQUIRE(sink.released == 511);
    REQUIRE(std::count(events.begin(), events.end(), "release") == 6);
}

TEST_CASE("collapse: 512 leaves of 2 MiB become one of 1 GiB") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, rw_leaf(0x40000), 2));
    REQUIRE(s.table.split(s.me, virt_addr{size_1g}));
    REQUIRE(s.entry(size_1g, 1).is_leaf());
    noting_sink sink;
    auto const policy = [](auto const& view) { return std::optional{view.entry(0)}; };
    REQUIRE(s.table.collapse(s.me, virt_addr{size_1g}, 2, policy, sink));
    REQUIRE(sink.leaves.size() == 512);
    REQUIRE(sink.leaves[2].at == virt_addr{size_1g + 2 * size_2m});
    REQUIRE(sink.leaves[2].level == 1);
    REQUIRE(s.entry(size_1g, 2) == rw_leaf(0x40000));
}

TEST_CASE("collapse: tables below the table keep it") {
    setup_4 s;
    fill(s);
    noting_sink sink;
    REQUIRE(s.table.collapse(s.me, virt_addr{0}, 2, agree, sink).error() == errc::busy);
    REQUIRE(s.entry(0) == rw_leaf(1000));
}

TEST_CASE("collapse: nothing there, a leaf already, no such leaves, no user address") {
    setup_4 s;
    noting_sink sink;
    auto const collapse = [&](std::uint64_t at, unsigned level) {
        return s.table.collapse(s.me, virt_addr{at}, level, agree, sink).error();
    };
    REQUIRE(collapse(0, 1) == errc::bad_address);
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    REQUIRE(collapse(size_2m, 1) == errc::exists);
    REQUIRE(collapse(0, 1) == errc::bad_address);
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, rw_leaf(0), 2));
    REQUIRE(collapse(size_1g, 1) == errc::exists);
    REQUIRE(collapse(0, 0) == errc::invalid_argument);
    REQUIRE(collapse(0, 3) == errc::invalid_argument);
    REQUIRE(collapse(0, 4) == errc::invalid_argument);
    REQUIRE(collapse(std::uint64_t{1} << 47, 1) == errc::bad_address);
}

TEST_CASE("6.2 #5 the policy is asked when every section open at the unlinking has been left") {
    setup_4 s;
    fill(s);
    boost::atomic<bool> inside{false};
    boost::atomic<bool> unlinked{false};
    boost::atomic<bool> left{false};
    auto left_when_asked = false;
    auto const read = [&] {
        test_cpu reader{s.domain};
        irq_section section{reader};
        inside.store(true);
        while (!unlinked.load()) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        left.store(true);
    };
    auto const flush = [&](page_span) { unlinked.store(true); };
    auto const policy = [&](auto const& view) {
        left_when_asked = left.load();
        return agree(view);
    };
    auto const collapse = [&] {
        while (!inside.load()) std::this_thread::yield();
        (void)s.table.collapse(s.me, virt_addr{0}, 1, policy, ignore_leaves{}, flush);
    };
    mmhold_test::in_threads(read, collapse);
    REQUIRE(left_when_asked);
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
}
