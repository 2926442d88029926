// SPDX-License-Identifier: BSL-1.0
// The ledger alone, and scenarios that break or keep each protocol. Most have one actor: the rule
// is broken in every execution, so the first must show it.
#include "support/catch.hpp"
#include <mmhold/explore/claims.hpp>
#include <mmhold/explore/explore.hpp>
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/space/vma.hpp>

#include <array>
#include <optional>

using namespace mmhold;
using namespace mmhold::detail;

namespace {

using M = model_machine;

template<class Scenario>
bool first_shows(finding_kind kind, std::string_view words) {
    auto const v = explore<Scenario>();
    UNSCOPED_INFO(v.first.story);
    return v.found(kind) && v.first.at_execution == 1 &&
           v.first.headline.find(words) != std::string::npos;
}

// ---- holds ----

/// A vma under a lock, looked up by each actor; nobody ever changes it.
template<class Lock>
struct layout {
    Lock lock{};
    vma area{};
    std::uint64_t version{0};
    M::atomic<int> looked{0};
    layout() {
        M::name(&lock, "mm lock");
        M::name(&area, "the vma");
    }
    [[nodiscard]] vma_ref<Lock> find(held_shared<Lock> const&) {
        (void)looked.fetch_add(1, relaxed);
        return {lock, area, version};
    }
};

template<class Lock>
struct kept_over_a_drop : layout<Lock> {
    static constexpr int actors = 1;
    void actor(int) {
        auto first = held_shared<Lock>::acquire(this->lock);
        auto const found = this->find(first);
        (void)found.view(first);
        (void)first.give_up();
        auto const second = held_shared<Lock>::acquire(this->lock);
        (void)found.view(second);  // the layout is what it was: only the rule is broken
    }
};

struct looked_up_again : layout<rw_lock<M>> {
    static constexpr int actors = 2;
    void actor(int) {
        for (int round = 0; round < 2; ++round) {
            auto const held = held_shared<rw_lock<M>>::acquire(lock);
            auto const found = find(held);
            (void)found.view(held);
            (void)found.view(held);
        }
    }
};

/// A plain reference that a handler kept over its wait.
struct reference_kept : layout<rw_lock<M>> {
    static constexpr int actors = 1;
    void actor(int) {
        auto held = held_shared<rw_lock<M>>::acquire(lock);
        vma const& kept = find(held).view(held);
        (void)held.give_up();
        M::note(claim::used, &kept);
    }
};

template<class Lock>
struct downgraded : layout<Lock> {
    static constexpr int actors = 1;
    void actor(int) {
        auto writing = held_exclusive<Lock>::acquire(this->lock);
        vma_ref<Lock> const found{this->lock, this->area, this->version};
        (void)found.view(writing);
        auto const reading = std::move(writing).downgrade();
        (void)found.view(reading);  // one hold from beginning to end
    }
};

// ---- references ----

struct one_frame {
    static constexpr int actors = 1;
    frame_pool<M> frames{page_count{1}, frame_bytes::owned, pfn{16}, pin_statistics::off};
    pfn page{*frames.allocate(frame_kind::anonymous)};
    [[nodiscard]] bool grab(holding how) { return frames.try_grab(page, 1, how); }
    ~one_frame() { frames.put(page); }
};
struct bytes_after_put : one_frame {
    void actor(int) {
        M::expect(grab(holding::reference), "grabbed");
        frames.put(page);
        (void)frames.bytes(page);
    }
};
struct unpinned_twice : one_frame {
    void actor(int) {
        M::expect(grab(holding::pin), "pinned");
        frames.unpin(page);
        frames.unpin(page);
    }
};
struct mapped_after_put : one_frame {
    void actor(int) {
        M::expect(grab(holding::reference), "grabbed");
        frames.put(page);
        frames.add_mappings(page);
    }
};
/// Pins and references as they should be, with one handed to an entry and one taken from it.
struct balanced : one_frame {
    static constexpr int actors = 2;
    void actor(int) {
        std::array const pages{page};
        M::expect(grab(holding::pin), "pinned");
        {
            pinned const held{frames, pages, holding::pin};
            (void)frames.bytes(held[0]);
        }
        M::expect(grab(holding::reference), "grabbed");
        frames.get(page);
        frames.add_mappings(page);
        frames.put(page);
        (void)frames.head_of(page);
        frames.remove_mappings(page);
        (void)frames.bytes(page);
        frames.put(page);
    }
};
/// Whoever never had a reference stands on somebody else's.
struct on_the_tables_reference : one_frame {
    void actor(int) { (void)frames.bytes(page); }
};

// ---- interrupts ----

using domain_type = hazard_domain<M, 1>;

struct quiet_cpu {
    static constexpr int actors = 1;
    domain_type domain{};
    rw_lock<M> lock{};
    M::atomic<std::uint32_t> ready{1};
    quiet_cpu() {
        M::name(&lock, "mm lock");
        M::name(&ready, "ready");
    }
};
struct awaits_inside : quiet_cpu {
    void actor(int) {
        cpu<domain_type> me{domain};
        irq_section<domain_type> const off{me};
        // There already: it does not wait here, it might elsewhere.
        (void)M::await(
            ready, [](std::uint32_t r) { return r == 1; }, acquire("test.ready"));
    }
};
struct locks_inside : quiet_cpu {
    void actor(int) {
        cpu<domain_type> me{domain};
        irq_section<domain_type> const off{me};
        auto const held = held_shared<rw_lock<M>>::acquire(lock);
    }
};
struct waits_inside : quiet_cpu {
    void actor(int) {
        cpu<domain_type> me{domain};
        irq_section<domain_type> const off{me};
        wait_ticket<M> const nothing{};
        nothing.wait(wait_mode::killable);
    }
};
struct tries_and_polls_inside : quiet_cpu {
    spin_lock<M> spin{};
    void actor(int) {
        cpu<domain_type> me{domain};
        {
            irq_section<domain_type> const off{me};
            irq_section<domain_type> const nested{me};
            auto const held = held_shared<rw_lock<M>>::try_acquire(lock);
            M::expect(held.has_value(), "free");
            spin_guard const guard{spin};
            (void)M::poll(
                ready, [](std::uint32_t r) { return r == 1; }, acquire("test.ready"));
        }
        (void)M::await(
            ready, [](std::uint32_t r) { return r == 1; }, acquire("test.ready"));
    }
};
struct left_off : quiet_cpu {
    void actor(int) { M::note(claim::interrupts_off, this); }
};
struct turned_on : quiet_cpu {
    void actor(int) { M::note(claim::interrupts_on, this); }
};

}  // namespace

