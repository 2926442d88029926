// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/config.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_memory.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/space/swap_store.hpp>

#include <concepts>
#include <memory>
#include <type_traits>

namespace mmhold {

/// What an address_space is made of, as types. It may also have a `swap`, a SwapStore: where its
/// pages are swapped out to; memory_swap if it says nothing.
template<class C>
concept SpaceConfig = Machine<typename C::machine>  // where it runs
    && PageFormat<typename C::format>               // how its page tables look
    && MmLock<typename C::lock>                     // what guards its layout
    && Reclaimer<typename C::reclaimer>             // who frees its page tables
    && TableMemory<typename C::tables>              // where its page tables live
    && Observer<typename C::observer>               // who is told what happens
    && FlushPolicy<typename C::flush>               // how translations are forgotten
    && std::same_as<typename C::machine, typename C::reclaimer::machine> &&
    std::same_as<typename C::format, typename C::tables::format> &&
    std::same_as<typename C::reclaimer, typename C::tables::reclaimer>;

/// The usual parts: 4-level x86-64 tables in the host's memory, the fair lock, hazard pointers, no
/// observer, no TLB. Derive from it to exchange one of them.
template<Machine M>
struct default_config {
    using machine = M;
    using format = x86_64<4>;
    using lock = rw_lock<M>;
    using reclaimer = hazard_domain<M>;
    using tables = host_tables<format, reclaimer>;
    using observer = null_observer;
    using flush = no_flush;
};

static_assert(SpaceConfig<default_config<constexpr_machine>>);

namespace detail {

/// The swap store of a configuration.
template<class Config>
struct swap_of {
    using type = memory_swap<typename Config::machine>;
};
template<class Config>
requires SwapStore<typename Config::swap>
struct swap_of<Config> {
    using type = typename Config::swap;
};

/// An object that belongs to the caller – unless it has no state: then nobody needs to keep one.
template<class T>
class attached {
public:
    constexpr explicit attached(T& object) noexcept : object_{std::addressof(object)} {}
    [[nodiscard]] constexpr T& get() noexcept { return *object_; }

private:
    T* object_;
};
template<class T>
requires(std::is_empty_v<T>&& std::is_default_constructible_v<T>) class attached<T> {
public:
    constexpr attached() noexcept = default;
    constexpr explicit attached(T&) noexcept {}
    [[nodiscard]] constexpr T& get() noexcept { return object_; }

private:
    MMHOLD_NO_UNIQUE_ADDRESS T object_{};
};

}  // namespace detail

}  // namespace mmhold
