// SPDX-License-Identifier: BSL-1.0
#pragma once

// mremap against those who look at its pages meanwhile (gup-semantics §6.2 #30), on a real address_space: gup and
// faults, who wait for the mm lock or do without it; the hardware, which sets dirty in an entry that is about to
// move; a truncation, which walks the page tables without the mm lock. What must hold in every execution beside
// what pairs promise: a page is mapped at one place at a time; no TLB knows the old place once mremap has returned,
// nor a page that was freed; a store leaves its mark in the entry wherever that is; a truncated page is mapped
// nowhere.

#include "pair_mutants.hpp"
#include "pair_scenarios.hpp"

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/mremap.hpp>
#include <mmhold/space/object_link.hpp>
#include <mmhold/space/page_cache.hpp>

#include <cstdint>
#include <optional>

namespace mmhold_test {

/// Where pages come from and go to: another table.
inline constexpr virt_addr old_place{};
inline constexpr virt_addr new_place = old_place.plus_pages(5);

/// What a mover does wrong.
enum class move_bug : std::uint8_t {
    none,
    set_before_cleared,         ///< the new entry stands before the old one has gone
    flushed_after_locks,        ///< the old translation goes when the locks have gone
    object_told_late,           ///< the object learns of the new place when the page is there
    old_place_forgotten_early,  ///< the object forgets the old place while the page is there
};

/// Copies the entry at the old place, then takes it away there.
template<class World>
void copy_then_clear(World& w) {
    page_entry leaf;
    {
        auto const from = w.space.table().lock_leaf(w.second, old_place, 0, if_absent::fail);
        if (!from || !from->read().is_leaf()) return;
        leaf = from->read();
    }
    (void)w.space.table().map(w.second, new_place, leaf, 0);
    auto from = w.space.table().lock_leaf(w.second, old_place, 0, if_absent::fail);
    if (from) (void)from->clear();
    w.space.flush()(w.pages(1));
}

/// mremap(2) of the page to another place.
struct remapping_meddler {
    static constexpr char const* name = "remap";
    static constexpr meddler_traits traits{.fate = fate_of_page::removed,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        constexpr mremap_flags there{mremap_flag::may_move, mremap_flag::fixed};
        auto const done = mremap(w.second, w.space, w.pages(1), page_count{1}, there, new_place);
        World::M::expect(done.has_value(), "there is memory for the move");
        World::M::expect(!w.tlb.cached, "a TLB knows the old place after mremap has returned");
    }
};
/// The same with an entry at either place for a moment.
struct copying_meddler : remapping_meddler {
    template<class World>
    static void act(World& w) {
        {
            auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
            copy_then_clear(w);
        }
        (void)w.space.mmap(w.third, {.hint = new_place,
                                     .pages = page_count{1},
                                     .flags = mmap_flag::fixed_noreplace});
        (void)w.space.munmap(w.third, w.pages(1));
    }
};

/// A pair that also looks whether the page is at one place only.
template<class Taker, class Meddler = remapping_meddler, class Config = pair_config<plain_mm_lock>>
struct remap_pair : pair<Taker, Meddler, Config> {
    void always() {
        pair<Taker, Meddler, Config>::always();
        auto const here = this->w.translate(0);
        auto const there = this->w.translate(5);
        model_machine::expect(!here || !there || here->frame != there->frame,
                              "a page is mapped at two places");
    }
};

/// A store by a cpu whose TLB knows nothing, against a move inside one mapping: the cpu finds the entry and sets
/// dirty in it in one step, or faults (and is of no interest here).
template<move_bug Bug = move_bug::none>
struct store_against_move {
    using M = model_machine;
    using format = pair_config<>::format;
    static constexpr int actors = 2;
    pair_world<pair_config<plain_mm_lock>> w{{.pages = 7, .neighbour = 1}};
    pfn table{};
    bool stored{false};

