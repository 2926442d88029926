// SPDX-License-Identifier: BSL-1.0
// What the Machine asks programs to say costs nothing on the host: each pair must compile alike.
#include <mmhold/machine/host_machine.hpp>

#include <cstdint>

using M = mmhold::basic_host_machine<mmhold::asymmetric_fence::membarrier>;
using word = M::atomic<std::uint64_t>;
using bare_word = boost::atomic<std::uint64_t>;

// plain<T> is the value itself.
extern "C" std::uint64_t plain_subject(M::plain<std::uint64_t>* field, std::uint64_t value) {
    auto const old = field->get();
    field->set(value);
    return old;
}
extern "C" std::uint64_t plain_reference(std::uint64_t* field, std::uint64_t value) {
    auto const old = *field;
    *field = value;
    return old;
}

// Names, lock reports and expectations vanish with everything that computes their arguments.
extern "C" std::uint64_t annotations_subject(std::uint64_t const* entries, std::uint64_t count) {
    M::name(entries, "pmd");
    M::name(entries + 1, "pmd", 1);
    M::expect(count <= 512 && (entries[0] & 1U) == 0, "a table of at most 512 entries");
    M::lock_taken(entries, mmhold::lock_mode::shared);
    M::note(mmhold::claim::found_under, entries + (count & 1U), entries);
    M::note(mmhold::claim::reference_taken, entries, count);
    M::note(mmhold::claim::may_sleep, entries);
    M::expect(M::holds(entries), "the lock is held");
    auto const first = entries[0];
    M::lock_given(entries, mmhold::lock_mode::shared);
    return first;
}
extern "C" std::uint64_t annotations_reference(std::uint64_t const* entries, std::uint64_t) {
    return entries[0];
}

// The light fence of the membarrier form is no instruction, only a barrier to the compiler.
extern "C" std::uint64_t light_fence_subject(std::uint64_t* mine, std::uint64_t const* theirs) {
    *mine = 1;
    M::light_fence(mmhold::at("codegen.fence"));
    return *theirs;
}
extern "C" std::uint64_t light_fence_reference(std::uint64_t* mine, std::uint64_t const* theirs) {
    *mine = 1;
    asm volatile("" ::: "memory");
    return *theirs;
}

// An access with a named order is the access of Boost.Atomic.
extern "C" std::uint64_t orders_subject(word* from, word* to) {
    auto const value = from->load(mmhold::acquire("codegen.load"));
    to->store(value, mmhold::release("codegen.store"));
    return to->fetch_add(1, mmhold::relaxed)
           + from->exchange(value, mmhold::acq_rel("codegen.exchange"));
}
extern "C" std::uint64_t orders_reference(bare_word* from, bare_word* to) {
    auto const value = from->load(boost::memory_order_acquire);
    to->store(value, boost::memory_order_release);
    return to->fetch_add(1, boost::memory_order_relaxed)
           + from->exchange(value, boost::memory_order_acq_rel);
}
