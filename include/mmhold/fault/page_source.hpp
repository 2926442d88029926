// SPDX-License-Identifier: BSL-1.0
#pragma once

// page_source – a disk, or a file system in user space, that takes its time.
//
// Faulting task   fetch(): the request is in line, the servers are woken → sleeps until it is
//                 answered → has a frame with the contents, or an error.
// Server          next_request() → reads, computes, waits for whatever it waits for → complete()
//                 with the contents, or fail().
//
// A request lives on the stack of its task. A task that is killed takes its request back, under the
// lock; the server then learns from complete() that nobody is there any more. Completing marks and
// wakes under that lock, so nobody touches a request, or its task, that is gone.
//
// There is no page cache behind it: each fault is a request of its own, and pages are not shared
// between mappings. A file with a cache: file_object.hpp.

#include <mmhold/config.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/fault/wait_line.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>

namespace mmhold {

/// Where `blocking` gets its pages from. Name it in mmap_request::source.
///
/// Any number of tasks and servers at once. Outlives every vma that names it and every fetch().
template<class Space>
class page_source : public fault_source {
public:
    using machine = typename Space::machine;

    /// Takes the frames for its pages from `space`.
    constexpr explicit page_source(Space& space) noexcept
        : fault_source{source_kind::blocking}, space_{space} {}
    constexpr ~page_source() = default;

    // ---- the server -----------------------------------------------------------------------------

    /// The oldest request that no server has taken yet, if there is one. Never waits.
    [[nodiscard]] constexpr std::optional<page_request> try_next_request() noexcept {
        spin_guard<machine> const held{lock_};
        return take_request();
    }

    /// Waits for a request. Errors: interrupted (a signal that `mode` admits, and no request);
    /// invalid_argument once the source is closed.
    [[nodiscard]] constexpr result<page_request> next_request(task<machine>& server,
                                                              wait_mode mode) noexcept {
        server_node me{server};
        for (;;) {
            server.prepare_to_wait();
            if (auto const answer = try_or_join(me, mode)) return *answer;
            server.wait(mode);
        }
    }

    /// Answers `request` with a page: fill(0, bytes) writes its contents, without any lock held.
    /// Errors: no_memory – no frame; the task that asked learns it too; interrupted – nobody
    /// waits for the page any more.
    template<PageFiller Fill>
    constexpr result<void> complete(page_request const& request, Fill&& fill) {
        auto const kind = kind_wanted(request);
        if (!kind) return errc::interrupted;
        auto& frames = space_.frames();
        auto const page = frames.allocate(*kind);
        if (page) fill(std::uint64_t{0}, frames.bytes(*page));
        if (!answer(request, page)) {
            if (page) frames.put(*page);
            return errc::interrupted;
        }
        return page ? errc::ok : page.error();
    }

    /// Answers `request` with an error, as a broken disk would; `why` is what the fault fails with.
    /// Error: interrupted – nobody waits for the page any more.
    constexpr result<void> fail(page_request const& request, errc why) noexcept {
        return answer(request, why) ? errc::ok : errc::interrupted;
    }

    /// The device is gone: requests, present and future, fail with bad_address, and servers are
    /// told that none will come.
    constexpr void close() noexcept {
        spin_guard<machine> const held{lock_};
        closed_.set(true);
        while (auto* const node = new_.first()) settle(*node, errc::bad_address);
        while (auto* const node = taken_.first()) settle(*node, errc::bad_address);
        wake_servers();
    }

    // ---- the faulting task ----------------------------------------------------------------------

    /// Asks for the page of `area` at `at` and sleeps until it is there. The frame is of the given
    /// kind, its one reference the caller's. Errors: interrupted – a signal that `mode` admits;
    /// what fail() said; no_memory; bad_address once the source is closed.
    [[nodiscard]] constexpr result<pfn> fetch(task<machine>& sleeper, vma const& area, virt_addr at,
                                              frame_kind kind, wait_mode mode) noexcept {
        auto const behind = (at.value - area.span.start().value) >> page_shift;
        auto const first = area.file != 0 ? area.file_page : area.span.start().value >> page_shift;
        request_node me{sleeper, {area.file, first + behind, 0}, kind};
        sleeper.prepare_to_wait();
        if (!enqueue(me)) return errc::bad_address;
        for (;;) {
            sleeper.wait(mode);
            if (auto const answer = try_finish(me, mode)) return *answer;
        }
    }