    store_against_move() {
        auto entry = w.space.table().lock_leaf(w.third, old_place, 0, if_absent::fail);
        auto leaf = entry->clear();
        leaf.dirty = false;
        entry->set(leaf);
        w.tlb.cached.reset();
        table = format::decode(w.space.table().read_entry(w.space.table().root(), 0), 1).target;
    }
    void actor(int who) { who == 0 ? store() : move(); }
    void store() {
        auto&& slot = w.tables.entry(table, 0);
        auto word = slot.load(relaxed);
        auto const found = format::decode(word, 0);
        if (!found.permits(access::write, {})) return;
        stored = slot.compare_exchange(word, word | format::used_bits(access::write), relaxed);
    }
    void move() {
        auto const held = held_exclusive<plain_mm_lock>::acquire(w.space.lock());
        if (Bug != move_bug::none) return copy_then_clear(w);
        auto const as_it_is = [](page_entry const& old) { return old; };
        (void)w.space.table().move(w.second, w.pages(1), new_place, as_it_is, w.space.flush());
    }
    void finish() {
        {
            auto const entry = w.space.table().lock_leaf(w.first, new_place, 0, if_absent::fail);
            M::expect(entry->read().is_leaf(), "the page is at its new place");
            M::expect(!stored || entry->read().dirty, "a store has left no mark");
        }
        w.end();
    }
};

/// A TLB that is busy for a moment when it is told to forget, or asked what it knows.
struct busy_tlb {
    spin_lock<model_machine> gate{};
    tiny_tlb inner{};
    void operator()(page_span span) noexcept {
        spin_guard<model_machine> const interrupted{gate};
        inner(span);
    }
};

/// Shared memory of one page, which is mapped at its old place, and a TLB that knows it.
struct shared_page_world {
    using M = model_machine;
    struct config : pair_config<idle_mm_lock> {
        using flush = busy_tlb;
    };
    using space_type = address_space<config>;
    static constexpr int actors = 2;
    static constexpr std::uint64_t all_frames = 4;

    frame_pool<M> frames{page_count{all_frames}, frame_bytes::none, pfn{16}, pin_statistics::off};
    config::tables tables{page_count{6}};
    config::reclaimer domain{};
    busy_tlb tlb{};
    null_observer nobody{};
    space_type space{frames, tables, domain, nobody, tlb};
    space_type::cpu_type first{domain};
    space_type::cpu_type second{domain};
    page_cache<space_type> object{frames, object_kind::shmem, page_size};

    shared_page_world() {
        M::name(&space, "space");
        map_object(old_place);
        auto const page = *object.find_or_add_zeroed(0);
        (void)install_page(space, first, old_place, page_entry::leaf_to(page, prot::rw));
        M::name(&tlb.gate, "tlb");
        tlb.inner.cached = {page, frames.generation(page), true};
    }
    shared_page_world(shared_page_world const&) = delete;
    shared_page_world& operator=(shared_page_world const&) = delete;
    ~shared_page_world() = default;

    static page_span page_at(virt_addr at) { return *page_span::from(at, page_count{1}); }
    void map_object(virt_addr at) {
        auto request = object.request(0, page_count{1}, prot::rw, mmap_flag::shared);
        request.hint = at;
        request.flags = request.flags.with(mmap_flag::fixed);
        (void)space.mmap(first, request);
    }
    /// The object ends in front of the page. Then a cpu uses what its TLB knows.
    void truncate() {
        (void)object.resize(first, 0);
        spin_guard<M> const using_it{tlb.gate};
        auto const& known = tlb.inner.cached;
        M::expect(!known || frames.generation(known->frame) == known->life,
                  "a TLB knows a page that was freed");
    }
    /// Mm lock: exclusive.
    void move_page() {
        auto const as_it_is = [](page_entry const& old) { return old; };
        (void)space.table().move(second, page_at(old_place), new_place, as_it_is, space.flush());
    }

