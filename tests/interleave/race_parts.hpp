// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the scenarios of the classical races (gup-semantics §6.2) are built from: frame pools,
// domains and page tables with one defence taken out, each a type that can stand where the real one
// stands.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/walk/lockless_walker.hpp>

#include "gup_scenarios.hpp"
#include <cstdint>
#include <optional>

namespace mmhold_test {

using namespace mmhold;

using honest_pool = frame_pool<model_machine>;

/// Adds references without asking whether there are any: revives free frames, and overflows.
struct reviving_pool : honest_pool {
    using honest_pool::honest_pool;
    bool try_grab(pfn page, std::uint64_t n, holding, grab_rules = {}) {
        (void)folio(page).references.fetch_add(static_cast<std::uint32_t>(n),
                                               acquire("mutant.grab"));
        return true;
    }
};

/// Does not look a second time which folio the page belongs to.
struct trusting_pool : honest_pool {
    using honest_pool::honest_pool;
    bool try_grab(pfn page, std::uint64_t n, holding, grab_rules = {}) {
        auto& references = folio(page).references;
        auto seen = references.load(relaxed);
        while (seen != 0) {
            auto const more = seen + static_cast<std::uint32_t>(n);
            if (references.compare_exchange(seen, more, acquire("mutant.grab"))) return true;
        }
        return false;
    }
};

/// Splits a folio after a look at its count, without freezing it.
struct unfrozen_pool : honest_pool {
    using honest_pool::honest_pool;
    result<void> split_folio(pfn page) {
        if (ref_count(page) != 1) return errc::busy;
        auto const head = head_index(page);
        auto const pages = std::uint32_t{1} << order_at(head);
        for (auto index = head; index < head + pages; ++index) {
            at(index).behind_head.store(0, relaxed);
            at(index).state.store(detail::frame_state::make(frame_kind::anonymous, 0), relaxed);
            at(index).references.store(1, release("mutant.thaw"));
        }
        return {};
    }
};

/// Does not ask what may be pinned for ever.
struct lenient_pool : honest_pool {
    using honest_pool::honest_pool;
    bool try_grab(pfn page, std::uint64_t n, holding how, grab_rules = {}) {
        return honest_pool::try_grab(page, n, how, {});
    }
};

/// Tells a walker something else about pages than they are.
template<frame_attribute... Claimed>
struct lying_pool : honest_pool {
    using honest_pool::honest_pool;
    [[nodiscard]] frame_attributes attributes(pfn) const { return {Claimed...}; }
};

/// Calls every page exclusive.
struct credulous_pool : honest_pool {
    using honest_pool::honest_pool;
    [[nodiscard]] bool exclusive(pfn) const { return true; }
};

/// Frees what is retired at once: no grace period (§6.2 #1).
struct graceless_domain : patient_domain {
    template<std::derived_from<retired_object> Object>
    void retire(record&, Object& object) noexcept {
        object.free(object);
    }
};

/// tiny_space with a pool of one's choice, more frames, and several pages' worth of one table.
template<Reclaimer Domain = patient_domain, class Pool = honest_pool>
struct race_space {
    using machine = model_machine;
    using format = x86_64_radix<2, 2>;
    using reclaimer = Domain;
    using tables_type = host_tables<format, reclaimer>;
    using table_type = page_table<format, tables_type>;
    using cpu_type = cpu<reclaimer>;

    static constexpr virt_addr address{0};

    race_space() : race_space{1} {}
    explicit race_space(std::uint64_t capacity)
        : frame_store{page_count{capacity}, frame_bytes::none, pfn{16}, pin_statistics::off} {}
    ~race_space() {
        cpu_type last{domain};
        pages.destroy(last, [this](virt_addr, page_entry const& gone, unsigned) {
            if (frame_store.contains(gone.target)) frame_store.put(gone.target);
        });
    }
    race_space(race_space const&) = delete;
    race_space& operator=(race_space const&) = delete;

    table_type& table() { return pages; }
    Pool& frames() { return frame_store; }
    seq_count<machine>& write_protect_seq() { return sequence; }
    void set_has_pinned() {}

    /// Maps a fresh page at `at` and answers it.
    pfn map_fresh(frame_kind kind = frame_kind::anonymous, protection rights = prot::rw,
                  virt_addr at = address) {
        cpu_type boot{domain};
        auto const page = *frame_store.allocate(kind);
        if (kind == frame_kind::anonymous) frame_store.set_exclusive(page);
        machine::expect(pages.map(boot, at, page_entry::leaf_to(page, rights), 0).has_value(),
                        "the page is mapped");
        return page;
    }
    /// munmap's order, as tiny_space does it.
    void unmap(cpu_type& me, virt_addr at = address) {
        std::optional<pfn> gone;
        (void)pages.unmap(me, span_of(at), [&](virt_addr, page_entry const& entry, unsigned) {
            gone = entry.target;
        });
        if (gone) frame_store.put(*gone);
    }
    void free_tables(cpu_type& me) {
        (void)pages.free_tables(me, span_of(address), virt_addr{},
                                task_size_max(format::virtual_bits));
    }
    static page_span span_of(virt_addr at) { return *page_span::from(at, page_count{1}); }

    Pool frame_store;
    tables_type table_store{page_count{3}};
    reclaimer domain{};
    table_type pages{table_store};
    seq_count<machine> sequence{};
};

}  // namespace mmhold_test
