// SPDX-License-Identifier: BSL-1.0
#pragma once

// What is not gup at all: loads and stores of a program, and the kernel's copies from and to user
// memory (gup-semantics §8.1 columns tr, tw, CU, CF). The page tables decide, as the hardware
// would; what they do not permit becomes a fault. The cpu's rights are looked at first – vma, then
// key – and the fault handler is asked only for what the vma permits.
//
// Lock      not held by the caller; taken shared for each page, given up while a fault waits or a
//           stack grows, and held while the bytes are copied, so that they come from the page the
//           entry names.

#include <mmhold/callers/user_range.hpp>
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/space/stack_growth.hpp>
#include <mmhold/vocab/access.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold {

/// Who touches the memory.
enum class access_by : std::uint8_t { user, kernel };

/// Why an access did not happen: what the program is told (the si_code of Linux), and for a copy of
/// the kernel simply "no".
enum class trap : std::uint8_t {
    none,
    map_error,      ///< SIGSEGV, SEGV_MAPERR: nothing is mapped there, or a guard is
    access_error,   ///< SIGSEGV, SEGV_ACCERR: the mapping does not permit it
    key_error,      ///< SIGSEGV, SEGV_PKUERR: the protection key does not
    not_canonical,  ///< SIGSEGV, SI_KERNEL: no address at all
    bus_error,      ///< SIGBUS, BUS_ADRERR: the fault handler could not supply the page
    memory_error,   ///< SIGBUS, BUS_MCEERR_AR: its memory is broken (BUS_ADRERR from a kernel built
                    ///< without MEMORY_FAILURE, measured on such a 6.18)
    no_memory,      ///< the program is killed
    interrupted,    ///< a signal came while the fault waited
};

/// How far an access came.
struct [[nodiscard]] access_result {
    std::uint64_t bytes{0};
    trap why{trap::none};  ///< of the first byte that could not be touched
};

namespace detail {

/// Touches one page at a time; move(frame's bytes at the place, done).
template<class Space, class Cpu>
class user_accessor {
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using format = typename Space::format;

public:
    constexpr user_accessor(Space& mm, Cpu& me, access how, access_by who) noexcept
        : mm_{mm}, me_{me}, how_{how}, who_{who} {}

    template<class Move>
    constexpr access_result run(virt_addr at, std::uint64_t bytes, Move move) {
        access_result sofar{};
        while (sofar.bytes < bytes) {
            auto const here = at.plus(sofar.bytes);
            auto const part = std::min(page_size - here.offset(), bytes - sofar.bytes);
            sofar.why = one_page(here, [&](pfn page) {
                for_each_part(mm_.frames(), std::span{&page, 1}, here.offset(), part,
                              [&](auto contents, std::size_t) { move(contents, sofar.bytes); });
            });
            if (sofar.why != trap::none) break;
            sofar.bytes += part;
        }
        return sofar;
    }

private:
    template<class Move>
    constexpr trap one_page(virt_addr at, Move move) {
        if (!is_canonical(at, format::virtual_bits)) return trap::not_canonical;
        if (at >= mm_.limits().end) return gate(at, move);
        tried_ = false;
        for (;;) {
            auto held = take_shared<machine>(mm_.lock(), me_.current(), wait_mode::uninterruptible);
            if (!held) return trap::interrupted;
            if (use_entry(at, move)) return trap::none;
            if (auto const lost = grow_stack(at, held); lost != trap::none) return lost;
            if (auto const refused = refusal(at, *held); refused != trap::none) return refused;
            if (auto const failed = fault(at, *held); failed != trap::none) return failed;
        }
    }

    /// What lies below a stack is made a part of it (stack_growth.hpp); if anything is mapped at
    /// `at` nothing happens. none: the lock is still held, or held again.
    constexpr trap grow_stack(virt_addr at, std::optional<held_shared<lock_type>>& held) {
        if (mm_.find(at, *held)) return trap::none;
        for (;;) {
            auto grown = expand_stack(*std::move(held), me_.current(), mm_, at);
            if (grown) {
                held = *std::move(grown);
                return trap::none;
            }
            if (grown.error() == errc::interrupted) return trap::interrupted;
            if (grown.error() != errc::again) return trap::map_error;
            held = take_shared<machine>(mm_.lock(), me_.current(), wait_mode::uninterruptible);
            if (!held) return trap::interrupted;
        }
    }

