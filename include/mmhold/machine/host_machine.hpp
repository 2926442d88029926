// SPDX-License-Identifier: BSL-1.0
#pragma once

// host_machine: real threads. The only header (with host_fence.hpp) that includes Boost.Atomic.

#include <mmhold/machine/host_fence.hpp>
#include <mmhold/machine/machine.hpp>

#include <boost/atomic/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <sched.h>
#include <time.h>
#include <utility>

namespace mmhold {

/// What a false M::expect() does on the host.
enum class expectation : std::uint8_t {
    ignored,  ///< compiles to nothing
    fatal,    ///< prints the text and stops the program
};

namespace detail {

[[nodiscard]] constexpr boost::memory_order to_boost(memory_order order) noexcept {
    switch (order) {
        case memory_order::relaxed: return boost::memory_order_relaxed;
        case memory_order::acquire: return boost::memory_order_acquire;
        case memory_order::release: return boost::memory_order_release;
        case memory_order::acq_rel: return boost::memory_order_acq_rel;
        case memory_order::seq_cst: return boost::memory_order_seq_cst;
    }
    return boost::memory_order_seq_cst;
}

/// boost::atomic<T> with orders that carry their site; the site is dropped here.
template<class T>
class host_atomic {
public:
    host_atomic() noexcept : word_{T{}} {}
    explicit host_atomic(T value) noexcept : word_{value} {}
    host_atomic(host_atomic const&) = delete;
    host_atomic& operator=(host_atomic const&) = delete;
    ~host_atomic() = default;

    template<LoadOrder O>
    [[nodiscard]] T load(O) const noexcept {
        return word_.load(to_boost(O::order));
    }
    template<StoreOrder O>
    void store(T value, O) noexcept {
        word_.store(value, to_boost(O::order));
    }
    template<AccessOrder O>
    T exchange(T value, O) noexcept {
        return word_.exchange(value, to_boost(O::order));
    }
    template<AccessOrder O>
    bool compare_exchange(T& expected, T desired, O) noexcept {
        return word_.compare_exchange_strong(expected, desired, to_boost(O::order),
                                             to_boost(failure_order(O::order)));
    }
    template<AccessOrder O>
    T fetch_add(T value, O) noexcept {
        return word_.fetch_add(value, to_boost(O::order));
    }
    template<AccessOrder O>
    T fetch_sub(T value, O) noexcept {
        return word_.fetch_sub(value, to_boost(O::order));
    }
    template<AccessOrder O>
    T fetch_or(T value, O) noexcept {
        return word_.fetch_or(value, to_boost(O::order));
    }
    template<AccessOrder O>
    T fetch_and(T value, O) noexcept {
        return word_.fetch_and(value, to_boost(O::order));
    }
    void notify_one() noexcept {
        if constexpr (can_park) word_.notify_one();
    }
    void notify_all() noexcept {
        if constexpr (can_park) word_.notify_all();
    }
    /// Has the kernel a wait for words of this size? (Without it Boost would need its compiled
    /// library and a lock pool; host_machine::await looks again and again instead.)
    static constexpr bool can_park = boost::atomic<T>::always_has_native_wait_notify;
    /// Sleeps while the word equals `old`; may wake without cause. Only host_machine::await calls
    /// it.
    void park_while(T old) const noexcept { (void)word_.wait(old, boost::memory_order_relaxed); }

private:
    boost::atomic<T> word_;
};

/// The value itself.
template<class T>
class host_plain {
public:
    constexpr host_plain() noexcept : value_{} {}
    constexpr explicit host_plain(T value) noexcept : value_{std::move(value)} {}
    [[nodiscard]] constexpr T const& get() const noexcept { return value_; }
    constexpr void set(T value) noexcept { value_ = std::move(value); }

private:
    T value_;
};

inline void spin_hint() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

}  // namespace detail

/// The Machine of real threads. Policies: which asymmetric fence; what a false expectation does.
/// Members: see Machine.
template<asymmetric_fence Fence = asymmetric_fence::automatic,
         expectation Check = expectation::ignored>
struct basic_host_machine {
    /// Does a false expect() stop the program? Code may leave out bookkeeping that only serves
    /// expectations if a machine says no here; machines that say nothing are checked.
    static constexpr bool checked = Check == expectation::fatal;