    /// How many tasks wait for a page now.
    [[nodiscard]] constexpr std::uint32_t waiting() noexcept {
        spin_guard<machine> const held{lock_};
        return new_.size() + taken_.size();
    }

private:
    struct request_node;
    struct server_node;
    using request_line = wait_line<machine, request_node>;
    using server_line = wait_line<machine, server_node>;
    using answer_type = result<pfn>;

    struct request_node : request_line::link {
        constexpr request_node(task<machine>& who, page_request what, frame_kind of) noexcept
            : sleeper{&who}, wanted{what}, kind{of} {}

        task<machine>* sleeper;
        page_request wanted;  // its id is set when it joins
        frame_kind kind;
        typename machine::template plain<bool> settled{false};  // guarded by lock_, as the next two
        typename machine::template plain<errc> error{errc::ok};
        typename machine::template plain<pfn> page{pfn{}};
    };
    struct server_node : server_line::link {
        constexpr explicit server_node(task<machine>& who) noexcept : server{&who} {}
        task<machine>* server;
    };

    constexpr bool enqueue(request_node& me) noexcept {
        spin_guard<machine> const held{lock_};
        if (closed_.get()) return false;
        last_id_.set(last_id_.get() + 1);
        me.wanted.id = last_id_.get();
        new_.join(me);
        wake_servers();
        return true;
    }

    /// What fetch() answers now; nothing: sleep on.
    constexpr std::optional<answer_type> try_finish(request_node& me, wait_mode mode) noexcept {
        spin_guard<machine> const held{lock_};
        if (me.settled.get()) {
            return me.error.get() == errc::ok ? answer_type{me.page.get()} : me.error.get();
        }
        if (me.sleeper->signal_pending(mode)) {
            request_line::leave(me);
            return answer_type{errc::interrupted};
        }
        me.sleeper->prepare_to_wait();
        return std::nullopt;
    }

    constexpr std::optional<page_request> take_request() noexcept MMHOLD_REQUIRES(lock_) {
        auto* const oldest = new_.first();
        if (oldest == nullptr) return std::nullopt;
        request_line::leave(*oldest);
        taken_.join(*oldest);
        return oldest->wanted;
    }
    constexpr std::optional<result<page_request>> try_or_join(server_node& me,
                                                              wait_mode mode) noexcept {
        spin_guard<machine> const held{lock_};
        server_line::leave(me);
        if (auto const request = take_request()) return result<page_request>{*request};
        if (me.server->signal_pending(mode)) return result<page_request>{errc::interrupted};
        if (closed_.get()) return result<page_request>{errc::invalid_argument};
        servers_.join(me);
        return std::nullopt;
    }

    constexpr request_node* find(page_request const& request) noexcept MMHOLD_REQUIRES(lock_) {
        for (auto* at = taken_.first(); at != nullptr; at = at->next.get()) {
            if (at->wanted == request) return at;
        }
        return nullptr;
    }
    constexpr std::optional<frame_kind> kind_wanted(page_request const& request) noexcept {
        spin_guard<machine> const held{lock_};
        auto const* const node = find(request);
        return node != nullptr ? std::optional{node->kind} : std::nullopt;
    }
    constexpr bool answer(page_request const& request, answer_type const& with) noexcept {
        spin_guard<machine> const held{lock_};
        auto* const node = find(request);
        if (node != nullptr) settle(*node, with);
        return node != nullptr;
    }
    constexpr void settle(request_node& node, answer_type const& with) noexcept
        MMHOLD_REQUIRES(lock_) {
        request_line::leave(node);
        node.settled.set(true);
        node.error.set(with.error());
        node.page.set(with.value_or(pfn{}));
        node.sleeper->wake();
    }
    constexpr void wake_servers() noexcept MMHOLD_REQUIRES(lock_) {
        for (auto* at = servers_.first(); at != nullptr; at = at->next.get()) at->server->wake();
    }

    Space& space_;
    spin_lock<machine> lock_;
    request_line new_ MMHOLD_GUARDED_BY(lock_);
    request_line taken_ MMHOLD_GUARDED_BY(lock_);
    server_line servers_ MMHOLD_GUARDED_BY(lock_);
    typename machine::template plain<bool> closed_ MMHOLD_GUARDED_BY(lock_){false};
    typename machine::template plain<std::uint64_t> last_id_ MMHOLD_GUARDED_BY(lock_){0};
};

}  // namespace mmhold
