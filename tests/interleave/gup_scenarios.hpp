// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of walk/, paging/ and space/: the lockless walk against everything that takes the page or
// the table away under it (gup-semantics §6.2). Page tables are the real format with tables of four
// entries, so that a complete search stays small.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/gup/fast_operation.hpp>
#include <mmhold/lock/seq_count.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/page_table.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/walk/lockless_walker.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace mmhold_test {

using namespace mmhold;

using patient_domain = hazard_domain<model_machine, 1>;

/// A domain whose broadcast waits for nobody (a collapse without the IPI of §6.1).
struct hasty_domain : patient_domain {
    void synchronize(record&) noexcept {}
};

/// The parts of an address space that gup_fast touches – no vmas, no mm lock – with one page mapped.
template<Reclaimer Domain = patient_domain>
struct tiny_space {
    using machine = model_machine;
    using format = x86_64_radix<2, 2>;
    using reclaimer = Domain;
    using tables_type = host_tables<format, reclaimer>;
    using table_type = page_table<format, tables_type>;
    using cpu_type = cpu<reclaimer>;

    static constexpr virt_addr address{0};

    frame_pool<machine> frame_store{page_count{1}, frame_bytes::none, pfn{16}, pin_statistics::off};
    tables_type table_store{page_count{3}};
    reclaimer domain{};
    table_type pages{table_store};
    seq_count<machine> sequence{};
    machine::atomic<std::uint32_t> pinned{0};
    pfn mapped{};
    std::uint32_t first_life{0};

    tiny_space() {
        cpu_type boot{domain};
        mapped = *frame_store.allocate(frame_kind::anonymous);
        frame_store.set_exclusive(mapped);
        first_life = frame_store.generation(mapped);
        machine::expect(map(boot).has_value(), "the page is mapped");
    }
    /// Everything goes, whatever the actors have left.
    ~tiny_space() {
        cpu_type last{domain};
        pages.destroy(last, [this](virt_addr, page_entry const& gone, unsigned) {
            if (frame_store.contains(gone.target)) frame_store.put(gone.target);
        });
    }

    table_type& table() { return pages; }
    frame_pool<machine>& frames() { return frame_store; }
    seq_count<machine>& write_protect_seq() { return sequence; }
    void set_has_pinned() {
        if (pinned.load(relaxed) == 0) pinned.store(1, relaxed);
    }

    result<void> map(cpu_type& me) {
        return pages.map(me, address, page_entry::leaf_to(mapped, prot::rw), 0);
    }
    /// munmap's order: clear the entry, flush, release the page; then the tables.
    void unmap(cpu_type& me) {
        std::optional<pfn> gone;
        auto const span = *page_span::from(address, page_count{1});
        (void)pages.unmap(me, span, [&](virt_addr, page_entry const& entry, unsigned) {
            gone = entry.target;
        });
        if (gone) frame_store.put(*gone);
    }
    void free_tables(cpu_type& me) {
        auto const span = *page_span::from(address, page_count{1});
        (void)pages.free_tables(me, span, virt_addr{}, task_size_max(format::virtual_bits));
    }
    /// Is it still the page that was mapped in the beginning, in the same life?
    bool in_first_life() const { return frame_store.generation(mapped) == first_life; }
};

/// What the walker does not look at a second time.
enum class blind : std::uint8_t { to_nothing, to_the_leaf, to_the_parent_after_the_grab };

/// The lockless walker, with one of its second looks taken away: it is told what it saw before.
template<class Space, blind To>
class blind_walker {
public:
    using base = lockless_walker<Space>;
    using cursor = typename base::cursor;
    using witness = typename base::witness;
    using ticket = typename base::ticket;

    explicit blind_walker(Space& space) : base_{space} {}
    void seek(cursor& walk, walk_request const& request, witness& inside) {
        looks_ = {};
        base_.seek(walk, request, inside);
    }
    void deliver(cursor& walk, std::uint64_t word, witness& inside) { base_.deliver(walk, word, inside); }
    std::uint64_t read(entry_query query) {
        auto& seen = looks_[query.level];
        ++seen.count;
        auto const leaf_again = To == blind::to_the_leaf && query.level == 0 && seen.count == 2;
        auto const parent_again =
            To == blind::to_the_parent_after_the_grab && query.level == 1 && seen.count == 3;
        if (!leaf_again && !parent_again) seen.word = base_.read(query);
        return seen.word;
    }
    virt_addr user_end() const { return base_.user_end(); }
    auto begin_walk(holding how) { return base_.begin_walk(how); }
    bool walk_was_undisturbed(holding how, ticket seen) { return base_.walk_was_undisturbed(how, seen); }
    void put_back(pfn first, std::uint64_t pages, holding how) { base_.put_back(first, pages, how); }

private:
    struct look {
        int count = 0;
        std::uint64_t word = 0;
    };
    base base_;
    std::array<look, 2> looks_{};
};

