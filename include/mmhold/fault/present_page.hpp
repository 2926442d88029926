// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/copy_on_write.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/swap_in.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/numa_hints.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <optional>
#include <utility>

namespace mmhold {

/// What has come of a fault where something is mapped: success, or an error – and for bad_address
/// what a program gets.
class [[nodiscard]] page_answer {
public:
    /// Success, or a failure that a program sees as SIGBUS, if it is its own.
    constexpr page_answer(result<void> came_to) noexcept : error_{came_to.error()} {}
    constexpr page_answer(errc error) noexcept : error_{error} {}
    /// There must not be a page: SIGSEGV.
    [[nodiscard]] static constexpr page_answer forbidden() noexcept {
        page_answer answer{errc::bad_address};
        answer.signal_ = fatal_signal::segmentation;
        return answer;
    }

    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == errc::ok; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr errc error() const noexcept { return error_; }
    [[nodiscard]] constexpr fatal_signal signal() const noexcept { return signal_; }

    /// installed, or failed with just that.
    template<class Outcome>
    [[nodiscard]] constexpr Outcome outcome() const noexcept {
        return has_value() ? Outcome::installed() : Outcome::failed(error_, signal_);
    }

private:
    errc error_;
    fatal_signal signal_{fatal_signal::bus_error};
};

/// What every handler does where something is mapped already, whatever backs the mapping:
///
///   writing or unsharing a read-only page   copy_on_write
///   a protnone entry in a vma with rights    a NUMA hint: taken away
///   permitted already                        marked as used; the fault was late (§2.1, NOPAGE)
///   a swapped page                           swap_in
///   a page that is moving                    waits until it is not, which is as long as it takes
///                                            to copy a page; then looks again
///   a write to what a userfault protects     busy: its owner must be asked, before anything else
///   a guard                                  bad_address, SIGSEGV (space/guard.hpp)
///   a page that is lost (poisoned)           hardware_poison
///   a marker for protection                  nothing is mapped; if the vma does not protect any
///                                            more, it goes, and the access is tried again
///   a marker of the host's                   bad_address: only its owner knows what it stands for
///
/// A cheap view of an address space. Never waits for anything else, never drops the mm lock.
template<class Space>
class present_page {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;

    constexpr explicit present_page(Space& space) noexcept
        : space_{space}, copy_on_write_{space}, swap_in_{space} {}

    /// Answers a fault at `site`. Nothing: nothing is mapped there, and the caller knows what to
    /// do. Success: the access is permitted now, or worth another try. Errors: bad_address,
    /// no_memory, hardware_poison, busy (only in vmas with vma_flag::userfault_wp). Mm lock: held
    /// shared.
    [[nodiscard]] constexpr std::optional<page_answer> answer(fault_site const& site,
                                                               cpu_type& me) {
        auto done = look(site, me);
        // again: a large leaf was split, or a page has stopped moving.
        while (done && done->error() == errc::again) done = look(site, me);
        return done;
    }

    /// Is there no page at `at`, so that somebody must bring one? Poison and guards are an answer,
    /// too: who finds them need not wait. Looks under the page table lock; out of date at once. Mm
    /// lock: held shared.
    [[nodiscard]] constexpr bool is_missing(cpu_type& me, virt_addr at) const {
        auto const& tree = space_.table().tree();
        if (!tree.admit(me, at)) return false;
        auto const locked = tree.lock_lowest(me, at);
        auto const entry = locked.read(format::index(at, locked.level()));
        return entry.none() || is_userfault_wp(entry);
    }
    /// Is the page at `at`, there or not, write-protected for a userfault? Otherwise as
    /// is_missing(). (Linux asks whether it is not writable, which a page that is shared by
    /// copy-on-write stays, once its protection is lifted: the waiter would not be woken again.)
    [[nodiscard]] constexpr bool is_protected(cpu_type& me, virt_addr at) const {
        auto const& tree = space_.table().tree();
        if (!tree.admit(me, at)) return false;
        auto const locked = tree.lock_lowest(me, at);
        auto const entry = locked.read(format::index(at, locked.level()));
        return entry.uffd_wp || is_userfault_wp(entry);
    }

private:
    using guard = typename Space::table_type::guard;

    constexpr std::optional<page_answer> look(fault_site const& site, cpu_type& me) {
        auto const& tree = space_.table().tree();
        if (auto const admitted = tree.admit(me, site.at); !admitted) return page_answer{admitted};
        auto locked = tree.lock_lowest(me, site.at);
        auto const index = format::index(site.at, locked.level());
        auto const found = locked.read(index);
        if (found.none()) return std::nullopt;
        if (is_userfault_wp(found)) {
            if (site.area->flags.has(vma_flag::userfault_wp)) return std::nullopt;
            locked.set(index, {});  // a leftover of an earlier registration
            return result<void>{};
        }
        if (found.is_marker()) return meet(site, me, guard{std::move(locked), index}, found);
        return use(site, me, guard{std::move(locked), index}, found);
    }

    constexpr page_answer meet(fault_site const& site, cpu_type& me, guard entry,
                                page_entry const& marker) {
        if (is_swapped(marker)) return swap_in_.resolve(site, me, std::move(entry));
        if (is_guard(marker)) return page_answer::forbidden();
        if (is_poisoned(marker)) return errc::hardware_poison;
        if (!is_moving(marker)) return errc::bad_address;
        entry.unlock();
        space_.frames().await_moved(marker.target);
        return errc::again;
    }

    constexpr page_answer use(fault_site const& site, cpu_type& me, guard entry, page_entry leaf) {
        if (is_numa_hint(*site.area, leaf)) {
            leaf = without_numa_hint(space_.frames(), *site.area, leaf);
            entry.set(leaf);
        }
        auto const asks_first = site.area->flags.has(vma_flag::userfault_wp) && leaf.uffd_wp;
        if (site.write() && !leaf.writable && asks_first) return errc::busy;
        auto const must_change = (site.write() || site.unshare()) && !leaf.writable;
        if (must_change) return copy_on_write_.resolve(site, me, std::move(entry));
        if (leaf.present()) entry.touch(wanted_access(site.flags));
        return errc::ok;
    }

    Space& space_;
    copy_on_write<Space> copy_on_write_;
    swap_in<Space> swap_in_;
};

namespace detail {
using constexpr_space = address_space<default_config<constexpr_machine>>;  // for static_asserts
}  // namespace detail

}  // namespace mmhold
