// SPDX-License-Identifier: BSL-1.0
// Fork, copy-on-write and pins beside the running kernel: the scenarios of gup-semantics §8.5, the
// properties of the kernel's own cow.c (§9.1) as far as user space can ask for them, and scripts
// made at random. Each runs through real system calls in processes of its own, and through the
// model; both must say the same.
//
// What holds for a page that was just written holds as well for one that mremap has moved, and for
// one that was swapped out: every script on private memory runs on all three, in the kernel as far
// as it has swap.
//
// Read-only long-term pins (§9.1 #9 – #14) only the gup_test driver of a debug kernel can take: they
// are the model's alone.
#include "support/catch.hpp"
#include "support/skip.hpp"

#include "family_backends.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace mmhold_test;

namespace {

constexpr auto parent = actor::parent;
constexpr auto child = actor::child;

/// The kinds of memory of one's own.
constexpr auto private_kinds = {mapping::private_memory, mapping::moved_memory,
                                mapping::swapped_memory};

/// The script gives `expected` in the model; with private memory, on all kinds of it.
template<class Script>
void model_says(std::string const& expected, Script const& script,
                mapping how = mapping::private_memory) {
    if (how != mapping::private_memory) {
        model_family model{how};
        CHECK(std::string{script(model)} == expected);
        return;
    }
    for (auto const kind : private_kinds) {
        INFO("memory " << static_cast<int>(kind));
        model_family model{kind};
        CHECK(std::string{script(model)} == expected);
    }
}

/// The script gives `expected` in both worlds.
template<class Script>
void both_say(std::string const& expected, Script const& script,
              mapping how = mapping::private_memory) {
    model_says(expected, script, how);
    CHECK(in_a_process(how, script) == expected);
    if (how != mapping::private_memory) return;
    CHECK(in_a_process(mapping::moved_memory, script) == expected);
    if (kernel_has_swap()) CHECK(in_a_process(mapping::swapped_memory, script) == expected);
}

/// The same with memory that was never written to.
template<class Script>
void both_say_untouched(std::string const& expected, Script const& script) {
    model_family model{mapping::private_memory};
    CHECK(std::string{script(model)} == expected);
    CHECK(in_a_process(mapping::private_memory, script) == expected);
}

}  // namespace

TEST_CASE("9.1 #1: neither sees what the other writes after fork") {
    both_say("1 1 1 2 3 2", [](auto& family) {
        family.store(parent, 0, 1);
        family.fork();
        seen s;
        s << family.load(parent, 0) << family.load(child, 0);
        family.store(child, 0, 2);
        s << family.load(parent, 0) << family.load(child, 0);
        family.store(parent, 0, 3);
        s << family.load(parent, 0) << family.load(child, 0);
        return s;
    });
}

TEST_CASE("9.1 #1: a page nobody has touched is zero for both, and each writes its own") {
    both_say_untouched("0 0 5 6", [](auto& family) {
        seen s;
        s << family.load(parent, 0);
        family.fork();
        s << family.load(child, 0);
        family.store(parent, 0, 5);
        family.store(child, 0, 6);
        s << family.load(parent, 0) << family.load(child, 0);
        return s;
    });
}

TEST_CASE("9.1 #2: mprotect down and up does not make a shared page writable") {
    both_say("1 1 1 4", [](auto& family) {
        family.store(parent, 0, 1);
        family.store(parent, 1, 1);
        family.fork();
        family.protect(parent, 0);
        family.protect(child, 1);
        family.store(parent, 0, 2);
        family.store(child, 1, 4);
        seen s;
        s << family.load(child, 0) << family.load(parent, 1);
        family.child_exits();
        s << family.load(parent, 1);
        family.store(parent, 1, 4);
        s << family.load(parent, 1);
        return s;
    });
}

