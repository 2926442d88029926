// SPDX-License-Identifier: BSL-1.0
// A process and its child who share private hugetlb, when the pool has no page left: on the running
// kernel and in the model, which must say the same. (What random scripts do to hugetlb is compared
// by mmhold_kernel_oracle, from a pool that is never empty.)
#include "support/catch.hpp"
#include "support/skip.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/hugetlb_object.hpp>

#include "../../examples/linux_parity/free_hugetlb.hpp"
#include "family_process.hpp"
#include <array>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/mman.h>

using namespace mmhold;
using namespace mmhold_test;

namespace {

constexpr std::uint64_t leaf_bytes = 512 * page_size;
constexpr std::uint64_t mapped_leaves = 2;
constexpr std::uint64_t pool_leaves = 3;

constexpr auto parent = actor::parent;
constexpr auto child = actor::child;
constexpr int bus = -2;  ///< answered by SIGBUS

sigjmp_buf back_from_signal;
void on_bus(int) { siglongjmp(back_from_signal, 1); }

/// The real one; lives in a process of its own, whose child answers over a socket.
class linux_family {
public:
    linux_family() : base_{map(mapped_leaves)} { (void)signal(SIGBUS, on_bus); }

    int store(actor who, std::uint64_t leaf, int value) { return ask(who, {leaf, value}); }
    int load(actor who, std::uint64_t leaf) { return ask(who, {leaf, failed}); }
    int discard(std::uint64_t leaf) {
        return madvise(base_ + leaf * leaf_bytes, leaf_bytes, MADV_DONTNEED) == 0 ? 0 : failed;
    }
    int unmap(std::uint64_t leaf) {
        return munmap(base_ + leaf * leaf_bytes, leaf_bytes) == 0 ? 0 : failed;
    }
    /// So many pages are promised to somebody else.
    int hoard(std::uint64_t leaves) {
        hoarded_ = leaves;
        hoard_ = map(leaves);
        return hoard_ != nullptr ? 0 : failed;
    }
    int end_hoard() { return munmap(hoard_, hoarded_ * leaf_bytes) == 0 ? 0 : failed; }

    int fork() {
        return child_.start([this](request const& what) { return perform(what); }) ? 0 : failed;
    }
    int child_exits() {
        child_.end();
        return 0;
    }

private:
    struct request {
        std::uint64_t leaf;
        int value;  ///< failed: it is a load
    };

    static char* map(std::uint64_t leaves) {
        constexpr int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
        auto* const got = mmap(nullptr, leaves * leaf_bytes, PROT_READ | PROT_WRITE, how, -1, 0);
        return got == MAP_FAILED ? nullptr : static_cast<char*>(got);
    }
    int ask(actor who, request const& what) {
        return who == parent ? perform(what) : child_.ask(what, failed);
    }
    int perform(request const& what) {
        auto volatile* const byte = base_ + what.leaf * leaf_bytes;
        if (sigsetjmp(back_from_signal, 1) != 0) return bus;
        if (what.value == failed) return *byte;
        *byte = static_cast<char>(what.value);
        return 0;
    }

    char* base_;
    char* hoard_{nullptr};
    std::uint64_t hoarded_{0};
    asked_child<request> child_{};
};

/// The model.
class model_family {
public:
    using machine = checked_host_machine;
    using config = default_config<machine>;
    using space_type = address_space<config>;
    using object_type = hugetlb_object<space_type>;

    model_family() {
        mmap_request request{.hint = base, .pages = {mapped_leaves * hugetlb_pages}};
        request.flags = mmap_flag::fixed;
        (void)map_hugetlb(me_, parent_, *object_, request);
    }
    ~model_family() {
        (void)child_exits();
        parent_.exit(me_);
    }

    int store(actor who, std::uint64_t leaf, int value) {
        std::array const byte{static_cast<std::byte>(value)};
        return said(write_user(space(who), me_, at(leaf), byte));
    }
    int load(actor who, std::uint64_t leaf) {
        std::array<std::byte, 1> byte{};
        auto const got = read_user(space(who), me_, at(leaf), byte);
        return got.why == trap::none ? static_cast<int>(byte[0]) : said(got);
    }
    int discard(std::uint64_t leaf) {
        return parent_.dontneed(me_, *page_span::from(at(leaf), {hugetlb_pages})) ? 0 : failed;
    }
    int unmap(std::uint64_t leaf) {
        return parent_.munmap(me_, *page_span::from(at(leaf), {hugetlb_pages})) ? 0 : failed;
    }
    int hoard(std::uint64_t leaves) {
        hoard_.emplace(pool_, leaves);
        return hoard_->valid() ? 0 : failed;
    }
    int end_hoard() {
        hoard_.reset();
        return 0;
    }
    int fork() {
        child_.emplace(frames_, tables_, domain_);
        return mmhold::fork(me_, parent_, *child_) ? 0 : failed;
    }
    int child_exits() {
        if (child_) child_->exit(me_);
        child_.reset();
        return 0;
    }

private:
    static constexpr virt_addr base{std::uint64_t{16} << 30U};
    static constexpr virt_addr at(std::uint64_t leaf) {
        return base.plus_pages(leaf * hugetlb_pages);
    }
    static int said(access_result const& got) {
        return got.why == trap::none ? 0 : got.why == trap::bus_error ? bus : failed;
    }
    space_type& space(actor who) { return who == parent ? parent_ : *child_; }

