// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of fork, migration and swapping out, over real address spaces: each against somebody who
// takes the page – by gup_fast, by a pin, under the mm lock – or who stores to it.
//
// Bytes are real, and so is the user's translation: a store looks its entry up and writes in one
// step that a flush waits for (busy_tlb), as a cpu's store does that an IPI interrupts before or
// after. What is judged when all are done: a pinned page is exclusive and mapped where it was
// pinned; nobody shares a page that somebody may write; every store and every write through a hold
// is where the owner sees it, and the child sees none of them that came after; no reference, frame,
// slot or table is lost. Page tables are the real format with tables of four entries.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/migrate.hpp>
#include <mmhold/space/swap_out.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace mmhold_test::moving {

using namespace mmhold;
using M = model_machine;

/// One translation cache for all cpus. A flush ends when no access uses an old translation.
struct busy_tlb {
    spin_lock<M> busy{};
    void operator()(page_span) { spin_guard<M> const wait{busy}; }
};
/// A flush that waits for nobody.
struct lazy_tlb {
    void operator()(page_span) {}
};

struct tiny_config : default_config<M> {
    using format = x86_64_radix<2, 2>;
    using reclaimer = hazard_domain<M, 1>;
    using tables = host_tables<format, reclaimer>;
    using flush = busy_tlb;
};
using tiny_space = address_space<tiny_config>;
using cpu_type = tiny_space::cpu_type;

/// What the mover leaves out or does in the wrong order.
enum class lie : std::uint8_t {
    none,
    seq_skipped,             ///< fork does not turn pinners away
    pins_not_asked,          ///< fork shares pinned pages: no early copy
    exclusive_kept,          ///< fork leaves shared pages exclusive
    flush_skipped,           ///< nobody waits for old translations
    pins_asked_too_early,    ///< before the entry is cleared
    exclusive_lost,          ///< cleared before the look at the pins, and not set again
    exclusive_not_put_back,  ///< the old entry is writable again, the page not exclusive
    entry_put_back_first,    ///< and only then is the page exclusive
    not_frozen,              ///< whoever holds a reference is overlooked
};

/// The frames as the mover sees them.
template<lie Lie>
struct lying_pool : frame_pool<M> {
    using base = frame_pool<M>;
    using base::base;
    mutable std::uint32_t pins_seen = 0;

    /// The explorer does not see bytes. So whoever copies a page reads its word here, and whoever
    /// writes to it changes the word, in the same step.
    std::array<M::atomic<std::uint32_t>, 8> traffic{};
    std::span<std::byte> bytes(pfn page) const {
        (void)traffic[page.value % 8].load(relaxed);
        return base::bytes(page);
    }
    void write(pfn page, std::byte value) {
        (void)traffic[page.value % 8].fetch_add(1, relaxed);
        base::bytes(page).front() = value;
    }

    bool maybe_pinned(pfn page) const {
        return Lie != lie::pins_not_asked && base::maybe_pinned(page);
    }
    void clear_exclusive(pfn page) {
        if (Lie != lie::exclusive_kept) base::clear_exclusive(page);
    }
    void set_exclusive(pfn page) {
        if (Lie != lie::exclusive_not_put_back && Lie != lie::entry_put_back_first)
            base::set_exclusive(page);
    }
    void clear_moving(pfn page) {
        if (Lie == lie::entry_put_back_first) base::set_exclusive(page);
        base::clear_moving(page);
    }
    std::uint32_t map_count(pfn page) const {
        if (Lie == lie::pins_asked_too_early) pins_seen = base::pin_count(page);
        return base::map_count(page);
    }
    bool try_share(pfn page) {
        if (Lie == lie::exclusive_lost) base::clear_exclusive(page);
        if (Lie != lie::pins_asked_too_early) return base::try_share(page);
        if (pins_seen != 0) return false;
        base::clear_exclusive(page);
        return true;
    }
    bool try_freeze(pfn page, std::uint32_t expected) {
        return Lie == lie::not_frozen || base::try_freeze(page, expected);
    }
    void unfreeze(pfn page, std::uint32_t references) {
        if (Lie != lie::not_frozen) base::unfreeze(page, references);
    }
};

/// The space as the mover sees it; everybody else uses its base.
template<lie Lie>
struct lying_space : tiny_space {
    using tiny_space::tiny_space;
    using flush_kind = std::conditional_t<Lie == lie::flush_skipped, lazy_tlb, busy_tlb>;
    lying_pool<Lie>& frames() const { return static_cast<lying_pool<Lie>&>(tiny_space::frames()); }
    seq_count<M>& write_protect_seq() {
        return Lie == lie::seq_skipped ? nobodys : tiny_space::write_protect_seq();
    }
    flush_kind& flush() {
        if constexpr (Lie == lie::flush_skipped) {
            return lazy;
        } else {
            return tiny_space::flush();
        }
    }
    seq_count<M> nobodys{};
    lazy_tlb lazy{};
};

