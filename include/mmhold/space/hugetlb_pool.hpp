// SPDX-License-Identifier: BSL-1.0
#pragma once

// hugetlb_pool – memory in pages of 2 MiB that was set aside for those who ask for it by name
// (/proc/sys/vm/nr_hugepages).
//
// The pool holds one reference to each of its folios for ever, so none is ever freed: a folio with
// no other reference is free. Who takes one freezes it, expecting that reference, clears it and
// thaws it. Whoever else holds it – a page table entry, an object, a pin – gives references back as
// for any other folio, and by the last of them the folio is free again, without being told so.
//
// A reservation is a promise of so many folios. What is taken for it, and not yet free again,
// counts: Linux gives a page that a private mapping discards back to that mapping's reservation as
// well (measured on 6.18). Nobody takes what is promised to others.

#include <mmhold/config.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// How a hugetlb_pool is doing, in folios (HugePages_* of /proc/meminfo). Exact while nobody is at
/// work on it.
struct hugetlb_statistics {
    std::uint64_t total{0};
    std::uint64_t free{0};      ///< held by nobody
    std::uint64_t reserved{0};  ///< promised, and not taken yet

    friend constexpr bool operator==(hugetlb_statistics const&,
                                     hugetlb_statistics const&) = default;
};

/// Folios of one size, taken out of a frame_pool. Every function may be called from any cpu at any
/// time; each takes a spin lock and looks at all folios, so it is meant for few and large ones.
///
/// Left out of Linux's pools: surplus pages, NUMA nodes, sizes other than the pool's, cgroups.
template<Machine M>
class hugetlb_pool {
public:
    using machine = M;

    /// A promise of the pool's, as long as it lives. The pool outlives it.
    class reservation {
    public:
        /// `folios` of what is neither taken nor promised yet; see valid().
        constexpr reservation(hugetlb_pool& pool, std::uint64_t folios) noexcept
            : pool_{pool}, folios_{folios} {
            valid_ = pool_.promise(*this);
        }
        reservation(reservation const&) = delete;
        reservation& operator=(reservation const&) = delete;
        constexpr ~reservation() {
            if (valid_) pool_.forget(*this);
        }
        /// Was there enough?
        [[nodiscard]] constexpr bool valid() const noexcept { return valid_; }

    private:
        friend class hugetlb_pool;
        hugetlb_pool& pool_;
        std::uint64_t folios_;                                    // guarded by the pool's lock
        typename M::template plain<reservation*> next_{nullptr};  // and so is this
        bool valid_{false};
    };

    /// `count` folios of 2^order pages out of `frames`, which outlives it. If there are not so many
    /// it has fewer, as /proc/sys/vm/nr_hugepages: see statistics().
    constexpr hugetlb_pool(frame_pool<M>& frames, std::uint64_t count, unsigned order = 9)
        : frames_{frames},
          order_{order},
          capacity_{count},
          slots_{M::template create_array<slot>(static_cast<std::size_t>(count))} {
        M::name(&lock_, "hugetlb pool lock");
        for (; slots_ != nullptr && count_ < count; ++count_) {
            auto const folio =
                frames_.allocate(frame_kind::anonymous, order_, frame_mobility::fixed);
            if (!folio) return;
            frames_.pass_reference(*folio);
            slots_[count_].folio = *folio;
        }
    }
    hugetlb_pool(hugetlb_pool const&) = delete;
    hugetlb_pool& operator=(hugetlb_pool const&) = delete;
    /// Its folios are free again. Nobody holds one, and there is no reservation any more.
    constexpr ~hugetlb_pool() {
        for (std::size_t at = 0; at < count_; ++at) {
            M::expect(is_free(at), "a hugetlb_pool ends while somebody holds a folio of it");
            frames_.take_over_reference(slots_[at].folio);
            frames_.put(slots_[at].folio);
        }
        if (slots_ != nullptr) {
            M::destroy_array(slots_, static_cast<std::size_t>(capacity_));
        }
    }

    /// Where its folios come from.
    [[nodiscard]] constexpr frame_pool<M>& frames() const noexcept { return frames_; }
    /// How many small pages a folio has.
    [[nodiscard]] constexpr std::uint64_t folio_pages() const noexcept {
        return std::uint64_t{1} << order_;
    }

