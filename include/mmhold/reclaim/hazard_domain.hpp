// SPDX-License-Identifier: BSL-1.0
#pragma once

// hazard_domain – "interrupts off" for programs that have none: hazard pointers, plus one section
// number per cpu.
//
// Actors     reader (hazard_record.hpp, through irq_section), remover (retire, reclaim),
//            synchronizer (synchronize).
// Promise    an object is freed only when no reader that found it while it was reachable can still
//            be reading it; synchronize() returns when no section is left that was open before.
// Reader     section := odd → light fence → ...
//            slot[level] := key → light fence → look AGAIN at the parent's entry. Changed? Back.
//            ... → section := even.
// Remover    clear the parent's entry → put the object on a list (retire). Per batch:
//            heavy fence → for every cpu whose section number is odd, read its slots → free what
//            none of them names.                  (the mirror image: hide, then look for readers)
// Why        Either the remover's look comes after the reader's announcement: then it sees the
//            section open and the slot, or a later state of them – and whatever ended the
//            protection was a release, so the reader's accesses are over. Or it does not see the
//            announcement: then, by the law of the asymmetric fence, the reader's second look sees
//            the entry cleared, and the reader does not touch the object.
//            The slots need no clearing when a section ends: a closed section protects nothing.
// Synchron.  clear the entry → heavy fence → wait until every section number that is odd changes.
//            A number that changed and is odd again is a section that we did not see when we
//            looked; so its reader sees the entry cleared, and we need not wait for it.
// Cost       reader: two stores and a light fence per section, a store and a light fence per
//            protected level. Remover: a heavy fence and a look at every cpu per `Batch` objects.
// Garbage    own list: less than one batch. Objects that a scan found named move to a list of the
//            domain, and whoever scans next looks at them again – so an idle cpu keeps nothing of
//            others, and a stalled reader keeps what its own slots name.
// Memory     join() may allocate; nothing else does. The scan keeps its objects in a hash table of
//            fixed size on the stack and looks every slot up in it: correct for any number of
//            cpus. Places are never given back before the domain is destroyed.
// The end    every cpu leaves → drain() frees the rest (no section can be open) → the places go.
//            In another order it is an expectation failure, not a leak or a use after free.
// Not given  progress of synchronize() behind a reader that never leaves its section.

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/reclaim/hazard_record.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/reclaim/retired.hpp>
#include <mmhold/reclaim/retired_list.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mmhold {

namespace detail {

/// The objects of one scan, findable by key: what is left after every slot was looked at may go.
/// A fixed number of buckets, so no memory is needed and any number of slots and objects is right.
template<Machine M>
class scanned_objects {
public:
    using list = retired_list<M>;

    constexpr explicit scanned_objects(list objects) noexcept {
        while (!objects.empty()) {
            auto* const object = objects.pop();
            bucket(object->key).push(object);
        }
    }

    /// A slot names `key`: its objects move to `named`.
    constexpr void keep(std::uint64_t key, list& named) noexcept {
        bucket(key).move(key, named);
    }

    /// Everything that nobody named.
    constexpr list rest() noexcept {
        list all;
        for (auto& some : buckets_) all.take(some);
        return all;
    }

private:
    static constexpr unsigned bucket_bits = 6;

    /// Fibonacci hashing: neither consecutive page frame numbers nor aligned addresses collide.
    constexpr list& bucket(std::uint64_t key) noexcept {
        constexpr std::uint64_t golden = 11'400'714'819'323'198'485U;
        return buckets_[(key * golden) >> (64 - bucket_bits)];
    }

    std::array<list, std::size_t{1} << bucket_bits> buckets_{};
};

}  // namespace detail

/// The Reclaimer made of hazard pointers. `Batch`: how many objects a cpu retires between two
/// scans.
///
/// Must outlive every cpu that joins it. Every member but the destructor and drain() may be called
/// by any number of actors at once, each with its own record.
template<Machine M, std::size_t Batch = 64>
class hazard_domain {
public:
    using machine = M;
    using record = hazard_record<M>;

    static constexpr unsigned levels = record::levels;
    static constexpr std::size_t batch = Batch;
    /// What one cpu can keep from being freed: the objects its slots name, and its own batch.
    static constexpr std::size_t held_back_per_cpu = levels + Batch;

