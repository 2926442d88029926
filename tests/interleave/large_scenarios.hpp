// SPDX-License-Identifier: BSL-1.0
#pragma once

// Large leaves, of four pages here, against those who split, collapse, fill and zap them: the takers
// and the judgement of pair_scenarios.hpp, with meddlers that begin or end with a large leaf. Beside
// them two faults in one range that may have a large leaf: who comes second finds the leaf, or a
// table that somebody had to be content with.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/fault/collapse_large.hpp>
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/large_folio.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/split_folio.hpp>
#include <mmhold/space/unmapped_pages.hpp>

#include "pair_meddler_mutants.hpp"
#include "pair_mutants.hpp"
#include "pair_scenarios.hpp"
#include <cstdint>
#include <optional>

namespace mmhold_test {

// ---- meddlers
// -----------------------------------------------------------------------------------------

inline constexpr beginning one_large_leaf{.pages = 4, .what = beginning::present::folio};
template<class World>
page_span second_page(World const& w) {
    return *page_span::from(w.place.plus_pages(1), page_count{1});
}

/// munmap(2) of the second page of a large leaf: the leaf is split, the first page stays.
struct part_unmapping_meddler {
    static constexpr char const* name = "unmap_part";
    static constexpr meddler_traits traits{.start = one_large_leaf,
                                           .fate = fate_of_page::removed,
                                           .page = 1,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, second_page(w));
        w.live_again();
    }
};
/// The same of the first page.
struct head_unmapping_meddler {
    static constexpr char const* name = "unmap_head";
    static constexpr meddler_traits traits{
        .start = one_large_leaf, .fate = fate_of_page::removed, .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)w.space.munmap(w.second, w.pages(1));
        World::M::expect(!w.tlb.cached, "a TLB knows the page after munmap has returned");
        w.live_again();
    }
};
/// mprotect(2) of the first page of a large leaf.
struct head_protecting_meddler : protecting_meddler {
    static constexpr char const* name = "protect_head";
    static constexpr meddler_traits traits{
        .start = one_large_leaf, .fate = fate_of_page::read_only, .refusal = errc::bad_address};
};
/// MADV_DONTNEED of the second page: splits among those who hold the mm lock shared.
struct part_discarding_meddler {
    static constexpr char const* name = "discard_part";
    static constexpr meddler_traits traits{
        .start = one_large_leaf, .fate = fate_of_page::replaced, .page = 1};
    template<class World>
    static void act(World& w) {
        (void)w.space.dontneed(w.second, second_page(w));
    }
};
/// MADV_DONTNEED of all that the leaf maps.
struct leaf_discarding_meddler {
    static constexpr char const* name = "discard_leaf";
    static constexpr meddler_traits traits{.start = one_large_leaf, .fate = fate_of_page::replaced};
    template<class World>
    static void act(World& w) {
        (void)w.space.dontneed(w.second, w.pages(4));
        w.live_again();
    }
};
/// The folio behind the leaf becomes single pages, and the leaf small ones, unless somebody holds it.
struct folio_splitting_meddler {
    static constexpr char const* name = "split_folio";
    static constexpr meddler_traits traits{.start = one_large_leaf};
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        (void)split_folio_at(w.space, w.second, w.place);
    }
};
/// MADV_COLLAPSE of one page and three holes, with the library's own policy.
struct large_collapsing_meddler {
    static constexpr char const* name = "collapse_large";
    static constexpr meddler_traits traits{.start = {.pages = 4}, .fate = fate_of_page::copied};
    template<class World>
    static void act(World& w) {
        auto const done = collapse_large(w.second, w.space, w.pages(4));
        World::M::expect(done || done.error() == errc::again, "the pages are collapsed, or held");
    }
};

// ---- their mutants
// ------------------------------------------------------------------------------------

/// Zaps the whole leaf where a part was asked for.
struct unsplit_unmapping_meddler : part_unmapping_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
        unmapped_pages<typename World::space_type> gone{w.space, w.second, empty_tables::stay};
        (void)w.space.table().unmap(w.second, w.pages(4), gone, w.space.flush());
    }
};
/// Links the small leaves' table while it is empty.
struct discarding_after_two_steps_meddler : part_discarding_meddler {
    template<class World>
    static void act(World& w) {
        splitting_in_two_steps_meddler::act(w);
        part_discarding_meddler::act(w);
    }
};
/// Releases the folio when its leaf is cleared, before the flush.
struct releasing_leaf_before_flush_meddler : leaf_discarding_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const release_now = [&w](virt_addr, page_entry const& gone, unsigned) {
            if (w.space.note_unmapped(gone, 4)) w.frames.put(gone.target, 4);
        };
        (void)w.space.table().unmap(w.second, w.pages(4), release_now, w.space.flush());
        w.live_again();
    }
};