    /// Beyond user space only the gate page can be touched, and only read.
    template<class Move>
    constexpr trap gate(virt_addr at, Move move) {
        auto const page = mm_.gate_page(at);
        if (!page || how_ != access::read || who_ != access_by::user) return trap::map_error;
        move(*page);
        return trap::none;
    }

    /// The hardware's part: uses the entry if it permits the access.
    template<class Move>
    constexpr bool use_entry(virt_addr at, Move move) {
        auto const& tree = mm_.table().tree();
        if (!tree.admit(me_, at)) return false;
        auto locked = tree.lock_lowest(me_, at);
        auto const index = format::index(at, locked.level());
        auto const entry = locked.read(index);
        if (!entry.permits(how_, me_.key_rights())) return false;
        locked.touch(index, how_);
        auto const inside = at.value - entry_start<format>(at, locked.level()).value;
        auto const page = entry.target.plus(inside >> page_shift);
        if (mm_.frames().contains(page)) move(page);
        return true;
    }

    constexpr trap refusal(virt_addr at, held_shared<lock_type> const& held) const {
        auto const found = mm_.find(at, held);
        if (!found) return trap::map_error;
        auto const& area = found->view(held);
        if (!me_.key_rights().permit(area.pkey, how_)) return trap::key_error;
        return permitted_by_vma(area, flags()) ? trap::none : trap::access_error;
    }

    [[nodiscard]] constexpr fault_flags flags() const noexcept {
        return fault_flags{fault_flag::allow_retry, fault_flag::killable, fault_flag::interruptible}
            .with_if(who_ == access_by::user, fault_flag::user)
            .with_if(tried_, fault_flag::tried)
            .with_if(how_ == access::write, fault_flag::write)
            .with_if(how_ == access::execute, fault_flag::instruction);
    }

    [[nodiscard]] static constexpr trap trap_of(errc error) noexcept {
        if (error == errc::hardware_poison) return trap::memory_error;
        return error == errc::no_memory ? trap::no_memory : trap::bus_error;
    }

    constexpr trap fault(virt_addr at, held_shared<lock_type>& held) {
        auto authority = lock_authority<lock_type>::may_drop(may_drop(held));
        auto outcome = dispatch<Space>{mm_}.handle({at, flags()}, authority, me_);
        switch (outcome.kind()) {
            case fault_kind::failed:
                return outcome.signal() == fatal_signal::segmentation ? trap::map_error
                                                                      : trap_of(outcome.error());
            case fault_kind::installed:
            case fault_kind::installed_major:
            case fault_kind::completed: ++me_.stats().faults; return trap::none;
            case fault_kind::retry_lock_dropped: {
                auto ticket = outcome.take_ticket();
                if (!ticket.ready()) ticket.wait(wait_mode::interruptible);
                tried_ = true;  // what has been read in once is not read in for ever (§2.1 item 2)
                auto const woken = me_.current().signal_pending(wait_mode::interruptible);
                return woken ? trap::interrupted : trap::none;
            }
            default: machine::relax(); return trap::none;
        }
    }

    Space& mm_;
    Cpu& me_;
    access how_;
    access_by who_;
    bool tried_{false};  // this page, before
};

}  // namespace detail

/// Loads bytes from `at` on into `to`, page by page, as far as it goes. `who`: a load of the
/// program, or copy_from_user. Bytes in the answer have been read.
template<class Space, class Cpu>
constexpr access_result read_user(Space& mm, Cpu& me, virt_addr at, std::span<std::byte> to,
                                  access_by who = access_by::user) {
    return detail::user_accessor<Space, Cpu>{mm, me, access::read, who}.run(
        at, to.size(), [&](std::span<std::byte> contents, std::uint64_t done) {
            std::ranges::copy(contents, to.subspan(done).begin());
        });
}

/// Stores `from` at `at`: a store of the program, or copy_to_user. Bytes in the answer have been
/// written.
template<class Space, class Cpu>
constexpr access_result write_user(Space& mm, Cpu& me, virt_addr at,
                                   std::span<std::byte const> from,
                                   access_by who = access_by::user) {
    return detail::user_accessor<Space, Cpu>{mm, me, access::write, who}.run(
        at, from.size(), [&](std::span<std::byte> contents, std::uint64_t done) {
            std::ranges::copy(from.subspan(done, contents.size()), contents.begin());
        });
}

}  // namespace mmhold
