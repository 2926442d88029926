// SPDX-License-Identifier: BSL-1.0
// What drivers and the kernel map.
#include <mmhold/fault/special.hpp>

#include "model_process.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>

namespace parity {

namespace {

using backing = special_page::backing;

/// Nobody may execute what a driver maps, and it is never merged. Only a ring's driver wants to say
/// where.
constexpr special_traits ring_traits{.properties = {vma_flag::dont_expand, vma_flag::driver_places},
                                     .may = prot::rw};
constexpr special_traits perf_traits{
    .properties = {vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand, vma_flag::dont_fork,
                   vma_flag::unsplittable},
    .may = prot::rw};
constexpr special_traits vdso_traits{.kind = vma_kind::vdso,
                                     .properties = {vma_flag::dont_expand, vma_flag::unsplittable}};

}  // namespace

/// A driver whose pages are put in place when it is mapped. All are there then.
class model_driver final : public special_source<space_type> {
public:
    model_driver(space_type& in, special_traits const& traits)
        : special_source{in, traits}, is_perf_{traits.properties.has(vma_flag::pfnmap)} {}

private:
    result<special_page> page_behind(std::uint64_t) override { return errc::bad_address; }
    /// Perf takes a write to its control page only, and others have nothing to ask for.
    result<void> admit_write(std::uint64_t index) override {
        return index == 0 || !is_perf_ ? errc::ok : errc::bad_address;
    }

    bool is_perf_;
};

struct model_specials {
    std::vector<pfn> frames{};  ///< of all drivers, and of the vdso
    std::vector<std::unique_ptr<model_driver>> drivers{};
    std::unique_ptr<special_frames<space_type>> vdso{};
    std::vector<pfn> vdso_pages{};
};

void specials_deleter::operator()(model_specials* those) const { delete those; }

model_specials& model_process::specials() {
    if (!specials_) specials_.reset(new model_specials);
    return *specials_;
}

/// The space is gone, and with it all entries.
void model_process::end_specials() {
    if (!specials_) return;
    for (auto const page : specials_->frames) frames_.put(page);
    specials_.reset();
}

std::int64_t model_process::map_special(step const& one) {
    switch (one.of) {
        case memory::file_ro: return map_read_only(one);
        case memory::dev_zero: return map_dev_zero(one);
        case memory::ring: return map_driver(one, ring_traits);
        case memory::perf: return map_driver(one, perf_traits);
        default: return map_vdso();
    }
}

std::int64_t model_process::map_read_only(step const& one) {
    auto request = request_of_object(one, plain_request(one));
    auto const read_only =
        static_cast<object_type*>(request.object)
            ->request(0, request.pages, request.prot, request.flags, descriptor_rights::read_only);
    request.may = read_only.may;
    auto const allowed = request.prot.without(request.may).empty();
    auto const answer = allowed ? linux_value(result<void>{mapped(request).error()}) : -EACCES;
    if (answer != 0) objects_.pop_back();
    return answer;
}

/// Memory of its own, though there is a file.
std::int64_t model_process::map_dev_zero(step const& one) {
    auto request = plain_request(one);
    request.file = 1000 + seed_;  // each has been opened for itself
    request.properties = request.properties.with(vma_flag::driver_is_asked);
    return linux_value(mapped(request));
}

std::int64_t model_process::map_driver(step const& one, special_traits const& traits) {
    auto const plain = plain_request(one);
    if (!plain.prot.without(traits.may).empty()) return -EPERM;
    auto const numbers = traits.properties.has(vma_flag::pfnmap);
    auto const data = plain.pages.value - 1;
    if (numbers && data != 0 && !std::has_single_bit(data)) {
        // A length that perf refuses; but by then what was mapped there is gone (6.18).
        (void)mm_.munmap(me_, *page_span::from(plain.hint, plain.pages));
        return -EINVAL;
    }
    auto& drivers = specials().drivers;
    auto& driver = *drivers.emplace_back(std::make_unique<model_driver>(mm_, traits));
    auto request = driver.request(0, plain.pages, plain.prot, plain.flags);
    request.hint = plain.hint;
    auto const got = mapped(request);
    if (!got) return linux_value(got);
    std::vector<std::byte> contents(one.bytes);
    fill_pattern(std::span{contents}.first(numbers ? page_bytes : one.bytes), seed_);
    auto const held = held_shared<space_type::lock_type>::acquire(mm_.lock());
    for (std::uint64_t i = 0; i < plain.pages.value; ++i) {
        auto const page = special_frame(std::span{contents}.subspan(i * page_bytes, page_bytes));
        if (!page) return linux_value(page);
        auto const at = got->plus_pages(i);
        auto const put = numbers ? insert_number(held, me_, mm_, at, *page, insert_as::read_only)
                                 : insert_page(held, me_, mm_, at, *page);
        if (!put) return linux_value(put);
    }
    return 0;
}

result<pfn> model_process::special_frame(std::span<std::byte const> contents) {
    auto const page = frames_.allocate(frame_kind::other);
    if (!page) return page;
    std::ranges::copy(contents, frames_.bytes(*page).begin());
    specials().frames.push_back(*page);
    return page;
}

/// With what is in the vdso of this very process.
std::int64_t model_process::map_vdso() {
    auto& own = specials();
    if (own.vdso || where_.vdso_at == 0) return 0;
    auto const* const code = reinterpret_cast<std::byte const*>(where_.vdso_at);
    for (std::uint64_t i = 0; i < where_.vdso_pages; ++i) {
        auto const page = special_frame(std::span{code + i * page_bytes, page_bytes});
        if (!page) return linux_value(page);
        own.vdso_pages.push_back(*page);
    }
    own.vdso = std::make_unique<special_frames<space_type>>(mm_, own.vdso_pages, vdso_traits);
    auto request = own.vdso->request(0, page_count{where_.vdso_pages}, prot::rx);
    request.hint = virt_addr{where_.vdso_at};
    request.flags = mmap_flag::fixed;
    return linux_value(mapped(request));
}

}  // namespace parity
