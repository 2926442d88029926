// SPDX-License-Identifier: BSL-1.0
#pragma once

// What is known of fields that are no words: those of M::plain, which carry it themselves, and
// those of classes that have no machine, whose accesses the program notes (claim::plain_read,
// plain_written) and which are found by their address.

#include <mmhold/explore/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmhold {

namespace detail {

/// What a plain field carries besides its value.
struct field_cell {
    static constexpr std::uint32_t is_alive = 0x6d6d'0003U;
    std::uint32_t state{is_alive};
    std::uint32_t written{0};  // epoch of the last write, or of its birth
    sync_clock read{};         // last read of each actor
};

/// The noted fields of one execution. A field begins with the first note about it and ends with the
/// memory that it lies in; what stands there then is another one.
class noted_fields {
public:
    void begin_execution() noexcept { fields_.clear(); }

    /// The field at this address; nullptr: nobody has noted anything about it.
    [[nodiscard]] field_cell* find(void const* at) noexcept {
        for (auto& f : fields_) {
            if (f.at == at) return &f.cell;
        }
        return nullptr;
    }
    [[nodiscard]] field_cell& add(void const* at) {
        return fields_.emplace_back(noted{at, {}}).cell;
    }

    /// Memory ends: calls `judge(cell, address)` for each field in it.
    template<class Judge>
    void end(void const* from, std::size_t size, Judge judge) {
        for (auto& f : fields_) {
            if (lies_in(f.at, from, size)) judge(f.cell, f.at);
        }
        std::erase_if(fields_, [&](noted const& f) { return lies_in(f.at, from, size); });
    }

private:
    struct noted {
        void const* at;
        field_cell cell;
    };
    [[nodiscard]] static bool lies_in(void const* at, void const* from, std::size_t size) noexcept {
        return reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(from) < size;
    }

    std::vector<noted> fields_{};
};

}  // namespace detail

}  // namespace mmhold
