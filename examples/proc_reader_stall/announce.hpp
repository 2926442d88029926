// SPDX-License-Identifier: BSL-1.0
#pragma once

// What is said before the table: what the layout is like, and what will happen in it.

#include "experiment.hpp"
#include "plan.hpp"
#include "settle.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace stall {

namespace detail {

/// "1 page", "2 pages".
inline std::string counted(std::uint64_t count, std::string_view what,
                           std::string_view plural = "s") {
    auto out = std::to_string(count) + " " + std::string{what};
    return count == 1 ? out : out + std::string{plural};
}

inline std::string range_text(mmhold::virt_addr start, mmhold::virt_addr end) {
    char text[40];
    std::snprintf(text, sizeof text, "%llx-%llx", static_cast<unsigned long long>(start.value),
                  static_cast<unsigned long long>(end.value));
    return text;
}

/// "37 file, 2 anonymous, 1 stack": kinds in the order of the enumeration, those that occur.
inline std::string kinds_text(std::span<maps_region const> regions) {
    std::string out;
    for (auto kind = region_kind::anonymous; kind <= region_kind::other;
         kind = static_cast<region_kind>(static_cast<unsigned>(kind) + 1)) {
        auto const is = [kind](maps_region const& one) { return one.kind == kind; };
        auto const count = std::ranges::count_if(regions, is);
        if (count == 0) continue;
        if (!out.empty()) out += ", ";
        out += std::to_string(count) + " " + std::string{kind_name(kind)};
    }
    return out;
}

inline std::string layout_text(std::string const& source, std::span<maps_region const> regions,
                               settled const& became) {
    auto const shared = std::ranges::count(regions, sharing::shared, &maps_region::share);
    return "layout    " + source + ": " + counted(regions.size(), "line") + ", " +
           std::to_string(shared) + " shared\n          " + kinds_text(regions) +
           "\n          built: " + counted(became.built.mappings, "mapping") + ", " +
           counted(became.built.pages, "page") + "\n";
}

/// The first few by name.
inline std::string left_out_text(std::span<maps_region const> regions, settled const& became) {
    constexpr std::size_t most = 3;
    if (became.rest.empty()) return "";
    auto out = "          left out: " + counted(became.rest.size(), "line") + "\n";
    for (std::size_t i = 0; i < std::min(most, became.rest.size()); ++i) {
        auto const& one = regions[became.rest[i].index];
        out += "            line " + std::to_string(one.line) + ", " +
               range_text(one.start, one.end) + (one.path.empty() ? "" : " ") +
               printable(one.path) + ": " + std::string{became.rest[i].why} + "\n";
    }
    if (became.rest.size() > most) out += "            and so on\n";
    return out;
}

inline std::string pager_text(pager_area const& area, plan const& of) {
    auto const where = range_text(area.span.start(), area.span.end());
    auto const what = counted(area.span.pages(), "page") + " at " + where + ", ";
    if (area.made) {
        return "pager     the layout has no private writable part of " +
               counted(of.pages(), "page") + "; mapped\n          " + what +
               std::to_string(of.delay.count()) + " ms each, one at a time\n";
    }
    return "pager     supplies " + printable(area.name) + ", " + what +
           std::to_string(of.delay.count()) + " ms each, one at a time\n";
}

inline std::string actors_text(plan const& of, std::string_view priority) {
    auto const rows_with_pager = 4;
    auto const seconds = std::chrono::duration<double>(of.paging() * rows_with_pager).count();
    char about[32];
    std::snprintf(about, sizeof about, "%.1f s", seconds + 0.3);
    return "actors    " + counted(of.callers, "caller") + " (" + counted(of.rounds, "call") +
           " of " + counted(pages_per_call, "page") +
           " each), a pager, a /proc reader, a writer\n          " + std::string{priority} +
           "; this takes about " + about + "\n";
}

}  // namespace detail

/// The lines above the table. `priority` says how the threads are scheduled.
[[nodiscard]] inline std::string announcement(std::string const& source, plan const& of,
                                              site const& at, std::string_view priority) {
    return detail::layout_text(source, of.regions, at.layout) +
           detail::left_out_text(of.regions, at.layout) + detail::pager_text(at.area, of) +
           detail::actors_text(of, priority);
}

}  // namespace stall
