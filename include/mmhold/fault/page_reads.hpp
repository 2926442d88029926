// SPDX-License-Identifier: BSL-1.0
#pragma once

// page_reads – pages of a file that are being read in, and who waits for which.
//
// Asker     (a fault) the page is not cached → ask(): under this lock, is it cached by now? Then
//           there is nothing to wait for. Is it being read already? Then wait with the others. Else
//           the read is new, and the servers are woken.
// Server    take a read → get the contents, however long it takes → put the page into the cache →
//           finish(): the read is gone, everybody who waited is woken.
// Promise   a page is read once, however many ask: who looks under the lock after the page came in
//           finds the page, who looks before finds the read.
//
// A read does not belong to those who wait for it: if all of them are killed, the page comes in all
// the same, as from a disk.

#include <mmhold/config.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/fault/wait_line.hpp>
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// The reads of one file. Any number of askers and servers at once. Outlives its tickets.
template<Machine M>
class page_reads {
    class waiter;

public:
    /// A place in the line for a page. Whoever waits in place asks error() when the ticket is
    /// ready; who comes back later looks into the cache.
    class place {
    public:
        /// Nothing to wait for: the page is there.
        constexpr place() noexcept = default;
        /// Sleep on it, or pass it on.
        [[nodiscard]] constexpr wait_ticket<M>& ticket() noexcept { return ticket_; }
        /// Why the page did not come; ok if it did. The ticket is ready and still here.
        [[nodiscard]] constexpr errc error() const noexcept {
            return who_ == nullptr ? errc::ok : who_->error();
        }

    private:
        friend page_reads;
        constexpr explicit place(waiter& who) noexcept : ticket_{who}, who_{&who} {}
        wait_ticket<M> ticket_{};
        waiter const* who_{nullptr};
    };

    constexpr page_reads() noexcept = default;
    page_reads(page_reads const&) = delete;
    page_reads& operator=(page_reads const&) = delete;
    /// Precondition: nobody waits. Reads that were not finished are forgotten.
    constexpr ~page_reads() {
        while (auto* const left = new_.first()) forget(*left);
        while (auto* const left = taken_.first()) forget(*left);
    }

    // ---- the fault ------------------------------------------------------------------------------

    /// Asks for `page` of `file` on behalf of `sleeper`. `arrived()` is asked under the lock
    /// whether the page is there by now; it may take the cache's locks. Errors: no_memory;
    /// bad_address once closed.
    template<std::predicate Arrived>
    [[nodiscard]] constexpr result<place> ask(task<M>& sleeper, std::uint64_t file,
                                              std::uint64_t page, Arrived&& arrived) {
        auto* const who = M::template create<waiter>(sleeper, *this);
        if (who == nullptr) return errc::no_memory;
        place mine{*who};
        auto* spare = M::template create<read>();
        auto answer = errc::ok;
        auto wait = false;
        sleeper.prepare_to_wait();
        {
            spin_guard<M> const held{lock_};
            if (!arrived()) {
                answer = join(*who, {file, page, 0}, spare);
                wait = answer == errc::ok;
            }
        }
        if (spare != nullptr) M::destroy(spare);
        if (answer != errc::ok) return answer;
        if (!wait) return place{};
        return result<place>{std::move(mine)};
    }

    // ---- the server -----------------------------------------------------------------------------

    /// The oldest read that no server has taken yet, if there is one. Never waits.
    [[nodiscard]] constexpr std::optional<page_request> try_next() noexcept {
        spin_guard<M> const held{lock_};
        return take();
    }
    /// Waits for a read. Errors: interrupted (a signal that `mode` admits, and nothing to read);
    /// invalid_argument once closed.
    [[nodiscard]] constexpr result<page_request> next(task<M>& server, wait_mode mode) noexcept {
        server_node me{server};
        for (;;) {
            server.prepare_to_wait();
            if (auto const answer = try_or_join(me, mode)) return *answer;
            server.wait(mode);
        }
    }
    /// Is this a read that a server has taken and not finished?
    [[nodiscard]] constexpr bool in_progress(page_request const& what) noexcept {
        spin_guard<M> const held{lock_};
        return find(taken_, [&](page_request const& r) { return r == what; }) != nullptr;
    }
    /// The read is over: the page is in the cache (ok), or `why` not. Who waited is woken. False:
    /// there is no such read.
    constexpr bool finish(page_request const& what, errc why) noexcept {
        spin_guard<M> const held{lock_};
        auto* const one = find(taken_, [&](page_request const& r) { return r == what; });
        if (one != nullptr) settle(*one, why);
        return one != nullptr;
    }
    /// The device is gone: reads, present and future, fail with bad_address, and servers are told
    /// that none will come.
    constexpr void close() noexcept {
        spin_guard<M> const held{lock_};
        closed_.set(true);
        while (auto* const one = new_.first()) settle(*one, errc::bad_address);
        while (auto* const one = taken_.first()) settle(*one, errc::bad_address);
        wake_servers();
    }

