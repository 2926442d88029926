// SPDX-License-Identifier: BSL-1.0
#pragma once

// Long-term pins of a page that lies in the movable zone (gup/longterm.hpp): it is moved out first,
// while somebody else takes it, unmaps it, or pins it for ever, too. What must hold: what is pinned
// for ever lies where it may stay, exclusive, and mapped where it was pinned; a page that somebody
// holds is not moved under him; a refusal has a reason; of two pinners one gets the page.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/longterm.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/migrate.hpp>

#include "pair_world.hpp"
#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold_test {

/// What a long-term pinner does wrong.
enum class longterm_bug : std::uint8_t {
    none,
    zone_not_looked_at,  ///< pins the page where it lies
    pins_kept,           ///< moves the page while it has it pinned itself
    moved_unfrozen,      ///< moves it whoever holds it
    tried_once,          ///< gives up when the page is busy for a moment
};

/// Two frames where pins may stay for ever and four where not; one page of the latter is mapped.
struct zoned_world {
    using M = model_machine;
    using config = pair_config<plain_mm_lock>;
    using space_type = address_space<config>;
    using cpu_type = space_type::cpu_type;
    static constexpr std::uint64_t all_frames = 6;
    static constexpr virt_addr place{};

    config::pool frames{page_count{all_frames}, frame_bytes::none, pfn{16}, pin_statistics::off,
                        page_count{4}};
    config::tables tables{page_count{4}};
    config::reclaimer domain{};
    tiny_tlb tlb{};
    null_observer nobody{};
    space_type space{frames, tables, domain, nobody, tlb};
    cpu_type first{domain};
    cpu_type second{domain};

    zoned_world() {
        (void)space.mmap(first, {.hint = place, .pages = page_count{1}, .flags = mmap_flag::fixed});
        auto const page = *frames.allocate(frame_kind::anonymous);
        frames.set_exclusive(page);
        auto leaf = page_entry::leaf_to(page, prot::rw);
        leaf.dirty = true;
        (void)install_page(space, first, place, leaf);
        M::expect(is_movable(page), "the page begins in the movable zone");
    }
    zoned_world(zoned_world const&) = delete;
    zoned_world& operator=(zoned_world const&) = delete;
    ~zoned_world() = default;

    static page_span page() { return *page_span::from(place, page_count{1}); }
    bool is_movable(pfn page) const {
        return frames.attributes(page).has(frame_attribute::longterm_forbidden);
    }
    page_entry entry() {
        auto const found = space.table().lock_leaf(first, place, 0, if_absent::fail);
        return found ? found->read() : page_entry{};
    }
    void end() {
        space.exit(first);
        M::expect(frames.statistics().free == all_frames, "a frame is still held when all is over");
    }
};

/// One who wants the page for ever; keeps it until the end.
template<longterm_bug Bug>
class longterm_pinner {
public:
    explicit longterm_pinner(zoned_world& w) : w_{w} {}
    void pin(zoned_world::cpu_type& me) { answer_ = call(me); }
    bool got() const { return answer_.pages == 1; }
    errc error() const { return answer_.error; }
    pfn page() const { return out_[0]; }
    void judge() const {
        zoned_world::M::expect(got() || error() != errc::ok, "no page, and no reason");
        if (!got()) return;
        zoned_world::M::expect(!w_.is_movable(out_[0]), "a page of the movable zone is pinned");
        zoned_world::M::expect(w_.frames.exclusive(out_[0]), "a pinned page is not exclusive");
    }
    void release() {
        if (got()) w_.frames.unpin(out_[0]);
    }

private:
    static constexpr gup_flags for_ever{gup_flag::write, gup_flag::longterm};

    gup_result call(zoned_world::cpu_type& me) {
        if constexpr (Bug == longterm_bug::none)
            return pin_fast(w_.space, me, w_.page(), for_ever, out_);
        auto const got = pin_unlocked(w_.space, me, w_.page(), gup_flag::write, out_);
        if (got.pages == 0 || Bug == longterm_bug::zone_not_looked_at) return got;
        if (Bug != longterm_bug::pins_kept) w_.frames.unpin(out_[0]);
        auto const held = held_shared<zoned_world::space_type::lock_type>::acquire(w_.space.lock());
        if (Bug == longterm_bug::moved_unfrozen) {
            move_unfrozen(me);
        } else if (!migrate_page(held, me, w_.space, w_.place, frame_mobility::fixed)) {
            if (Bug == longterm_bug::pins_kept) w_.frames.unpin(out_[0]);
            return {0, gup_stop::error, errc::no_memory, got.lock};
        }
        return pin_fast_only(w_.space, me, w_.page(), for_ever, out_);
    }
    void move_unfrozen(zoned_world::cpu_type& me) {
        auto const fresh = w_.frames.allocate(frame_kind::anonymous, 0, frame_mobility::fixed);
        auto entry = w_.space.table().lock_leaf(me, w_.place, 0, if_absent::fail);
        if (!fresh || !entry || !entry->read().is_leaf()) return;
        w_.frames.set_exclusive(*fresh);
        auto leaf = entry->clear();
        w_.space.flush()(w_.page());
        auto const counted = w_.space.note_unmapped(leaf, 1);
        if (counted) w_.frames.put(leaf.target);
        leaf.target = *fresh;
        entry->set(leaf);
        w_.space.note_mapped(leaf, 1);
    }

