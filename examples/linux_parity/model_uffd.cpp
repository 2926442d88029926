// SPDX-License-Identifier: BSL-1.0
// userfaultfd beyond missing private pages.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

namespace {

/// What the ioctls say of a range before they look at the layout.
std::optional<page_span> whole_pages(std::uint64_t at, std::uint64_t bytes, virt_addr end) {
    auto const whole = at % page_bytes == 0 && bytes % page_bytes == 0 && bytes != 0;
    if (!whole || at >= end.value || bytes > end.value - at) return std::nullopt;
    return *page_span::from(virt_addr{at}, page_count{bytes / page_bytes});
}

/// Where the library says bad_address for want of a registered mapping, Linux says ENOENT.
bool is_registered(space_type& mm, page_span span) {
    auto const held = held_shared<space_type::lock_type>::acquire(mm.lock());
    auto const found = mm.find(span.start(), held);
    if (!found) return false;
    auto const& area = found->view(held);
    auto const watched = area.source != nullptr && area.source->kind() == source_kind::userfault;
    return watched && span.end() <= area.span.end();
}

std::int64_t move_pages(faults_type& faults, cpu_type& me, step const& one, page_span from,
                        virt_addr end) {
    if (!whole_pages(one.to, one.bytes, end)) return -EINVAL;
    auto const holes = one.how != 0 ? userfault_holes::allowed : userfault_holes::refused;
    auto const done = faults.move(me, virt_addr{one.to}, from, userfault_wake::now, holes);
    if (done.pages != 0) return static_cast<std::int64_t>(done.pages * page_bytes);
    return done.stop == errc::not_supported ? -ENOENT : -to_errno(done.stop);
}

std::int64_t filled(space_type& mm, page_span span, userfault_filled done) {
    if (done.pages != 0) return static_cast<std::int64_t>(done.pages * page_bytes);
    if (done.stop == errc::bad_address && !is_registered(mm, span)) return -ENOENT;
    return -to_errno(done.stop);
}

}  // namespace

/// `how`: fill and go_on write-protect the pages; move allows holes.
std::int64_t model_process::uffd_step(step const& one) {
    auto const& server = servers_[fault_server_of(one.of)];
    auto* const faults = server.faults.get();
    auto& mm = server.mm != nullptr ? *server.mm : mm_;
    if (faults == nullptr) return -EBADF;
    auto const span = whole_pages(one.at, one.bytes, mm_.limits().end);
    if (!span) return -EINVAL;
    auto const protect = one.how != 0 ? userfault_protection::on : userfault_protection::off;
    constexpr auto now = userfault_wake::now;
    switch (one.what) {
        case op::wp_on:
        case op::wp_off: {
            auto const on = one.what == op::wp_on;
            auto const done = faults->writeprotect(
                me_, *span, on ? userfault_protection::on : userfault_protection::off);
            return done.error() == errc::bad_address ? -ENOENT : linux_value(done);
        }
        case op::go_on: return filled(mm, *span, faults->go_on(me_, *span, now, protect));
        case op::fill: {
            if (one.bytes > most_bytes) return -EINVAL;
            std::ranges::fill(buffer_, std::byte{'f'});
            auto const source = std::span{buffer_}.first(one.bytes);
            return filled(mm, *span, faults->copy(me_, *span, source, now, protect));
        }
        case op::awaken: return linux_value(result<void>{faults->wake(*span).error()});
        case op::zero: return filled(mm, *span, faults->zeropage(me_, *span));
        case op::poison: return filled(mm, *span, faults->poison(me_, *span));
        case op::move: return move_pages(*faults, me_, one, *span, mm_.limits().end);
        default: return linux_value(faults->unregister_range(me_, *span));
    }
}

std::int64_t model_process::map_uffd(step const& one) {
    auto request = plain_request(one);
    auto const minor = one.of == memory::faults_minor;
    if (minor) {
        request = request_of_object(one, request);
        objects_.pop_back();  // nobody changes its length
    }
    auto const got = mapped(request);
    if (!got) return linux_value(got);
    auto const span = page_span::from(*got, request.pages);
    userfault_modes modes = minor ? userfault_mode::minor : userfault_mode::missing;
    if (one.of == memory::faults_wp) modes = modes.with(userfault_mode::write_protect);
    return linux_value(opened(one.of).register_range(me_, *span, modes));
}

/// The features a descriptor of this kind of memory is opened with.
userfault_features model_process::features_for(memory of) {
    using enum userfault_feature;
    if (of == memory::faults_removed) return event_remove;
    if (is_told(of)) return {event_fork, event_remap, event_remove, event_unmap};
    if (of == memory::faults_wp) return wp_unpopulated;
    return {};
}

bool model_pager::serve_other(userfault_event const& event) {
    auto const page = *page_span::from(event.address.page_start(), page_count{1});
    if (event.flags.has(userfault_event_flag::write_protect)) {
        (void)faults_.writeprotect(me_, page, userfault_protection::off);
        return true;
    }
    if (!event.flags.has(userfault_event_flag::minor)) return false;
    if (faults_.go_on(me_, page).pages == 0) (void)faults_.wake(page);
    return true;
}

}  // namespace parity