    frame_pool<machine> frames_{page_count{pool_leaves * hugetlb_pages}, frame_bytes::owned};
    config::tables tables_{page_count{32}};
    config::reclaimer domain_{};
    cpu<config::reclaimer> me_{domain_};
    hugetlb_pool<machine> pool_{frames_, pool_leaves};
    std::optional<object_type> hoard_{};
    std::optional<object_type> object_{std::in_place, pool_, mapped_leaves};
    space_type parent_{frames_, tables_, domain_};
    std::optional<space_type> child_{};
};

template<class Script>
void both_say(std::string const& expected, Script const& script) {
    {
        model_family model;
        CHECK(std::string{script(model)} == expected);
    }
    parity::free_hugetlb const pool{pool_leaves};
    if (!pool.offered()) return skip("no hugetlb pages can be reserved");
    CHECK(in_a_process_of([] { return linux_family{}; }, script) == expected);
}

}  // namespace

TEST_CASE("the owner takes a page of hugetlb from its child if there is no other", "[kernel]") {
    both_say("0 0 0 0 0 9 -2 8 -2 9 8", [](auto& f) {
        seen out;
        out << f.hoard(1) << f.store(parent, 0, 7) << f.store(parent, 1, 8) << f.fork();
        out << f.store(parent, 0, 9) << f.load(parent, 0) << f.load(child, 0);
        out << f.load(child, 1) << f.store(child, 1, 5);
        (void)f.child_exits();
        return out << f.load(parent, 0) << f.load(parent, 1);
    });
}

TEST_CASE("who lost a page of hugetlb gets none any more, though there are some", "[kernel]") {
    both_say("0 0 0 0 0 -2 0 -2 -2", [](auto& f) {
        seen out;
        out << f.hoard(1) << f.store(parent, 0, 7) << f.fork() << f.store(parent, 0, 9);
        out << f.discard(1) << f.load(child, 0) << f.end_hoard();
        return out << f.load(child, 0) << f.load(child, 1);
    });
}

TEST_CASE("what its owner unmaps of hugetlb may be promised to others", "[kernel]") {
    both_say("0 -1 0 0 0 -1 0 0 0", [](auto& f) {
        seen out;
        out << f.store(parent, 0, 7) << f.hoard(2) << f.hoard(1) << f.end_hoard();
        out << f.unmap(1) << f.hoard(3) << f.hoard(2) << f.end_hoard();
        return out << f.unmap(0);
    });
}

TEST_CASE("as long as there is another page, the owner of hugetlb copies", "[kernel]") {
    both_say("0 0 0 0 7 8 0 -2 9 0", [](auto& f) {
        seen out;
        out << f.store(parent, 0, 7) << f.store(parent, 1, 8) << f.fork();
        out << f.store(parent, 0, 9) << f.load(child, 0) << f.load(child, 1);
        out << f.store(child, 0, 5) << f.store(child, 1, 6) << f.load(parent, 0);
        return out << f.store(parent, 1, 4);
    });
}

TEST_CASE("a copy of hugetlb takes nothing that was promised, the owner's neither", "[kernel]") {
    both_say("0 0 0 0 -2 0 -2 0 9", [](auto& f) {
        seen out;
        out << f.hoard(1) << f.store(parent, 0, 7) << f.fork();
        out << f.store(parent, 0, 9) << f.load(child, 0);
        out << f.store(parent, 1, 8) << f.load(child, 1);
        return out << f.discard(1) << f.load(parent, 0);
    });
}

TEST_CASE("a child that finds no page of hugetlb loses nothing by that", "[kernel]") {
    both_say("0 0 0 -2 7 -2 0 8 0 5", [](auto& f) {
        seen out;
        out << f.hoard(1) << f.store(parent, 0, 7) << f.fork();
        out << f.store(child, 0, 5) << f.load(child, 0) << f.load(child, 1);
        out << f.store(parent, 1, 8) << f.load(parent, 1) << f.end_hoard();
        (void)f.store(child, 0, 5);
        return out << f.load(child, 0);
    });
}
