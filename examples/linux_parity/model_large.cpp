// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include <mmhold/fault/collapse_large.hpp>

#include "model_process.hpp"
#include <algorithm>
#include <cerrno>

namespace parity {

/// MADV_COLLAPSE.
std::int64_t model_process::large_step(step const& one) {
    if (one.at % page_bytes != 0) return -EINVAL;
    auto const pages = one.bytes / page_bytes + (one.bytes % page_bytes != 0 ? 1 : 0);
    auto const span = page_span::from(virt_addr{one.at}, page_count{pages});
    if (!span) return -EINVAL;
    if (pages == 0) return 0;
    return linux_value(collapse_large(me_, mm_, *span));
}

std::int64_t model_process::map_large(step const& one) {
    auto request = plain_request(one);
    if (one.of == memory::large) {
        request.properties = vma_flag::large_advised;
        auto const got = mapped(request);
        return got ? 0 : linux_value(got);
    }
    if (!hugetlb_pool_) {
        hugetlb_pool_ = std::make_unique<hugetlb_pool<machine>>(frames_, hugetlb_pages_reserved);
    }
    forget_unmapped_hugetlb();
    auto const leaves = (one.bytes + large_bytes - 1) / large_bytes;  // mmap rounds up
    request.pages = page_count{leaves * hugetlb_pages};
    hugetlb_objects_.push_back(std::make_unique<hugetlb_object<machine>>(*hugetlb_pool_, leaves));
    auto const got = map_hugetlb(me_, mm_, *hugetlb_objects_.back(), request);
    return got ? 0 : linux_value(got);
}

/// What nothing maps any more has no reservation on Linux.
void model_process::forget_unmapped_hugetlb() {
    std::vector<fault_source*> mapped;
    auto const look = [&](space_type& mm) {
        auto const held = held_shared<config::lock>::acquire(mm.lock());
        mm.for_each_vma(held, [&](vma const& area) { mapped.push_back(area.source); });
    };
    look(mm_);
    for (auto& child : children_) look(*child);
    std::erase_if(hugetlb_objects_, [&](auto const& object) {
        return std::ranges::find(mapped, object.get()) == mapped.end();
    });
}

}  // namespace parity
