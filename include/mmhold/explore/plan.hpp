// SPDX-License-Identifier: BSL-1.0
#pragma once

// plan and verdict: what to search, and what came out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmhold {

/// What a load may see. Each model is a promise about what is *not* missed and an admission of what
/// is (tests/litmus).
enum class memory_model : std::uint8_t {
    /// One memory, no buffers: plain interleaving.
    sc,
    /// x86: a FIFO store buffer per actor; own stores are forwarded; locked operations and full
    /// fences drain. Shows SB and R; never MP, LB, IRIW, S, 2+2W (nor does the hardware).
    tso,
    /// Release/acquire with views: a load may see any store not yet overwritten in the reader's
    /// view. Shows MP, WRC, IRIW, SB, R where orders are too weak. Stores take effect in execution
    /// order, so LB, S and 2+2W are out of reach: an under-approximation of C++20.
    stale,
};

/// How executions are chosen.
enum class search_kind : std::uint8_t {
    all,  ///< every execution once, up to swapping independent steps (source-DPOR with sleep sets)
    brute,   ///< every interleaving; only the oracle that checks `all` wants this
    random,  ///< seeded, uniform over what can run
    pct,     ///< seeded, random priorities with 1 to 5 change points (depths 2 to 6 in turn)
    replay,  ///< the one execution that plan::replay names
};

/// What becomes of memory given back through M::destroy.
enum class heap_reuse : std::uint8_t {
    never,   ///< an address is never used twice: every use after free shows, ABA does not
    always,  ///< the newest free block of that size is handed out at once: ABA shows
};

/// How an await whose word was made true without a notify is judged.
enum class wake_rule : std::uint8_t {
    strict,   ///< it may have been parked already: a lost wake-up
    lenient,  ///< await is poll
};

/// What happens after a finding.
enum class after_finding : std::uint8_t { stop, go_on };

/// Whether a finding is replayed, shortened and told as a story.
enum class story_kind : std::uint8_t { told, omitted };

/// What is done to a site (a named order or fence) to learn who needs it.
enum class weakening : std::uint8_t {
    off,         ///< a fence disappears; an order becomes relaxed
    to_acquire,  ///< keeps the acquire half
    to_release,  ///< keeps the release half
    to_acq_rel,  ///< a seq_cst becomes acq_rel (or the half that its access can have)
};

/// "Do this to the site of that name."
struct site_change {
    std::string name;
    weakening how{weakening::off};
};

/// What to search and how long.
struct plan {
    memory_model memory{memory_model::tso};
    search_kind search{search_kind::all};
    std::uint64_t executions{20'000'000};  ///< budget; random searches run exactly this many
    double seconds{0};                     ///< budget of time; 0: none
    std::uint64_t seed{1};                 ///< of random and pct
    std::string replay{};                  ///< token of a finding
    std::vector<site_change> sites{};      ///< switched off or weakened
    int retries{3};       ///< M::relax() calls per actor before an execution is cut
    int buffer_depth{8};  ///< entries of a store buffer (1 to 16)
    int longest{2000};    ///< events after which an execution counts as endless (up to 30,000)
    heap_reuse reuse{heap_reuse::never};
    wake_rule wakes{wake_rule::strict};
    after_finding on_finding{after_finding::stop};
    story_kind story{story_kind::told};
    std::string command{};  ///< what starts this search in a shell; reports repeat it with --replay
    /// Threads that divide a search (1 to 64; only `all`, `random` and `pct` are divided). The
    /// scenario runs in several of them at once, so what it shares beyond itself must be constant.
    /// Executions are the same for any number of workers. Of several findings random searches
    /// report the first, exhaustive ones any.
    int workers{1};
};