    constexpr hazard_domain() noexcept = default;
    hazard_domain(hazard_domain const&) = delete;
    hazard_domain& operator=(hazard_domain const&) = delete;
    /// Frees everything that was retired. Precondition: every cpu has left.
    constexpr ~hazard_domain();

    /// A place for one cpu: one that somebody left, or a new one. nullptr if memory is exhausted.
    [[nodiscard]] constexpr record* join();

    /// Gives the place back; what `mine` had retired and could not free becomes the domain's.
    /// Precondition: not inside a section.
    constexpr void leave(record& mine) noexcept;

    /// Hands over an unlinked object with a key and a free function. Every Batch-th call scans.
    /// May be called inside a section (whose own slots count) and from a free function.
    template<std::derived_from<retired_object> Object>
    constexpr void retire(record& mine, Object& object) noexcept {
        retire_part(mine, detail::retired_part(object));
    }

    /// Frees what `mine` has retired, and what earlier scans of anybody left over, except for what
    /// a slot names. Returns how many. Inside a free function: 0, the call around it goes on.
    constexpr std::size_t reclaim(record& mine) noexcept;

    /// Waits until every other cpu has left the section in which it was at the time of the call.
    /// Precondition: `mine` is not inside a section. What the sections did is visible afterwards.
    constexpr void synchronize(record& mine) noexcept;

    /// synchronize() for hosts that cannot wait: true if nobody else is inside a section now, which
    /// is all that synchronize() would wait for; false if the caller must ask again later.
    [[nodiscard]] constexpr bool try_synchronize(record& mine) noexcept;

    /// Frees what nobody names, of all cpus; returns how many objects have to stay. Precondition:
    /// rest – no other call on the domain is in progress (open sections are fine).
    constexpr std::size_t drain() noexcept;

    /// How much was retired, freed and is held back; may be asked at any time.
    [[nodiscard]] constexpr reclaim_statistics statistics() const noexcept;

private:
    using list = detail::retired_list<M>;

    constexpr void retire_part(record& mine, retired_object* object) noexcept;
    constexpr record* first_place() const noexcept;
    constexpr bool claim(record& vacant) noexcept;
    constexpr record* add_place();
    constexpr list take_leftovers() noexcept;
    constexpr void leave_over(list objects) noexcept;
    constexpr list keep_named(detail::scanned_objects<M>& objects) const noexcept;
    constexpr std::size_t free_unnamed(list objects) noexcept;
    static constexpr void count(typename M::template atomic<std::uint64_t>& counter,
                                std::uint64_t more) noexcept {
        counter.store(counter.load(relaxed) + more, relaxed);
    }

    typename M::template atomic<record*> places_{nullptr};
    typename M::template atomic<std::uint32_t> next_id_{0};
    typename M::template atomic<retired_object*> leftovers_{nullptr};
    typename M::template atomic<std::uint64_t> freed_by_drain_{0};
};

static_assert(Reclaimer<hazard_domain<constexpr_machine>>);

// ---------------------------------------------------------------------------- joining and leaving

template<Machine M, std::size_t Batch>
constexpr hazard_domain<M, Batch>::~hazard_domain() {
    for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
        // (hazard.last_look) acquire: the place's last owner is done; pairs with (hazard.vacate).
        auto const place = at->place_.load(acquire("hazard.last_look"));
        M::expect(place == static_cast<std::uint32_t>(record::place::vacant),
                  "a hazard_domain is destroyed while a cpu is joined");
    }
    auto const held_back = drain();
    M::expect(held_back == 0, "a hazard_domain is destroyed while readers name its objects");
    for (auto* at = first_place(); at != nullptr;) {
        auto* const next = at->next_.get();
        M::destroy(at);
        at = next;
    }
}

template<Machine M, std::size_t Batch>
constexpr auto hazard_domain<M, Batch>::first_place() const noexcept -> record* {
    // (hazard.places) acquire: the record is complete; pairs with (hazard.add_place). A scanner
    // that misses a record which is being added needs no more than its fence: the newcomer's second
    // look comes after that fence and sees the entry cleared.
    return places_.load(acquire("hazard.places"));
}