    /// A zeroed folio of this kind: anonymous, and exclusive, or page_cache. It is taken from what
    /// was promised to `whose`, as far as there is something left of it; nullptr, or nothing left:
    /// from what nobody was promised. `references` are the caller's (at least 1). no_memory: there
    /// is none.
    [[nodiscard]] constexpr result<pfn> take(reservation const* whose, frame_kind kind,
                                             std::uint64_t references) noexcept {
        spin_guard const guard{lock_};
        auto const own = whose != nullptr ? outstanding(*whose) : 0;
        if (own == 0 && free_folios() <= promised()) return errc::no_memory;
        for (std::size_t at = 0; at < count_; ++at) {
            auto const folio = slots_[at].folio;
            if (!frames_.try_freeze(folio, 1)) continue;
            begin_life(folio, kind);
            frames_.unfreeze(folio, 1);
            frames_.get(folio, references);
            slots_[at].taken_for.set(own != 0 ? whose : nullptr);
            return folio;
        }
        return errc::no_memory;  // somebody looks at a free one: a lockless walk that is too late
    }

    /// What was taken for a promise no longer counts for it: `folio` may be held on, by somebody
    /// who was promised nothing.
    constexpr void forget_promise(pfn folio) noexcept {
        spin_guard const guard{lock_};
        slot_of(folio).taken_for.set(nullptr);
    }
    /// If `from` was taken for `whose`, then `to` was, instead.
    constexpr void pass_promise(reservation const& whose, pfn from, pfn to) noexcept {
        spin_guard const guard{lock_};
        if (slot_of(from).taken_for.get() != &whose) return;
        slot_of(from).taken_for.set(nullptr);
        slot_of(to).taken_for.set(&whose);
    }
    /// One folio less is promised, if any is.
    constexpr void give_back_one(reservation& whose) noexcept {
        spin_guard const guard{lock_};
        if (whose.folios_ != 0) --whose.folios_;
    }

    /// How the pool is doing.
    [[nodiscard]] constexpr hugetlb_statistics statistics() const noexcept {
        spin_guard const guard{lock_};
        return {count_, free_folios(), promised()};
    }

private:
    struct slot {
        pfn folio{};
        typename M::template plain<reservation const*> taken_for{nullptr};  // guarded by lock_
    };

    constexpr bool promise(reservation& mine) noexcept {
        spin_guard const guard{lock_};
        auto const free = free_folios();
        auto const taken = promised();
        if (free < taken || free - taken < mine.folios_) return false;
        mine.next_.set(first_.get());
        first_.set(&mine);
        return true;
    }
    constexpr void forget(reservation& mine) noexcept {
        spin_guard const guard{lock_};
        for (std::size_t at = 0; at < count_; ++at) {
            if (slots_[at].taken_for.get() == &mine) slots_[at].taken_for.set(nullptr);
        }
        auto* link = &first_;
        while (link->get() != &mine) link = &link->get()->next_;
        link->set(mine.next_.get());
    }

    // All of these: lock_ is held.
    [[nodiscard]] constexpr slot& slot_of(pfn folio) noexcept {
        std::size_t at = 0;
        while (at < count_ && slots_[at].folio != folio) ++at;
        M::expect(at < count_, "a folio of another pool");
        return slots_[at];
    }
    [[nodiscard]] constexpr bool is_free(std::size_t at) const noexcept {
        return frames_.ref_count(slots_[at].folio) == 1;
    }
    [[nodiscard]] constexpr std::uint64_t free_folios() const noexcept {
        std::uint64_t free = 0;
        for (std::size_t at = 0; at < count_; ++at) free += is_free(at) ? 1U : 0U;
        return free;
    }
    [[nodiscard]] constexpr std::uint64_t outstanding(reservation const& whose) const noexcept {
        std::uint64_t taken = 0;
        for (std::size_t at = 0; at < count_; ++at) {
            if (slots_[at].taken_for.get() == &whose && !is_free(at)) ++taken;
        }
        return whose.folios_ - std::min(whose.folios_, taken);
    }
    [[nodiscard]] constexpr std::uint64_t promised() const noexcept {
        std::uint64_t sum = 0;
        for (auto* at = first_.get(); at != nullptr; at = at->next_.get()) sum += outstanding(*at);
        return sum;
    }

    constexpr void begin_life(pfn folio, frame_kind kind) noexcept {
        frames_.renew(folio, kind);
        frame_attributes const what{frame_attribute::hugetlb};
        frames_.add_attributes(
            folio, what.with_if(kind == frame_kind::page_cache, frame_attribute::shmem));
        for (std::uint64_t i = 0; i < folio_pages(); ++i) {
            std::ranges::fill(frames_.bytes(folio.plus(i)), std::byte{0});
            if (kind == frame_kind::anonymous) frames_.set_exclusive(folio.plus(i));
        }
    }

    frame_pool<M>& frames_;
    unsigned order_;
    std::uint64_t capacity_;
    std::uint64_t count_{0};
    slot* slots_;
    mutable spin_lock<M> lock_{};
    typename M::template plain<reservation*> first_{nullptr};  // guarded by lock_
};

}  // namespace mmhold
