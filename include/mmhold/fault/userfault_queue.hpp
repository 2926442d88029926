// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault_queue – where those who met a missing page and those who can supply it meet.
//
// Faulting task   prepare → raise(): the event is in the line, its readers are woken → look again
//                 whether the page is still missing → give up the mm lock → sleep on the ticket.
// Pager           read the event → put the page in place → wake() the range.
// Closer          stop(): nothing is queued any more → make sure that no new fault comes here →
//                 wake_all().
//
// No wake-up is lost: raise() and wake() exclude each other by one lock. A page put in place before
// raise() is seen by the second look; one put in place after it is followed by a wake() that finds
// the waiter. The same holds for stop(), whose mark is set under that lock, and wake_all()
// (gup-semantics §3 rows 8 – 10, §6.2 #18 and #19).
//
// Notices are events that nobody faults for: something has happened to the memory itself
// (userfault_notices.hpp). Who caused it prepares one → does it → sends it, and waits until it has
// been read. From the first to the last step the queue is "changing".
//
// An event that has been read belongs to the pager, but its waiter stays in line until it is woken
// or leaves. An event whose waiter is woken or gone before anybody read it is never read: nothing
// is left to resolve.

#include <mmhold/config.hpp>
#include <mmhold/fault/wait_line.hpp>
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// What a userfault event says about the access, with the values of UFFD_PAGEFAULT_FLAG_*
/// (gup-semantics §3, "Event flags").
enum class userfault_event_flag : std::uint8_t {
    write = 1,          ///< the access was a write; a read has no flag
    write_protect = 2,  ///< the page is there or to come, but write-protected; always a write, too
    minor = 4,          ///< the object has the page, this mapping does not show it
};
using userfault_event_flags = flag_set<userfault_event_flag>;

/// What an event is about.
enum class userfault_event_kind : std::uint8_t {
    fault,   ///< somebody waits for a page
    fork,    ///< there is a child now, and `child` is its userfault
    remap,   ///< what was mapped at `range` is mapped from `address` on
    remove,  ///< the pages of `range` are about to be discarded
    unmap,   ///< `range` is not mapped any more
};

/// One message to the pager.
struct userfault_event {
    virt_addr address{};  ///< of the page, or of the access (userfault_feature::exact_address)
    userfault_event_flags flags{};  ///< none: a read of a missing page
    std::uint64_t sequence{0};      ///< counts the events of one queue, from 1
    userfault_event_kind kind{userfault_event_kind::fault};
    page_span range{};             ///< for remap, remove and unmap
    fault_source* child{nullptr};  ///< for fork

    friend constexpr bool operator==(userfault_event const&, userfault_event const&) = default;
};

/// How full a queue is, at one moment.
struct userfault_counts {
    std::uint32_t unread{0};   ///< events nobody has read yet
    std::uint32_t waiting{0};  ///< waiters not woken yet, whether their event was read or not
    std::uint32_t tickets{0};  ///< tickets that still exist, of woken waiters too
    std::uint64_t raised{0};   ///< events ever raised
    std::uint32_t unheard{0};  ///< notices nobody has read yet; not among the unread

    friend constexpr bool operator==(userfault_counts const&, userfault_counts const&) = default;
};

template<Machine M>
class userfault_queue;

/// A notice that is not sent yet: the queue is changing. Move-only; if it dies unsent, nobody hears
/// of it.
template<Machine M>
class [[nodiscard]] userfault_notice {
public:
    constexpr userfault_notice(userfault_notice&& other) noexcept = default;
    constexpr userfault_notice& operator=(userfault_notice&& other) noexcept = default;
    constexpr ~userfault_notice() = default;

    /// Queues it; ready when it has been read, or when nobody will. The queue stays changing for as
    /// long as the ticket lives. Once.
    [[nodiscard]] constexpr wait_ticket<M> send() noexcept {
        actions_->send(*on_);
        return std::move(place_);
    }
    /// Has a pager read it? (Its ticket is ready, too, when nobody will.) Only while its ticket
    /// lives.
    [[nodiscard]] constexpr bool heard() const noexcept { return actions_->heard(*on_); }

private:
    friend userfault_queue<M>;
    struct actions {
        void (*send)(waitable<M>&) noexcept;
        bool (*heard)(waitable<M>&) noexcept;
    };
    constexpr userfault_notice(waitable<M>& on, actions const& how) noexcept
        : place_{on}, on_{&on}, actions_{&how} {}

    wait_ticket<M> place_;
    waitable<M>* on_;
    actions const* actions_;
};

/// The event queue of a userfault. Everything may be called from any cpu at any time; nothing but
/// wait_event() sleeps.
template<Machine M>
class userfault_queue {
public:
    using machine = M;

    constexpr userfault_queue() noexcept = default;
    userfault_queue(userfault_queue const&) = delete;
    userfault_queue& operator=(userfault_queue const&) = delete;
    /// Nobody uses it any more: no ticket is left, no reader waits.
    constexpr ~userfault_queue() {
        M::expect(tickets_.get() == 0 && changing_.get() == 0,
                  "a userfault_queue is destroyed while tickets wait on it");
    }

