// SPDX-License-Identifier: BSL-1.0 A whole scenario at compile time: an address space is built, two
// regions are mapped, a page is missing, its fault gives up the mm lock and is tried again, three
// pages are held – and every count is checked by the compiler.

#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>

namespace {

using namespace mmhold;
using config = default_config<constexpr_machine>;
using space_type = address_space<config>;
using lock_type = space_type::lock_type;
using cpu_type = space_type::cpu_type;

/// The kernel's dispatch, and a pager that is quick: it answers each userfault before the one who
/// met it goes to sleep.
struct with_quick_pager {
    using machine = constexpr_machine;
    using cpu_type = ::cpu_type;

    space_type& space;
    userfault<space_type>& uffd;
    dispatch<space_type> kernel{space};
    int events{0};

    constexpr fault_outcome<lock_type, machine> handle(fault_request const& request,
                                                       lock_authority<lock_type>& authority,
                                                       cpu_type& me) {
        auto outcome = kernel.handle(request, authority, me);
        if (auto const event = uffd.read_event()) {
            ++events;
            cpu_type pager{space.domain()};
            auto const page = *page_span::from(event->address, page_count{1});
            if (uffd.copy_with(pager, page, [](auto, auto) {}).pages != 1)
                return outcome.failed(errc::busy);
        }
        return outcome;
    }
};

/// Everything the scenario stands on, destroyed last to first.
struct world {
    frame_pool<constexpr_machine> frames{page_count{16}};
    config::tables tables{page_count{8}};
    config::reclaimer domain{};
    space_type space{frames, tables, domain};
    cpu_type me{domain};
};

constexpr virt_addr low{0x10000};
constexpr virt_addr high{0x7f0000000000};

constexpr bool map_two_regions(world& w) {
    mmap_request const one{.hint = low, .pages = {4}, .flags = mmap_flag::fixed};
    mmap_request const two{.hint = high, .pages = {2}, .prot = prot::r, .flags = mmap_flag::fixed};
    return w.space.mmap(w.me, one).has_value() && w.space.mmap(w.me, two).has_value();
}

/// gup_locked: page 0 is filled in at once, page 1 is a userfault: the lock is lost, all three
/// pages are held.
constexpr bool hold_three_with_one_retry(world& w, userfault<space_type>& uffd,
                                         std::span<pfn> out) {
    with_quick_pager handler{w.space, uffd};
    locked_walker<space_type> walker{w.space, w.me};
    auto const mm = compose(w.space.lock(), handler, walker);
    auto held = held_shared<lock_type>::acquire(w.space.lock());
    auto const span = *page_span::from(low, page_count{3});
    auto const got = gup_locked(mm, w.me, may_drop(held), span, gup_flag::write, out);
    return got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::lost} && !held.holding() &&
           handler.events == 1 && w.me.stats().lock_drops == 1 && w.me.stats().fault_retries == 1;
}

constexpr bool references(world& w, std::span<pfn const> pages, std::uint32_t expected) {
    for (auto const page : pages) {
        if (w.frames.ref_count(page) != expected) return false;
    }
    return true;
}

constexpr bool scenario() {
    world w;
    if (!map_two_regions(w)) return false;
    userfault<space_type> uffd{w.space};
    if (!uffd.register_range(w.me, *page_span::from(low.plus_pages(1), page_count{1})))
        return false;

    std::array<pfn, 3> slow{};
    if (!hold_three_with_one_retry(w, uffd, slow)) return false;
    if (!references(w, slow, 2)) return false;  // the page table's and ours

    std::array<pfn, 3> fast{};
    auto const span = *page_span::from(low, page_count{3});
    auto const again = gup_fast_only(w.space, w.me, span, gup_flag::write, fast);
    if (again != gup_result{3, gup_stop::complete, errc::ok, lock_fate::never_held}) return false;
    if (fast != slow || !references(w, slow, 3)) return false;

    // The other region: nothing is present, the lockless walk gives up at once, and nothing is
    // held.
    auto const elsewhere =
        gup_fast_only(w.space, w.me, *page_span::from(high, page_count{2}), {}, fast);
    if (elsewhere != gup_result{0, gup_stop::not_fast, errc::ok, lock_fate::never_held})
        return false;

    pinned{w.frames, slow, holding::reference}.release();
    pinned{w.frames, slow, holding::reference}.release();
    if (!references(w, slow, 1) || !uffd.close(w.me)) return false;
    w.space.exit(w.me);
    return references(w, slow, 0) && w.frames.statistics().free == 16;
}

static_assert(scenario());

}  // namespace
