// SPDX-License-Identifier: BSL-1.0
#pragma once

// Table memory that lets somebody else act at a chosen moment: an explorer for poor people, with
// one thread and one meddler.

#include "fixture.hpp"

#include <functional>
#include <utility>

namespace paging_test {

/// host_tables whose n-th use of one kind runs an act first – once.
class meddling_tables {
public:
    using format = x86_64<4>;
    using reclaimer = test_domain;
    using act = std::function<void()>;

    explicit meddling_tables(std::uint64_t capacity) : own_{page_count{capacity}, first} {}

    result<pfn> allocate(unsigned level) {
        on_allocate_.count();
        return own_.allocate(level);
    }
    auto& entry(pfn table, unsigned index) {
        on_entry_.count();
        if (on_free_entry_.armed() && !any_locked()) on_free_entry_.count();
        return own_.entry(table, index);
    }
    auto& lock(pfn table) {
        on_lock_.count();
        return own_.lock(table);
    }
    void release(pfn table) noexcept { own_.release(table); }
    void retire(test_cpu& me, pfn table) noexcept { own_.retire(me, table); }
    std::uint64_t in_use() const { return own_.in_use(); }

    /// `meddle` runs before the n-th allocate(), lock() or unlock() – each asks for the lock –,
    /// entry(), or entry() while nobody holds a table's lock, from now on.
    void before_allocate(int n, act meddle) { on_allocate_.arm(n, std::move(meddle)); }
    void before_lock(int n, act meddle) { on_lock_.arm(n, std::move(meddle)); }
    void before_entry(int n, act meddle) { on_entry_.arm(n, std::move(meddle)); }
    void before_free_entry(int n, act meddle) { on_free_entry_.arm(n, std::move(meddle)); }
    /// Did what was armed happen? Disarms what did not.
    bool happened() {
        auto const waits = on_allocate_.armed() || on_lock_.armed() || on_entry_.armed() ||
                           on_free_entry_.armed();
        for (auto* one : {&on_allocate_, &on_lock_, &on_entry_, &on_free_entry_}) one->arm(0, {});
        return !waits;
    }

private:
    static constexpr pfn first{0x100};

    class trigger {
    public:
        void arm(int n, act meddle) {
            left_ = n;
            meddle_ = std::move(meddle);
        }
        bool armed() const { return static_cast<bool>(meddle_); }
        void count() {
            if (meddle_ && --left_ == 0) std::exchange(meddle_, nullptr)();
        }

    private:
        int left_{0};
        act meddle_{};
    };

    bool any_locked() const {
        for (std::uint64_t i = 0; i < own_.capacity().value; ++i) {
            if (own_.lives(first.plus(i)) && own_.lock(first.plus(i)).locked()) return true;
        }
        return false;
    }

    trigger on_allocate_{};
    trigger on_lock_{};
    trigger on_entry_{};
    trigger on_free_entry_{};
    host_tables<x86_64<4>, test_domain> own_;
};

/// Page tables in such memory, and a second cpu for the meddler.
struct meddled {
    explicit meddled(std::uint64_t capacity = 16) : tables{capacity} {}
    ~meddled() {
        (void)tables.happened();
        table.destroy(me);
        (void)domain.reclaim(me.record());
    }
    page_entry entry(std::uint64_t at, unsigned level = 0) {
        auto leaf = table.lock_leaf(me, virt_addr{at}, level, if_absent::fail);
        return leaf ? leaf->read() : page_entry{};
    }

    meddling_tables tables;
    test_domain domain;
    test_cpu me{domain};
    test_cpu other{domain};
    page_table<x86_64<4>, meddling_tables> table{tables};
};

}  // namespace paging_test