    /// Queues an event and wakes those who wait for one. The ticket is `sleeper`'s place in the
    /// queue: it is ready once the event is resolved, and leaves the queue when it dies. An empty
    /// ticket: the queue is stopped, nothing was queued. Error: no_memory. `sleeper` forgets
    /// earlier wakes.
    [[nodiscard]] constexpr result<wait_ticket<M>> raise(task<M>& sleeper, virt_addr address,
                                                         userfault_event_flags flags) {
        auto* const me = M::template create<waiter>(sleeper, *this, address, flags);
        if (me == nullptr) return errc::no_memory;
        M::name(me, "userfault waiter");
        sleeper.prepare_to_wait();
        if (enqueue(*me)) return wait_ticket<M>{*me};
        M::destroy(me);
        return wait_ticket<M>{};
    }

    /// The oldest event that nobody has read; nothing if there is none. Never waits.
    [[nodiscard]] constexpr std::optional<userfault_event> read_event() noexcept {
        spin_guard<M> const held{lock_};
        return take_event();
    }

    /// Waits for an event and reads it. Errors: interrupted (a signal that `mode` admits, and no
    /// event); invalid_argument once the queue is stopped (a closed file descriptor).
    [[nodiscard]] constexpr result<userfault_event> wait_event(task<M>& reader,
                                                               wait_mode mode) noexcept {
        reader_node me{reader};
        for (;;) {
            reader.prepare_to_wait();
            if (auto const answer = try_or_join(me, mode)) return *answer;
            reader.wait(mode);
        }
    }

    /// A notice of `what`, which `sender` will wait for; it is changing from now on. Error:
    /// no_memory.
    [[nodiscard]] constexpr result<userfault_notice<M>> prepare_notice(
        task<M>& sender, userfault_event const& what) {
        auto* const me = M::template create<notice>(sender, *this, what);
        if (me == nullptr) return errc::no_memory;
        M::name(me, "userfault notice");
        spin_guard<M> const held{lock_};
        changing_.set(changing_.get() + 1);
        return userfault_notice<M>{*me, notice::actions};
    }
    /// Is there a notice that its sender has not seen read yet (mmap_changing)?
    [[nodiscard]] constexpr bool changing() noexcept {
        spin_guard<M> const held{lock_};
        return changing_.get() != 0;
    }

    /// Resolves every waiter whose address lies in `range`; answers how many there were.
    constexpr std::uint32_t wake(page_span range) noexcept {
        spin_guard<M> const held{lock_};
        auto const within = [range](virt_addr at) { return range.contains(at); };
        return wake_those(unread_, within) + wake_those(read_, within);
    }

    /// Resolves every waiter; answers how many there were.
    constexpr std::uint32_t wake_all() noexcept {
        spin_guard<M> const held{lock_};
        auto const anybody = [](virt_addr) { return true; };
        return wake_those(unread_, anybody) + wake_those(read_, anybody);
    }

    /// From now on nothing is queued, and who waits for an event, or for a notice to be read, is
    /// told that none will come. Those who wait for a page still do: wake_all(). Again: no effect.
    constexpr void stop() noexcept {
        spin_guard<M> const held{lock_};
        stopped_.set(true);
        while (auto* const unheard = notices_.first()) take_out(*unheard);
        wake_readers();
    }
    /// Has it been stopped?
    [[nodiscard]] constexpr bool stopped() noexcept {
        spin_guard<M> const held{lock_};
        return stopped_.get();
    }

    /// How full it is now.
    [[nodiscard]] constexpr userfault_counts counts() noexcept {
        spin_guard<M> const held{lock_};
        return {unread_.size(), unread_.size() + read_.size(), tickets_.get(), raised_.get(),
                notices_.size()};
    }

private:
    class waiter;
    struct reader_node;
    using waiter_line = wait_line<M, waiter>;
    using reader_line = wait_line<M, reader_node>;

    class waiter : public waitable<M>, public waiter_line::link {
    public:
        constexpr waiter(task<M>& sleeper, userfault_queue& in, virt_addr address,
                         userfault_event_flags flags) noexcept
            : waitable<M>{sleeper, &forget}, queue_{&in}, address_{address}, flags_{flags} {}

        /// The ticket is gone.
        static constexpr void forget(waitable<M>& on) noexcept {
            auto& me = static_cast<waiter&>(on);
            me.queue_->dequeue(me);
            M::destroy(me.self_);
        }

    private:
        friend userfault_queue;

        waiter* self_{this};  // in constant evaluation g++ 12 does not delete through a downcast
        userfault_queue* queue_;
        virt_addr address_;
        userfault_event_flags flags_;
        typename M::template plain<std::uint64_t> sequence_{0};  // guarded by the queue's lock
    };

    class notice;
    using notice_line = wait_line<M, notice>;

    class notice : public waitable<M>, public notice_line::link {
    public:
        constexpr notice(task<M>& sender, userfault_queue& in, userfault_event const& what) noexcept
            : waitable<M>{sender, &forget}, queue_{&in}, what_{what} {}

