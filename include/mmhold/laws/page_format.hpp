// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/laws/law_report.hpp>
#include <mmhold/paging/page_format.hpp>

#include <cstdint>

namespace mmhold {

/// How many entries a law tries. Quick fits into a static_assert.
enum class law_effort : std::uint8_t {
    quick,     ///< every flag alone, every pair, all together
    thorough,  ///< every set of flags
};

namespace detail {

inline constexpr unsigned entry_flags = 11;

/// `e` with the flags whose bits are set in `chosen`.
constexpr page_entry with_flags(page_entry e, unsigned chosen) noexcept {
    auto const has = [chosen](unsigned flag) { return (chosen >> flag & 1U) != 0; };
    e.writable = has(0);
    e.user = has(1);
    e.accessed = has(2);
    e.dirty = has(3);
    e.no_execute = has(4);
    e.global = has(5);
    e.soft_dirty = has(6);
    e.uffd_wp = has(7);
    e.special = has(8);
    e.protnone = has(9);
    e.invalidated = has(10);
    return e;
}

/// The set of flags tried after `chosen`; 1 << entry_flags when there is none.
constexpr unsigned next_flags(unsigned chosen, law_effort effort) noexcept {
    constexpr unsigned all = (1U << entry_flags) - 1;
    if (effort == law_effort::thorough || chosen < 3 || chosen == all) return chosen + 1;
    auto const lowest = chosen & (~chosen + 1);
    auto const highest = chosen - lowest;
    if (highest == 0) return chosen + 1;                  // one flag: with the lowest one
    if (lowest << 1 != highest) return highest + lowest * 2;  // two: the lower one moves up
    return highest << 1 <= all ? highest << 1 : all;      // or the higher one, alone
}

/// Calls f(entry) for `plain` with sets of flags, keys, memory types and marker types, as far as
/// the format finds them legal at `level`. True if f was true of all.
template<PageFormat F, class Predicate>
constexpr bool all_variants(page_entry plain, unsigned level, law_effort effort, Predicate f) {
    for (unsigned chosen = 0; chosen < 1U << entry_flags; chosen = next_flags(chosen, effort)) {
        auto const e = with_flags(plain, chosen);
        if (F::legal(e, level) && !f(e)) return false;
    }
    for (unsigned number = 1; number < 32; ++number) {
        for (auto const field : {&page_entry::pkey, &page_entry::cache, &page_entry::marker_type}) {
            auto e = plain;
            e.*field = static_cast<std::uint8_t>(number);
            if (F::legal(e, level) && !f(e)) return false;
        }
    }
    return true;
}

/// The same for tables, leaves and markers with low and high targets.
template<PageFormat F, class Predicate>
constexpr bool all_entries(unsigned level, law_effort effort, Predicate f) {
    using enum page_entry::kind;
    for (auto const kind : {table, leaf, marker}) {
        page_entry plain;
        plain.what = kind;
        if (!all_variants<F>(plain, level, effort, f)) return false;
        for (auto target = entry_pages<F>(level); target != 0; target <<= 1) {
            plain.target = pfn{target};
            if (F::legal(plain, level) && !f(plain)) return false;
        }
    }
    return true;
}

}  // namespace detail

/// The zero word is *none*, *none* is the zero word, and nothing else is.
template<PageFormat F>
constexpr law_report absence_law(law_effort effort = law_effort::quick) {
    law_check law{"absence"};
    for (unsigned level = 0; level < F::levels; ++level) {
        law.require(F::legal({}, level), "none is not legal");
        law.require(F::encode({}, level) == 0, "none is not the zero word");
        law.require(F::decode(0, level) == page_entry{}, "the zero word is not none");
        auto const not_zero = [level](page_entry const& e) { return F::encode(e, level) != 0; };
        law.require(detail::all_entries<F>(level, effort, not_zero),
                    "an entry that is not none has the zero word");
    }
    return law.report();
}

/// decode(encode(e)) == e for every legal entry.
template<PageFormat F>
constexpr law_report round_trip_law(law_effort effort = law_effort::quick) {
    law_check law{"round trip"};
    for (unsigned level = 0; level < F::levels; ++level) {
        auto const returns = [level](page_entry const& e) {
            return F::decode(F::encode(e, level), level) == e;
        };
        law.require(detail::all_entries<F>(level, effort, returns),
                    "an entry decodes to something else than what was encoded");
    }
    return law.report();
}

/// A leaf is legal exactly where leaf_pages() is not 0, at frames aligned to it; tables everywhere
/// but at level 0; leaf sizes are those of the entries.
template<PageFormat F>
constexpr law_report leaves_law() {
    law_check law{"leaves"};
    law.require(F::leaf_pages(0) == 1, "level 0 does not map single pages");
    for (unsigned level = 0; level < F::levels; ++level) {
        auto const pages = F::leaf_pages(level);
        auto const leaf = [](std::uint64_t frame) {
            return page_entry::leaf_to(pfn{frame}, prot::rw);
        };
        auto const table = page_entry::table_to(pfn{1});
        law.require(F::legal(table, level) == (level > 0), "a table is legal at the wrong level");
        law.require(F::legal(leaf(entry_pages<F>(level)), level) == (pages != 0),
                    "legal leaves and leaf_pages() disagree");
        law.require(pages == 0 || pages == entry_pages<F>(level),
                    "a leaf does not span its entry");
        law.require(pages < 2 || !F::legal(leaf(pages / 2), level),
                    "a large leaf is legal at a frame that is not aligned");
    }
    return law.report();
}

/// index() runs through a table in address order, at every level, and together the indexes tell
/// any two pages apart.
template<PageFormat F>
constexpr law_report geometry_law(law_effort effort = law_effort::quick) {
    law_check law{"geometry"};
    constexpr unsigned entries = F::entries_per_table;
    law.require((entries & (entries - 1)) == 0, "the number of entries is not a power of two");
    for (unsigned level = 0; level < F::levels; ++level) {
        auto const step = entry_bytes<F>(level);
        auto const next = [effort](unsigned index) {
            return effort == law_effort::quick ? index * 2 + 1 : index + 1;
        };
        for (unsigned index = 0; index < entries; index = next(index)) {
            auto const start = virt_addr{index * step};
            law.require(F::index(start, level) == index, "an entry's first address");
            law.require(F::index(start.plus(step - 1), level) == index, "an entry's last address");
        }
        law.require(F::index(virt_addr{entries * step}, level) == 0, "an index does not wrap");
    }
    auto const spanned = entries * entry_bytes<F>(top_level<F>);
    law.require(F::virtual_bits == 64 || spanned == std::uint64_t{1} << F::virtual_bits,
                "the root does not span virtual_bits");
    return law.report();
}

/// OR-ing used_bits() into a present leaf sets accessed – and dirty for a write – and nothing else.
template<PageFormat F>
constexpr law_report use_law(law_effort effort = law_effort::quick) {
    law_check law{"use"};
    for (unsigned level = 0; level < F::levels; ++level) {
        auto const marks = [level](page_entry const& e) {
            if (!e.is_leaf() || !e.present()) return true;
            auto used = e;
            used.accessed = true;
            auto const word = F::encode(e, level);
            if (F::decode(word | F::used_bits(access::read), level) != used) return false;
            if (F::decode(word | F::used_bits(access::execute), level) != used) return false;
            used.dirty = true;
            return F::decode(word | F::used_bits(access::write), level) == used;
        };
        law.require(detail::all_entries<F>(level, effort, marks),
                    "using a leaf changes something else than accessed and dirty");
    }
    return law.report();
}

/// All laws of PageFormat: the first that is broken, or the last.
template<PageFormat F>
constexpr law_report page_format_laws(law_effort effort = law_effort::quick) {
    return first_broken(absence_law<F>(effort), round_trip_law<F>(effort), leaves_law<F>(),
                        geometry_law<F>(effort), use_law<F>(effort));
}

}  // namespace mmhold
