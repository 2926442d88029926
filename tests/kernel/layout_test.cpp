// SPDX-License-Identifier: BSL-1.0
// The layout of an address_space beside the one of this process: the same calls, the same errors,
// the same mappings, and – where Linux chooses – the same addresses.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/placement.hpp>

#include "support/catch.hpp"
#include "support/skip.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using config = default_config<machine>;

/// One line of a maps file.
struct maps_line {
    std::uint64_t start;
    std::uint64_t end;
    std::string rights;
    std::uint64_t offset;
    std::string name;
    friend bool operator==(maps_line const&, maps_line const&) = default;
};

std::vector<maps_line> own_maps() {
    std::vector<maps_line> lines;
    std::ifstream file{"/proc/self/maps"};
    for (std::string text; std::getline(file, text);) {
        std::istringstream fields{text};
        maps_line line{};
        char dash = 0;
        std::string device, inode;
        fields >> std::hex >> line.start >> dash >> line.end >> line.rights >> line.offset;
        fields >> device >> inode >> line.name;
        lines.push_back(line);
    }
    return lines;
}

int to_prot(protection rights) {
    auto bits = PROT_NONE;
    if (rights.has(protection_bit::read)) bits |= PROT_READ;
    if (rights.has(protection_bit::write)) bits |= PROT_WRITE;
    if (rights.has(protection_bit::execute)) bits |= PROT_EXEC;
    return bits;
}

std::string shown(vma const& area) {
    std::string rights = "---p";
    if (area.prot.has(protection_bit::read)) rights[0] = 'r';
    if (area.prot.has(protection_bit::write)) rights[1] = 'w';
    if (area.prot.has(protection_bit::execute)) rights[2] = 'x';
    if (area.flags.has(vma_flag::shared)) rights[3] = 's';
    return rights;
}

/// A stretch of user space in which nothing else is mapped.
constexpr std::uint64_t arena = std::uint64_t{1} << 45U;
constexpr std::uint64_t arena_pages = 64;
constexpr std::uint64_t arena_end = arena + arena_pages * page_size;

/// The process and its model.
struct both {
    frame_pool<machine> frames{page_count{16}};
    config::tables tables{page_count{16}};
    config::reclaimer domain{};
    cpu<config::reclaimer> me{domain};
    address_space<config> space{frames, tables, domain};
    std::uint64_t files = 0;

    ~both() { munmap(address(arena), arena_end - arena); }
    static void* address(std::uint64_t at) { return reinterpret_cast<void*>(at); }
    static int failed(int answer) { return answer == 0 ? 0 : errno; }

    /// (errno of Linux, errno of the model)
    std::pair<int, int> map(page_span span, protection rights, mmap_flags flags) {
        auto const shared = flags.has(mmap_flag::shared);
        auto const how = MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE)
                         | (flags.has(mmap_flag::fixed) ? MAP_FIXED : MAP_FIXED_NOREPLACE);
        auto* const got = mmap(address(span.start().value), span.bytes(), to_prot(rights), how, -1, 0);
        auto const linux_says = got == MAP_FAILED ? errno : 0;
        mmap_request request{.hint = span.start(),
                             .pages = page_count{span.pages()},
                             .prot = rights,
                             .flags = flags};
        if (shared) request.file = ++files;  // each shared mapping is an object of its own
        return {linux_says, to_errno(space.mmap(me, request).error())};
    }
    std::pair<int, int> unmap(page_span span) {
        auto const answer = munmap(address(span.start().value), span.bytes());
        return {failed(answer), to_errno(space.munmap(me, span).error())};
    }
    std::pair<int, int> protect(page_span span, protection rights) {
        auto const answer = mprotect(address(span.start().value), span.bytes(), to_prot(rights));
        return {failed(answer), to_errno(space.mprotect(me, span, rights).error())};
    }
    std::pair<int, int> discard(page_span span) {
        auto const answer = madvise(address(span.start().value), span.bytes(), MADV_DONTNEED);
        return {failed(answer), to_errno(space.dontneed(me, span).error())};
    }

    static std::vector<maps_line> linux_mappings() {
        std::vector<maps_line> here;
        for (auto& line : own_maps()) {
            if (line.start < arena || line.end > arena_end) continue;
            if (line.rights[3] == 'p') line.offset = 0;
            here.push_back({line.start, line.end, line.rights, line.offset, {}});
        }
        return here;
    }
    std::vector<maps_line> model_mappings() {
        std::vector<maps_line> all;
        auto const held = held_shared<config::lock>::acquire(space.lock());
        space.for_each_vma(held, [&](vma const& area) {
            all.push_back({area.span.start().value, area.span.end().value, shown(area),
                           area.file_page * page_size, {}});
        });
        return all;
    }
};

