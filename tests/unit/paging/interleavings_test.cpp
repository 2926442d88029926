// SPDX-License-Identifier: BSL-1.0
// Page tables on the explored machine: small tables (2 or 4 entries, 2 levels), every interleaving
// and every store buffer state. Seeded bugs – in the reader's protocol, or by weakening a named
// order – must be found.
#include <mmhold/explore/explore.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/page_table.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

#include "support/catch.hpp"

#include <optional>

using namespace mmhold;

namespace {

using M = model_machine;
using domain_type = hazard_domain<M, 1>;
using cpu_type = cpu<domain_type>;

page_entry leaf(std::uint64_t frame) { return page_entry::leaf_to(pfn{frame}, prot::rw); }
page_span first_page() { return *page_span::from(virt_addr{}, page_count{1}); }

/// What a lockless reader leaves out.
enum class reader_bug { none, no_protect, no_recheck, no_recheck_after_pin };

/// Page tables with three cpus; the third one sets up (its hazard slots, not a reader's, are left
/// full by that). All tests use the entries for address 0.
template<unsigned IndexBits>
struct small_mm {
    using format = x86_64_radix<2, IndexBits>;
    using tables_type = host_tables<format, domain_type>;

    tables_type tables{page_count{6}};
    domain_type domain;
    cpu_type cpus[3]{cpu_type{domain}, cpu_type{domain}, cpu_type{domain}};
    page_table<format, tables_type> table{tables};

    /// The lockless walk for address 0: the leaf, or none. `judge` runs inside the section, with
    /// the words read on the way.
    template<reader_bug Bug = reader_bug::none, class Judge>
    void walk(cpu_type& me, Judge judge) {
        irq_section inside{me};
        auto const link = table.read(table.root(), {}, 1);
        auto const upper = format::decode(link, 1);
        if (!upper.is_table()) return judge(link, pfn{}, upper);
        if constexpr (Bug != reader_bug::no_protect) inside.protect(0, upper.target.value);
        if constexpr (Bug != reader_bug::no_recheck) {
            if (table.read(table.root(), {}, 1) != link) return;
        }
        judge(link, upper.target, format::decode(table.read(upper.target, {}, 0), 0));
    }
    void finish() { table.destroy(cpus[0]); }
};

/// A table is emptied and taken away while a reader is on its way into it.
template<reader_bug Bug = reader_bug::none>
struct reclaim_under_reader {
    static constexpr int actors = 2;
    small_mm<1> mm;

    reclaim_under_reader() { (void)mm.table.map(mm.cpus[2], {}, leaf(5), 0); }
    void actor(int who) {
        if (who == 0) {
            mm.walk<Bug>(mm.cpus[0], [](auto, pfn, page_entry const& found) {
                M::expect(found.none() || found == leaf(5), "the reader saw a foreign entry");
            });
        } else {
            (void)mm.table.unmap(mm.cpus[1], first_page(), ignore_leaves{});
            (void)mm.table.reclaim_empty(mm.cpus[1], {});
        }
    }
    void finish() { mm.finish(); }
};

/// Two faults want the same, missing table.
struct two_faults {
    static constexpr int actors = 2;
    small_mm<1> mm;

    void actor(int who) {
        auto const frame = static_cast<std::uint64_t>(who) + 1;
        auto const outcome = mm.table.map(mm.cpus[who], {}, leaf(frame), 0);
        M::expect(outcome || outcome.error() == errc::exists, "a fault failed");
    }
    void finish() {
        M::expect(mm.tables.in_use() == 2, "a table was lost, or one too many was linked");
        mm.finish();
    }
};

/// Faults find an empty table just when it is taken away.
template<int Faults>
struct faults_against_reclaim {
    static constexpr int actors = Faults + 1;
    small_mm<1> mm;

    faults_against_reclaim() {
        (void)mm.table.map(mm.cpus[2], {}, leaf(5), 0);
        (void)mm.table.unmap(mm.cpus[2], first_page(), ignore_leaves{});
    }
    void actor(int who) {
        if (who < Faults) {
            auto entry = mm.table.lock_leaf(mm.cpus[who], {}, 0, if_absent::create);
            M::expect(entry.has_value(), "a fault failed");
            if (entry->read().none()) entry->set(leaf(7));
        } else {
            (void)mm.table.reclaim_empty(mm.cpus[2], {});
        }
    }
    void finish() {
        auto entry = mm.table.lock_leaf(mm.cpus[0], {}, 0, if_absent::fail);
        M::expect(entry && entry->read() == leaf(7), "a leaf went away with its table");
        if (entry) entry->unlock();
        mm.finish();
    }
};

/// A large leaf is split under a reader.
struct split_under_reader {
    static constexpr int actors = 2;
    small_mm<2> mm;

