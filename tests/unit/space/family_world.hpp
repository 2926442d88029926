// SPDX-License-Identifier: BSL-1.0
#pragma once

// Address spaces that share one pool of frames, with bytes in them: a process and its children, and
// what their programs do – load, store, pin.

#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/fork.hpp>

#include "small_world.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold_test {

/// The spaces and all they stand on. Everything came back when it ends, or it complains.
struct family_world {
    using machine = checked_host_machine;
    using config = watched_config;
    using space_type = address_space<config>;
    using lock_type = config::lock;
    using cpu_type = space_type::cpu_type;

    explicit family_world(std::uint64_t frame_count = 64, std::uint64_t table_count = 64)
        : frames{page_count{frame_count}, frame_bytes::owned}, tables{page_count{table_count}} {}
    ~family_world() {
        for (auto* space : {&parent, &child, &grandchild}) space->exit(me);
        domain.drain();
        CHECK(frames.statistics().free == frames.statistics().capacity);
        CHECK(tables.in_use() == 0);
    }

    static constexpr virt_addr base{std::uint64_t{16} << 30U};
    static virt_addr page(std::uint64_t n) { return base.plus_pages(n); }
    static page_span span(std::uint64_t first, std::uint64_t count) {
        return *page_span::from(page(first), page_count{count});
    }

    void map(std::uint64_t first, std::uint64_t count, mmap_request request = {}) {
        request.hint = page(first);
        request.pages = page_count{count};
        request.flags = request.flags.with(mmap_flag::fixed);
        REQUIRE(parent.mmap(me, request).has_value());
    }
    result<void> forks() { return fork(me, parent, child); }

    /// A user's access; the error if it faults in vain.
    errc touch(space_type& space, virt_addr at, mmhold::access how) {
        dispatch<space_type> handler{space};
        auto const held = held_shared<lock_type>::acquire(space.lock());
        auto keep = lock_authority<lock_type>::keep(held);
        auto flags = fault_flags{fault_flag::user}.with_if(how == access::write, fault_flag::write);
        for (int attempt = 0; attempt < 4; ++attempt) {
            if (entry(space, at).permits(how, {})) return errc::ok;
            auto const outcome = handler.handle({at, flags}, keep, me);
            if (outcome.kind() != fault_kind::installed) return outcome.error();
        }
        return errc::again;
    }
    std::byte& byte_at(space_type& space, virt_addr at) {
        auto const leaf = entry(space, at);
        REQUIRE(leaf.is_leaf());
        return frames.bytes(leaf.target).front();
    }
    void store(space_type& space, virt_addr at, int value) {
        REQUIRE(touch(space, at, access::write) == errc::ok);
        byte_at(space, at) = static_cast<std::byte>(value);
    }
    int load(space_type& space, virt_addr at) {
        REQUIRE(touch(space, at, access::read) == errc::ok);
        return static_cast<int>(byte_at(space, at));
    }

    /// A device's hold.
    pfn pin(space_type& space, virt_addr at, gup_flags flags) {
        std::array<pfn, 1> out{};
        auto const one = *page_span::from(at, page_count{1});
        REQUIRE(pin_fast(space, me, one, flags, out).pages == 1);
        return out[0];
    }

    page_entry entry(space_type& space, virt_addr at) {
        page_entry found{};
        auto const one = *page_span::from(at.page_start(), page_count{1});
        (void)space.table().visit(me, one,
                                  [&](virt_addr, page_entry const& e, unsigned) { found = e; });
        return found;
    }
    /// Has the mapping at `at` had pages of its own, be they gone?
    bool has_family(space_type& space, virt_addr at) {
        auto const held = held_exclusive<lock_type>::acquire(space.lock());
        return space.layout_for_change(held).family_at(at).exists();
    }
    std::vector<vma> mappings(space_type& space) {
        auto const held = held_shared<lock_type>::acquire(space.lock());
        std::vector<vma> all;
        space.for_each_vma(held, [&](vma const& area) { all.push_back(area); });
        return all;
    }

    frame_pool<machine> frames;
    config::tables tables;
    config::reclaimer domain{};
    null_observer nobody{};
    watching_flush flush{};
    watching_flush childs_flush{};
    cpu_type me{domain};
    space_type parent{frames, tables, domain, nobody, flush};
    space_type child{frames, tables, domain, nobody, childs_flush};
    space_type grandchild{frames, tables, domain, nobody, childs_flush};
};

}  // namespace mmhold_test
