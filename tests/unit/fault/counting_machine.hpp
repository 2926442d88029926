// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/host_machine.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>

namespace mmhold_test {

namespace mm = mmhold;

/// The checked host machine with an allocator that counts and that can be told to run dry, and with
/// places where a test can make something happen in the middle of an operation.
struct counting_machine : mm::checked_host_machine {
    static inline std::atomic<long> live{0};  ///< objects and arrays created and not destroyed
    static inline std::atomic<long> creations{-1};  ///< how many more may succeed; -1: any number

    static inline std::function<void()> at_next_creation{};  ///< called once, before it
    static inline std::function<void()> at_next_lock{};  ///< called once, after a lock was taken

    static void lock_taken(void const* lock, mm::lock_mode mode) noexcept {
        mm::checked_host_machine::lock_taken(lock, mode);
        if (at_next_lock) std::exchange(at_next_lock, nullptr)();
    }

    template<class T, class... Args>
    [[nodiscard]] static T* create(Args&&... args) {
        if (!admitted()) return nullptr;
        return counted(mm::checked_host_machine::create<T>(std::forward<Args>(args)...));
    }
    template<class T>
    static void destroy(T* object) noexcept {
        if (object != nullptr) --live;
        mm::checked_host_machine::destroy(object);
    }
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        if (!admitted()) return nullptr;
        return counted(mm::checked_host_machine::create_array<T>(count));
    }
    template<class T>
    static void destroy_array(T* first, std::size_t count) noexcept {
        if (first != nullptr) --live;
        mm::checked_host_machine::destroy_array(first, count);
    }

private:
    static bool admitted() {
        if (at_next_creation) std::exchange(at_next_creation, nullptr)();
        if (creations == 0) return false;
        if (creations > 0) --creations;
        return true;
    }
    template<class T>
    static T* counted(T* made) {
        if (made != nullptr) ++live;
        return made;
    }
};
static_assert(mm::Machine<counting_machine>);

/// Lets `count` more creations succeed, until the end of the scope.
struct creations_left {
    explicit creations_left(long count) { counting_machine::creations = count; }
    creations_left(creations_left const&) = delete;
    creations_left& operator=(creations_left const&) = delete;
    ~creations_left() { counting_machine::creations = -1; }
};

}  // namespace mmhold_test