        /// Its ticket is gone, sent or not.
        static constexpr void forget(waitable<M>& on) noexcept {
            auto& me = static_cast<notice&>(on);
            me.queue_->forget(me);
            M::destroy(me.self_);
        }
        static constexpr void send(waitable<M>& on) noexcept {
            auto& me = static_cast<notice&>(on);
            me.sleeper().prepare_to_wait();
            me.queue_->send(me);
        }
        static constexpr bool heard(waitable<M>& on) noexcept {
            auto& me = static_cast<notice&>(on);
            spin_guard<M> const held{me.queue_->lock_};
            return me.heard_.get();
        }
        static constexpr typename userfault_notice<M>::actions actions{&send, &heard};

    private:
        friend userfault_queue;

        notice* self_{this};  // as in waiter
        userfault_queue* queue_;
        userfault_event what_;
        typename M::template plain<bool> heard_{false};  // guarded by the queue's lock
    };

    struct reader_node : reader_line::link {
        constexpr explicit reader_node(task<M>& who) noexcept : reader{&who} {}
        task<M>* reader;
    };

    /// False: stopped.
    constexpr bool enqueue(waiter& me) noexcept {
        spin_guard<M> const held{lock_};
        if (stopped_.get()) return false;
        raised_.set(raised_.get() + 1);
        me.sequence_.set(raised_.get());
        tickets_.set(tickets_.get() + 1);
        unread_.join(me);
        wake_readers();
        return true;
    }
    constexpr void dequeue(waiter& me) noexcept {
        spin_guard<M> const held{lock_};
        waiter_line::leave(me);
        tickets_.set(tickets_.get() - 1);
    }

    constexpr void send(notice& me) noexcept {
        spin_guard<M> const held{lock_};
        raised_.set(raised_.get() + 1);
        me.what_.sequence = raised_.get();
        if (stopped_.get()) return me.resolve();
        notices_.join(me);
        wake_readers();
    }
    constexpr void forget(notice& me) noexcept {
        spin_guard<M> const held{lock_};
        notice_line::leave(me);
        changing_.set(changing_.get() - 1);
    }
    /// Its sender need not wait any more.
    constexpr void take_out(notice& one) noexcept MMHOLD_REQUIRES(lock_) {
        notice_line::leave(one);
        one.resolve();
    }
    constexpr userfault_event hear(notice& one) noexcept MMHOLD_REQUIRES(lock_) {
        auto const what = one.what_;
        one.heard_.set(true);
        take_out(one);
        return what;
    }

    /// Faults first.
    constexpr std::optional<userfault_event> take_event() noexcept MMHOLD_REQUIRES(lock_) {
        waiter* const oldest = unread_.first();
        if (oldest == nullptr) {
            auto* const unheard = notices_.first();
            return unheard != nullptr ? std::optional{hear(*unheard)} : std::nullopt;
        }
        waiter_line::leave(*oldest);
        read_.join(*oldest);
        return userfault_event{oldest->address_, oldest->flags_, oldest->sequence_.get()};
    }

    /// What wait_event() answers now; nothing: `me` stands in line and its task may sleep. An event
    /// beats a signal beats the end, as for a reader of the real file descriptor.
    constexpr std::optional<result<userfault_event>> try_or_join(reader_node& me,
                                                                 wait_mode mode) noexcept {
        spin_guard<M> const held{lock_};
        reader_line::leave(me);
        if (auto const event = take_event()) return result<userfault_event>{*event};
        if (me.reader->signal_pending(mode)) return result<userfault_event>{errc::interrupted};
        if (stopped_.get()) return result<userfault_event>{errc::invalid_argument};
        readers_.join(me);
        return std::nullopt;
    }

    template<class Within>
    constexpr std::uint32_t wake_those(waiter_line& line, Within within) noexcept
        MMHOLD_REQUIRES(lock_) {
        std::uint32_t woken = 0;
        for (waiter* at = line.first(); at != nullptr;) {
            waiter* const next = at->next.get();
            if (within(at->address_)) {
                waiter_line::leave(*at);
                at->resolve();
                ++woken;
            }
            at = next;
        }
        return woken;
    }
    /// They take themselves out of the line, under the lock: while it is held, their tasks live.
    constexpr void wake_readers() noexcept MMHOLD_REQUIRES(lock_) {
        for (auto* at = readers_.first(); at != nullptr; at = at->next.get()) at->reader->wake();
    }

    spin_lock<M> lock_;
    waiter_line unread_ MMHOLD_GUARDED_BY(lock_);
    waiter_line read_ MMHOLD_GUARDED_BY(lock_);
    notice_line notices_ MMHOLD_GUARDED_BY(lock_);
    reader_line readers_ MMHOLD_GUARDED_BY(lock_);
    typename M::template plain<bool> stopped_ MMHOLD_GUARDED_BY(lock_){false};
    typename M::template plain<std::uint32_t> tickets_ MMHOLD_GUARDED_BY(lock_){0};
    typename M::template plain<std::uint32_t> changing_ MMHOLD_GUARDED_BY(lock_){0};
    typename M::template plain<std::uint64_t> raised_ MMHOLD_GUARDED_BY(lock_){0};
};

}  // namespace mmhold
