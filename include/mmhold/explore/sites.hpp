// SPDX-License-Identifier: BSL-1.0
#pragma once

// Sites: named orders and fences, and what becomes of them in one exploration.

#include <mmhold/explore/operation.hpp>
#include <mmhold/explore/plan.hpp>

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

/// What stands at a site.
enum class site_kind : std::uint8_t { load, store, update, fence, light_fence, heavy_fence };

[[nodiscard]] constexpr std::string_view to_string(site_kind kind) noexcept {
    switch (kind) {
        case site_kind::load: return "load";
        case site_kind::store: return "store";
        case site_kind::update: return "update";
        case site_kind::fence: return "fence";
        case site_kind::light_fence: return "light fence";
        case site_kind::heavy_fence: return "heavy fence";
    }
    return "?";
}

/// A site that an exploration passed.
struct known_site {
    std::string name;
    site_kind kind{site_kind::load};
    memory_order order{memory_order::relaxed};
};

/// Whether an exploration writes down which sites it passes.
enum class site_collection : std::uint8_t { off, on };

namespace detail {

[[nodiscard]] constexpr site_kind kind_of_site(op_kind kind) noexcept {
    if (is_update(kind)) return site_kind::update;
    return kind == op_kind::store ? site_kind::store : site_kind::load;
}

/// What is left of an order.
[[nodiscard]] constexpr memory_order weakened(memory_order order, weakening how,
                                              site_kind kind) noexcept {
    bool const may_acquire = kind != site_kind::store && acquires(order);
    bool const may_release = kind != site_kind::load && releases(order);
    bool const keep_acquire =
        may_acquire && (how == weakening::to_acquire || how == weakening::to_acq_rel);
    bool const keep_release =
        may_release && (how == weakening::to_release || how == weakening::to_acq_rel);
    if (keep_acquire && keep_release) return memory_order::acq_rel;
    if (keep_acquire) return memory_order::acquire;
    return keep_release ? memory_order::release : memory_order::relaxed;
}

/// What might make a finding go away, at one line of the source: a full fence right after the
/// access there, or a stronger order of it.
struct remedy {
    enum class kind : std::uint8_t { none, fence_after, raise };
    kind how{kind::none};
    std::string_view file{};
    std::uint32_t line{0};
    memory_order order{memory_order::relaxed};

    [[nodiscard]] bool at(std::source_location where) const noexcept {
        return where.line() == line && file == where.file_name();
    }
};

/// The weakest order that is as strong as both.
[[nodiscard]] constexpr memory_order both_orders(memory_order a, memory_order b) noexcept {
    if (a == memory_order::seq_cst || b == memory_order::seq_cst) return memory_order::seq_cst;
    bool const acquire = acquires(a) || acquires(b);
    bool const release = releases(a) || releases(b);
    if (acquire && release) return memory_order::acq_rel;
    return acquire ? memory_order::acquire : release ? memory_order::release : a;
}

/// The changes asked for, and the sites seen.
class site_table {
public:
    site_table(std::vector<site_change> changes, site_collection collection)
        : changes_{std::move(changes)},
          collects_{collection == site_collection::on},
          active_{collects_ || !changes_.empty()} {}

    /// The order of an access after the changes.
    [[nodiscard]] memory_order order_of(request const& r, op_kind kind) {
        return active_ ? changed(r, kind_of_site(kind)) : r.order;
    }
    /// The order of a fence after the changes; relaxed: nothing of it is left.
    [[nodiscard]] memory_order order_of_fence(request const& r, site_kind kind) {
        return active_ ? changed(r, kind) : r.order;
    }
    [[nodiscard]] bool collects() const noexcept { return collects_; }
    /// From now on that is in force, too.
    void treat(remedy r) {
        remedies_.push_back(r);
        active_ = true;
    }
    [[nodiscard]] bool fence_after(request const& r) const noexcept {
        if (!active_) return false;
        for (auto const& with : remedies_) {
            if (with.how == remedy::kind::fence_after && with.at(r.where)) return true;
        }
        return false;
    }
    [[nodiscard]] std::vector<known_site> const& seen() const noexcept { return seen_; }

private:
    [[nodiscard]] memory_order changed(request const& r, site_kind kind) {
        std::string_view const name{r.site};
        auto order = r.order;
        if (!name.empty() && collects_) note(name, kind, order);
        for (auto const& c : changes_) {
            if (!name.empty() && c.name == name) order = weakened(order, c.how, kind);
        }
        for (auto const& with : remedies_) {
            if (with.how == remedy::kind::raise && with.at(r.where))
                order = both_orders(order, with.order);
        }
        return order;
    }
    void note(std::string_view name, site_kind kind, memory_order order) {
        for (auto const& s : seen_) {
            if (s.name == name) return;
        }
        seen_.push_back({std::string{name}, kind, order});
    }

    std::vector<site_change> changes_;
    std::vector<known_site> seen_{};
    std::vector<remedy> remedies_{};
    bool collects_;
    bool active_;
};

}  // namespace detail

}  // namespace mmhold
