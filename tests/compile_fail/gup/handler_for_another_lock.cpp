// expect: mmhold: the fault handler must answer handle(fault_request, lock_authority<L>&, cpu&)
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/gup/compose.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

using namespace mmhold;
using lock = null_lock<constexpr_machine>;

struct my_walker {
    using witness = held_shared<lock> const;
    struct cursor {
        std::optional<entry_query> query() const { return {}; }
        walk_answer answer() const { return {}; }
        void forget() {}
    };
    void seek(cursor&, walk_request const&, witness&) {}
    void deliver(cursor&, std::uint64_t, witness&) {}
    std::uint64_t read(entry_query) const { return 0; }
};

struct my_handler {
    using machine = constexpr_machine;
    using cpu_type = cpu<hazard_domain<machine>>;
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    int handle(fault_request const&) { return 0; }
#else
    fault_outcome<lock, machine> handle(fault_request const&, lock_authority<lock>&, cpu_type&) {
        return fault_outcome<lock, machine>::pending();
    }
#endif
};

void probe(lock& mm_lock, my_handler& handler, my_walker& walker) { (void)compose(mm_lock, handler, walker); }
