// SPDX-License-Identifier: BSL-1.0
#pragma once

// The slow one: it knows what is in the pages, and takes its time to say so.

#include <mmhold/fault/page_source.hpp>
#include <mmhold/fault/userfault.hpp>

#include "settle.hpp"
#include "world.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>

namespace stall {

/// How a missing page gets to the pager and back.
enum class supply : std::uint8_t {
    device,     ///< the fault handler waits for it, with the mm lock held
    userfault,  ///< the handler queues an event; who faulted waits, if it may, without the lock
    present,    ///< it never does: the pages are there from the start
};

/// Every page begins with its own number, so that whoever holds it can tell that it is the one.
struct contents_of {
    mmhold::page_span pages;
    /// Writes page `n` of them.
    void operator()(std::uint64_t n, std::span<std::byte> bytes) const {
        auto const number = pages.page(n).value >> mmhold::page_shift;
        std::memcpy(bytes.data(), &number, sizeof number);
    }
};
[[nodiscard]] inline bool is_page(mmhold::virt_addr page, std::span<std::byte const> bytes) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    return number == page.value >> mmhold::page_shift;
}

/// A pager for one area, by userfault or as a device behind the mapping.
class pager {
public:
    pager(world& in, std::chrono::milliseconds delay) : world_{in}, delay_{delay} {}

    /// From now on faults on missing pages of `area` come here.
    mmhold::result<void> take_over(cpu_type& me, mmhold::page_span area, supply how) {
        area_ = area;
        how_ = how;
        if (how == supply::device) return world_.mm.set_source(me, area, &device_);
        return userfault_.register_range(me, area);
    }

    /// Puts pages in place before anybody asks for them.
    mmhold::result<void> supply_now(cpu_type& me, mmhold::page_span pages) {
        return userfault_.copy_with(me, pages, contents_of{pages}).stop;
    }

    /// Answers one fault after the other, each after the delay, until let_go().
    void serve(cpu_type& me) { how_ == supply::device ? serve_device(me) : serve_userfaults(me); }

    /// The end: the area is ordinary memory again.
    mmhold::result<void> let_go(cpu_type& me) {
        if (how_ != supply::device) return userfault_.close(me);
        device_.close();
        return world_.mm.set_source(me, area_, nullptr);
    }

private:
    static mmhold::page_span one_page(mmhold::virt_addr at) {
        return *mmhold::page_span::from(at, mmhold::page_count{1});
    }

    void fetch(cpu_type& me) {
        doing const now{world_, me, activity::fetching};
        std::this_thread::sleep_for(delay_);
    }

    void serve_userfaults(cpu_type& me) {
        auto const mode = mmhold::wait_mode::uninterruptible;
        while (auto const event = userfault_.wait_event(me.current(), mode)) {
            fetch(me);
            auto const page = one_page(event->address);
            auto const done = userfault_.copy_with(me, page, contents_of{page});
            // Out of memory: nobody shall wait for ever. Who faulted then finds an empty page.
            if (!done.complete()) (void)userfault_.close(me);
        }
    }

    void serve_device(cpu_type& me) {
        auto const mode = mmhold::wait_mode::uninterruptible;
        while (auto const wanted = device_.next_request(me.current(), mode)) {
            fetch(me);
            auto const page = one_page({wanted->page << mmhold::page_shift});
            (void)device_.complete(*wanted, contents_of{page});  // if it fails, the fault does
        }
    }

    world& world_;
    std::chrono::milliseconds delay_;
    mmhold::page_span area_{};
    supply how_{supply::present};
    mmhold::userfault<space_type> userfault_{world_.mm};
    mmhold::page_source<space_type> device_{world_.mm};
};

}  // namespace stall