    template<class T>
    using atomic = detail::host_atomic<T>;
    template<class T>
    using plain = detail::host_plain<T>;

    template<FenceOrder O>
    static void fence(O) noexcept {
        boost::atomic_thread_fence(detail::to_boost(O::order));
    }
    static void light_fence(site) noexcept { detail::host_light_fence<Fence>(); }
    static void heavy_fence(site) noexcept { detail::host_heavy_fence<Fence>(); }

    /// Looks a few times, then sleeps in the kernel (32-bit words: futex; others: a yielding loop).
    template<class T, class Predicate, LoadOrder O>
    static T await(atomic<T> const& word, Predicate done, O order) noexcept {
        for (int look = 0; look < looks_before_parking; ++look) {
            if (auto const value = word.load(order); done(value)) return value;
            detail::spin_hint();
        }
        if constexpr (!atomic<T>::can_park) {
            return poll(word, done, order);
        } else {
            for (;;) {
                auto const value = word.load(order);
                if (done(value)) return value;
                word.park_while(value);
            }
        }
    }
    template<class T, class Predicate, LoadOrder O>
    static T poll(atomic<T> const& word, Predicate done, O order) noexcept {
        for (int look = 0;; ++look) {
            if (auto const value = word.load(order); done(value)) return value;
            if (look < looks_before_parking) {
                detail::spin_hint();
            } else {
                sched_yield();
            }
        }
    }
    static void relax() noexcept { sched_yield(); }

    template<class T, class... Args>
    [[nodiscard]] static T* create(Args&&... args) {
        return new (std::nothrow) T(std::forward<Args>(args)...);
    }
    template<class T>
    static void destroy(T* object) noexcept {
        delete object;
    }
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T)) return nullptr;
        return new (std::nothrow) T[count]{};
    }
    template<class T>
    static void destroy_array(T* first, std::size_t) noexcept {
        delete[] first;
    }

    static void name(void const*, char const*) noexcept {}
    static void name(void const*, char const*, std::size_t) noexcept {}
    static void expect(bool condition, char const* text) noexcept {
        if constexpr (Check == expectation::fatal) {
            if (!condition) {
                std::fprintf(stderr, "mmhold: expectation failed: %s\n", text);
                __builtin_trap();
            }
        } else {
            (void)condition, (void)text;
        }
    }
    static void lock_taken(void const*, lock_mode) noexcept {}
    static void lock_given(void const*, lock_mode) noexcept {}
    [[nodiscard]] static constexpr bool holds(void const*) noexcept { return true; }
    static constexpr void note(claim, void const*) noexcept {}
    static constexpr void note(claim, void const*, void const*) noexcept {}
    static constexpr void note(claim, void const*, std::uint64_t) noexcept {}

    /// CLOCK_MONOTONIC in nanoseconds.
    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec read{};
        clock_gettime(CLOCK_MONOTONIC, &read);
        return static_cast<std::uint64_t>(read.tv_sec) * 1'000'000'000U +
               static_cast<std::uint64_t>(read.tv_nsec);
    }

private:
    static constexpr int looks_before_parking = 100;
};

/// The default machine: automatic fence, expectations cost nothing.
struct host_machine : basic_host_machine<> {};

/// The same with expectations on: what the tests run with.
struct checked_host_machine : basic_host_machine<asymmetric_fence::automatic, expectation::fatal> {
};

static_assert(Machine<host_machine>);
static_assert(Machine<checked_host_machine>);

}  // namespace mmhold
