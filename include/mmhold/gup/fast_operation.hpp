// SPDX-License-Identifier: BSL-1.0
#pragma once

// fast_operation – the lockless half of gup_fast as a resumable state machine (gup-semantics §5.1,
// §5.2).
//
// Pinner    enter an interrupts-off section → read entry → take the page → read the entry AGAIN →
//           differs? put it back, stop. The walk stops at the FIRST page it cannot take; what it
//           has so far is kept.
// Remover   clear the entry → flush → look at the counts (the mirror image: clear, then look).
// Fork      makes write_protect_seq odd while it write-protects entries; a pin that overlapped is
//           undone as a whole.
// Not given that the pages are still mapped when it returns.

#include <mmhold/gup/operation.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/gup_result.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <cstdint>
#include <optional>

namespace mmhold {

/// What gup_fast and gup_fast_only refuse before they walk: ok, or the errc (gup-semantics §5.1
/// items 1, 4, 5). No pages at all is a caller's error here (§1.2 rule 1).
[[nodiscard]] constexpr errc check_fast_call(gup_call const& call, virt_addr user_end) noexcept {
    if (call.span.empty()) return errc::invalid_argument;
    if (call.how == holding::none || call.out.size() < call.span.pages())
        return errc::invalid_argument;
    if (call.span.end() > user_end) return errc::bad_address;
    return errc::ok;
}

/// Walks and holds as many pages as possible without any lock. One section covers the whole
/// operation: need() is read_entry or done; the section is entered by the caller before start() and
/// left once need() is done; then finish() gives the count.
template<LocklessWalker W>
class fast_operation {
public:
    using section = typename W::witness;

    /// `walker` outlives the operation. `call` has passed check_fast_call().
    constexpr fast_operation(W& walker, gup_call const& call) noexcept
        : walker_{walker}, call_{call} {}
    fast_operation(fast_operation const&) = delete;
    fast_operation& operator=(fast_operation const&) = delete;
    constexpr ~fast_operation() = default;

    /// read_entry or done.
    [[nodiscard]] constexpr gup_need const& need() const noexcept { return need_; }

    /// Begins. If a fork is copying right now nothing is walked and the count will be 0.
    constexpr void start(section& inside) noexcept {
        ticket_ = walker_.begin_walk(call_.how);
        if (ticket_) work(inside);
    }

    /// Answers read_entry.
    constexpr void deliver(std::uint64_t word, section& inside) noexcept {
        walker_.deliver(cursor_, word, inside);
        if (settled()) work(inside);
    }

    /// The whole walk at once, for tables in memory: in place of start() and deliver().
    constexpr void run(section& inside) noexcept {
        ticket_ = walker_.begin_walk(call_.how);
        if (!ticket_) return;
        do {
            auto const left = call_.span.pages() - done_;
            walker_.seek(cursor_, {call_.span.page(done_), left, call_.flags, call_.how}, inside);
            read_on(walker_, cursor_, inside);
        } while (kept());
    }

    /// Called once after the section was left: how many pages are held. 0 if a fork came in
    /// between; then what was pinned has been put back.
    [[nodiscard]] constexpr std::uint64_t finish() noexcept {
        cursor_.forget();
        if (ticket_ && !walker_.walk_was_undisturbed(call_.how, *ticket_)) {
            for (std::uint64_t i = 0; i < done_; ++i) walker_.put_back(call_.out[i], 1, call_.how);
            done_ = 0;
        }
        return done_;
    }

private:
    constexpr void work(section& inside) noexcept {
        for (;;) {
            auto const left = call_.span.pages() - done_;
            walker_.seek(cursor_, {call_.span.page(done_), left, call_.flags, call_.how}, inside);
            if (!settled()) return;
        }
    }

    /// True: a page was taken and more are wanted.
    constexpr bool settled() noexcept {
        if (auto const wanted = cursor_.query()) {
            need_ = {.what = gup_need::kind::read_entry, .entry = *wanted};
            return false;
        }
        need_ = {};
        return kept();
    }

    /// Takes the answer. True: a page was taken and more are wanted.
    constexpr bool kept() noexcept {
        auto const& answer = cursor_.answer();
        if (answer.verdict != walk_verdict::pages) return false;
        for (std::uint64_t i = 0; i < answer.pages; ++i)
            call_.out[done_ + i] = answer.first.plus(i);
        done_ += answer.pages;
        return done_ < call_.span.pages();
    }

    W& walker_;
    gup_call call_;
    typename W::cursor cursor_{};
    std::optional<typename W::ticket> ticket_{};
    gup_need need_{};
    std::uint64_t done_{0};
};

/// gup_fast's answer from its two halves (gup-semantics §5.1 item 13): `fast` pages were held
/// without the lock, then the slow path answered `slow` for the rest. An error of the slow half
/// survives in the result, but never turns held pages into a failure – that would leak them.
[[nodiscard]] constexpr gup_result combine_fast_and_slow(std::uint64_t fast,
                                                         gup_result slow) noexcept {
    slow.pages += fast;
    slow.lock = lock_fate::never_held;
    return slow;
}

}  // namespace mmhold