/// Splits a folio after a look at its count, without freezing it.
struct hasty_pool : frame_pool<model_machine> {
    using base = frame_pool<model_machine>;
    using base::base;
    template<class IsMapped>
    result<void> split_mapped_folio(pfn page, std::uint32_t mapped, IsMapped) {
        if (ref_count(page) != mapped) return errc::busy;
        auto const head = head_index(page);
        remove_mappings(page, mapped);
        for (auto index = head; index < head + mapped; ++index) {
            at(index).behind_head.store(0, relaxed);
            at(index).state.store(detail::frame_state::make(frame_kind::anonymous, 0), relaxed);
            at(index).references.store(1, release("mutant.thaw"));
            add_mappings(pfn_at(index));
        }
        return {};
    }
};
struct hasty_pool_config : pair_config<plain_mm_lock> {
    using pool = hasty_pool;
};
/// The address space as who splits a folio sees it, with such a pool.
template<class World>
struct space_with_hasty_pool {
    using space_type = typename World::space_type;
    using format = typename space_type::format;
    using cpu_type = typename space_type::cpu_type;
    using table_type = typename space_type::table_type;
    World& w;
    table_type& table() { return w.space.table(); }
    auto& flush() { return w.space.flush(); }
    hasty_pool& frames() { return w.frames; }
};
struct hasty_splitting_meddler : folio_splitting_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        space_with_hasty_pool<World> hasty{w};
        (void)split_folio_at(hasty, w.second, w.place);
    }
};

// ---- faults that map a large leaf
// ---------------------------------------------------------------------

/// Installs its large leaf whatever is there by now.
template<class Space>
class overwriting_large_fault : public dispatch<Space> {
public:
    using typename dispatch<Space>::lock_type;
    using typename dispatch<Space>::cpu_type;
    using typename dispatch<Space>::outcome;
    explicit overwriting_large_fault(Space& space) : dispatch<Space>{space}, space_{space} {}

    outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                   cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        if (!site) return outcome::failed(site.error());
        auto const folio = large_folio<Space>{space_}.allocate();
        if (!folio) return dispatch<Space>::handle(request, authority, me);
        auto const leaf = leaf_for(*site->area, *folio, install_for::writing);
        auto entry = space_.table().lock_leaf(me, site->page(), 1, if_absent::create);
        if (!entry) return outcome::failed(entry.error());
        entry->set(leaf);
        space_.note_mapped(leaf, large_folio<Space>::pages);
        return outcome::installed();
    }

private:
    Space& space_;
};

/// Is there memory for two folios, or for one and some pages?
enum class memory_for : std::uint8_t { two_folios, one_folio };

/// A taker of the first page, and a write fault on the third, in a range that may have a large leaf.
template<class Taker, memory_for Memory, template<class> class Handler = dispatch>
struct two_in_one_leaf {
    using M = model_machine;
    using world = pair_world<pair_config<idle_mm_lock>>;
    static constexpr int actors = 2;
    static constexpr std::uint64_t third_page = 2;
    world w{{.pages = 4, .what = beginning::present::large_advised}};
    judged_taker<Taker, nobody_meddles, world> taker{w};
    std::optional<pfn> occupied{};

    two_in_one_leaf() {
        if (Memory == memory_for::one_folio) occupied = *w.frames.allocate(frame_kind::other);
    }
    void actor(int who) {
        if (who == 0) return taker.take(w.first);
        using lock = typename world::lock_type;
        auto const held = held_shared<lock>::acquire(w.space.lock());
        auto authority = lock_authority<lock>::keep(held);
        Handler<typename world::space_type> handler{w.space};
        auto const at = w.place.plus_pages(third_page);
        auto const done =
            handler.handle({at, {fault_flag::write, fault_flag::user}}, authority, w.second);
        M::expect(done.kind() == fault_kind::installed, "the fault is answered");
    }
    void always() { w.observe(); }
    void finish() {
        taker.finish();
        M::expect(w.translate(third_page).has_value(), "the faulted page is mapped");
        if (occupied) w.frames.put(*occupied);
        w.end();
    }
};