/// A parent with one page that has a 1 in it, a child to be, and two cpus.
template<lie Lie>
struct family {
    static constexpr std::uint64_t frame_count = 4;
    static constexpr virt_addr at{4 * page_size};
    static page_span page() { return *page_span::from(at, page_count{1}); }

    lying_pool<Lie> frames{page_count{frame_count}, frame_bytes::owned, pfn{16},
                           pin_statistics::off};
    memory_swap<M> disk{page_count{1}, frame_bytes::owned};
    tiny_config::tables tables{page_count{8}};
    tiny_config::reclaimer domain{};
    null_observer nobody{};
    busy_tlb tlb{};
    lying_space<Lie> parent{frames, tables, domain, nobody, tlb};
    lying_space<Lie> child{frames, tables, domain, nobody, tlb};
    cpu_type user{domain};
    cpu_type mover{domain};

    family() {
        M::name(&parent, "parent");
        M::name(&child, "child");
        M::name(&child.lock(), "child's mm lock");  // taken inside the parent's: another class
        parent.use_swap(disk);
        child.use_swap(disk);
        (void)parent.mmap(user, {.hint = at, .pages = page_count{1}, .flags = mmap_flag::fixed});
        auto const first = *frames.allocate(frame_kind::anonymous);
        frames.frame_pool<M>::set_exclusive(first);
        frames.write(first, std::byte{1});
        auto leaf = page_entry::leaf_to(first, prot::rw);
        leaf.dirty = true;
        (void)parent.table().map(user, at, leaf, 0);
        parent.note_mapped(leaf, 1);
    }

    std::byte byte_of(pfn frame) { return frames.bytes(frame).front(); }
    page_entry entry(tiny_space& space) {
        page_entry found{};
        (void)space.table().visit(user, page(),
                                  [&](virt_addr, page_entry const& e, unsigned) { found = e; });
        return found;
    }
    /// The lockless look of the hardware.
    page_entry translation(tiny_space& space, cpu_type& me) {
        using format = tiny_config::format;
        irq_section inside{me};
        auto const root = space.table().root();
        auto const link = format::decode(space.table().read(root, at, 1), 1);
        return link.is_table() ? format::decode(space.table().read(link.target, at, 0), 0)
                               : page_entry{};
    }
    void fault(tiny_space& space, mmhold::access how) { fault(space, how, user); }
    void fault(tiny_space& space, mmhold::access how, cpu_type& me) {
        dispatch<tiny_space> handler{space};
        auto const held = held_shared<tiny_config::lock>::acquire(space.lock());
        auto keep = lock_authority<tiny_config::lock>::keep(held);
        auto const flags =
            fault_flags{fault_flag::user}.with_if(how == access::write, fault_flag::write);
        auto const outcome = handler.handle({at, flags}, keep, me);
        M::expect(outcome.kind() == fault_kind::installed, "the fault is answered");
    }
    /// A user's store.
    void store(tiny_space& space, std::byte value) {
        for (;;) {
            {
                spin_guard<M> const using_translation{tlb.busy};
                auto const seen = translation(space, user);
                if (seen.permits(access::write, {})) {
                    return frames.write(seen.target, value);
                }
            }
            fault(space, access::write);
        }
    }
    std::byte load(tiny_space& space) {
        if (!translation(space, user).permits(access::read, {})) fault(space, access::read);
        return byte_of(entry(space).target);
    }

    /// What must be true of the page tables whenever everybody is done.
    void judge_entries() {
        auto const parents = entry(parent);
        auto const childs = entry(child);
        for (auto const& leaf : {parents, childs}) {
            M::expect(!is_moving(leaf), "nothing is left moving");
            if (!leaf.is_leaf()) continue;
            M::expect(!leaf.writable || frames.exclusive(leaf.target), "who may write is alone");
            auto const alone = frames.map_count(leaf.target) == 1;
            M::expect(alone || !frames.exclusive(leaf.target), "an exclusive page is mapped once");
        }
        auto const shared =
            parents.is_leaf() && childs.is_leaf() && parents.target == childs.target;
        M::expect(!shared || (!parents.writable && !childs.writable), "a shared page is writable");
    }
    void judge_leftovers() {
        parent.exit(user);
        child.exit(user);
        M::expect(frames.statistics().free == frame_count, "no frame is lost");
        M::expect(disk.in_use() == 0, "no slot is lost");
    }
};

/// What the one does.
enum class use : std::uint8_t {
    gup_fast,
    pin_fast,
    pin_fast_to_read,
    gup_unlocked,
    pin_unlocked,
    store,
    discard,
};
/// What the other does.
enum class move : std::uint8_t { fork, migrate, swap_out };

