// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/observe/observer.hpp>
#include <mmhold/observe/trace_writer.hpp>

#include "world.hpp"

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

namespace stall {

/// What all actors did in all rows, for https://ui.perfetto.dev.
class timeline {
public:
    /// Adds a row: its events, those of each actor in order.
    void add(std::string_view row, std::vector<mmhold::event> events) {
        rows_.push_back({row, std::move(events)});
    }

    /// Writes it as one JSON object.
    void write(std::ostream& to) const {
        auto const sink = [&to](std::string_view piece) {
            to.write(piece.data(), static_cast<std::streamsize>(piece.size()));
        };
        mmhold::trace_writer out{sink, "proc_reader_stall", origin()};
        for (std::uint32_t actor = 0; actor <= last_actor(); ++actor) {
            out.track(actor, role_name(actor));
        }
        for (auto const& row : rows_) {
            for (auto const& what : row.events) out.write(what, name_of(what, row.name));
        }
        out.finish();
        to << "\n";
    }

private:
    struct one_row {
        std::string_view name;
        std::vector<mmhold::event> events;
    };

    [[nodiscard]] std::uint64_t origin() const {
        auto first = ~std::uint64_t{0};
        for_each([&first](mmhold::event const& what) { first = std::min(first, what.time_ns); });
        return first;
    }
    [[nodiscard]] std::uint32_t last_actor() const {
        std::uint32_t last = role::pager;
        for_each([&last](mmhold::event const& what) {
            if (what.actor != mmhold::unattributed) last = std::max(last, what.actor);
        });
        return last;
    }
    template<class F>
    void for_each(F see) const {
        for (auto const& row : rows_) {
            for (auto const& what : row.events) see(what);
        }
    }

    static std::string_view name_of(mmhold::event const& what, std::string_view row) {
        if (what.kind != mmhold::event_kind::user_begin) return {};
        auto const doing = static_cast<activity>(what.value);
        return doing == activity::measuring ? row : activity_name(doing);
    }

    std::vector<one_row> rows_{};
};

}  // namespace stall