// ---- the book
// -----------------------------------------------------------------------------------------

using large_meddlers =
    type_list<part_unmapping_meddler, head_unmapping_meddler, head_protecting_meddler,
              part_discarding_meddler, leaf_discarding_meddler, folio_splitting_meddler,
              large_collapsing_meddler>;

inline void add_large_pairs(scenario_book& book) {
    pair_row<gup_fast_taker<>>::add(book, large_meddlers{});
    pair_row<pin_fast_taker<>>::add(book, large_meddlers{});
    pair_row<gup_unlocked_taker<>>::add(book, large_meddlers{});
    book.add<pair<gup_fast_taker<2>, part_unmapping_meddler>>(
        "pair.gup_fast_two_against_unmap_part",
        "gup_fast of two pages of a large leaf, the second is unmapped");
    book.add<pair<pin_fast_taker<2>, folio_splitting_meddler>>(
        "pair.pin_fast_two_against_split_folio", "pin_fast of two pages of a folio that is split");
}

inline void add_large_mutants(scenario_book& book) {
    using quick = pair_config<plain_mm_lock>;
    using no_ipi = pair_config<plain_mm_lock, impatient_domain>;
    using writers_share = pair_config<shared_by_writers>;
    book.add_mutant<pair<pin_fast_taker<>, unsplit_unmapping_meddler>>(
        "pair.pin_fast_against_unmap_part", "leaf_not_split", "the neighbours go as well");
    book.add_mutant<pair<gup_fast_taker<>, head_unmapping_meddler, never_flushed>>(
        "pair.gup_fast_against_unmap_head", "not_flushed", "a TLB knows the whole leaf");
    book.add_mutant<pair<gup_fast_taker<>, head_protecting_meddler, never_flushed>>(
        "pair.gup_fast_against_protect_head", "not_flushed", "a TLB lets the page be written");
    book.add_mutant<pair<gup_unlocked_taker<>, discarding_after_two_steps_meddler>>(
        "pair.gup_unlocked_against_discard_part", "table_linked_before_filled",
        "a fault fills the hole");
    book.add_mutant<
        pair<gup_fast_taker<1, other_parts<link_unchecked>>, leaf_discarding_meddler, quick>>(
        "pair.gup_fast_against_discard_leaf", "leaf_not_rechecked",
        "takes a page of the leaf on its first look");
    book.add_mutant<pair<gup_unlocked_taker<>, releasing_leaf_before_flush_meddler>>(
        "pair.gup_unlocked_against_discard_leaf", "released_before_flush",
        "a TLB still knows the folio");
    book.add_mutant<pair<pin_fast_taker<>, hasty_splitting_meddler, hasty_pool_config>>(
        "pair.pin_fast_against_split_folio", "not_frozen", "a pin comes while the folio is split");
    book.add_mutant<
        pair<pin_fast_taker<1, other_parts<parent_unchecked>>, large_collapsing_meddler, no_ipi>>(
        "pair.pin_fast_against_collapse_large", "parent_not_rechecked_and_no_ipi",
        "trusts a table that was detached");
    book.add_mutant<pair<gup_unlocked_taker<>, large_collapsing_meddler, writers_share>>(
        "pair.gup_unlocked_against_collapse_large", "lock_held_shared",
        "a fault fills the place of the detached table");
}

inline void add_large_faults(scenario_book& book) {
    using enum memory_for;
    book.add<two_in_one_leaf<fault_taker<>, two_folios>>("large.fault_beside_fault",
                                                         "two faults bring one large leaf");
    // Sampled every day; all TSO executions are 118,234.
    book.add<two_in_one_leaf<fault_taker<>, one_folio>>(
        "large.fault_beside_small_fault", "a large leaf, and a page where no folio is left",
        reach::sampled);
    book.add_mutant<
        two_in_one_leaf<fault_taker<overwriting_large_fault>, two_folios, overwriting_large_fault>>(
        "large.fault_beside_fault", "entry_not_looked_at", "installs whatever is there");
}

inline void add_large_scenarios(scenario_book& book) {
    add_large_pairs(book);
    add_large_mutants(book);
    add_large_faults(book);
}

}  // namespace mmhold_test
