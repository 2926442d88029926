// SPDX-License-Identifier: BSL-1.0
#pragma once

// frame_pool – physical memory: who holds which frame, and how.
//
// Two protocols meet in the counts of a frame.
//
// Grab (gup-semantics §5.4, §5.6): somebody read a frame number from a page table entry, and by now
// the frame may be free, somebody else's, or part of another folio.
//   Grabber  find the folio → add references unless there are none → find the folio AGAIN → another
//            one? put them back, start over. (Then the walker looks at its entries again.)
//   Freer    the last reference goes → nobody can add one → the frame can be handed out again, and
//            its folio is set up before its first reference is visible.
//   Promise  a grab that succeeds holds the folio the page belonged to at one moment of the call.
//
// Share (§6.1, last paragraph): somebody wants an exclusive page not to be exclusive any more, or
// to take it away.
//   Pinner   read the entry → add the pin → full barrier → read the entry AGAIN → exclusive()?
//   Remover  clear the entry → full barrier → look at the pins → none? clear exclusive → install
//            another entry.
//   Promise  the remover sees the pin, or the pinner sees the cleared entry. Both barriers are here
//            (try_grab, look_after_clear); the accesses to entries are made in walk/ and paging/.
//
// Not given: that pins of small folios are exact. 1024 references look like one (§1.3 rule 3).

#include <mmhold/config.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/frame_table.hpp>
#include <mmhold/space/free_frames.hpp>
#include <mmhold/space/striped_count.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// Consecutive page frames, allocated in folios of 2^order, with reference and pin counts as in
/// gup-semantics §1.3 and §5.4.
///
/// Every function may be called from any cpu at any time; allocate() and the last put() take a spin
/// lock, nothing else waits. Counts belong to the folio; any of its pages names it. A page table
/// entry holds one reference per 4 KiB page that it maps, so splitting a leaf changes no count.
template<Machine M>
class frame_pool : public frame_table<M> {
    using table = frame_table<M>;
    using typename table::frame;

public:
    /// `capacity` free frames numbered from `first` on, and behind them the zero page. The last
    /// `movable` of them are the movable zone (ZONE_MOVABLE): what is allocated there is
    /// longterm_forbidden. If memory is exhausted or the numbers do not fit the pool is not
    /// valid(), and allocate() answers no_memory.
    constexpr explicit frame_pool(page_count capacity, frame_bytes bytes = frame_bytes::none,
                                  pfn first = pfn{std::uint64_t{1} << 20U},
                                  pin_statistics statistics = pin_statistics::kept,
                                  page_count movable = {})
        : table{capacity.value <= max_capacity ? static_cast<std::uint32_t>(capacity.value) : 0,
                first},
          statistics_{statistics},
          fixed_{static_cast<std::uint32_t>(
              table::capacity() - std::min<std::uint64_t>(movable.value, table::capacity()))},
          free_{table::frames(), first.value, table::valid() ? fixed_ : 0},
          movable_{table::valid() ? table::frames() + fixed_ : nullptr, first.value + fixed_,
                   table::capacity() - fixed_} {
        M::name(&lock_, "frame pool lock");
        if (capacity.value > max_capacity || !table::valid()) return;
        if (bytes == frame_bytes::owned && !create_bytes()) return;
        free_count_.store(table::capacity(), relaxed);
        usable_ = true;
    }
    frame_pool(frame_pool const&) = delete;
    frame_pool& operator=(frame_pool const&) = delete;
    /// Nobody holds or looks at its frames any more.
    constexpr ~frame_pool() {
        if (bytes_ != nullptr) M::destroy_array(bytes_, table::slots() * page_size);
    }

    /// Was there memory for the bookkeeping, and for the bytes if they were asked for?
    [[nodiscard]] constexpr bool valid() const noexcept { return usable_; }

