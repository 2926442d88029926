// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/walk/vma_access.hpp>

using namespace mmhold;

namespace {

vma area(protection prot, vma_flags flags = {}, vma_kind kind = vma_kind::anonymous) {
    vma out;
    out.span = *page_span::from({0x1000}, page_count{1});
    out.prot = prot;
    out.flags = flags;
    out.kind = kind;
    return out;
}

errc check(vma const& of, gup_flags flags, holding how = holding::reference,
           protection_key_rights rights = {}) {
    return check_vma_access(of, flags, how, rights);
}

}  // namespace

TEST_CASE("4.1 row 1: VM_IO or VM_PFNMAP", "[walk]") {
    CHECK(check(area(prot::rw, vma_flag::io), {}) == errc::bad_address);
    CHECK(check(area(prot::rw, vma_flag::pfnmap), gup_flag::force) == errc::bad_address);
}

TEST_CASE("4.1 row 2: FOLL_ANON wants an anonymous vma", "[walk]") {
    CHECK(check(area(prot::rw, {}, vma_kind::file), gup_flag::anon) == errc::bad_address);
    CHECK(check(area(prot::rw, {}, vma_kind::heap), gup_flag::anon) == errc::ok);
}

TEST_CASE("4.1 rows 3 and 4: long-term on fsdax, SPLIT_PMD on hugetlb", "[walk]") {
    CHECK(check(area(prot::rw, vma_flag::fsdax), gup_flag::longterm, holding::pin) ==
          errc::not_supported);
    CHECK(check(area(prot::rw, vma_flag::fsdax), {}, holding::pin) == errc::ok);
    CHECK(check(area(prot::rw, vma_flag::hugetlb), gup_flag::split_pmd) == errc::not_supported);
}

TEST_CASE("4.1 row 5: secretmem", "[walk]") {
    CHECK(check(area(prot::rw, vma_flag::secret), {}) == errc::bad_address);
    CHECK(check(area(prot::rw, vma_flag::secret), gup_flag::force) == errc::bad_address);
}

TEST_CASE("4.1 row 6: long-term write pin of a dirty-tracked shared file", "[walk]") {
    auto const file = area(prot::rw, {vma_flag::shared, vma_flag::dirty_tracked}, vma_kind::file);
    CHECK(check(file, {gup_flag::write, gup_flag::longterm}, holding::pin) == errc::bad_address);
    CHECK(check(file, gup_flag::longterm, holding::pin) == errc::ok);
    CHECK(check(file, gup_flag::write, holding::pin) == errc::ok);
}

TEST_CASE("4.1 rows 7 and 9: write without VM_WRITE, FORCE only into private mappings that may be written",
    "[walk]") {
    CHECK(check(area(prot::r), gup_flag::write) == errc::bad_address);
    CHECK(check(area(prot::rw, vma_flag::shadow_stack), gup_flag::write) == errc::bad_address);
    CHECK(check(area(prot::r), {gup_flag::write, gup_flag::force}) == errc::ok);
    CHECK(check(area(prot::none), {gup_flag::write, gup_flag::force}) == errc::ok);
    CHECK(check(area(prot::r, vma_flag::shared), {gup_flag::write, gup_flag::force}) ==
          errc::bad_address);
    auto never = area(prot::r);
    never.may = prot::r;
    CHECK(check(never, {gup_flag::write, gup_flag::force}) == errc::bad_address);
}

TEST_CASE("4.1 rows 10 and 11: read without VM_READ, FORCE reads what mprotect could make readable",
          "[walk]") {
    CHECK(check(area(prot::none), {}) == errc::bad_address);
    CHECK(check(area(prot::w), {}) ==
          errc::bad_address);  // §8.2: gup refuses write-only, loads do not
    CHECK(check(area(prot::x), {}) == errc::bad_address);
    CHECK(check(area(prot::w), gup_flag::write) == errc::ok);
    CHECK(check(area(prot::none), gup_flag::force) == errc::ok);
    auto never = area(prot::none);
    never.may = prot::none;
    CHECK(check(never, gup_flag::force) == errc::bad_address);
}

TEST_CASE("4.1 row 12: protection keys bind the current cpu, not REMOTE callers", "[walk]") {
    auto keyed = area(prot::rw);
    keyed.pkey = 2;
    auto const no_writes = protection_key_rights{}.with(2, 2);
    auto const nothing = protection_key_rights{}.with(2, 1);
    CHECK(check(keyed, {}, holding::reference, no_writes) == errc::ok);
    CHECK(check(keyed, gup_flag::write, holding::reference, no_writes) == errc::bad_address);
    CHECK(check(keyed, {}, holding::reference, nothing) == errc::bad_address);
    CHECK(check(keyed, {gup_flag::force}, holding::reference, nothing) == errc::bad_address);
    CHECK(check(keyed, gup_flag::remote, holding::reference, nothing) == errc::ok);
}
