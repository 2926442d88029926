// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/counters.hpp>
#include <mmhold/space/space_config.hpp>

#include "support/catch.hpp"

using namespace mmhold;

namespace {

using M = checked_host_machine;

static_assert(SpaceConfig<default_config<M>>);

struct with_big_lock : default_config<M> {
    using lock = big_lock<M>;
};
static_assert(SpaceConfig<with_big_lock>);

struct five_levels : default_config<M> {
    using format = x86_64<5>;
    using tables = host_tables<format, reclaimer>;
};
static_assert(SpaceConfig<five_levels>);

struct observed : default_config<M> {
    using observer = counters<M>;
};
static_assert(SpaceConfig<observed>);

// Parts that do not fit each other.
struct wrong_tables : default_config<M> {
    using format = x86_64<5>;
};
static_assert(!SpaceConfig<wrong_tables>);
struct wrong_machine : default_config<M> {
    using machine = host_machine;
};
static_assert(!SpaceConfig<wrong_machine>);
struct no_lock : default_config<M> {
    using lock = int;
};
static_assert(!SpaceConfig<no_lock>);
static_assert(!SpaceConfig<int>);

struct stateful_flush {
    int flushes = 0;
    void operator()(page_span) { ++flushes; }
};

}  // namespace

TEST_CASE("attached: a stateless object needs no owner, another one is referred to") {
    static_assert(std::is_empty_v<detail::attached<no_flush>>);
    detail::attached<no_flush> stateless;
    stateless.get()(page_span{});
    stateful_flush mine;
    detail::attached<stateful_flush> attached{mine};
    attached.get()(page_span{});
    CHECK(mine.flushes == 1);
}