/// What is wrong.
enum class finding_kind : std::uint8_t {
    none,
    expectation,       ///< M::expect() was false
    data_race,         ///< two uses of a plain field, or birth and use of a word, are not ordered
    use_after_free,    ///< used after its life ended, or ended without a use being ordered before
    double_free,       ///< M::destroy of something destroyed
    wrong_free,        ///< M::destroy of something never created
    leak,              ///< created, never destroyed
    deadlock,          ///< actors wait and nobody can run
    lost_wakeup,       ///< an awaited word became true and nobody was told
    exclusion,         ///< two holders of a lock that excludes them
    lock_misuse,       ///< a lock given back that was not held, or still held at the end
    lock_order,        ///< two orders of taking locks; some execution will deadlock
    endless,           ///< an execution does not end: unbounded retry or hand-written spinning
    stale_hold,        ///< used after the hold of a lock that it was found under was given up
    stale_reference,   ///< used after the last reference to it was given back
    irq_sleep,         ///< may sleep with interrupts off, even if it would not have to
    irq_unbalanced,    ///< interrupts left off at the end, or turned on that were not off
    not_linearizable,  ///< no serial order of the recorded operations explains their answers
    hidden_state,      ///< the same choices led elsewhere: a static, an address or a clock
};

[[nodiscard]] constexpr std::string_view to_string(finding_kind kind) noexcept {
    switch (kind) {
        case finding_kind::none: return "none";
        case finding_kind::expectation: return "failed expectation";
        case finding_kind::data_race: return "data race";
        case finding_kind::use_after_free: return "use after free";
        case finding_kind::double_free: return "double free";
        case finding_kind::wrong_free: return "free of something never created";
        case finding_kind::leak: return "leak";
        case finding_kind::deadlock: return "deadlock";
        case finding_kind::lost_wakeup: return "lost wake-up";
        case finding_kind::exclusion: return "mutual exclusion broken";
        case finding_kind::lock_misuse: return "lock misuse";
        case finding_kind::lock_order: return "lock order inversion";
        case finding_kind::endless: return "endless execution";
        case finding_kind::stale_hold: return "used after its lock was given up";
        case finding_kind::stale_reference: return "used after its reference was given back";
        case finding_kind::irq_sleep: return "sleeping with interrupts off";
        case finding_kind::irq_unbalanced: return "interrupts left off";
        case finding_kind::not_linearizable: return "not linearizable";
        case finding_kind::hidden_state: return "hidden state";
    }
    return "?";
}

[[nodiscard]] constexpr std::string_view to_string(memory_model model) noexcept {
    switch (model) {
        case memory_model::sc: return "sc";
        case memory_model::tso: return "tso";
        case memory_model::stale: return "stale";
    }
    return "?";
}

[[nodiscard]] constexpr std::string_view to_string(weakening how) noexcept {
    switch (how) {
        case weakening::off: return "off";
        case weakening::to_acquire: return "acquire";
        case weakening::to_release: return "release";
        case weakening::to_acq_rel: return "acq_rel";
    }
    return "?";
}

/// One thing that is wrong, and how to see it again.
struct finding {
    finding_kind kind{finding_kind::none};
    std::string headline;           ///< what and who, in one line
    std::string details{};          ///< what the columns of the story cannot show; lines
    std::string token;              ///< plan::replay of the execution
    std::string story;              ///< the execution in columns (empty with story_kind::omitted)
    std::uint64_t at_execution{0};  ///< which execution showed it, counted from 1
};

/// What came out of a search.
struct verdict {
    bool exhausted{false};  ///< the search ended by itself, not by budget or finding
    bool cut{false};  ///< some execution hit plan::retries: complete only up to that many retries
    std::uint64_t executions{0};  ///< complete executions, including those with findings
    std::uint64_t redundant{0};   ///< begun in vain: everything left was known from elsewhere
    std::uint64_t deadlocks{0};   ///< executions that ended with everybody waiting
    std::uint64_t events{0};      ///< over all executions
    int longest{0};               ///< events of the longest execution
    int actors{0};
    double seconds{0};
    std::uint32_t kinds{0};  ///< which kinds of findings: bit k for the kind of number k
    finding first;           ///< kind none: nothing found

    /// All executions were searched and none is wrong.
    [[nodiscard]] bool complete() const noexcept {
        return exhausted && first.kind == finding_kind::none;
    }
    [[nodiscard]] bool found() const noexcept { return first.kind != finding_kind::none; }
    [[nodiscard]] bool found(finding_kind kind) const noexcept { return first.kind == kind; }
    /// Did some execution show it? (More than the first only with after_finding::go_on.)
    [[nodiscard]] bool saw(finding_kind kind) const noexcept {
        return (kinds >> static_cast<unsigned>(kind) & 1U) != 0;
    }
};

}  // namespace mmhold