    zoned_world& w_;
    std::array<pfn, 1> out_{};
    gup_result answer_{};
};

/// A long-term pin against gup_fast, or a short pin, of the same page, which is held until the end.
template<holding How, longterm_bug Bug = longterm_bug::none>
struct longterm_against_fast : zoned_world {
    static constexpr int actors = 2;
    longterm_pinner<Bug> pinner{*this};
    std::optional<pfn> held{};

    void actor(int who) {
        if (who == 0) return pinner.pin(first);
        std::array<pfn, 1> out{};
        auto const got = How == holding::pin
                             ? pin_fast_only(space, second, page(), gup_flag::write, out)
                             : gup_fast_only(space, second, page(), gup_flag::write, out);
        if (got.pages == 1) held = out[0];
    }
    void finish() {
        pinner.judge();
        auto const now = entry();
        M::expect(!held || (now.is_leaf() && now.target == *held), "a page that is held was moved");
        M::expect(pinner.got() || held, "refused, although nobody else had the page");
        pinner.release();
        if (held) How == holding::pin ? frames.unpin(*held) : frames.put(*held);
        end();
    }
};

/// A long-term pin against munmap.
template<longterm_bug Bug = longterm_bug::none>
struct longterm_against_unmap : zoned_world {
    static constexpr int actors = 2;
    longterm_pinner<Bug> pinner{*this};

    void actor(int who) {
        if (who == 0) return pinner.pin(first);
        (void)space.munmap(second, page());
        if (auto const next = frames.allocate(frame_kind::other)) frames.put(*next);
    }
    void finish() {
        pinner.judge();
        M::expect(pinner.got() || pinner.error() == errc::bad_address, "refused without a reason");
        pinner.release();
        end();
    }
};

/// Two who want one page for ever.
template<longterm_bug Bug = longterm_bug::none>
struct two_longterm : zoned_world {
    static constexpr int actors = 2;
    longterm_pinner<Bug> one{*this};
    longterm_pinner<Bug> other{*this};

    void actor(int who) { who == 0 ? one.pin(first) : other.pin(second); }
    void finish() {
        one.judge();
        other.judge();
        M::expect(one.got() || other.got(), "two pinners have kept each other from the page");
        M::expect(!one.got() || !other.got() || one.page() == other.page(), "they have one page");
        one.release();
        other.release();
        end();
    }
};

inline void add_longterm_scenarios(scenario_book& book) {
    using enum longterm_bug;
    // Sampled, for a page that is held stays busy through all tries.
    book.add<longterm_against_fast<holding::reference>>(
        "longterm.gup_fast", "a page is moved to be pinned for ever, against gup_fast",
        reach::sampled);
    book.add<longterm_against_unmap<>>("longterm.unmap", "the same against munmap");
    book.add<two_longterm<>>("longterm.two", "two pin one page for ever", reach::sampled);
    book.add_mutant<longterm_against_fast<holding::reference, moved_unfrozen>>(
        "longterm.gup_fast", "moved_unfrozen", "moves a page that somebody holds");
    book.add_mutant<longterm_against_fast<holding::reference, tried_once>>(
        "longterm.gup_fast", "tried_once", "is refused for the sake of a walk that came too late");
    book.add_mutant<longterm_against_unmap<zone_not_looked_at>>(
        "longterm.unmap", "zone_not_looked_at", "pins the page where it lies");
    book.add_mutant<longterm_against_unmap<pins_kept>>("longterm.unmap", "pins_kept",
                                                       "stands in its own way");
    book.add_mutant<two_longterm<pins_kept>>("longterm.two", "pins_kept",
                                             "each stands in the other's way");
}

}  // namespace mmhold_test