    /// 2^order consecutive frames, aligned to their number, as one folio with one reference, which
    /// is the caller's. Bytes are zero. User pages – anonymous, page_cache – come from the movable
    /// zone first, unless they are to be `fixed`; others never do. Errors: no_memory;
    /// invalid_argument for an order above max_frame_order or a kind that nobody can allocate
    /// (free, zero).
    [[nodiscard]] constexpr result<pfn> allocate(
        frame_kind kind, unsigned order = 0,
        frame_mobility where = frame_mobility::movable) noexcept {
        auto const legal = kind != frame_kind::free && kind != frame_kind::zero;
        if (order > max_frame_order || !legal) return errc::invalid_argument;
        auto const user = kind == frame_kind::anonymous || kind == frame_kind::page_cache;
        return allocate_any(kind, order, user ? where : frame_mobility::fixed);
    }

    /// The large zero folio, of 2^order pages: zeroes that every reader may share, as the zero page
    /// is. Allocated for the first who asks, for its order; from then on it stays, and every call
    /// answers the same. Nobody's reference: it is never freed, and pinning it takes nothing.
    /// Errors: no_memory; invalid_argument – the order is 0, above max_frame_order, or another than
    /// the folio has.
    [[nodiscard]] constexpr result<pfn> zero_folio(unsigned order) noexcept {
        if (order == 0 || order > max_frame_order) return errc::invalid_argument;
        // (frame.zero_folio) acquire: what the one who allocated it wrote; pairs with
        // (frame.zero_folio_set).
        auto seen = zero_folio_.load(acquire("frame.zero_folio"));
        if (seen == 0) {
            auto const fresh = allocate_any(frame_kind::zero, order, frame_mobility::fixed);
            if (!fresh) return fresh;
            auto const mine = table::index(*fresh) + 1;
            // (frame.zero_folio_set) acq_rel: whoever finds the folio finds it set up, and who
            // comes second finds the other's; pairs with (frame.zero_folio, frame.zero_folio_set,
            // frame.zero_folio_taken).
            if (!zero_folio_.compare_exchange(seen, mine, acq_rel("frame.zero_folio_set"))) {
                put(*fresh);
            } else {
                seen = mine;
                M::note(claim::reference_passed, &table::at(mine - 1), 1);
            }
        }
        auto const head = seen - 1;
        if (table::order_at(head) != order) return errc::invalid_argument;
        return table::pfn_at(head);
    }

    /// Frees the large zero folio, if there is one; the next who asks gets another. Only for who
    /// knows that nobody maps or holds it (Linux: its shrinker, which counts the mm's that do).
    constexpr void release_zero_folio() noexcept {
        // (frame.zero_folio_taken) acquire: who allocated it has set it up; pairs with
        // (frame.zero_folio_set).
        auto const seen = zero_folio_.exchange(0, acquire("frame.zero_folio_taken"));
        if (seen == 0) return;
        M::note(claim::reference_taken, &table::at(seen - 1), 1);
        put(table::pfn_at(seen - 1));
    }

    /// Holds `n` pages of the folio of `page` in the way `how` says: gup-semantics §5.4, row by
    /// row. Lock-free. False, and nothing is held: the frame is free, frozen or not the pool's, a
    /// rule refuses it, or the count would overflow. holding::none takes nothing and is not
    /// refused.
    [[nodiscard]] constexpr bool try_grab(pfn page, std::uint64_t n, holding how,
                                          grab_rules rules = {}) noexcept {
        if (how == holding::none) return true;
        if (!table::contains(page) || n > detail::max_references) return false;
        if (refused_as_peer_to_peer(page, rules)) return false;
        if (how == holding::pin && page == table::zero_page()) return true;
        auto const pages = static_cast<std::uint32_t>(n);
        auto const head = grab_folio(page, pages);
        if (head == detail::no_frame) return false;
        if (how == holding::reference) {
            M::note(claim::reference_taken, &table::at(head), n);
            return true;
        }
        auto const order = table::order_at(head);
        if (order != 0 && table::is_zero(page)) {
            put_folio(head, pages);  // as the zero page
            return true;
        }
        if (refused_as_longterm(head, rules) || !turn_into_pins(head, order, pages)) {
            put_folio(head, pages);
            return false;
        }
        M::note(claim::reference_taken, &table::at(head), n);
        // (frame.pin_barrier) seq_cst: the pin is visible before the caller reads its entry again;
        // pairs with (frame.look_barrier).
        M::fence(seq_cst("frame.pin_barrier"));
        count(acquired_, head, pages);
        return true;
    }