    split_under_reader() { (void)mm.table.map(mm.cpus[2], {}, leaf(4), 1); }
    void actor(int who) {
        if (who == 0) {
            mm.walk(mm.cpus[0], [](auto, pfn, page_entry found) {
                found.invalidated = false;
                M::expect(found == leaf(4), "a piece of the leaf was missing");
            });
        } else {
            (void)mm.table.split(mm.cpus[1], {});
        }
    }
    void finish() { mm.finish(); }
};

/// gup_fast pins a page while its table is collapsed (gup-semantics §6.2 #5).
struct collapse_against_pin {
    static constexpr int actors = 2;
    small_mm<2> mm;
    M::atomic<std::uint32_t> pins{0};
    M::plain<bool> pinned{false};
    M::plain<bool> replaced{false};

    collapse_against_pin() { (void)mm.table.map(mm.cpus[2], {}, leaf(5), 0); }
    void actor(int who) {
        if (who == 0) {
            mm.walk(mm.cpus[0], [this](auto link, pfn table, page_entry const& found) {
                pin(link, table, found);
            });
        } else {
            auto const unless_pinned = [this](auto const&) -> std::optional<page_entry> {
                if (pins.load(acquire("")) != 0) return std::nullopt;
                return leaf(4);
            };
            auto const done = mm.table.collapse(mm.cpus[1], {}, 1, unless_pinned, ignore_leaves{});
            replaced.set(done.has_value());
        }
    }
    void finish() {
        M::expect(!(pinned.get() && replaced.get()), "a pinned page was replaced");
        mm.finish();
    }

private:
    void pin(std::uint64_t link, pfn table, page_entry const& found) {
        if (table == pfn{} || !found.is_leaf()) return;
        (void)pins.fetch_add(1, acq_rel(""));
        auto const unchanged = mm.table.read(mm.table.root(), {}, 1) == link &&
                               mm.table.read(table, {}, 0) == x86_64_radix<2, 2>::encode(found, 0);
        if (unchanged) {
            pinned.set(true);
        } else {
            (void)pins.fetch_sub(1, acq_rel(""));
        }
    }
};

/// The share protocol of pinner and remover without a collapse: here nobody waits for the
/// pinner's section, only its second look at the entry saves it (gup-semantics §6.2 #3).
template<reader_bug Bug = reader_bug::none>
struct unmap_against_pin {
    static constexpr int actors = 2;
    small_mm<1> mm;
    M::atomic<std::uint32_t> count{1};  // of the page; 0: free
    M::plain<int> content{42};

    unmap_against_pin() { (void)mm.table.map(mm.cpus[2], {}, leaf(5), 0); }
    void actor(int who) {
        if (who == 0) {
            mm.walk(mm.cpus[0], [this](auto, pfn table, page_entry const& found) {
                use(table, found);
            });
        } else {
            (void)mm.table.unmap(mm.cpus[1], first_page(), ignore_leaves{});
            drop();
        }
    }
    void finish() { mm.finish(); }

private:
    void use(pfn table, page_entry const& found) {
        if (!found.is_leaf() || !try_get()) return;
        if (Bug == reader_bug::no_recheck_after_pin ||
            x86_64_radix<2, 1>::decode(mm.table.read(table, {}, 0), 0) == found) {
            M::expect(content.get() == 42, "the page was reused under the pin");
        }
        drop();
    }
    bool try_get() {
        auto old = count.load(relaxed);
        while (old != 0) {
            if (count.compare_exchange(old, old + 1, acq_rel(""))) return true;
        }
        return false;
    }
    /// The last one reuses the page: as another owner's, with a count of its own.
    void drop() {
        if (count.fetch_sub(1, acq_rel("")) != 1) return;
        content.set(0);
        count.store(1, release(""));
    }
};

/// A fault replaces a page by a copy: whoever finds the new entry finds the copy filled.
struct copy_under_reader {
    static constexpr int actors = 2;
    small_mm<1> mm;
    M::plain<int> copy{0};

