// SPDX-License-Identifier: BSL-1.0
#pragma once

// model_heap: the memory behind M::create and M::destroy, which knows what it gave out.
//
// Blocks come from an arena that starts again at the same addresses for every execution, so equal
// choices give equal pointers. A block that was given back stays readable: who uses it afterwards
// is told so by the words and fields in it, not by a crash.

#include <mmhold/explore/operation.hpp>
#include <mmhold/explore/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mmhold {

namespace detail {

class model_heap {
public:
    /// A piece of memory that was given out at least once.
    struct block {
        std::byte* address{nullptr};
        std::size_t size{0};
        bool alive{false};
        std::uint32_t created{0};  // epoch
        std::uint32_t destroyed{0};
    };

    explicit model_heap(heap_reuse reuse) noexcept : reuse_{reuse} {}

    void begin_execution() noexcept {
        blocks_.clear();
        chunk_ = 0;
        used_ = 0;
    }

    /// Memory for `size` bytes aligned to `alignment` (at most 4096).
    [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment, std::uint32_t now) {
        if (auto const reused = newest_free(size, alignment); reused != nullptr) {
            reused->alive = true;
            reused->created = now;
            return reused->address;
        }
        block& b = blocks_.emplace_back();
        b = {carve(size, alignment), size, true, now, 0};
        return b.address;
    }

    /// The block that starts there; nullptr if none ever did.
    [[nodiscard]] block* find(void const* address) noexcept {
        for (auto i = blocks_.size(); i-- > 0;) {
            if (blocks_[i].address == address) return &blocks_[i];
        }
        return nullptr;
    }
    /// The block that contains the address; nullptr if none does.
    [[nodiscard]] block const* containing(void const* address) const noexcept {
        auto const at = reinterpret_cast<std::uintptr_t>(address);
        for (auto const& b : blocks_) {
            auto const begin = reinterpret_cast<std::uintptr_t>(b.address);
            if (at >= begin && at < begin + b.size) return &b;
        }
        return nullptr;
    }
    void release(block& b, std::uint32_t now) noexcept {
        b.alive = false;
        b.destroyed = now;
    }
    [[nodiscard]] std::vector<block> const& blocks() const noexcept { return blocks_; }

private:
    static constexpr std::size_t chunk_size = std::size_t{1} << 20U;

    [[nodiscard]] block* newest_free(std::size_t size, std::size_t alignment) noexcept {
        if (reuse_ == heap_reuse::never) return nullptr;
        block* best = nullptr;
        for (auto& b : blocks_) {
            bool const fits = !b.alive && b.size == size &&
                              reinterpret_cast<std::uintptr_t>(b.address) % alignment == 0;
            if (fits && (best == nullptr || b.destroyed >= best->destroyed)) best = &b;
        }
        return best;
    }
    [[nodiscard]] std::byte* carve(std::size_t size, std::size_t alignment) {
        auto const start = (used_ + alignment - 1) / alignment * alignment;
        if (chunk_ < chunks_.size() && start + size <= chunks_[chunk_].size) {
            used_ = start + size;
            return chunks_[chunk_].aligned + start;
        }
        if (chunk_ < chunks_.size()) ++chunk_;
        if (chunk_ == chunks_.size() || chunks_[chunk_].size < size) add_chunk(size);
        used_ = size;
        return chunks_[chunk_].aligned;
    }
    void add_chunk(std::size_t at_least) {
        chunk fresh;
        fresh.size = at_least > chunk_size ? at_least : chunk_size;
        fresh.memory = std::make_unique_for_overwrite<std::byte[]>(fresh.size + 4096);
        auto const raw = reinterpret_cast<std::uintptr_t>(fresh.memory.get());
        fresh.aligned = fresh.memory.get() + (4096 - raw % 4096) % 4096;
        chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk_), std::move(fresh));
    }
    struct chunk {
        std::unique_ptr<std::byte[]> memory{};
        std::byte* aligned{nullptr};
        std::size_t size{0};
    };

    heap_reuse reuse_;
    std::vector<chunk> chunks_{};
    std::size_t chunk_{0};
    std::size_t used_{0};
    std::vector<block> blocks_{};
};

}  // namespace detail

}  // namespace mmhold