/// Mostly inside the arena; sometimes empty, at the end of user space, or beyond it.
page_span random_span(std::mt19937& random) {
    auto const pick = random() % 60;
    auto const pages = pick == 0 ? 0 : 1 + random() % (random() % 8 == 0 ? 40 : 6);
    auto const end_of_user_space = task_size_max(48).value;
    if (pick == 1) return *page_span::from(virt_addr{end_of_user_space}, page_count{pages});
    auto const first = random() % arena_pages;
    auto const fits = std::min<std::uint64_t>(pages, arena_pages - first);
    return *page_span::from(virt_addr{arena + first * page_size}, page_count{fits});
}

/// Reads the process's mappings into `map`, each different from its neighbours.
void mirror(vma_map<machine>& map) {
    std::vector<maps_line> const lines = own_maps();
    map.clear();
    std::uint8_t key = 0;
    for (auto const& line : lines) {
        if (line.end > task_size_max(48).value) continue;
        vma area;
        area.span = *page_span::from(virt_addr{line.start},
                                     page_count{(line.end - line.start) / page_size});
        area.pkey = key++;
        if (line.name == "[stack]") area.flags = vma_flag::grows_down;
        REQUIRE(map.insert(area));
    }
}

}  // namespace

TEST_CASE("mmap, munmap, mprotect, madvise: errors and mappings are those of Linux") {
    both b;
    if (!both::linux_mappings().empty()) {
        mmhold_test::skip("something is mapped where the test works");
        return;
    }
    std::mt19937 random{20140926};
    for (int step = 0; step < 5000; ++step) {
        auto const span = random_span(random);
        auto const rights = protection::from_bits(static_cast<std::uint8_t>(random() % 8));
        auto flags = mmap_flags{random() % 2 == 0 ? mmap_flag::fixed : mmap_flag::fixed_noreplace};
        flags = flags.with_if(random() % 3 == 0, mmap_flag::shared);
        auto const [linux_says, model_says] = [&] {
            switch (random() % 4) {
                case 0: return b.unmap(span);
                case 1: return b.protect(span, rights);
                case 2: return b.discard(span);
                default: return b.map(span, rights, flags);
            }
        }();
        INFO("step " << step << ", page " << span.start().value / page_size << " + "
                     << span.pages());
        REQUIRE(model_says == linux_says);
        REQUIRE(b.model_mappings() == both::linux_mappings());
    }
}

TEST_CASE("mmap without a fixed address chooses the address that Linux chooses") {
    // Linux adds a random offset to mmap_base; this test runs itself again without it.
    auto const current = personality(0xffffffff);  // bits: asks, changes nothing
    if (current == -1) {
        mmhold_test::skip("personality(2) is not available");
        return;
    }
    if ((current & ADDR_NO_RANDOMIZE) == 0) {
        auto const child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            char program[] = "/proc/self/exe";
            char name[] = "mmap without a fixed address chooses the address that Linux chooses";
            char* const arguments[] = {program, name, nullptr};
            if (personality(ADDR_NO_RANDOMIZE) != -1) execv(program, arguments);
            _exit(127);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
        return;
    }
    std::mt19937_64 random{20140926};
    vma_map<machine> map;
    REQUIRE(map.reserve(1000));  // so that mirroring does not change what it mirrors
    std::vector<std::pair<void*, std::size_t>> mine;
    for (int step = 0; step < 1000; ++step) {
        if (mine.size() > 60 || (!mine.empty() && random() % 3 == 0)) {
            std::swap(mine[random() % mine.size()], mine.back());
            munmap(mine.back().first, mine.back().second);
            mine.pop_back();
            continue;
        }
        auto pages = 1 + random() % (random() % 4 == 0 ? 300 : 10);
        if (random() % 10 == 0) pages = 512 * (1 + random() % 3);  // whole large leaves
        std::uint64_t hint = 0;
        if (random() % 4 == 0) hint = random() % (std::uint64_t{1} << 48U);
        if (random() % 4 == 0 && !mine.empty()) {
            hint = reinterpret_cast<std::uint64_t>(mine[random() % mine.size()].first) + 5000;
        }
        mine.reserve(100);
        mirror(map);
        mmap_request const request{.hint = virt_addr{hint}, .pages = page_count{pages}};
        auto const model = place_mapping(map, layout_limits{}, request);
        auto* const real = mmap(reinterpret_cast<void*>(hint), pages * page_size, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        INFO("step " << step << ", hint " << hint << ", " << pages << " pages");
        REQUIRE((real != MAP_FAILED) == model.has_value());
        if (!model) continue;
        REQUIRE(model->value == reinterpret_cast<std::uint64_t>(real));
        mine.emplace_back(real, pages * page_size);
    }
}
