// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/errc.hpp>

#include <concepts>
#include <cstdint>

namespace mmhold {

/// How often a page whose fault gave up the lock is tried again with the permission to give it up
/// once more.
enum class retry_policy : std::uint8_t {
    unbounded,  ///< every time (5.7 and later, §2.4 step 6a)
    /// The second attempt may not drop the lock: a second userfault is an error (4.0 – 5.6).
    once_without_permission,
};

/// What gup_fast answers to a range that wraps (gup-semantics §5.1 item 4). A page_span cannot
/// wrap; the profile matters to callers that hand over a raw address and length.
enum class fast_wrap : std::uint8_t { overflow, zero_pages };

/// A profile is one kernel's behaviour as compile-time constants (the switches of gup-semantics
/// §11.4 that the models so far can tell apart). Two profiles can run in one program.
template<class P>
concept GupProfile = requires {
    { P::retries } -> std::convertible_to<retry_policy>;  // after a drop
    { P::relock } -> std::convertible_to<wait_mode>;      // taking the lock again after a drop
    {
        P::first_lock
    } -> std::convertible_to<wait_mode>;  // gup_unlocked taking it for the first time
    {
        P::prefault_continues
    } -> std::convertible_to<bool>;  // without an output: go on after a drop?
    {
        P::signals_before_relock
    } -> std::convertible_to<bool>;  // look at signals between wait and relock?
    { P::fast_recheck_table } -> std::convertible_to<bool>;  // gup_fast re-reads the PMD too (6.1+)
    { P::on_fast_wrap } -> std::convertible_to<fast_wrap>;
    {
        P::direct_io_looks_first
    } -> std::convertible_to<bool>;  // O_DIRECT: at the alignment, before it pins? (to 6.17)
};

/// Linux 6.18, the default: gup-semantics §2.3, §2.4, §5.
struct linux_6_18 {
    static constexpr auto retries = retry_policy::unbounded;
    static constexpr auto relock = wait_mode::killable;
    static constexpr auto first_lock = wait_mode::killable;
    static constexpr bool prefault_continues = true;
    static constexpr bool signals_before_relock = true;
    static constexpr bool fast_recheck_table = true;
    static constexpr auto on_fast_wrap = fast_wrap::overflow;
    static constexpr bool direct_io_looks_first = false;
};

/// The RFC of 26 Sep 2014 as it was merged for 4.0 and stayed until 5.6 (gup-semantics §0, §2.4
/// last line): one retry, without permission to drop the lock; uninterruptible relock. The bug
/// found in review – the one-page retry call that passed nr_pages – is not part of it.
struct rfc_2014 {
    static constexpr auto retries = retry_policy::once_without_permission;
    static constexpr auto relock = wait_mode::uninterruptible;
    static constexpr auto first_lock = wait_mode::uninterruptible;
    static constexpr bool prefault_continues = false;
    static constexpr bool signals_before_relock = false;
    static constexpr bool fast_recheck_table = false;
    static constexpr auto on_fast_wrap = fast_wrap::zero_pages;
    static constexpr bool direct_io_looks_first = true;
};

static_assert(GupProfile<linux_6_18>);
static_assert(GupProfile<rfc_2014>);

}  // namespace mmhold
