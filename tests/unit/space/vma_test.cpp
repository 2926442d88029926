// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/vma.hpp>

#include "support/catch.hpp"

#include <csignal>
#include <cstdint>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

using namespace mmhold;

namespace {

page_span pages(std::uint64_t first, std::uint64_t count) {
    return *page_span::from(virt_addr{first * page_size}, page_count{count});
}

vma file_mapping(page_span span, std::uint64_t file_page) {
    vma area;
    area.span = span;
    area.prot = prot::r;
    area.kind = vma_kind::file;
    area.file = 7;
    area.file_page = file_page;
    return area;
}

/// Does `act` end the program? Tried on a copy of it.
template<class Act>
bool stops(Act act) {
    auto const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (auto const signal : {SIGILL, SIGTRAP, SIGABRT}) std::signal(signal, SIG_DFL);
        act();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return status != 0;
}

constexpr bool view_works_in_constant_evaluation() {
    rw_lock<constexpr_machine> lock;
    vma const area{};
    std::uint64_t const version = 3;
    vma_ref const found{lock, area, version};
    auto const shared = held_shared<rw_lock<constexpr_machine>>::acquire(lock);
    return &found.view(shared) == &area;
}
static_assert(view_works_in_constant_evaluation());

}  // namespace

TEST_CASE("a name keeps the end of what does not fit") {
    CHECK(vma_name{}.view().empty());
    CHECK(vma_name{"[heap]"}.view() == "[heap]");
    constexpr std::string_view path = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30";
    CHECK(vma_name{path}.view() == path.substr(path.size() - 31));
    CHECK(vma_name{"[heap]"} == vma_name{"[heap]"});
    CHECK_FALSE(vma_name{"[heap]"} == vma_name{"[stack]"});
}

TEST_CASE("a part of a file mapping knows its place in the file, anonymous memory has none") {
    auto const whole = file_mapping(pages(100, 10), 40);
    CHECK(whole.cut_to(pages(103, 2)).file_page == 43);
    CHECK(whole.cut_to(pages(103, 2)).span == pages(103, 2));
    vma anonymous;
    anonymous.span = pages(100, 10);
    CHECK(anonymous.cut_to(pages(105, 5)).file_page == 0);
}

TEST_CASE("mappings that touch and are alike merge") {
    vma lower;
    lower.span = pages(10, 2);
    auto upper = lower;
    upper.span = pages(12, 3);
    CHECK(mergeable(lower, upper));
    CHECK_FALSE(mergeable(upper, lower));
    SECTION("not with a hole between them") {
        upper.span = pages(13, 3);
        CHECK_FALSE(mergeable(lower, upper));
    }
    SECTION("not with other rights, flags, keys, names") {
        auto other = upper;
        other.prot = prot::r;
        CHECK_FALSE(mergeable(lower, other));
        other = upper;
        other.flags = vma_flag::locked;
        CHECK_FALSE(mergeable(lower, other));
        other = upper;
        other.pkey = 1;
        CHECK_FALSE(mergeable(lower, other));
        other = upper;
        other.name = vma_name{"[anon:jit]"};
        CHECK_FALSE(mergeable(lower, other));
    }
    SECTION("not device memory, nor what the kernel has put there") {
        for (auto const flag : {vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand}) {
            lower.flags = upper.flags = flag;
            CHECK_FALSE(mergeable(lower, upper));
        }
        lower.flags = upper.flags = {};
        lower.kind = upper.kind = vma_kind::vdso;
        CHECK_FALSE(mergeable(lower, upper));
    }
}

TEST_CASE("file mappings merge only where the file goes on") {
    CHECK(mergeable(file_mapping(pages(10, 2), 5), file_mapping(pages(12, 1), 7)));
    CHECK_FALSE(mergeable(file_mapping(pages(10, 2), 5), file_mapping(pages(12, 1), 5)));
}

TEST_CASE("4.1 what counts as anonymous and as copy-on-write") {
    vma area;
    CHECK(is_anonymous(area));
    CHECK(is_cow_mapping(area));
    area.kind = vma_kind::heap;
    CHECK(is_anonymous(area));
    area.kind = vma_kind::stack;
    CHECK(is_anonymous(area));
    area.kind = vma_kind::file;
    CHECK_FALSE(is_anonymous(area));
    CHECK(is_cow_mapping(area));
    area.may = prot::rx;
    CHECK_FALSE(is_cow_mapping(area));
    area.may = prot::rwx;
    area.flags = vma_flag::shared;
    CHECK_FALSE(is_cow_mapping(area));
    area.kind = vma_kind::anonymous;
    CHECK_FALSE(is_anonymous(area));
}

TEST_CASE("what MADV_DONTNEED may throw away") {
    vma area;
    CHECK(can_be_discarded(area));
    for (auto const flag : {vma_flag::locked, vma_flag::pfnmap, vma_flag::hugetlb}) {
        area.flags = flag;
        CHECK_FALSE(can_be_discarded(area));
    }
}

TEST_CASE("6.2 row 15: a vma is viewed with a witness of its own lock, of either kind") {
    rw_lock<checked_host_machine> lock;
    vma area;
    area.pkey = 9;
    std::uint64_t const version = 0;
    vma_ref const found{lock, area, version};
    using L = rw_lock<checked_host_machine>;
    {
        auto const held = held_shared<L>::acquire(lock);
        CHECK(found.view(held).pkey == 9);
    }
    auto const held = held_exclusive<L>::acquire(lock);
    CHECK(found.view(held).pkey == 9);
}

TEST_CASE("6.2 row 15: an old vma_ref under a new hold stops the program") {
    using L = rw_lock<checked_host_machine>;
    L lock;
    L other_lock;
    vma const area{};
    std::uint64_t version = 5;
    vma_ref const found{lock, area, version};
    auto held = held_shared<L>::acquire(lock);
    auto const foreign = held_shared<L>::acquire(other_lock);
    CHECK_FALSE(stops([&] { (void)found.view(held); }));
    CHECK(stops([&] { (void)found.view(foreign); }));
    version = 6;  // somebody has changed the layout
    CHECK(stops([&] { (void)found.view(held); }));
    version = 5;
    auto const dropped = held.give_up();
    CHECK(dropped.of(lock));
    CHECK(stops([&] { (void)found.view(held); }));
}

TEST_CASE("sources know what they are") {
    struct custom : fault_source {
        constexpr custom() noexcept : fault_source{source_kind::custom} {}
    };
    custom source;
    fault_source const& base = source;
    CHECK(base.kind() == source_kind::custom);
}

TEST_CASE("a mapping of an object has page numbers, and merges only with more of it") {
    struct nothing : memory_object {
        nothing() : memory_object{object_kind::file} {}
    } one, other;
    CHECK(one.kind() == object_kind::file);
    vma area;
    area.span = pages(10, 4);
    CHECK_FALSE(area.has_file_pages());
    area.object = &one;
    area.file_page = 100;
    CHECK(area.has_file_pages());
    CHECK(area.file_page_at(virt_addr{12 * page_size}) == 102);
    auto const upper = area.cut_to(pages(12, 2));
    CHECK(upper.file_page == 102);
    auto const lower = area.cut_to(pages(10, 2));
    CHECK(mergeable(lower, upper));
    auto foreign = upper;
    foreign.object = &other;
    CHECK_FALSE(mergeable(lower, foreign));
}