    /// How many pages are being read, or waiting to be, and how many reads there were so far.
    [[nodiscard]] constexpr std::uint32_t outstanding() noexcept {
        spin_guard<M> const held{lock_};
        return new_.size() + taken_.size();
    }
    [[nodiscard]] constexpr std::uint64_t started() noexcept {
        spin_guard<M> const held{lock_};
        return last_id_.get();
    }

private:
    struct read;
    struct server_node;
    using waiter_line = wait_line<M, waiter>;
    using read_line = wait_line<M, read>;
    using server_line = wait_line<M, server_node>;
    template<class T>
    using plain = typename M::template plain<T>;

    class waiter : public waitable<M>, public waiter_line::link {
    public:
        constexpr waiter(task<M>& sleeper, page_reads& in) noexcept
            : waitable<M>{sleeper, &abandoned}, in_{&in} {}
        [[nodiscard]] constexpr errc error() const noexcept { return error_.get(); }

    private:
        friend page_reads;
        static constexpr void abandoned(waitable<M>& on) noexcept {
            auto& me = static_cast<waiter&>(on);
            me.in_->leave(me);
            M::destroy(me.self_);
        }
        waiter* self_{this};  // in constant evaluation g++ 12 does not delete through a downcast
        page_reads* in_;
        plain<errc> error_{errc::ok};  // written under the lock, before it is resolved
    };
    struct read : read_line::link {
        plain<page_request> what{page_request{}};
        waiter_line waiters{};
    };
    struct server_node : server_line::link {
        constexpr explicit server_node(task<M>& who) noexcept : server{&who} {}
        task<M>* server;
    };

    constexpr errc join(waiter& who, page_request what, read*& spare) noexcept
        MMHOLD_REQUIRES(lock_) {
        if (closed_.get()) return errc::bad_address;
        auto const same = [&](page_request const& r) {
            return r.file == what.file && r.page == what.page;
        };
        auto* one = find(new_, same);
        if (one == nullptr) one = find(taken_, same);
        if (one == nullptr) {
            one = std::exchange(spare, nullptr);
            if (one == nullptr) return errc::no_memory;
            last_id_.set(last_id_.get() + 1);
            what.id = last_id_.get();
            one->what.set(what);
            new_.join(*one);
            wake_servers();
        }
        one->waiters.join(who);
        return errc::ok;
    }
    constexpr void leave(waiter& who) noexcept {
        spin_guard<M> const held{lock_};
        waiter_line::leave(who);
    }
    constexpr std::optional<page_request> take() noexcept MMHOLD_REQUIRES(lock_) {
        auto* const oldest = new_.first();
        if (oldest == nullptr) return std::nullopt;
        read_line::leave(*oldest);
        taken_.join(*oldest);
        return oldest->what.get();
    }
    constexpr std::optional<result<page_request>> try_or_join(server_node& me,
                                                              wait_mode mode) noexcept {
        spin_guard<M> const held{lock_};
        server_line::leave(me);
        if (auto const one = take()) return result<page_request>{*one};
        if (me.server->signal_pending(mode)) return result<page_request>{errc::interrupted};
        if (closed_.get()) return result<page_request>{errc::invalid_argument};
        servers_.join(me);
        return std::nullopt;
    }
    template<class Which>
    static constexpr read* find(read_line const& line, Which which) noexcept {
        for (auto* at = line.first(); at != nullptr; at = at->next.get()) {
            if (which(at->what.get())) return at;
        }
        return nullptr;
    }
    constexpr void settle(read& one, errc why) noexcept MMHOLD_REQUIRES(lock_) {
        while (auto* const who = one.waiters.first()) {
            waiter_line::leave(*who);
            who->error_.set(why);
            who->resolve();
        }
        forget(one);
    }
    static constexpr void forget(read& one) noexcept {
        read_line::leave(one);
        M::destroy(&one);
    }
    constexpr void wake_servers() noexcept MMHOLD_REQUIRES(lock_) {
        for (auto* at = servers_.first(); at != nullptr; at = at->next.get()) at->server->wake();
    }

    spin_lock<M> lock_{};
    read_line new_ MMHOLD_GUARDED_BY(lock_){};
    read_line taken_ MMHOLD_GUARDED_BY(lock_){};
    server_line servers_ MMHOLD_GUARDED_BY(lock_){};
    plain<bool> closed_ MMHOLD_GUARDED_BY(lock_){false};
    plain<std::uint64_t> last_id_ MMHOLD_GUARDED_BY(lock_){0};
};

}  // namespace mmhold