/// `Use` and `Move` of one page at the same time.
template<use Use, move Move, lie Lie = lie::none>
struct against : family<Lie> {
    using base = family<Lie>;
    static constexpr int actors = 2;
    static constexpr std::byte old{1};
    static constexpr std::byte fresh{2};
    static constexpr std::byte late{3};
    std::optional<pfn> held{};  // the user's; looked at when everybody is done
    std::byte inherited{};      // what the child finds when it starts

    void actor(int who) { who == 0 ? use_it() : move_it(); }

    static constexpr bool is_pin =
        Use == use::pin_fast || Use == use::pin_fast_to_read || Use == use::pin_unlocked;

    void use_it() {
        tiny_space& mm = base::parent;
        if constexpr (Use == use::store) return base::store(mm, fresh);
        if constexpr (Use == use::discard) return (void)mm.dontneed(base::user, base::page());
        std::array<pfn, 1> out{};
        auto const got = [&] {
            auto const write = gup_flags{gup_flag::write};
            if constexpr (Use == use::gup_fast)
                return gup_fast_only(mm, base::user, base::page(), write, out);
            if constexpr (Use == use::pin_fast)
                return pin_fast_only(mm, base::user, base::page(), write, out);
            if constexpr (Use == use::pin_fast_to_read)
                return pin_fast_only(mm, base::user, base::page(), {}, out);
            if constexpr (Use == use::pin_unlocked)
                return pin_unlocked(mm, base::user, base::page(), write, out);
            return gup_unlocked(mm, base::user, base::page(), write, out);
        }();
        if (got.pages != 1) return;
        held = out[0];
        if (is_pin)
            M::expect(base::frames.exclusive(out[0]), "what is pinned is exclusive at once");
        if (Use != use::pin_fast_to_read) base::frames.write(out[0], fresh);
    }
    void move_it() {
        if constexpr (Move == move::fork) {
            M::expect(fork(base::mover, base::parent, base::child).has_value(), "there is memory");
            auto const childs = base::translation(base::child, base::mover);
            if (childs.is_leaf()) inherited = base::byte_of(childs.target);
        } else {
            auto const lock = held_shared<tiny_config::lock>::acquire(base::parent.lock());
            if constexpr (Move == move::migrate) {
                (void)migrate_page(lock, base::mover, base::parent, base::at);
            } else {
                (void)swap_out_page(lock, base::mover, base::parent, base::at);
            }
        }
    }

    void finish() {
        base::judge_entries();
        if (held) judge_hold();
        judge_contents();
        base::judge_entries();
        if (held && is_pin) base::frames.unpin(*held);
        if (held && !is_pin) base::frames.put(*held);
        base::judge_leftovers();
    }
    void judge_hold() {
        auto const leaf = base::entry(base::parent);
        auto const stays = leaf.is_leaf() && leaf.target == *held;
        if (is_pin)
            M::expect(stays && base::frames.exclusive(*held), "a pinned page stays, exclusive");
        if (Move != move::fork) M::expect(stays, "a held page is not moved");
    }
    void judge_contents() {
        auto const wrote = Use == use::store || (held && Use != use::pin_fast_to_read);
        // A plain reference gives no stability across fork: §8.5, vmsplice.
        auto const seen_by_owner = Use == use::store || is_pin || Move != move::fork;
        if (Use == use::discard) {
            M::expect(base::load(base::parent) == std::byte{0}, "what was discarded is zero");
        } else if (seen_by_owner) {
            M::expect(base::load(base::parent) == (wrote ? fresh : old),
                      "the owner sees what was written");
        }
        if (Move != move::fork) return;
        auto const childs = base::load(base::child);
        if (Use == use::discard)
            return M::expect(childs == inherited, "the child's page has changed");
        M::expect(childs == old || (wrote && childs == fresh), "the child sees the page as it was");
        if (Use == use::store) M::expect(childs == inherited, "the child's page has changed");
        base::store(base::parent, late);
        if (held && is_pin)
            M::expect(base::byte_of(*held) == late, "a pin goes on seeing the owner's page");
        M::expect(base::load(base::child) == childs, "the child does not see what came later");
        base::store(base::child, fresh);
        M::expect(base::load(base::parent) == late, "nor the parent what the child writes");
    }
};

/// A store, a move, and a third cpu that discards the page or faults on it, at the same time.
template<move Move, use Third>
struct store_against_two : against<use::store, Move> {
    using base = against<use::store, Move>;
    static constexpr int actors = 3;
    cpu_type third{base::domain};

