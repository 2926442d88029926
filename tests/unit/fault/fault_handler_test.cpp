// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/lock/null_lock.hpp>

#include "unit/fault/counting_machine.hpp"

using namespace mmhold_test;
using mm::fault_flag;
using mm::wait_mode;

namespace {

using lock_type = mm::null_lock<counting_machine>;

struct handler {
    using machine = counting_machine;
    using cpu_type = int;
    mm::fault_outcome<lock_type, machine> handle(mm::fault_request const&,
                                                 mm::lock_authority<lock_type>&, int&) {
        return mm::fault_outcome<lock_type, machine>::installed();
    }
};
struct handler_without_cpu {
    using machine = counting_machine;
};
struct handler_with_a_bool {
    using machine = counting_machine;
    using cpu_type = int;
    bool handle(mm::fault_request const&, mm::lock_authority<lock_type>&, int&) { return true; }
};

static_assert(mm::FaultHandler<handler, lock_type>);
static_assert(!mm::FaultHandler<handler, mm::null_lock<mm::checked_host_machine>>);
static_assert(!mm::FaultHandler<handler_without_cpu, lock_type>);
static_assert(!mm::FaultHandler<handler_with_a_bool, lock_type>);

}  // namespace

TEST_CASE("3 row 8: the sleep that a fault's flags allow", "[fault][handler]") {
    STATIC_REQUIRE(mm::sleep_mode({}) == wait_mode::uninterruptible);
    STATIC_REQUIRE(mm::sleep_mode(fault_flag::allow_retry) == wait_mode::uninterruptible);
    STATIC_REQUIRE(mm::sleep_mode(fault_flag::killable) == wait_mode::killable);
    STATIC_REQUIRE(mm::sleep_mode({fault_flag::killable, fault_flag::interruptible}) ==
                   wait_mode::interruptible);
    STATIC_REQUIRE(mm::sleep_mode(fault_flag::interruptible) == wait_mode::interruptible);
}