    /// `n` more references for a caller who has one already.
    constexpr void get(pfn page, std::uint64_t n = 1) noexcept {
        auto& head = table::folio(page);
        M::note(claim::used, &head);
        M::note(claim::reference_taken, &head, n);
        auto const before = head.references.fetch_add(narrow(n), relaxed);
        M::expect(before != 0, "frame_pool::get: the caller holds no reference");
        M::expect(before <= detail::max_references - narrow(n),
                  "frame_pool::get: too many references");
    }

    /// Gives `n` references back. With the last one the folio is freed: bytes are poisoned, the
    /// generation goes up, the frames can be allocated again.
    constexpr void put(pfn page, std::uint64_t n = 1) noexcept {
        if (n == 0) return;
        auto const head = table::head_index(page);
        give_back_noted(head, n);
        put_folio(head, narrow(n));
    }

    /// Gives `n` pins back: the inverse of try_grab(page, n, holding::pin). The zero page and the
    /// large zero folio: nothing.
    constexpr void unpin(pfn page, std::uint64_t n = 1) noexcept {
        if (n == 0 || page == table::zero_page()) return;
        auto const head = table::head_index(page);
        auto const order = table::order_at(head);
        if (order != 0 && table::is_zero(page)) return;
        auto const pages = narrow(n);
        give_back_noted(head, n);
        count(released_, head, pages);
        if (order == 0) return put_folio(head, narrow(n * pin_bias));
        // (frame.unpin) release: what the pin allowed is over before the pin is; pairs with
        // (frame.look_pins).
        auto const before = table::at(head).pins.fetch_sub(pages, release("frame.unpin"));
        M::expect(before >= pages, "frame_pool::unpin: more pins than were taken");
        put_folio(head, pages);
    }

    /// References and pins of the folio, as they were at some moment.
    [[nodiscard]] constexpr frame_counts counts(pfn page) const noexcept {
        auto const& head = table::at(table::head_index(page));
        // (frame.look) acquire: what former holders did to the page is over; pairs with
        // (frame.put).
        auto const references = head.references.load(acquire("frame.look"));
        auto const order = detail::frame_state::order(head.state.load(relaxed));
        if (order == 0) return {references, references / pin_bias};
        // (frame.look_pins) acquire: the same for pins; pairs with (frame.unpin).
        return {references, head.pins.load(acquire("frame.look_pins"))};
    }
    [[nodiscard]] constexpr std::uint32_t ref_count(pfn page) const noexcept {
        return counts(page).references;
    }
    [[nodiscard]] constexpr std::uint32_t pin_count(pfn page) const noexcept {
        return counts(page).pins;
    }
    /// Does somebody hold a pin? False positives for small folios, never false negatives (§1.3 rule
    /// 3). Out of date at once, unless no new pin can come: fork's case, or look_after_clear().
    [[nodiscard]] constexpr bool maybe_pinned(pfn page) const noexcept {
        return counts(page).pins != 0;
    }

    /// The counts, for who has cleared (and flushed) the entries that lead to the folio. A pin that
    /// is not seen here belongs to a pinner that will find its entry cleared. References are added
    /// without a barrier: who decides by them asks first whether somebody is walking (synchronize,
    /// try_synchronize), or freezes the count (tests/races/0002).
    [[nodiscard]] constexpr frame_counts look_after_clear(pfn page) const noexcept {
        // (frame.look_barrier) seq_cst: the cleared entry is visible before the counts are read;
        // pairs with (frame.pin_barrier).
        M::fence(seq_cst("frame.look_barrier"));
        return counts(page);
    }

