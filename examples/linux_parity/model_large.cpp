// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include <mmhold/fault/collapse_large.hpp>

#include "model_process.hpp"
#include <algorithm>
#include <cerrno>

namespace parity {

/// A hole in what was mapped last at this place, as far from its start as the step says.
std::int64_t model_process::punch(step const& one) {
    for (auto i = objects_.size(); i-- > 0;) {
        auto const& known = objects_[i];
        if (one.at < known.at || one.at >= known.at + known.bytes) continue;
        if (is_on_disk(known.of)) break;
        if (one.bytes == 0 || one.bytes >> 63U != 0) return -EINVAL;
        auto const from = one.at - known.at;
        if (!is_hugetlbfs(known.of)) {
            return linux_value(known.object->punch(me_, from, one.bytes));
        }
        return known.hugetlb == nullptr ? 0
                                        : linux_value(known.hugetlb->punch(me_, from, one.bytes));
    }
    return -EBADF;
}

std::int64_t model_process::large_step(step const& one) {
    if (one.what == op::punch) return punch(one);
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
    hugetlb_objects_.push_back(
        std::make_unique<hugetlb_object<space_type>>(*hugetlb_pool_, leaves));
    auto& object = *hugetlb_objects_.back();
    auto const got = map_hugetlb(me_, mm_, object, request);
    if (!got) return linux_value(got);
    if (is_hugetlbfs(one.of)) {
        auto const size = object_bytes_of(one.of, one.bytes);
        objects_.push_back({one.at, one.bytes, nullptr, one.of, size, &object});
    }
    return 0;
}

/// What nothing maps any more has no reservation on Linux; a shared file has, as long as it is open.
void model_process::forget_unmapped_hugetlb() {
    std::vector<memory_object*> mapped;
    auto const look = [&](space_type& mm) {
        auto const held = held_shared<config::lock>::acquire(mm.lock());
        mm.for_each_vma(held, [&](vma const& area) { mapped.push_back(area.object); });
    };
    look(mm_);
    for (auto& child : children_) look(*child);
    for (auto const& known : objects_) {
        if (known.of == memory::hugetlbfs) mapped.push_back(known.hugetlb);
    }
    auto const is_mapped = [&](auto* object) {
        return std::ranges::find(mapped, object) != mapped.end();
    };
    for (auto& known : objects_) {
        if (!is_mapped(known.hugetlb)) known.hugetlb = nullptr;
    }
    std::erase_if(hugetlb_objects_, [&](auto const& object) { return !is_mapped(object.get()); });
}

}  // namespace parity
