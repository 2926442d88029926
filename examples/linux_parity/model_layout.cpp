// SPDX-License-Identifier: BSL-1.0
// What prepares the ground: mmap and its kinds of memory, userfaultfd, fork, pipes that are kept.
#include <mmhold/callers/madvise.hpp>
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/space/fork.hpp>

#include "model_process.hpp"
#include <algorithm>
#include <cerrno>

namespace parity {

void model_pager::serve() {
    std::array<std::byte, page_bytes> page{};
    page.fill(std::byte{'u'});
    for (;;) {
        auto const event = faults_.wait_event(me_.current(), wait_mode::killable);
        if (!event) return;
        if (event->kind != userfault_event_kind::fault) continue;
        ++events_;
        if (serve_other(*event)) continue;
        auto const span = page_span::from(event->address.page_start(), page_count{1});
        (void)faults_.copy(me_, *span, page);
    }
}

model_process::~model_process() {
    (void)let_go();
    reap();
    drain();
    for (auto& server : servers_) close(server);
    for (auto& server : closed_) server.pager.reset();
    if (first_) {
        end_child();
        mm_.exit(me_);
    }
    end_specials();
}

bool model_process::take_event(memory of, std::uint64_t& at) {
    auto const& server = servers_[fault_server_of(of)];
    auto const event = server.faults ? server.faults->read_event() : std::nullopt;
    if (!event) return false;
    ++events_;
    at = event->address.value;
    return true;
}

std::int64_t model_process::layout(step const& one) {
    if (names_server(one.what) && !has_faults(one.of)) return -EINVAL;
    switch (area_of(one.what)) {
        case area::core: return core_step(one);
        case area::advice: return advice_step(one);
        case area::remap: return remap_step(one);
        case area::uffd: return uffd_step(one);
        case area::large: return large_step(one);
        case area::told: return told_step(one);
        case area::special: break;
    }
    return -ENOSYS;
}

std::int64_t model_process::core_step(step const& one) {
    user_range const range{virt_addr{one.at}, one.bytes};
    switch (one.what) {
        case op::map: return map(one);
        case op::close_faults: return close(servers_[fault_server_of(one.of)]), 0;
        case op::fork: return one.how == fork_reader ? start_reader(one) : start_child(one.how);
        case op::reap: return reap();
        case op::keep: return keep(range);
        case op::drain: return drain();
        case op::register_buffers: return register_buffers(range);
        case op::let_go: return let_go();
        case op::truncate: return truncate(one);
        default: return range_step(one);
    }
}

/// munmap, mprotect, MADV_DONTNEED: what each says of a range before it looks at the layout.
std::int64_t model_process::range_step(step const& one) {
    if (one.at % page_bytes != 0) return -EINVAL;
    if (one.bytes == 0) return one.what == op::unmap ? -EINVAL : 0;
    auto const pages = one.bytes / page_bytes + (one.bytes % page_bytes != 0 ? 1 : 0);
    auto const span = page_span::from(virt_addr{one.at}, page_count{pages});
    if (!span) return one.what == op::protect ? -ENOMEM : -EINVAL;
    if (one.what == op::unmap) {
        if (where_.bug == planted_bug::lost_frame) (void)frames_.allocate(frame_kind::anonymous);
        return unmap(*span);
    }
    if (one.what == op::discard) {
        auto const forgets = where_.bug == planted_bug::short_discard && pages > 1;
        auto const gone = forgets ? *page_span::from(span->start(), page_count{pages - 1}) : *span;
        return linux_value(discard(me_, mm_, gone, discard_how::now));
    }
    return linux_value(mm_.mprotect(me_, *span, rights(one.prot)));
}

/// One registration at a time, as io_uring has it.
std::int64_t model_process::register_buffers(user_range range) {
    if (has_registered_) return -EBUSY;
    registered_.resize(most_bytes / page_bytes + 1);
    auto const got = uring_register(mm_, me_, range, registered_);
    registered_.resize(got.value_or(0));
    has_registered_ = got.has_value();
    return got ? 0 : linux_value(got);
}

std::int64_t model_process::let_go() {
    if (!has_registered_) return -ENXIO;
    unpin(frames_, std::span<pfn const>{registered_});
    registered_.clear();
    has_registered_ = false;
    return 0;
}

/// What was mapped last at this place gets another length.
std::int64_t model_process::truncate(step const& one) {
    for (auto i = objects_.size(); i-- > 0;) {
        auto& known = objects_[i];
        if (one.at < known.at || one.at >= known.at + known.bytes) continue;
        known.size = size_after(known.of, known.size, one.to_bytes);
        if (is_hugetlbfs(known.of)) {
            if (one.to_bytes % large_bytes != 0) return -EINVAL;
            return known.hugetlb == nullptr ? 0
                                            : linux_value(known.hugetlb->resize(me_, one.to_bytes));
        }
        return linux_value(known.object->resize(me_, known.size));
    }
    return -EBADF;
}

space_type& model_process::new_child() {
    children_.push_back(std::make_unique<space_type>(frames_, tables_, domain_));
    if (where_.has_swap) children_.back()->use_swap(world_.swap);
    return *children_.back();
}

std::int64_t model_process::start_child(unsigned how) {
    auto& child = new_child();
    auto const forked = mmhold::fork(me_, mm_, child);
    if (!forked || how == 0) return linux_value(forked);
    auto const again = mmhold::fork(me_, child, new_child());
    if (how == 2) child.exit(me_);
    return linux_value(again);
}

std::int64_t model_process::reap() {
    for (auto& child : children_) child->exit(me_);
    children_.clear();
    return 0;
}

/// Sixteen pages go into the pipe.
std::int64_t model_process::keep(user_range range) {
    std::array<pfn, 16> slots{};
    auto const room = std::span{slots}.first(slots.size() - kept_.size());
    auto const got = vmsplice(mm_, me_, range, room);
    auto offset = range.start.offset();
    for (std::uint64_t done = 0; got && done < *got;) {
        auto const here = std::min(page_bytes - offset, *got - done);
        kept_.push_back({room[detail::pages_touched(range.start, done + 1) - 1], offset, here});
        done += here;
        offset = 0;
    }
    return linux_value(got);
}

std::int64_t model_process::drain() {
    std::size_t size = 0;
    for (auto const& part : kept_) {
        auto const to = std::span{buffer_}.subspan(size, part.bytes);
        copy_from_pages(frames_, std::span{&part.page, 1}, part.offset, to);
        frames_.put(part.page);
        size += part.bytes;
    }
    kept_.clear();
    if (size != 0) digest_ = digest(std::span{buffer_}.first(size));
    return static_cast<std::int64_t>(size);
}

std::int64_t model_process::map(step const& one) {
    if (lies_in_large_arena(one)) large_in_use_ = true;
    switch (area_of(one.of)) {
        case area::core: return map_core(one);
        case area::advice: return map_advice(one);
        case area::uffd: return map_uffd(one);
        case area::large: return map_large(one);
        case area::special: return map_special(one);
        case area::remap:
        case area::told: break;
    }
    return -ENOSYS;
}

mmap_request model_process::plain_request(step const& one) {
    mmap_request request{.hint = virt_addr{one.at},
                         .pages = page_count{one.bytes / page_bytes},
                         .prot = rights(one.prot),
                         .flags = mmap_flag::fixed};
    request.flags = request.flags.with_if(is_shared(one.of), mmap_flag::shared);
    return request;
}

std::int64_t model_process::map_core(step const& one) {
    if (one.of == memory::device) return map_device();
    auto request = plain_request(one);
    if (one.of == memory::stack) request.properties = vma_flag::grows_down;
    if (has_object(one.of)) request = request_of_object(one, request);
    if (one.of == memory::secret) {
        // A file that nobody may execute.
        if (request.prot.has(protection_bit::execute)) return -EPERM;
        request.may = prot::rw;
        request.properties = {vma_flag::secret, vma_flag::locked, vma_flag::dont_dump};
    }
    auto const got = mapped(request);
    if (!got && has_object(one.of)) objects_.pop_back();
    if (!got || !has_faults(one.of)) return got ? 0 : linux_value(got);
    auto const span = page_span::from(*got, request.pages);
    return linux_value(opened(one.of).register_range(me_, *span));
}

/// An object with the step's pattern as its contents, all of it cached.
mmap_request model_process::request_of_object(step const& one, mmap_request const& plain) {
    auto const size = object_bytes_of(one.of, one.bytes);
    object_type* object = nullptr;
    if (is_on_disk(one.of)) {
        files_.push_back(std::make_unique<file_type>(frames_, size, dirty_tracking::on));
        object = files_.back().get();
    } else {
        memfds_.push_back(std::make_unique<object_type>(frames_, object_kind::shmem, size));
        object = memfds_.back().get();
    }
    objects_.push_back({one.at, one.bytes, object, one.of, size});
    std::vector<std::byte> contents(size);
    fill_pattern(contents, seed_);
    for (std::uint64_t index = 0; index < size / page_bytes; ++index) {
        auto const page = object->allocate();
        if (!page) break;
        std::ranges::copy(std::span{contents}.subspan(index * page_bytes, page_bytes),
                          frames_.bytes(*page).begin());
        (void)object->add(index, *page);
        frames_.mark_dirty(*page);  // it has just been written to
        frames_.put(*page);
    }
    auto request = object->request(0, plain.pages, plain.prot, plain.flags);
    request.hint = plain.hint;
    return request;
}

/// Frame numbers without frames behind them; the first page is mapped from the start.
std::int64_t model_process::map_device() {
    auto const pages = std::max<std::uint64_t>(where_.device_pages, 1);
    mmap_request const request{.hint = virt_addr{where_.device_at},
                               .pages = page_count{pages},
                               .prot = prot::r,
                               .flags = mmap_flag::fixed,
                               .kind = vma_kind::vvar,
                               .may = prot::r,
                               .properties = {vma_flag::io, vma_flag::pfnmap}};
    auto const got = mapped(request);
    if (!got) return linux_value(got);
    auto leaf = page_entry::leaf_to(pfn{7}, prot::r);
    leaf.special = true;
    return linux_value(mm_.table().map(me_, *got, leaf, 0));
}

faults_type& model_process::opened(memory of) {
    auto& server = servers_[fault_server_of(of)];
    if (!server.faults) {
        auto features = features_for(of);
        features = features.with_if(of == memory::faults_bus, userfault_feature::sigbus);
        features = features.with_if(of == memory::faults_user, userfault_feature::user_mode_only);
        server.faults = std::make_unique<faults_type>(mm_, features);
        if (of != memory::faults_bus && !by_hand_)
            server.pager = std::make_unique<model_pager>(mm_, *server.faults);
    }
    return *server.faults;
}

void model_process::close(fault_server& server) {
    if (!server.faults) return;
    (void)server.faults->close(me_);
    if (server.pager) events_ += server.pager->events();
    closed_.push_back(std::move(server));
    closed_.back().pager.reset();
    server = {};
}

std::uint32_t model_process::events_so_far() const {
    auto sum = events_;
    for (auto const& server : servers_) {
        if (server.pager) sum += server.pager->events();
    }
    return sum;
}

}  // namespace parity
