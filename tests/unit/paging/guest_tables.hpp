// SPDX-License-Identifier: BSL-1.0
#pragma once

// A TableMemory as an emulator of a big-endian guest would have it: tables lie in the guest's
// physical bytes, an entry is a handle made on the spot. Single-threaded.

#include "fixture.hpp"

#include <deque>
#include <vector>

namespace paging_test {

class guest_tables {
public:
    using format = x86_64<4>;
    using reclaimer = test_domain;

    /// A handle to eight guest bytes.
    class word_handle {
    public:
        explicit word_handle(unsigned char* bytes) : bytes_{bytes} {}
        std::uint64_t load(LoadOrder auto) const { return get(); }
        void store(std::uint64_t value, StoreOrder auto) { put(value); }
        std::uint64_t exchange(std::uint64_t value, AccessOrder auto) {
            auto const old = get();
            put(value);
            return old;
        }
        bool compare_exchange(std::uint64_t& expected, std::uint64_t value, AccessOrder auto) {
            auto const old = get();
            if (old == expected) return put(value), true;
            expected = old;
            return false;
        }
        std::uint64_t fetch_or(std::uint64_t bits, AccessOrder auto) {
            auto const old = get();
            put(old | bits);
            return old;
        }

    private:
        std::uint64_t get() const {
            std::uint64_t value = 0;
            for (int i = 0; i < 8; ++i) value = value << 8 | bytes_[i];
            return value;
        }
        void put(std::uint64_t value) {
            for (int i = 7; i >= 0; --i, value >>= 8) bytes_[i] = value & 0xff;
        }
        unsigned char* bytes_;
    };

    explicit guest_tables(std::size_t frames) : bytes_(frames * page_size), pages_(frames) {
        for (auto frame = frames; frame > 1; --frame) free_.push_back(pfn{frame - 1});
    }

    result<pfn> allocate(unsigned) {
        if (free_.empty()) return errc::no_memory;
        auto const table = free_.back();
        free_.pop_back();
        std::fill_n(&bytes_[table.value * page_size], page_size, static_cast<unsigned char>(0));
        ++in_use_;
        return table;
    }
    word_handle entry(pfn table, unsigned index) {
        return word_handle{&bytes_[table.value * page_size + index * 8]};
    }
    spin_lock<test_machine>& lock(pfn table) { return pages_[table.value].lock; }
    void release(pfn table) noexcept {
        free_.push_back(table);
        --in_use_;
    }
    void retire(test_cpu& me, pfn table) noexcept {
        auto& page = pages_[table.value];
        page.owner = this;
        page.key = table.value;
        page.free = [](retired_object& gone) noexcept {
            static_cast<page_info&>(gone).owner->release(pfn{gone.key});
        };
        me.domain().retire(me.record(), page);
    }

    std::uint64_t big_endian_at(std::uint64_t physical) {
        return word_handle{&bytes_[physical]}.load(relaxed);
    }
    std::size_t in_use() const { return in_use_; }

private:
    struct page_info : retired_object {
        guest_tables* owner{nullptr};
        spin_lock<test_machine> lock;
    };

    std::vector<unsigned char> bytes_;
    std::deque<page_info> pages_;
    std::vector<pfn> free_;
    std::size_t in_use_{0};
};

}  // namespace paging_test