    /// What the page tables say now. Not a step.
    page_entry entry(virt_addr at) const {
        using format = config::format;
        if (!space.valid()) return {};
        auto table = space.table().root();
        for (unsigned level = format::levels; level-- > 0;) {
            if (!tables.lives(table)) return {};
            auto const found =
                format::decode(space.table().read_entry(table, format::index(at, level)), level);
            if (!found.is_table()) return found;
            table = found.target;
        }
        return {};
    }
    void always() const {
        for (auto const at : {old_place, new_place}) {
            auto const now = entry(at);
            M::expect(!now.is_leaf() || frames.kind(now.target) != frame_kind::free,
                      "a free page is mapped");
        }
    }
    void finish() {
        M::expect(entry(old_place).none() && entry(new_place).none(),
                  "a page is mapped behind the end of its object");
        M::expect(space.resident().total() == 0, "a page is still counted");
        space.exit(first);
        M::expect(frames.statistics().free == all_frames, "a frame is still held when all is over");
    }
};

/// A truncation against a move between two places that the object knows: only the move itself, once everything
/// that may fail has been done.
template<move_bug Bug = move_bug::none>
struct truncate_against_move : shared_page_world {
    truncate_against_move() {
        map_object(new_place);
        (void)space.table().lock_leaf(first, new_place, 0, if_absent::create);
    }
    void actor(int who) {
        if (who == 0) return truncate();
        if (Bug == move_bug::none) return move_with(space.flush());
        no_flush nothing;
        move_with(nothing);
        space.flush()(page_at(old_place));
    }
    template<class Flush>
    void move_with(Flush& flush) {
        auto const& tree = space.table().tree();
        auto const as_it_is = [](page_entry const& old) { return old; };
        detail::entry_mover mover{tree, second, page_at(old_place), new_place, as_it_is, flush};
        mover.move();
    }
};

/// A truncation against a whole mremap. `Bug`: what it tells the object too late, or too early.
template<move_bug Bug = move_bug::none>
struct truncate_against_remap : shared_page_world {
    void actor(int who) {
        if (who == 0) return truncate();
        if (Bug != move_bug::none) return move_wrongly();
        constexpr mremap_flags there{mremap_flag::may_move, mremap_flag::fixed};
        (void)mremap(second, space, page_at(old_place), page_count{1}, there, new_place);
    }
    void move_wrongly() {
        auto const held = held_exclusive<config::lock>::acquire(space.lock());
        auto& all = space.layout_for_change(held);
        (void)all.prepare_moves();
        auto area = all.map()[0];
        area.span = page_at(new_place);
        auto link = object_link<space_type>::make(space, request_for(area));
        mapping_stretch<space_type> cut;
        if (Bug == move_bug::old_place_forgotten_early) forget_old_place(all, cut);
        all.add(area);
        if (Bug != move_bug::object_told_late) link->connect(space, area.span, 0);
        move_page();
        if (Bug == move_bug::object_told_late) link->connect(space, area.span, 0);
        if (Bug != move_bug::old_place_forgotten_early) forget_old_place(all, cut);
        all.remove(page_at(old_place));
    }
    void forget_old_place(layout<M> const& all, mapping_stretch<space_type>& cut) {
        forget_objects(space, all.map(), page_at(old_place), cut);
    }
};

inline void add_remap_pairs(scenario_book& book) {
    using writers_share = pair_config<shared_by_writers>;
    book.add<remap_pair<gup_fast_taker<>>>("pair.gup_fast_against_remap",
                                           "gup_fast of a page; meddler: remap");
    book.add<remap_pair<pin_fast_taker<>>>("pair.pin_fast_against_remap",
                                           "pin_fast of a page; meddler: remap");
    book.add<remap_pair<gup_unlocked_taker<>>>("pair.gup_unlocked_against_remap",
                                               "gup_unlocked of a page; meddler: remap");
    book.add<remap_pair<fault_taker<>>>("pair.fault_against_remap",
                                        "fault of a page; meddler: remap");
    book.add_mutant<remap_pair<gup_fast_taker<>, remapping_meddler, never_flushed>>(
        "pair.gup_fast_against_remap", "not_flushed", "a TLB still translates the old place");
    book.add_mutant<remap_pair<pin_fast_taker<>, copying_meddler>>(
        "pair.pin_fast_against_remap", "set_before_cleared", "for a moment the page is at two places");
    book.add_mutant<remap_pair<gup_unlocked_taker<>, remapping_meddler, writers_share>>(
        "pair.gup_unlocked_against_remap", "lock_held_shared", "moves among those who look");
    book.add_mutant<remap_pair<fault_taker<>, remapping_meddler, writers_share>>(
        "pair.fault_against_remap", "lock_held_shared", "moves among faults");
}

inline void add_remap_scenarios(scenario_book& book) {
    add_remap_pairs(book);
    book.add<store_against_move<>>("remap.store", "the hardware sets dirty in an entry that moves");
    book.add_mutant<store_against_move<move_bug::set_before_cleared>>(
        "remap.store", "set_before_cleared", "copies the entry, then takes the old one away");
    book.add<truncate_against_move<>>("remap.truncate",
                                      "a truncation against a page that moves, both places known");
    book.add_mutant<truncate_against_move<move_bug::flushed_after_locks>>(
        "remap.truncate", "flushed_after_locks",
        "the truncation finds the page at its new place, a TLB at the old one");
    book.add<truncate_against_remap<>>("remap.truncate_whole", "a truncation against mremap",
                                       reach::sampled);
    book.add_mutant<truncate_against_remap<move_bug::object_told_late>>(
        "remap.truncate_whole", "object_told_late", "the page is where the object does not look");
    book.add_mutant<truncate_against_remap<move_bug::old_place_forgotten_early>>(
        "remap.truncate_whole", "old_place_forgotten_early", "the same at the old place");
}

}  // namespace mmhold_test