    copy_under_reader() { (void)mm.table.map(mm.cpus[2], {}, leaf(5), 0); }
    void actor(int who) {
        if (who == 0) {
            mm.walk(mm.cpus[0], [this](auto, pfn, page_entry const& found) {
                if (found == leaf(6)) M::expect(copy.get() == 42, "the copy was not filled");
            });
        } else {
            auto entry = mm.table.lock_leaf(mm.cpus[1], {}, 0, if_absent::fail);
            copy.set(42);
            (void)entry->replace(leaf(6));
        }
    }
    void finish() { mm.finish(); }
};

/// A fault maps a fresh page into a table that exists.
struct map_under_reader {
    static constexpr int actors = 2;
    small_mm<1> mm;
    M::plain<int> page{0};

    map_under_reader() {
        (void)mm.table.lock_leaf(mm.cpus[2], {}, 0, if_absent::create);
    }
    void actor(int who) {
        if (who == 0) {
            mm.walk(mm.cpus[0], [this](auto, pfn, page_entry const& found) {
                if (found.is_leaf()) M::expect(page.get() == 42, "the page was not filled");
            });
        } else {
            page.set(42);
            (void)mm.table.map(mm.cpus[1], {}, leaf(6), 0);
        }
    }
    void finish() { mm.finish(); }
};

template<Scenario S>
verdict search(memory_model memory, std::vector<site_change> sites = {}) {
    plan p;
    p.memory = memory;
    p.sites = std::move(sites);
    return explore<S>(p);
}

template<Scenario S>
void require_complete() {
    for (auto const memory : {memory_model::tso, memory_model::stale}) {
        auto const v = search<S>(memory);
        CAPTURE(v.first.headline, v.first.story, v.executions);
        REQUIRE(v.complete());
    }
}

}  // namespace

TEST_CASE("all interleavings: 6.2 #1 #29 a table is reclaimed under a lockless reader") {
    require_complete<reclaim_under_reader<>>();
}

TEST_CASE("all interleavings: 6.2 #1 a reader that does not protect, or not look again, is found") {
    auto const tso = memory_model::tso;
    auto const unprotected = search<reclaim_under_reader<reader_bug::no_protect>>(tso);
    REQUIRE(unprotected.found());
    auto const unchecked = search<reclaim_under_reader<reader_bug::no_recheck>>(tso);
    REQUIRE(unchecked.found());
}

TEST_CASE("all interleavings: 6.2 #20 two faults create one table") {
    require_complete<two_faults>();
}

TEST_CASE("all interleavings: 6.2 #29 a fault against PT_RECLAIM") {
    require_complete<faults_against_reclaim<1>>();
}

TEST_CASE("sampled interleavings: 6.2 #20 #29 two faults against PT_RECLAIM") {
    plan p;
    p.search = search_kind::pct;
    p.executions = 20'000;
    auto const v = explore<faults_against_reclaim<2>>(p);
    CAPTURE(v.first.headline, v.first.story);
    REQUIRE_FALSE(v.found());
}

TEST_CASE("all interleavings: 6.1 a leaf is split under a lockless reader") {
    require_complete<split_under_reader>();
}

TEST_CASE("all interleavings: 6.2 #5 a pin against collapse") {
    require_complete<collapse_against_pin>();
}

TEST_CASE("all interleavings: 6.2 #3 a pin against unmap, and without the second look") {
    require_complete<unmap_against_pin<>>();
    using careless = unmap_against_pin<reader_bug::no_recheck_after_pin>;
    REQUIRE(search<careless>(memory_model::tso).found());
}

TEST_CASE("all interleavings: a mapped page is filled before it is found") {
    require_complete<map_under_reader>();
    require_complete<copy_under_reader>();
}

TEST_CASE("each memory order of paging/ is needed by a scenario") {
    auto const without = [](char const* site) {
        return std::vector<site_change>{{site, weakening::off}};
    };
    auto const stale = memory_model::stale;
    REQUIRE(search<split_under_reader>(stale, without("paging.read")).found());
    REQUIRE(search<split_under_reader>(stale, without("paging.set")).found());
    REQUIRE(search<map_under_reader>(stale, without("paging.install")).found());
    REQUIRE(search<copy_under_reader>(stale, without("paging.exchange")).found());
}