template<Machine M, std::size_t Batch>
constexpr auto hazard_domain<M, Batch>::join() -> record* {
    for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
        if (claim(*at)) return at;
    }
    return add_place();
}

template<Machine M, std::size_t Batch>
constexpr bool hazard_domain<M, Batch>::claim(record& vacant) noexcept {
    auto expected = static_cast<std::uint32_t>(record::place::vacant);
    if (vacant.place_.load(relaxed) != expected) return false;
    // (hazard.claim) acquire: we go on where the last owner stopped; pairs with (hazard.vacate).
    return vacant.place_.compare_exchange(
        expected, static_cast<std::uint32_t>(record::place::taken), acquire("hazard.claim"));
}

template<Machine M, std::size_t Batch>
constexpr auto hazard_domain<M, Batch>::add_place() -> record* {
    auto* const added = M::template create<record>(next_id_.fetch_add(1, relaxed));
    if (added == nullptr) return nullptr;
    M::name(added, "hazard record", added->id());
    auto* head = places_.load(relaxed);
    do {
        added->next_.set(head);
        // (hazard.add_place) release: publishes the new record; pairs with (hazard.places).
    } while (!places_.compare_exchange(head, added, release("hazard.add_place")));
    return added;
}

template<Machine M, std::size_t Batch>
constexpr void hazard_domain<M, Batch>::leave(record& mine) noexcept {
    M::expect(!mine.in_section(), "a cpu leaves its domain inside a section");
    M::expect(!mine.reclaiming_.get(), "a cpu leaves its domain inside a free function");
    while (!mine.retired_.get().empty()) (void)reclaim(mine);
    // (hazard.vacate) release: hands the place to its next owner; pairs with (hazard.claim,
    // hazard.last_look).
    mine.place_.store(static_cast<std::uint32_t>(record::place::vacant), release("hazard.vacate"));
}

// ------------------------------------------------------------------------- retiring and reclaiming

template<Machine M, std::size_t Batch>
constexpr void hazard_domain<M, Batch>::retire_part(record& mine,
                                                    retired_object* object) noexcept {
    M::expect(object->key != 0, "retire: an object needs a key");
    // GCC's UBSan makes comparing function pointers no constant expression; there, a missing free
    // function is found when it is called.
    M::expect(std::is_constant_evaluated() || object->free != nullptr,
              "retire: an object needs a free function");
    auto mine_retired = mine.retired_.get();
    mine_retired.push(object);
    mine.retired_.set(mine_retired);
    count(mine.retired_count_, 1);
    if (mine_retired.count >= Batch) (void)reclaim(mine);
}

template<Machine M, std::size_t Batch>
constexpr std::size_t hazard_domain<M, Batch>::reclaim(record& mine) noexcept {
    if (mine.reclaiming_.get()) return 0;
    auto objects = mine.retired_.get();
    mine.retired_.set({});
    auto leftovers = take_leftovers();
    objects.take(leftovers);
    mine.reclaiming_.set(true);
    auto const freed = free_unnamed(objects);
    mine.reclaiming_.set(false);
    count(mine.freed_count_, freed);
    return freed;
}

template<Machine M, std::size_t Batch>
constexpr std::size_t hazard_domain<M, Batch>::free_unnamed(list objects) noexcept {
    if (objects.empty()) return 0;
    detail::scanned_objects<M> scanned{objects};
    leave_over(keep_named(scanned));
    auto unnamed = scanned.rest();
    auto const freed = unnamed.count;
    while (!unnamed.empty()) {
        auto* const object = unnamed.pop();
        object->free(*object);
    }
    return freed;
}

template<Machine M, std::size_t Batch>
constexpr auto hazard_domain<M, Batch>::keep_named(
    detail::scanned_objects<M>& objects) const noexcept -> list {
    // (hazard.scan_fence) heavy: the objects are unlinked before we look for readers; pairs
    // with (hazard.publish_fence), the light one.
    M::heavy_fence(at("hazard.scan_fence"));
    list named;
    for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
        // (hazard.scan_section) acquire: the section is over, and with it every access in it.
        // Pairs with (hazard.leave, hazard.enter).
        if (!record::open(at->section_.load(acquire("hazard.scan_section")))) continue;
        for (auto const& slot : at->slots_) {
            // (hazard.scan) acquire: if the slot names something else by now, the accesses to what
            // it named before are over. Pairs with (hazard.publish, hazard.clear).
            auto const key = slot.load(acquire("hazard.scan"));
            if (key != 0) objects.keep(key, named);
        }
    }
    return named;
}

