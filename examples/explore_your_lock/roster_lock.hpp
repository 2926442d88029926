// SPDX-License-Identifier: BSL-1.0
#pragma once

// roster_lock – a reader-writer lock whose readers do not meet.
//
// Reader     signs in on a line of the roster that is his alone → looks at the door. Closed?
//            Signs out, waits until it opens, tries again.
// Writer     closes the door → reads the roster, line by line, until nobody is in.
// Why        Each side first says what it wants and then looks at what the other said. If both
//            really do it in this order, at least one sees the other, and gives way.
// Cost       a reader writes to a cache line that no other reader touches, with a plain store; a
//            writer looks at every line. For locks that are read all the time and written rarely.
//
// "Really in this order" is the whole difficulty: a processor may look before what it said can be
// heard. Two ways of saying it stand below; explore_your_lock tells which one works.
//
// The lock knows nothing of threads and atomics, only the Machine it is given. So the same source
// runs on real threads (host_machine) and under the explorer (model_machine).

#include <mmhold/machine/machine.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace roster {

using mmhold::acquire;
using mmhold::at;
using mmhold::relaxed;
using mmhold::release;

/// A line of the roster, and the door.
template<mmhold::Machine M>
using word = typename M::template atomic<std::uint32_t>;

inline constexpr std::uint32_t open = 0;
inline constexpr std::uint32_t closed = 1;

/// As first written: whoever speaks releases, whoever looks acquires. It reads well.
struct drafted {
    template<mmhold::Machine M>
    static void sign_in(word<M>& line, std::uint32_t times) {
        line.store(times, release("roster.sign_in"));
    }
    /// False if another writer has closed it.
    template<mmhold::Machine M>
    static bool close(word<M>& door) {
        return door.exchange(closed, acquire("roster.close")) == open;
    }
};

/// As it must be: between speaking and looking stands a fence. Readers are the hot side and get the
/// light half of the pair, which costs them no instruction; the writer pays.
struct repaired {
    template<mmhold::Machine M>
    static void sign_in(word<M>& line, std::uint32_t times) {
        line.store(times, relaxed);
        // (roster.signed_in) light: a writer that missed the line has closed the door before we
        // look; pairs with (roster.closed).
        M::light_fence(at("roster.signed_in"));
    }
    template<mmhold::Machine M>
    static bool close(word<M>& door) {
        if (door.exchange(closed, relaxed) != open) return false;
        // (roster.closed) heavy: a reader that missed the closed door is on the roster before we
        // read it; as an acquire fence it also shows what the last writer wrote; pairs with
        // (roster.signed_in, roster.opened).
        M::heavy_fence(at("roster.closed"));
        return true;
    }
};

/// The lock: an mmhold::BlockingMmLock. Not fair: a closed door keeps all readers out, and writers
/// come in any order. A holder may try_lock_shared() again; it must not wait again.
///
/// `Who`: a function object that answers the caller's line, below `Lines`. No two threads that run
/// at the same time have the same one.
template<mmhold::Machine M, class Who, std::size_t Lines = 8, class Speech = repaired>
class roster_lock {
public:
    using machine = M;

    roster_lock() {
        for (std::size_t i = 0; i < Lines; ++i) M::name(&roster_[i].times, "line", i);
    }
    roster_lock(roster_lock const&) = delete;
    roster_lock& operator=(roster_lock const&) = delete;
    ~roster_lock() = default;

    /// Never waits. Refuses while a writer is inside or on its way in.
    bool try_lock_shared() {
        auto& mine = my_line();
        Speech::template sign_in<M>(mine, mine.load(relaxed) + 1);
        // (roster.look) acquire: if it is open, we see what the last writer wrote; pairs with
        // (roster.opened).
        if (door_.load(acquire("roster.look")) == closed) {
            mine.store(mine.load(relaxed) - 1, relaxed);
            return false;
        }
        M::lock_taken(this, mmhold::lock_mode::shared);
        return true;
    }
    /// Waits for every writer that is inside or on its way in.
    void lock_shared() {
        while (!try_lock_shared()) (void)M::poll(door_, is_open, relaxed);
    }
    /// Before: held shared by the caller.
    void unlock_shared() {
        M::lock_given(this, mmhold::lock_mode::shared);
        auto& mine = my_line();
        // (roster.sign_out) release: what we read, we read before a writer changes it; pairs with
        // (roster.nobody_in, roster.none_seen).
        mine.store(mine.load(relaxed) - 1, release("roster.sign_out"));
    }

    /// Never waits. Refuses while anybody is inside.
    bool try_lock() {
        if (!Speech::template close<M>(door_)) return false;
        for (auto& line : roster_) {
            // (roster.none_seen) acquire: its readers are done; pairs with (roster.sign_out).
            if (line.times.load(acquire("roster.none_seen")) == 0) continue;
            door_.store(open, relaxed);
            return false;
        }
        M::lock_taken(this, mmhold::lock_mode::exclusive);
        return true;
    }
    /// Waits until the door is open, and then until nobody is in. Readers notify nobody when they
    /// leave – that would cost them a system call –, so a writer looks again and again.
    void lock() {
        while (!Speech::template close<M>(door_)) (void)M::poll(door_, is_open, relaxed);
        for (auto& line : roster_) {
            // (roster.nobody_in) acquire: its readers are done; pairs with (roster.sign_out).
            (void)M::poll(line.times, is_empty, acquire("roster.nobody_in"));
        }
        M::lock_taken(this, mmhold::lock_mode::exclusive);
    }
    /// Before: held exclusively by the caller.
    void unlock() {
        M::lock_given(this, mmhold::lock_mode::exclusive);
        // (roster.opened) release: who comes in sees what we wrote; pairs with (roster.look,
        // roster.closed).
        door_.store(open, release("roster.opened"));
    }

private:
    /// How often its reader is in. Only that reader writes it, so it needs no read-modify-write.
    struct alignas(64) one_line {
        word<M> times{0};
    };

    static constexpr auto is_open = [](std::uint32_t door) { return door == open; };
    static constexpr auto is_empty = [](std::uint32_t times) { return times == 0; };

    word<M>& my_line() { return roster_[Who{}()].times; }

    word<M> door_{open};  // stands first: stories call it by the name of the lock
    std::array<one_line, Lines> roster_{};
};

}  // namespace roster