    /// The remover's half of the share protocol, for who has cleared the only entry of `page`: it
    /// stops being exclusive, unless somebody may have pinned it. False: put the old entry back.
    [[nodiscard]] constexpr bool try_share(pfn page) noexcept {
        if (look_after_clear(page).pins != 0) return false;
        table::clear_exclusive(page);
        return true;
    }

    /// Takes all references away, if they are exactly `expected` (at least 1): those the caller
    /// knows of and answers for. Then nobody else holds the folio, and every grab is refused until
    /// unfreeze(). A pin is 1024 references that nobody expected. (§6.1, migration: "freeze to 0")
    [[nodiscard]] constexpr bool try_freeze(pfn page, std::uint32_t expected) noexcept {
        M::expect(expected != 0, "frame_pool::try_freeze: a free folio cannot be frozen");
        // (frame.freeze) acquire: former holders are done with the folio; pairs with (frame.put).
        return table::folio(page).references.compare_exchange(expected, 0,
                                                              acquire("frame.freeze"));
    }
    /// Gives a frozen folio `references` again.
    constexpr void unfreeze(pfn page, std::uint32_t references) noexcept {
        auto& count = table::folio(page).references;
        M::expect(count.load(relaxed) == 0, "frame_pool::unfreeze: the folio is not frozen");
        // (frame.unfreeze) release: who adds a reference sees what was done meanwhile; pairs with
        // (frame.grab).
        count.store(references, release("frame.unfreeze"));
    }

    /// Makes single pages of a folio, each with one reference: the caller's, who has the only one
    /// of the folio. Meanwhile every grab is refused (§6.1, "folio split"). busy: not the only one.
    [[nodiscard]] constexpr result<void> split_folio(pfn page) noexcept {
        auto const head = table::head_index(page);
        if (!try_freeze(page, 1)) return errc::busy;
        M::expect(table::at(head).mappings.load(relaxed) == 0, "a mapped folio was split");
        make_singles(head);
        return {};
    }

    /// The same for a folio that is mapped in small leaves, `mapped` of its pages once each, as
    /// is_mapped(pfn) says: they keep mapping and reference, the others are freed. The caller holds
    /// the lock of the page table with all mappings. busy, and nothing has changed: there are other
    /// mappings, references, or pins.
    template<class IsMapped>
    [[nodiscard]] constexpr result<void> split_mapped_folio(pfn page, std::uint32_t mapped,
                                                            IsMapped is_mapped) noexcept {
        auto const head = table::head_index(page);
        if (mapped == 0 || table::at(head).mappings.load(relaxed) != mapped) return errc::busy;
        if (!try_freeze(page, mapped)) return errc::busy;
        auto const end = head + pages_of(table::order_at(head));
        table::remove_mappings(page, mapped);
        M::note(claim::reference_given, &table::at(head), mapped);
        make_singles(head);
        for (auto at = head; at < end; ++at) {
            M::note(claim::reference_taken, &table::at(at), 1);
            auto const single = table::pfn_at(at);
            is_mapped(single) ? table::add_mappings(single) : put(single);
        }
        return {};
    }

    /// The page's contents; empty if the pool owns no bytes. Only for who holds the page.
    [[nodiscard]] constexpr std::span<std::byte> bytes(pfn page) const noexcept {
        M::note(claim::used, &table::at(table::index(page)));
        return contents(page);
    }
    /// What the bytes of a free frame are filled with.
    static constexpr std::byte poison{107};

    /// How the pool is doing.
    [[nodiscard]] constexpr frame_statistics statistics() const noexcept {
        return {table::capacity(), free_count_.load(relaxed), acquired_.sum(), released_.sum()};
    }

private:
    static constexpr std::uint64_t max_capacity = detail::no_frame - 1;

    [[nodiscard]] static constexpr std::uint32_t pages_of(unsigned order) noexcept {
        return std::uint32_t{1} << order;
    }

    [[nodiscard]] constexpr std::span<std::byte> contents(pfn page) const noexcept {
        if (bytes_ == nullptr) return {};
        return {bytes_ + std::size_t{table::index(page)} * page_size, page_size};
    }

