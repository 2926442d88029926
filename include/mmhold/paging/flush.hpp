// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>

namespace mmhold {

/// How the translations of a range are forgotten (TLB and paging-structure caches).
///
/// Called with the changed range, after the entries were changed and before anything they led to is
/// released; when it returns, no CPU uses an old translation (gup-semantics §6.1). May run under a
/// page-table lock, so it must not take one; and by several CPUs at once.
template<class P>
concept FlushPolicy = requires(P& flush, page_span span) {
    { flush(span) };
};

/// For hosts without a TLB.
struct no_flush {
    /// Nothing to forget.
    constexpr void operator()(page_span) const noexcept {}
};
static_assert(FlushPolicy<no_flush>);

/// The smallest span around everything that was changed and not yet flushed.
class changed_range {
public:
    /// The translations of `[start, end)` were changed. Both page-aligned, start < end.
    constexpr void add(virt_addr start, virt_addr end) noexcept {
        if (empty() || start < start_) start_ = start;
        if (empty() || end > end_) end_ = end;
    }
    /// Is there nothing to flush?
    [[nodiscard]] constexpr bool empty() const noexcept { return end_ == virt_addr{}; }

    /// Flushes what was added, if anything was, and starts anew.
    template<FlushPolicy P>
    constexpr void flush_with(P& flush) noexcept {
        if (empty()) return;
        if (auto const span = page_span::covering(start_, end_.value - start_.value)) flush(*span);
        *this = {};
    }

private:
    virt_addr start_{};
    virt_addr end_{};
};

}  // namespace mmhold
