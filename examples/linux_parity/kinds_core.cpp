// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

namespace {

constexpr unsigned r = 1, w = 2, x = 4, rw = 3;

void add_plain_kinds(rows out) {
    auto const stored = on_odd(op::store);
    auto const loaded = on_odd(op::load);
    out.add("ok_anon", {mapped(rw), stored});
    out.add("untouched_anon", {mapped(rw)});
    out.add("zeropage_anon", {mapped(rw), loaded});
    out.add("dontneed", {mapped(rw), stored, on_odd(op::discard)});
    out.add("shared_anon", {mapped(rw, memory::shared), stored});
    out.add("shared_anon_untouched", {mapped(rw, memory::shared)});
    out.add("hole", {});
    out.add("prot_none", {mapped(0)});
    out.add("prot_none_populated", {mapped(rw), stored, protected_to(0)});
    out.add("prot_none_shared", {mapped(rw, memory::shared), stored, protected_to(0)});
    out.add("ro_private_populated", {mapped(rw), stored, protected_to(r)});
    out.add("ro_private_untouched", {mapped(r)});
    out.add("ro_private_zeropage", {mapped(r), loaded});
    out.add("ro_shared_populated", {mapped(rw, memory::shared), stored, protected_to(r)});
    out.add("ro_shared_untouched", {mapped(r, memory::shared)});
    out.add("write_only", {mapped(w)});
    out.add("write_only_shared", {mapped(w, memory::shared)});
    out.add("exec_only", {mapped(x)});
    out.add("read_exec", {mapped(r | x)});
    out.add("made_writable_again", {mapped(rw), stored, protected_to(r), protected_to(rw)});
    out.add("made_writable_zeropage", {mapped(r), loaded, protected_to(rw)});
    out.add("stack", {mapped(rw, memory::stack)});
    out.add("cow_shared_after_fork", {mapped(rw), stored, on_odd(op::fork)});
    out.add("cow_child_gone", {mapped(rw), stored, on_odd(op::fork), on_odd(op::reap)});
    out.add("ro_cow_shared_after_fork", {mapped(rw), stored, on_odd(op::fork), protected_to(r)});
    out.add("shared_anon_discarded", {mapped(rw, memory::shared), stored, on_odd(op::discard)});
}

void add_object_kinds(rows out) {
    auto const stored = on_odd(op::store);
    out.add("shmem_rw", {mapped(rw, memory::memfd)});
    out.add("shmem_private", {mapped(rw, memory::memfd_own)});
    out.add("shmem_private_written", {mapped(rw, memory::memfd_own), stored});
    out.add("ro_shmem_populated", {mapped(rw, memory::memfd), stored, protected_to(r)});
    out.add("rwfile_private", {mapped(rw, memory::file_own)});
    out.add("rwfile_shared_ext4", {mapped(rw, memory::file)});
    out.add("ro_file_private", {mapped(r, memory::file_own)});
    out.add("ro_file_shared_fdRDWR", {mapped(r, memory::file)});
    out.add("eof_private", {mapped(rw, memory::memfd_end_own)});
    out.add("eof_shared", {mapped(rw, memory::memfd_end)});
}

void add_fault_kinds(rows out) {
    auto const stored = on_odd(op::store);
    auto const closed = [](memory of) { return on_odd(op::close_faults, rw, of); };
    out.add("uffd_missing", {mapped(rw, memory::faults)});
    out.add("uffd_missing_populated", {mapped(rw, memory::faults), stored});
    out.add("uffd_missing_fd_closed", {mapped(rw, memory::faults), closed(memory::faults)});
    out.add("uffd_missing_ro", {mapped(rw, memory::faults), protected_to(r)});
    out.add("uffd_missing_prot_none", {mapped(rw, memory::faults), protected_to(0)});
    out.add("uffd_missing_FEATURE_SIGBUS", {mapped(rw, memory::faults_bus)});
    out.add("uffd_missing_USER_MODE_ONLY", {mapped(rw, memory::faults_user)});
    out.add("secretmem_populated", {mapped(rw, memory::secret), stored});
    out.add("secretmem_untouched", {mapped(rw, memory::secret)});
}

void add_addresses(std::vector<kind>& out, surroundings const& where) {
    auto const canonical_end = std::uint64_t{1} << 47U;
    // One page: what lies behind it depends on the clocks of the machine.
    out.push_back({.name = "vvar_PFNMAP",
                   .prepare = {mapped(r, memory::device)},
                   .odd_first = where.device_at,
                   .has_neighbours = false,
                   .most_bytes = page_bytes,
                   .bytes_vary = true});
    rows{out}.add_address("null_page", page_bytes);  // address 0 itself is "no buffer" to io_uring
    rows{out}.add_address("last_user_page", canonical_end - page_bytes);
    rows{out}.add_address("first_noncanonical", canonical_end);
    rows{out}.add_address("kernel_addr", 0xffff888000000000U);
    rows{out}.add_address("vsyscall_gate", 0xffffffffff600000U);
    rows{out}.add_address("top_of_address_space", 0xfffffffffffff000U);
}

}  // namespace

void add_core_kinds(std::vector<kind>& out, surroundings const& where) {
    add_plain_kinds(rows{out});
    add_object_kinds(rows{out});
    add_fault_kinds(rows{out});
    add_addresses(out, where);
}

std::vector<kind> all_kinds(surroundings const& where) {
    std::vector<kind> out;
    add_core_kinds(out, where);
    add_advice_kinds(out);
    add_uffd_kinds(out);
    add_large_kinds(out);
    add_special_kinds(out, where);
    rows{out}.add_unmodelled("pkey_no_access, pkey_no_write",
                             "the scripts have no step for protection keys");
    return out;
}

}  // namespace parity