    // Whoever gives back says so first: it needs a reference for that, too.
    constexpr void give_back_noted(std::uint32_t head, std::uint64_t n) const noexcept {
        M::note(claim::used, &table::at(head));
        M::note(claim::reference_given, &table::at(head), n);
    }

    // No count can be larger, so a larger number is a caller's mistake.
    [[nodiscard]] static constexpr std::uint32_t narrow(std::uint64_t n) noexcept {
        M::expect(n <= detail::max_references, "frame_pool: more pages than can be held");
        return static_cast<std::uint32_t>(n);
    }

    // Adds references unless the count is 0 (free, frozen) or would get too large.
    [[nodiscard]] constexpr bool add_references(std::uint32_t head, std::uint32_t n) noexcept {
        auto& references = table::at(head).references;
        auto seen = references.load(relaxed);
        while (seen != 0 && n <= detail::max_references - seen) {
            // (frame.grab) acquire: the folio is seen as it was set up before its first reference;
            // pairs with (frame.publish, frame.thaw, frame.unfreeze).
            if (references.compare_exchange(seen, seen + n, acquire("frame.grab"))) return true;
        }
        return false;
    }

    // References on the folio of `page`, whichever it is: answers its head, or no_frame.
    [[nodiscard]] constexpr std::uint32_t grab_folio(pfn page, std::uint32_t n) noexcept {
        for (;;) {
            auto const head = table::head_index(page);
            if (!add_references(head, n)) return detail::no_frame;
            if (table::head_index(page) == head) return head;
            put_folio(head, n);
        }
    }

    // Makes pins of `n` references just taken. False: too many, nothing changed.
    [[nodiscard]] constexpr bool turn_into_pins(std::uint32_t head, unsigned order,
                                                std::uint32_t n) noexcept {
        if (order == 0) {
            if (n > detail::max_references / pin_bias) return false;
            return add_references(head, n * (pin_bias - 1));
        }
        (void)table::at(head).pins.fetch_add(n, relaxed);
        return true;
    }

    [[nodiscard]] constexpr bool refused_as_peer_to_peer(pfn page,
                                                         grab_rules rules) const noexcept {
        return table::attributes(page).has(frame_attribute::peer_to_peer) &&
               !rules.has(grab_rule::peer_to_peer_allowed);
    }
    [[nodiscard]] constexpr bool refused_as_longterm(std::uint32_t head,
                                                     grab_rules rules) const noexcept {
        return rules.has(grab_rule::longterm) &&
               table::attributes(table::pfn_at(head)).has(frame_attribute::longterm_forbidden);
    }

    constexpr void put_folio(std::uint32_t head, std::uint32_t n) noexcept {
        // (frame.put) acq_rel: what each holder did is over before the page is freed, frozen or
        // looked at by a remover; pairs with (frame.put, frame.look, frame.freeze).
        auto const before = table::at(head).references.fetch_sub(n, acq_rel("frame.put"));
        M::expect(before >= n, "frame_pool::put: more references than were taken");
        if (before == n) free_folio(head);
    }

    constexpr void free_folio(std::uint32_t head) noexcept {
        M::expect(head != table::capacity(), "the zero page was freed");
        M::expect(table::at(head).mappings.load(relaxed) == 0, "a mapped folio was freed");
        M::expect(table::at(head).pins.load(relaxed) == 0, "a pinned folio was freed");
        auto const order = table::order_at(head);
        auto const kept = table::attributes(table::pfn_at(head)) & detail::out_of_use;
        for (auto at = head; at < head + pages_of(order); ++at) {
            std::ranges::fill(contents(table::pfn_at(at)), poison);
            table::at(at).behind_head.store(0, relaxed);
            table::at(at).state.store(detail::frame_state::with(kept), relaxed);
            auto& lives = table::at(at).generation;  // nobody else writes it
            lives.store(lives.load(relaxed) + 1, relaxed);
        }
        if (!kept.empty()) return;  // never again
        spin_guard const guard{lock_};
        head < fixed_ ? free_.give(head, order) : movable_.give(head - fixed_, order);
        free_count_.store(free_count_.load(relaxed) + pages_of(order), relaxed);
    }

