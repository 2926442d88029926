// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

namespace {

constexpr unsigned r = 1, rw = 3;

/// The odd page is one of a large one, and so is its neighbour: there is no other page.
class large_rows {
public:
    explicit large_rows(std::vector<kind>& out) : out_{out} {}
    void add(char const* name, script steps) {
        out_.push_back({.name = name,
                        .prepare = std::move(steps),
                        .odd_first = large_page(512 + 510),
                        .has_neighbours = false});
    }

private:
    std::vector<kind>& out_;
};

step on_leaf(op what, unsigned prot = rw, memory of = memory::own) {
    return {what, of, prot, large_page(512), large_bytes};
}
step on_page(op what, std::uint64_t number) {
    return {what, memory::own, rw, large_page(512 + number), page_bytes};
}

void add_transparent(large_rows out) {
    auto const mapped = on_leaf(op::map, rw, memory::large);
    auto const stored = on_page(op::store, 510);
    out.add("thp", {mapped, stored});
    out.add("thp_untouched", {mapped});
    out.add("thp_zeroes", {mapped, on_page(op::load, 1)});
    out.add("thp_dontneed", {mapped, stored, on_leaf(op::discard)});
    out.add("thp_ro", {mapped, stored, on_leaf(op::protect, r)});
    out.add("thp_ro_untouched", {on_leaf(op::map, r, memory::large)});
    out.add("thp_none", {mapped, stored, on_leaf(op::protect, 0)});
    out.add("thp_pte_mapped", {mapped, stored, on_page(op::discard, 3)});
    out.add("thp_single_pte",
            {mapped, stored, {op::discard, memory::own, rw, large_page(512), 510 * page_bytes}});
    out.add("thp_cow_shared", {mapped, stored, on_leaf(op::fork)});
    out.add("thp_cow_child_gone", {mapped, stored, on_leaf(op::fork), on_leaf(op::reap)});
    out.add("thp_pte_mapped_cow_shared",
            {mapped, stored, on_page(op::discard, 3), on_leaf(op::fork)});
    out.add("thp_pte_mapped_cow_child_gone",
            {mapped, stored, on_page(op::discard, 3), on_leaf(op::fork), on_leaf(op::reap)});
    out.add("thp_zeroes_pte_mapped", {mapped, on_page(op::load, 1), on_page(op::discard, 3)});
}

void add_collapsed(large_rows out) {
    auto const mapped = on_leaf(op::map);
    auto const stored = on_page(op::store, 510);
    auto const collapsed = on_leaf(op::collapse);
    out.add("collapsed_before_fork", {mapped, stored, collapsed, on_leaf(op::fork)});
    out.add("collapsed_fully_shared", {mapped, stored, on_leaf(op::fork), collapsed});
    out.add("collapsed_half_shared",
            {mapped, stored, on_leaf(op::fork), on_page(op::store, 1), collapsed});
}

void add_hugetlb(large_rows out) {
    auto const own = on_leaf(op::map, rw, memory::hugetlb);
    auto const shared = on_leaf(op::map, rw, memory::hugetlb_shared);
    auto const stored = on_page(op::store, 510);
    auto const read_only = on_leaf(op::protect, r);
    out.add("hugetlb_rw", {own, stored});
    out.add("hugetlb_untouched", {own});
    out.add("hugetlb_ro_private", {own, stored, read_only});
    out.add("hugetlb_ro_private_untouched", {on_leaf(op::map, r, memory::hugetlb)});
    out.add("hugetlb_shared", {shared, stored});
    out.add("hugetlb_ro_shared", {shared, stored, read_only});
    out.add("hugetlb_ro_shared_untouched", {on_leaf(op::map, r, memory::hugetlb_shared)});
    out.add("hugetlb_dontneed", {own, stored, on_leaf(op::discard)});
    out.add("hugetlb_none", {own, stored, on_leaf(op::protect, 0)});
    out.add("hugetlb_cow_shared", {own, stored, on_leaf(op::fork)});
    out.add("hugetlb_cow_child_gone", {own, stored, on_leaf(op::fork), on_leaf(op::reap)});
    for (auto const of : {memory::hugetlbfs, memory::hugetlbfs_own}) {
        auto const name = std::string{name_of(of)};
        auto const file = on_leaf(op::map, rw, of);
        out.add((name + "_behind_end").c_str(), {file, stored, on_leaf(op::truncate)});
        out.add((name + "_hole").c_str(), {file, stored, on_leaf(op::punch)});
    }
}

}  // namespace

void add_large_kinds(std::vector<kind>& out) {
    add_transparent(large_rows{out});
    add_collapsed(large_rows{out});
    add_hugetlb(large_rows{out});
}

}  // namespace parity
