// SPDX-License-Identifier: BSL-1.0
#pragma once

// read_wait – a fault needs contents that somebody must read first: a file's page, a slot of a slow
// swap device (maybe_unlock_mmap_for_io, folio_lock_or_retry; gup-semantics §2.1 items 1 and 2).
//
// First try, may retry       ask → give up the mm lock → RETRY, with a ticket
// later try, or may not      ask → wait with the lock held, killably if the fault is → go on
// RETRY_NOWAIT               RETRY, lock kept, nothing asked for
//
// so a read forces at most one RETRY.

#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>

#include <optional>
#include <utility>

namespace mmhold {

/// Asks for the contents – ask() answers a page_reads::place, or why it cannot –, and waits as
/// above. Nothing: they are here, go on. Otherwise the fault's outcome: retry_kept; retry; failed
/// with what the reader says, with why it could not be asked, or interrupted (killed without
/// permission to give the lock up).
///
/// Mm lock: held as `authority` says; if it is lost nothing found under it may be used any more.
template<Machine M, class L, class Ask>
[[nodiscard]] constexpr std::optional<fault_outcome<L, M>> wait_for_read(
    fault_flags flags, lock_authority<L>& authority, Ask&& ask) {
    using outcome = fault_outcome<L, M>;
    if (flags.has(fault_flag::retry_nowait)) return outcome::retry_kept();
    auto place = ask();
    if (!place) return outcome::failed(place.error());
    auto permission = flags.has(fault_flag::allow_retry) ? authority.permission() : std::nullopt;
    if (permission && !flags.has(fault_flag::tried)) {
        return outcome::retry(permission->drop(), std::move(place->ticket()));
    }
    place->ticket().wait(flags.has(fault_flag::killable) ? wait_mode::killable
                                                         : wait_mode::uninterruptible);
    if (place->ticket().ready()) {
        if (place->error() == errc::ok) return std::nullopt;
        return outcome::failed(place->error());
    }
    if (!permission) return outcome::failed(errc::interrupted);
    return outcome::retry(permission->drop(), {});
}

}  // namespace mmhold