TEST_CASE("claim_ledger: what was found under one hold is lost with it", "[explore]") {
    claim_ledger ledger;
    int lock = 0;
    int object = 0;
    ledger.found_under(0, &object, &lock);  // no hold: nothing is known
    CHECK(ledger.outlived(0, &object) == nullptr);
    ledger.lock_taken(0, &lock, {1, 1});
    ledger.lock_taken(0, &lock, {2, 2});
    ledger.found_under(0, &object, &lock);
    ledger.lock_given(0, &lock, {3, 3});
    CHECK(ledger.outlived(0, &object) == nullptr);
    ledger.lock_given(0, &lock, {4, 4});
    ledger.lock_taken(0, &lock, {5, 5});
    REQUIRE(ledger.outlived(0, &object) != nullptr);
    CHECK(ledger.outlived(0, &object)->end.step == 4);
    CHECK(ledger.outlived(1, &object) == nullptr);
    ledger.found_under(0, &object, &lock);
    CHECK(ledger.outlived(0, &object) == nullptr);
}

TEST_CASE("claim_ledger: references are lost with the last, not when they are passed on",
          "[explore]") {
    claim_ledger ledger;
    int frame = 0;
    ledger.reference_given(0, &frame, 1, {1, 1});  // never had one: somebody else's
    CHECK(ledger.lost(0, &frame) == nullptr);
    ledger.reference_taken(0, &frame, 3);
    ledger.reference_given(0, &frame, 2, {2, 2});
    CHECK(ledger.lost(0, &frame) == nullptr);
    ledger.reference_passed(0, &frame, 1);
    CHECK(ledger.lost(0, &frame) == nullptr);
    ledger.reference_taken(0, &frame, 1);
    ledger.reference_given(0, &frame, 1, {4, 4});
    REQUIRE(ledger.lost(0, &frame) != nullptr);
    CHECK(ledger.lost(0, &frame)->given.step == 4);
}

TEST_CASE("claims: a vma_ref must not outlive its hold, even where nothing has changed",
          "[explore]") {
    CHECK(first_shows<kept_over_a_drop<rw_lock<M>>>(finding_kind::stale_hold,
                                                    "T0 uses the vma, which it found under a hold "
                                                    "of mm lock that it gave up at step"));
    CHECK(first_shows<kept_over_a_drop<big_lock<M>>>(finding_kind::stale_hold, "is another one"));
    CHECK(first_shows<reference_kept>(finding_kind::stale_hold, "the vma"));
    CHECK(explore<looked_up_again>().complete());
    CHECK(explore<downgraded<rw_lock<M>>>().complete());
    CHECK(explore<downgraded<big_lock<M>>>().complete());
}

TEST_CASE("claims: a frame must not be used after its last reference was given back", "[explore]") {
    auto const words = "T0 uses frame[0], whose last reference it gave back at step";
    CHECK(first_shows<bytes_after_put>(finding_kind::stale_reference, words));
    CHECK(first_shows<unpinned_twice>(finding_kind::stale_reference, words));
    CHECK(first_shows<mapped_after_put>(finding_kind::stale_reference, words));
    CHECK(explore<balanced>().complete());
    CHECK(explore<on_the_tables_reference>().complete());
}

TEST_CASE("claims: nobody may sleep with interrupts off, even if he would not have to",
          "[explore]") {
    CHECK(first_shows<awaits_inside>(finding_kind::irq_sleep,
                                     "T0 may sleep waiting for ready with interrupts off"));
    CHECK(first_shows<locks_inside>(finding_kind::irq_sleep, "waiting for mm lock"));
    CHECK(first_shows<waits_inside>(finding_kind::irq_sleep, "T0 may sleep with interrupts off"));
    CHECK(explore<tries_and_polls_inside>().complete());
}

TEST_CASE("claims: interrupts go off and on in pairs", "[explore]") {
    CHECK(first_shows<left_off>(finding_kind::irq_unbalanced, "T0 ends with interrupts off"));
    CHECK(first_shows<turned_on>(finding_kind::irq_unbalanced, "that were not off"));
}