    void actor(int who) {
        if (who != 2) return base::actor(who);
        if constexpr (Third == use::discard) {
            (void)base::parent.dontneed(third, base::page());
        } else {
            base::fault(base::parent, access::read, third);
        }
    }
    void finish() {
        base::judge_entries();
        auto const seen = base::load(base::parent);
        auto const discarded = Third == use::discard && seen == std::byte{0};
        M::expect(seen == base::fresh || discarded, "the store is seen, or was discarded");
        base::judge_leftovers();
    }
};

template<move Move>
inline void add_mover(scenario_book& book, std::string const& name, std::string const& what) {
    constexpr auto tso = reach::tso_only;
    book.add<against<use::gup_fast, Move>>(name + ".gup_fast", "gup_fast against " + what, tso);
    book.add<against<use::pin_fast, Move>>(name + ".pin_fast", "pin_fast against " + what, tso);
    book.add<against<use::pin_fast_to_read, Move>>(name + ".pin_fast_to_read",
                                                   "the same, for reading", tso);
    book.add<against<use::gup_unlocked, Move>>(name + ".gup_unlocked",
                                               "gup_unlocked against " + what, tso);
    book.add<against<use::pin_unlocked, Move>>(name + ".pin_unlocked",
                                               "pin_unlocked against " + what, tso);
    book.add<against<use::store, Move>>(name + ".store", "a store and its fault against " + what,
                                        tso);
    book.add<against<use::discard, Move>>(name + ".discard", "MADV_DONTNEED against " + what, tso);
}

inline void add_movers(scenario_book& book) {
    add_mover<move::fork>(book, "fork", "fork");
    add_mover<move::migrate>(book, "migrate", "migration");
    add_mover<move::swap_out>(book, "swap", "swapping out");
}

/// Too many executions for a complete search.
inline void add_moves_against_two(scenario_book& book) {
    book.add<store_against_two<move::migrate, use::discard>>(
        "migrate.store_and_discard", "a store and MADV_DONTNEED against migration", reach::sampled);
    book.add<store_against_two<move::swap_out, use::discard>>(
        "swap.store_and_discard", "a store and MADV_DONTNEED against swapping out", reach::sampled);
    book.add<store_against_two<move::swap_out, use::store>>(
        "swap.store_and_load", "two cpus read a swapped page back", reach::sampled);
}

inline void add_lying_movers(scenario_book& book) {
    using enum lie;
    book.add_mutant<against<use::pin_fast, move::fork, seq_skipped>>(
        "fork.pin_fast", "seq_skipped", "fork does not turn pinners away");
    book.add_mutant<against<use::pin_fast, move::fork, pins_not_asked>>(
        "fork.pin_fast", "pins_not_asked", "fork shares a page that is pinned");
    book.add_mutant<against<use::store, move::fork, exclusive_kept>>(
        "fork.store", "exclusive_kept", "fork leaves the page it shares exclusive");
    book.add_mutant<against<use::store, move::fork, flush_skipped>>(
        "fork.store", "flush_skipped", "a store by an old translation goes to a shared page");
    book.add_mutant<against<use::pin_fast, move::migrate, pins_asked_too_early>>(
        "migrate.pin_fast", "pins_asked_too_early",
        "looks at the pins before the entry is cleared");
    book.add_mutant<against<use::pin_fast, move::migrate, exclusive_lost>>(
        "migrate.pin_fast", "exclusive_lost", "clears exclusive before it looks at the pins");
    book.add_mutant<against<use::gup_fast, move::migrate, not_frozen>>(
        "migrate.gup_fast", "not_frozen", "overlooks who holds a reference");
    book.add_mutant<against<use::gup_fast, move::migrate, exclusive_not_put_back>>(
        "migrate.gup_fast", "exclusive_not_put_back",
        "a writable entry of a page that is not exclusive");
    book.add_mutant<against<use::pin_fast, move::migrate, entry_put_back_first>>(
        "migrate.pin_fast", "entry_put_back_first", "and only then is the page exclusive again");
    book.add_mutant<against<use::store, move::migrate, flush_skipped>>(
        "migrate.store", "flush_skipped", "a store by an old translation is lost");
    book.add_mutant<against<use::pin_fast, move::swap_out, pins_asked_too_early>>(
        "swap.pin_fast", "pins_asked_too_early", "looks at the pins before the entry is cleared");
    book.add_mutant<against<use::gup_fast, move::swap_out, not_frozen>>(
        "swap.gup_fast", "not_frozen", "overlooks who holds a reference");
    book.add_mutant<against<use::store, move::swap_out, flush_skipped>>(
        "swap.store", "flush_skipped", "a store by an old translation is lost");
}

}  // namespace mmhold_test::moving

namespace mmhold_test {

inline void add_fork_scenarios(mmhold::scenario_book& book) {
    moving::add_movers(book);
    moving::add_moves_against_two(book);
    moving::add_lying_movers(book);
}

}  // namespace mmhold_test