/// What a scenario leaves out.
enum class gup_bug : std::uint8_t {
    none,
    leaf_not_rechecked,
    parent_not_rechecked,
    page_released_before_its_entry_is_cleared,
    seq_ignored,
};

/// Holds the page if the lockless walk finds it. The answer: the frame, if it is held.
template<class Walker, class Space>
std::optional<pfn> hold_fast(Space& space, typename Space::cpu_type& me, holding how,
                             gup_flags flags) {
    Walker walker{space};
    std::array<pfn, 1> out{};
    auto const span = *page_span::from(Space::address, page_count{1});
    fast_operation op{walker, gup_call{span, flags, how, out, lock_entry::own}};
    {
        irq_section inside{me};
        op.run(inside);
    }
    return op.finish() == 1 ? std::optional{out[0]} : std::nullopt;
}

template<class Space, gup_bug Bug>
using walker_for = std::conditional_t<
    Bug == gup_bug::leaf_not_rechecked, blind_walker<Space, blind::to_the_leaf>,
    std::conditional_t<Bug == gup_bug::parent_not_rechecked,
                       blind_walker<Space, blind::to_the_parent_after_the_grab>,
                       lockless_walker<Space>>>;

/// gup_fast against unmapping, table freeing, and the page's next life as somebody else's
/// (§6.2 races 1, 2, 3).
template<holding How, gup_bug Bug = gup_bug::none>
struct fast_against_unmap {
    using M = model_machine;
    using space_type = tiny_space<>;
    static constexpr int actors = 2;
    space_type space;
    space_type::cpu_type walker{space.domain};
    space_type::cpu_type remover{space.domain};

    void actor(int who) { who == 0 ? hold() : take_away(); }
    void hold() {
        auto const held = hold_fast<walker_for<space_type, Bug>>(space, walker, How, gup_flag::write);
        if (!held) return;
        M::expect(space.in_first_life(), "what is held is the page that was mapped");
        release_pages(space.frames(), *held, 1, How);
    }
    void take_away() {
        if constexpr (Bug == gup_bug::page_released_before_its_entry_is_cleared) {
            space.frames().put(space.mapped);
            space.frames().get(*space.frames().allocate(frame_kind::anonymous));
        }
        space.unmap(remover);
        auto const next = space.frames().allocate(frame_kind::anonymous);  // unless a grab is at work
        space.free_tables(remover);
        if (next) space.frames().put(*next);
    }
    void finish() { M::expect(space.frames().ref_count(space.mapped) == 0, "no reference leaked"); }
};

/// gup_fast against a collapse of the table it walks (race 5): the pages' entries stay as they are, the
/// table goes. Whoever took a page through the old table must be seen, or must see.
template<Reclaimer Domain = patient_domain, gup_bug Bug = gup_bug::none>
struct fast_against_collapse {
    using M = model_machine;
    using space_type = tiny_space<Domain>;
    static constexpr int actors = 2;
    space_type space;
    typename space_type::cpu_type walker{space.domain};
    typename space_type::cpu_type collapser{space.domain};

    std::optional<pfn> kept{};       // the walker's; looked at when everybody is done
    std::optional<pfn> collapsed{};  // the collapser's