template<Machine M, std::size_t Batch>
constexpr auto hazard_domain<M, Batch>::take_leftovers() noexcept -> list {
    if (leftovers_.load(relaxed) == nullptr) return {};
    // (hazard.adopt) acquire: the objects and their links, as the last scanner left them; pairs
    // with (hazard.leave_over).
    auto* at = leftovers_.exchange(nullptr, acquire("hazard.adopt"));
    list taken;
    while (at != nullptr) {
        auto* const object = at;
        at = list::next_of(object);
        taken.push(object);
    }
    return taken;
}

template<Machine M, std::size_t Batch>
constexpr void hazard_domain<M, Batch>::leave_over(list objects) noexcept {
    if (objects.empty()) return;
    auto* last = objects.first;
    while (auto* const next = list::next_of(last)) last = next;
    auto* head = leftovers_.load(relaxed);
    do {
        list::link(last, head);
        // (hazard.leave_over) release: whoever adopts the objects may free them; pairs with
        // (hazard.adopt).
    } while (!leftovers_.compare_exchange(head, objects.first, release("hazard.leave_over")));
}

template<Machine M, std::size_t Batch>
constexpr std::size_t hazard_domain<M, Batch>::drain() noexcept {
    for (;;) {
        auto objects = take_leftovers();
        for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
            auto theirs = at->retired_.get();
            at->retired_.set({});
            objects.take(theirs);
        }
        auto const freed = free_unnamed(objects);
        count(freed_by_drain_, freed);
        if (freed == 0) return objects.count;
    }
}

// ---------------------------------------------------------------------------------- synchronizing

template<Machine M, std::size_t Batch>
constexpr void hazard_domain<M, Batch>::synchronize(record& mine) noexcept {
    M::expect(!mine.in_section(), "synchronize inside one's own section would never end");
    // (hazard.synchronize_fence) heavy: what the caller did before is visible to every section that
    // we do not see below; pairs with (hazard.enter_fence), the light one.
    M::heavy_fence(at("hazard.synchronize_fence"));
    for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
        // (hazard.observe) acquire: an even number: the sections so far are over, and with them
        // everything they did. Pairs with (hazard.leave, hazard.enter).
        auto const seen = at->section_.load(acquire("hazard.observe"));
        if (!record::open(seen)) continue;
        auto const changed = [seen](std::uint64_t now) { return now != seen; };
        // (hazard.section_over) acquire: this section is over, and with it everything it did. Pairs
        // with (hazard.leave, hazard.enter).
        (void)M::poll(at->section_, changed, acquire("hazard.section_over"));
    }
}

template<Machine M, std::size_t Batch>
constexpr bool hazard_domain<M, Batch>::try_synchronize(record& mine) noexcept {
    M::expect(!mine.in_section(), "synchronize inside one's own section would never end");
    // (hazard.try_synchronize_fence) heavy: as in synchronize; pairs with (hazard.enter_fence).
    M::heavy_fence(at("hazard.try_synchronize_fence"));
    for (auto* at = first_place(); at != nullptr; at = at->next_.get()) {
        // (hazard.glance) acquire: as in synchronize; pairs with (hazard.leave, hazard.enter).
        if (record::open(at->section_.load(acquire("hazard.glance")))) return false;
    }
    return true;
}

template<Machine M, std::size_t Batch>
constexpr reclaim_statistics hazard_domain<M, Batch>::statistics() const noexcept {
    reclaim_statistics sum{.freed = freed_by_drain_.load(relaxed)};
    auto* const first = first_place();
    for (auto* at = first; at != nullptr; at = at->next_.get()) {
        sum.freed += at->freed_count_.load(relaxed);
    }
    for (auto* at = first; at != nullptr; at = at->next_.get()) {
        sum.retired += at->retired_count_.load(relaxed);
    }
    sum.held_back = sum.retired > sum.freed ? sum.retired - sum.freed : 0;
    return sum;
}

}  // namespace mmhold
