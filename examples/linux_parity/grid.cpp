// SPDX-License-Identifier: BSL-1.0
#include "grid.hpp"

#include <algorithm>
#include <cerrno>

namespace parity {

namespace {

constexpr std::uint64_t odd_page = 10;
constexpr unsigned r = 1, w = 2, x = 4, rw = 3;

step on_odd(op what, unsigned prot = rw, memory of = memory::own) {
    return {what, of, prot, arena_page(odd_page), page_bytes};
}
step mapped(unsigned prot, memory of = memory::own) { return on_odd(op::map, prot, of); }
step protect(unsigned prot) { return on_odd(op::protect, prot); }

/// One-word callers and those that look at one page only are not measured with the odd page second.
bool looks_at_one_page(op what) {
    switch (what) {
        case op::peek:
        case op::poke:
        case op::wake:
        case op::wake_op:
        case op::wake_private:
        case op::policy: return true;
        default: return false;
    }
}

std::uint64_t length_for(kind const& row, op what) {
    if (what == op::peek || what == op::poke) return 8;
    return looks_at_one_page(what) ? 4 : row.most_bytes;
}

/// What the two answers of one script differ in; empty if in nothing that both can tell.
std::string difference(kind const& row, answer const& linux_says, answer const& model_says) {
    if (!linux_says.ran) return "the kernel's process did not finish";
    std::string out;
    auto const note = [&](char const* what) {
        out += out.empty() ? what : std::string{", "} + what;
    };
    if (linux_says.value != model_says.value) note("result");
    if (linux_says.signal != model_says.signal || linux_says.code != model_says.code)
        note("signal");
    if (!row.bytes_vary && linux_says.bytes != model_says.bytes) note("bytes read");
    if (linux_says.contents != model_says.contents) note("memory");
    if (linux_says.present != model_says.present) note("presence");
    if (linux_says.events != model_says.events) note("events");
    return out;
}

script script_of(kind const& row, op what, bool odd_first) {
    script steps;
    auto const good = odd_first ? odd_page + 1 : odd_page - 1;
    if (row.address == 0) {
        steps.push_back({op::map, memory::own, rw, arena_page(good), page_bytes});
        steps.push_back({op::store, memory::own, rw, arena_page(good), page_bytes});
    }
    steps.insert(steps.end(), row.prepare.begin(), row.prepare.end());
    auto const first = odd_first ? odd_page : odd_page - 1;
    auto const at = row.address != 0 ? row.address : arena_page(first);
    steps.push_back({what, memory::own, rw, at, length_for(row, what)});
    return steps;
}

void measure_order(grid const& in, kind const& row, op what, bool odd_first,
                   std::string const& folder, cell& out) {
    auto const steps = script_of(row, what, odd_first);
    auto const linux_says = run_on_linux(steps, folder).back();
    auto const model_says = run_on_model(steps, in.machine.where).back();
    auto const wanted = length_for(row, what);
    auto const seen = symbol_of(linux_says, wanted);
    auto const ours = symbol_of(model_says, wanted);
    if (odd_first || seen != out.linux_says || ours != out.model_says) {
        out.linux_says += seen;
        out.model_says += ours;
    }
    auto const differs = difference(row, linux_says, model_says);
    if (differs.empty()) return;
    out.is = cell::state::different;
    out.detail += (out.detail.empty() ? "" : "; ") +
                  std::string{odd_first ? "odd first: " : "odd second: "} + differs;
}

std::string missing(grid const& in, kind const& row, op what) {
    if (!row.not_modelled.empty()) return "not modelled: " + row.not_modelled;
    for (auto const& one : row.prepare) {
        auto const& why = in.machine.without_memory[static_cast<std::size_t>(one.of)];
        if (one.what == op::map && !why.empty()) return "the kernel has none: " + why;
    }
    auto const& why = in.machine.without_caller[static_cast<std::size_t>(what)];
    return why.empty() ? "" : "the kernel does not offer it: " + why;
}

cell measure_cell(grid const& in, kind const& row, op what, std::string const& folder) {
    cell out;
    out.detail = missing(in, row, what);
    if (!out.detail.empty()) return out;
    out.is = cell::state::equal;
    measure_order(in, row, what, true, folder, out);
    if (row.address == 0 && !looks_at_one_page(what)) {
        measure_order(in, row, what, false, folder, out);
    }
    return out;
}

void add_plain_kinds(std::vector<kind>& out) {
    auto const stored = on_odd(op::store);
    auto const loaded = on_odd(op::load);
    auto const add = [&](char const* name, script steps) {
        out.push_back({.name = name, .prepare = std::move(steps)});
    };
    add("ok_anon", {mapped(rw), stored});
    add("untouched_anon", {mapped(rw)});
    add("zeropage_anon", {mapped(rw), loaded});
    add("dontneed", {mapped(rw), stored, on_odd(op::discard)});
    add("shared_anon", {mapped(rw, memory::shared), stored});
    add("shared_anon_untouched", {mapped(rw, memory::shared)});
    add("hole", {});
    add("prot_none", {mapped(0)});
    add("prot_none_populated", {mapped(rw), stored, protect(0)});
    add("prot_none_shared", {mapped(rw, memory::shared), stored, protect(0)});
    add("ro_private_populated", {mapped(rw), stored, protect(r)});
    add("ro_private_untouched", {mapped(r)});
    add("ro_private_zeropage", {mapped(r), loaded});
    add("ro_shared_populated", {mapped(rw, memory::shared), stored, protect(r)});
    add("ro_shared_untouched", {mapped(r, memory::shared)});
    add("write_only", {mapped(w)});
    add("write_only_shared", {mapped(w, memory::shared)});
    add("exec_only", {mapped(x)});
    add("read_exec", {mapped(r | x)});
    add("made_writable_again", {mapped(rw), stored, protect(r), protect(rw)});
    add("made_writable_zeropage", {mapped(r), loaded, protect(rw)});
}

void add_fault_kinds(std::vector<kind>& out) {
    auto const stored = on_odd(op::store);
    auto const add = [&](char const* name, script steps) {
        out.push_back({.name = name, .prepare = std::move(steps)});
    };
    auto const closed = [](memory of) { return on_odd(op::close_faults, rw, of); };
    add("uffd_missing", {mapped(rw, memory::faults)});
    add("uffd_missing_populated", {mapped(rw, memory::faults), stored});
    add("uffd_missing_fd_closed", {mapped(rw, memory::faults), closed(memory::faults)});
    add("uffd_missing_ro", {mapped(rw, memory::faults), protect(r)});
    add("uffd_missing_prot_none", {mapped(rw, memory::faults), protect(0)});
    add("uffd_missing_FEATURE_SIGBUS", {mapped(rw, memory::faults_bus)});
    add("uffd_missing_USER_MODE_ONLY", {mapped(rw, memory::faults_user)});
    add("secretmem_populated", {mapped(rw, memory::secret), stored});
    add("secretmem_untouched", {mapped(rw, memory::secret)});
}

void add_addresses(std::vector<kind>& out, surroundings const& where) {
    auto const add = [&](char const* name, std::uint64_t at) {
        out.push_back({.name = name, .address = at});
    };
    auto const canonical_end = std::uint64_t{1} << 47U;
    // One page: what lies behind it depends on the clocks of the machine.
    out.push_back({.name = "vvar_PFNMAP",
                   .prepare = {mapped(r, memory::device)},
                   .address = where.device_at,
                   .most_bytes = page_bytes,
                   .bytes_vary = true});
    add("null_page", page_bytes);  // address 0 itself is "no buffer" to io_uring
    add("last_user_page", canonical_end - page_bytes);
    add("first_noncanonical", canonical_end);
    add("kernel_addr", 0xffff888000000000U);
    add("vsyscall_gate", 0xffffffffff600000U);
    add("top_of_address_space", 0xfffffffffffff000U);
}

void add_unmodelled(std::vector<kind>& out) {
    auto const add = [&](char const* name, char const* why) {
        out.push_back({.name = name, .not_modelled = why});
    };
    add("swapped", "no swap");
    add("thp", "anonymous memory comes in small pages only");
    add("cow_shared_after_fork", "no fork in this grid");
    add("shmem_rw, ro_shmem_populated", "no files and no shared objects");
    add("rwfile_private, rwfile_shared_ext4", "no files");
    add("ro_file_private, ro_file_shared", "no files");
    add("eof_private, eof_shared", "no files");
    add("devzero_private, droppable", "no such mappings");
    add("vdso", "no pages of the kernel's own to hold");
    add("uring_ring_mmap, perf_mmap", "no drivers");
    add("uffd_wp, uffd_minor, uffd_missing_shmem", "userfaults of missing private pages only");
    add("uffd_poison_marker, guard_marker", "no markers");
    add("stack_gap", "stacks do not grow");
    add("pkey_no_access, pkey_no_write", "the script has no protection keys");
    add("hugetlb_rw, hugetlb_ro_private, hugetlb_ro_shared", "no hugetlb");
}

}  // namespace

std::vector<kind> all_kinds(surroundings const& where) {
    std::vector<kind> out;
    add_plain_kinds(out);
    add_fault_kinds(out);
    add_addresses(out, where);
    add_unmodelled(out);
    return out;
}

std::size_t grid::count(cell::state which) const {
    std::size_t sum = 0;
    for (auto const& row : cells) {
        sum += static_cast<std::size_t>(
            std::ranges::count_if(row, [&](cell const& one) { return one.is == which; }));
    }
    return sum;
}

std::string symbol_of(answer const& one, std::uint64_t wanted) {
    if (!one.ran) return "?";
    std::string const waited = one.events != 0 ? "w" : "";
    if (one.signal != 0) return waited + (one.signal == 7 ? "B" : "S") + std::to_string(one.code);
    if (one.value > 0 && static_cast<std::uint64_t>(one.value) < wanted) return waited + "p";
    if (one.value >= 0) return waited + "·";
    switch (-one.value) {
        case EFAULT: return waited + "F";
        case EIO: return waited + "I";
        case ENOMEM: return waited + "N";
        case EINVAL: return waited + "V";
        case EOVERFLOW: return waited + "O";
        default: return waited + "e" + std::to_string(-one.value);
    }
}

grid measure(std::string const& folder) {
    grid out;
    out.machine = probe_linux(folder);
    out.kinds = all_kinds(out.machine.where);
    for (auto const& row : out.kinds) {
        auto& line = out.cells.emplace_back();
        for (std::size_t i = 0; i < callers; ++i) {
            line[i] = measure_cell(out, row, static_cast<op>(i), folder);
        }
    }
    return out;
}

}  // namespace parity