    void actor(int who) {
        if (who == 1) return collapse();
        kept = hold_fast<walker_for<space_type, Bug>>(space, walker, holding::pin, gup_flag::write);
        if (kept) M::expect(space.in_first_life(), "what is pinned is the page that was mapped");
    }
    void collapse() {
        auto const refuse_if_held = [this](auto const& old) -> std::optional<page_entry> {
            auto const entry = old.entry(0);
            if (!entry.is_leaf()) return std::nullopt;
            if (space.frames().look_after_clear(entry.target).references != 1) return std::nullopt;
            return page_entry::leaf_to(pfn{64}, prot::r);  // a large page of somewhere else
        };
        auto const sink = [this](virt_addr, page_entry const& entry, unsigned) {
            collapsed = entry.target;
        };
        (void)space.table().collapse(collapser, space_type::address, 1, refuse_if_held, sink);
    }
    void finish() {
        M::expect(!kept || !collapsed, "a pinned page was collapsed away");
        if (kept) space.frames().unpin(*kept);
        if (collapsed) space.frames().put(*collapsed);
    }
};

/// pin_fast against fork (race 7): fork write-protects and asks whether the page may be pinned. Either
/// the pin is undone, or fork has seen it.
template<gup_bug Bug = gup_bug::none>
struct pin_against_fork {
    using M = model_machine;
    using space_type = tiny_space<>;
    static constexpr int actors = 2;
    space_type space;
    space_type::cpu_type walker{space.domain};
    space_type::cpu_type parent{space.domain};
    M::atomic<std::uint32_t> shared{0};       // fork has made the page copy-on-write
    M::atomic<std::uint32_t> pinned_rw{0};    // a writable pin that was not undone

    void actor(int who) { who == 0 ? pin() : fork(); }
    void pin() {
        lockless_walker<space_type> walk{space};
        std::array<pfn, 1> out{};
        auto const span = *page_span::from(space_type::address, page_count{1});
        fast_operation op{walk, gup_call{span, gup_flag::write, holding::pin, out, lock_entry::own}};
        {
            irq_section inside{walker};
            op.run(inside);
        }
        if constexpr (Bug == gup_bug::seq_ignored) {
            if (space.frames().pin_count(space.mapped) != 0) pinned_rw.store(1, relaxed);
        }
        if (op.finish() == 1) pinned_rw.store(1, relaxed);
    }
    void fork() {
        space.write_protect_seq().begin_write();
        auto entry = space.table().lock_leaf(parent, space_type::address, 0, if_absent::fail);
        auto leaf = entry->read();
        if (!space.frames().maybe_pinned(leaf.target)) {
            leaf.writable = false;
            entry->set(leaf);
            shared.store(1, relaxed);
        }
        entry->unlock();
        space.write_protect_seq().end_write();
    }
    void finish() {
        auto const both = shared.load(relaxed) != 0 && pinned_rw.load(relaxed) != 0;
        if (space.frames().pin_count(space.mapped) != 0) space.frames().unpin(space.mapped);
        M::expect(!both, "a page is pinned for writing and shared by fork");
    }
};

inline void add_gup_scenarios(scenario_book& book) {
    using enum gup_bug;
    book.add<fast_against_unmap<holding::reference>>(
        "gup.fast_against_unmap", "gup_fast against munmap, table freeing and the page's next life",
        reach::tso_only);
    book.add<fast_against_unmap<holding::pin>>("gup.pin_fast_against_unmap", "the same with a pin",
                                               reach::tso_only);
    book.add_mutant<fast_against_unmap<holding::reference, leaf_not_rechecked>>(
        "gup.fast_against_unmap", "leaf_not_rechecked", "takes the page on its first look");
    book.add_mutant<fast_against_unmap<holding::reference, page_released_before_its_entry_is_cleared>>(
        "gup.fast_against_unmap", "released_before_cleared", "the page goes before its entry");
    book.add<fast_against_collapse<>>("gup.fast_against_collapse",
                                      "pin_fast against a collapse of its table", reach::tso_only);
    book.add<fast_against_collapse<hasty_domain>>(
        "gup.fast_against_hasty_collapse",
        "the same if the collapse waits for nobody: the recheck of the parent is enough",
        reach::tso_only);
    book.add_mutant<fast_against_collapse<hasty_domain, parent_not_rechecked>>(
        "gup.fast_against_hasty_collapse", "parent_not_rechecked",
        "trusts a table that has been detached");
    book.add<pin_against_fork<>>("gup.pin_against_fork", "pin_fast against fork's write protection",
                                 reach::tso_only);
    book.add_mutant<pin_against_fork<seq_ignored>>("gup.pin_against_fork", "seq_ignored",
                                                   "does not ask whether a fork came in between");
}

}  // namespace mmhold_test