TEST_CASE("9.1 #3, CVE-2020-29374: the child's pipe keeps what it spliced") {
    both_say("7", [](auto& family) {
        family.store(parent, 0, 7);
        family.fork();
        family.splice(child, 0);
        family.unmap(child, 0);
        family.store(parent, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("9.1 #4: the same with mprotect in between") {
    both_say("7", [](auto& family) {
        family.store(parent, 0, 7);
        family.fork();
        family.splice(child, 0);
        family.unmap(child, 0);
        family.protect(parent, 0);
        family.store(parent, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("9.1 #5: spliced before fork, unmapped in the parent after it") {
    both_say("7", [](auto& family) {
        family.store(parent, 0, 7);
        family.splice(parent, 0);
        family.fork();
        family.unmap(parent, 0);
        family.store(child, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("9.1 #6: spliced and unmapped in the parent after fork") {
    both_say("7", [](auto& family) {
        family.store(parent, 0, 7);
        family.fork();
        family.splice(parent, 0);
        family.unmap(parent, 0);
        family.store(child, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("8.5: a page spliced before fork, then written by either") {
    both_say("7 7", [](auto& family) {
        for (auto const page : {0U, 1U}) {
            family.store(parent, page, 7);
            family.splice(parent, page);
        }
        family.fork();
        family.store(parent, 0, 8);
        family.store(child, 1, 9);
        seen s;
        s << family.from_pipe() << family.from_pipe();
        return s;
    });
}

TEST_CASE("8.5: a page spliced before fork, unmapped in the child, written by the parent") {
    both_say("7", [](auto& family) {
        family.store(parent, 0, 7);
        family.splice(parent, 0);
        family.fork();
        family.unmap(child, 0);
        family.store(parent, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("8.5: without fork a plain reference shows later writes") {
    both_say("8", [](auto& family) {
        family.store(parent, 0, 7);
        family.splice(parent, 0);
        family.store(parent, 0, 8);
        return seen{} << family.from_pipe();
    });
}

TEST_CASE("8.5: a spliced zero page stays zero") {
    both_say_untouched("0 0 5", [](auto& family) {
        seen s;
        s << family.load(parent, 0);
        family.splice(parent, 0);
        family.store(parent, 0, 5);
        s << family.from_pipe() << family.load(parent, 0);
        return s;
    });
}

TEST_CASE("a discarded page lives on in the pipe") {
    both_say("7 0 9", [](auto& family) {
        family.store(parent, 0, 7);
        family.splice(parent, 0);
        family.discard(parent, 0);
        seen s;
        s << family.from_pipe() << family.load(parent, 0);
        family.store(parent, 0, 9);
        s << family.load(parent, 0);
        return s;
    });
}

TEST_CASE("fork(2): shared memory, MADV_DONTFORK, MADV_WIPEONFORK") {
    auto const script = [](auto& family) {
        family.store(parent, 0, 7);
        family.fork();
        seen s;
        s << family.load(child, 0);
        family.store(child, 0, 8);
        s << family.load(parent, 0);
        return s;
    };
    both_say("7 7", script, mapping::private_memory);
    both_say("7 8", script, mapping::shared_memory);
    both_say("-2 7", script, mapping::dont_fork);
    both_say("0 7", script, mapping::wipe_on_fork);
}

TEST_CASE("9.1 #7: a fixed buffer of a page that was mapped read-only is coherent") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("0 2 3", [](auto& family) {
        family.store(parent, 0, 1);
        family.protect(parent, 0);
        seen s;
        s << family.fix(0);
        family.store(parent, 0, 2);
        s << family.device_reads(0);
        family.device_writes(0, 3);
        s << family.load(parent, 0);
        return s;
    });
}

TEST_CASE("9.1 #7: a fixed buffer of a page shared by fork is the parent's own") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("0 1 2 3 1", [](auto& family) {
        family.store(parent, 0, 1);
        family.fork();
        seen s;
        s << family.fix(0) << family.device_reads(0);
        family.store(parent, 0, 2);
        s << family.device_reads(0);
        family.device_writes(0, 3);
        s << family.load(parent, 0) << family.load(child, 0);
        return s;
    });
}

TEST_CASE("9.1 #8: with a fixed buffer the parent keeps the page at fork") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("0 2 1 2 3 9", [](auto& family) {
        family.store(parent, 0, 1);
        seen s;
        s << family.fix(0);
        family.fork();
        family.store(parent, 0, 2);
        s << family.device_reads(0) << family.load(child, 0);
        family.store(child, 0, 9);
        s << family.load(parent, 0);
        family.device_writes(0, 3);
        s << family.load(parent, 0) << family.load(child, 0);
        return s;
    });
}

TEST_CASE(
    "9.1 #9 to #14: a page pinned for reading is the page its owner writes to, on any memory") {
    for (auto const how : {model_family::walk::fast, model_family::walk::slow}) {
        INFO("walk " << static_cast<int>(how));
        // Shared with a child; shared with one that is gone; exclusive, but mapped read-only before.
        model_says("0 1 2 1", [how](auto& family) {
            family.store(parent, 0, 1);
            family.fork();
            seen s;
            s << family.pin_to_read(0, how) << family.device_reads(0);
            family.store(parent, 0, 2);
            s << family.device_reads(0) << family.load(child, 0);
            return s;
        });
        model_says("0 2", [how](auto& family) {
            family.store(parent, 0, 1);
            family.fork();
            family.child_exits();
            seen s;
            s << family.pin_to_read(0, how);
            family.store(parent, 0, 2);
            s << family.device_reads(0);
            return s;
        });
        model_says("0 2 2 1", [how](auto& family) {
            family.store(parent, 0, 1);
            family.protect(parent, 0);
            seen s;
            s << family.pin_to_read(0, how);
            family.store(parent, 0, 2);
            s << family.device_reads(0);
            family.fork();
            family.store(child, 0, 1);
            s << family.load(parent, 0) << family.load(child, 0);
            return s;
        });
    }
}

TEST_CASE("8.5: the zero page is replaced when it becomes a fixed buffer") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say_untouched("0 0 0 5", [](auto& family) {
        seen s;
        s << family.load(parent, 0) << family.fix(0) << family.device_reads(0);
        family.store(parent, 0, 5);
        s << family.device_reads(0);
        return s;
    });
}

TEST_CASE("8.5: MADV_PAGEOUT leaves a pinned page, and takes nothing from others") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    if (!kernel_has_swap()) return skip("there is no swap space");
    both_say("0 0 0 1 2 6 6", [](auto& family) {
        family.store(parent, 0, 1);
        family.store(parent, 1, 6);
        seen s;
        s << family.fix(0) << family.page_out(parent, 0) << family.page_out(parent, 1);
        s << family.device_reads(0);
        family.store(parent, 0, 2);
        s << family.device_reads(0);
        family.fork();
        s << family.load(child, 1) << family.load(parent, 1);
        return s;
    });
}

namespace {

/// One step of a script made at random.
struct step {
    int what;
    actor who;
    std::uint64_t page;
    int value;
};

/// Scripts in which nobody touches what is not there. The first 11 kinds need no io_uring. Pages that
/// are swapped out or moved must not show: whether and when the kernel does it makes no difference.
std::vector<step> random_script(std::mt19937& random, std::size_t length, unsigned kinds) {
    std::vector<step> script;
    for (std::size_t i = 0; i < length; ++i) {
        auto const who = random() % 2 == 0 ? parent : child;
        auto const value = static_cast<int>(1 + random() % 100);
        script.push_back({static_cast<int>(random() % kinds), who, random() % script_pages, value});
    }
    return script;
}

template<class Family>
std::string run(Family& family, std::vector<step> const& script) {
    seen s;
    auto has_child = false;
    std::set<std::uint64_t> fixed;
    for (auto const& [what, wanted, page, value] : script) {
        auto const who = has_child ? wanted : parent;
        switch (what) {
            case 0:
            case 1: family.store(who, page, value); break;
            case 2:
            case 3: s << family.load(who, page); break;
            case 4: s << family.splice(who, page); break;
            case 5: s << family.from_pipe(); break;
            case 6: s << family.protect(who, page); break;
            case 7: s << family.discard(who, page); break;
            case 8:
                s << (has_child ? family.child_exits() : family.fork());
                has_child = !has_child;
                break;
            case 9: s << family.page_out(who, page); break;
            case 10: s << family.move(who, page); break;
            case 11:
                if (fixed.insert(page).second) s << family.fix(page);
                break;
            case 12:
                if (fixed.contains(page)) s << family.device_reads(page);
                break;
            default:
                if (fixed.contains(page)) s << family.device_writes(page, value);
                break;
        }
    }
    return s;
}

}  // namespace

TEST_CASE("11.3: scripts made at random say the same in both worlds") {
    std::mt19937 random{20200529};
    auto const kinds = kernel_has_io_uring() ? 14U : 11U;
    for (int round = 0; round < 400; ++round) {
        auto const script = random_script(random, 40, kinds);
        constexpr std::array kinds_of_memory{mapping::private_memory, mapping::moved_memory,
                                             mapping::private_memory, mapping::shared_memory};
        auto const how = kinds_of_memory[static_cast<std::size_t>(round % 4)];
        model_family model{how};
        auto const model_says = run(model, script);
        auto const linux_says =
            in_a_process(how, [&](auto& family) { return run(family, script); });
        INFO("script " << round);
        REQUIRE(model_says == linux_says);
    }
}