    [[nodiscard]] constexpr result<pfn> allocate_any(frame_kind kind, unsigned order,
                                                     frame_mobility where) noexcept {
        auto const head = take_free(order, where);
        if (head == detail::no_frame) return errc::no_memory;
        set_up(head, kind, order);
        // (frame.publish) release: who adds a reference sees the folio it belongs to; pairs with
        // (frame.grab).
        table::at(head).references.store(1, release("frame.publish"));
        M::note(claim::reference_taken, &table::at(head));
        return table::pfn_at(head);
    }

    [[nodiscard]] constexpr std::uint32_t take_free(unsigned order, frame_mobility where) noexcept {
        if (!usable_) return detail::no_frame;
        spin_guard const guard{lock_};
        auto const movable = where == frame_mobility::movable && fixed_ != table::capacity();
        auto const there = movable ? movable_.take(order) : detail::no_frame;
        auto const head = there != detail::no_frame ? there + fixed_ : free_.take(order);
        if (head == detail::no_frame) return head;
        free_count_.store(free_count_.load(relaxed) - pages_of(order), relaxed);
        return head;
    }

    constexpr void set_up(std::uint32_t head, frame_kind kind, unsigned order) noexcept {
        auto const zone =
            head < fixed_ ? 0 : detail::frame_state::with(frame_attribute::longterm_forbidden);
        for (std::uint32_t behind = 0; behind < pages_of(order); ++behind) {
            auto& page = table::at(head + behind);
            if (page.generation.load(relaxed) != 0) clean(table::pfn_at(head + behind));
            page.behind_head.store(behind, relaxed);
            auto const own = detail::frame_state::make(kind, behind == 0 ? order : 0);
            page.state.store(behind == 0 ? own | zone : own, relaxed);
        }
    }

    constexpr void clean(pfn page) noexcept {
        auto const old = contents(page);
        M::expect(std::ranges::all_of(old, [](std::byte b) { return b == poison; }),
                  "somebody wrote to a frame after it was freed");
        std::ranges::fill(old, std::byte{0});
    }

    // Of the frozen folio: each page has one reference then.
    constexpr void make_singles(std::uint32_t head) noexcept {
        auto const end = head + pages_of(table::order_at(head));
        auto const shared = detail::frame_state::folio_part(table::at(head).state.load(relaxed));
        for (auto at = head; at < end; ++at) {
            auto& page = table::at(at);
            page.behind_head.store(0, relaxed);
            auto const own = detail::frame_state::page_part(page.state.load(relaxed));
            page.state.store(own | shared, relaxed);
        }
        for (auto at = head; at < end; ++at) {
            // (frame.thaw) release: who adds a reference sees a page of its own; pairs with
            // (frame.grab).
            table::at(at).references.store(1, release("frame.thaw"));
        }
    }

    [[nodiscard]] constexpr bool create_bytes() {
        auto const capacity = table::slots();
        if (capacity > ~std::size_t{0} / page_size) return false;
        bytes_ = M::template create_array<std::byte>(capacity * page_size);
        return bytes_ != nullptr;
    }

    constexpr void count(striped_count<M>& which, std::uint32_t head,
                         std::uint32_t pages) noexcept {
        if (statistics_ == pin_statistics::kept) which.add(head, pages);
    }

    pin_statistics statistics_;
    bool usable_{false};
    std::byte* bytes_{nullptr};
    spin_lock<M> lock_{};
    std::uint32_t fixed_;  // index of the movable zone's first frame
    detail::free_frames<M> free_ MMHOLD_GUARDED_BY(lock_);
    detail::free_frames<M> movable_ MMHOLD_GUARDED_BY(lock_);
    typename M::template atomic<std::uint64_t> free_count_{};  // written under lock_
    typename M::template atomic<std::uint32_t> zero_folio_{};  // its index + 1; 0: not yet
    striped_count<M> acquired_{};
    striped_count<M> released_{};
};

}  // namespace mmhold
