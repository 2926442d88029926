// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scripts with two actors: one makes a call that meets missing pages and waits in a userfaultfd,
// the other changes the memory meanwhile (gup-semantics §8.4). Or the call changes memory whose
// pager is told of that (is_told), and waits until the other has read the message.
//
// The other acts when the call waits, and goes on when it is settled what the act has led to: after
// an act that wakes the call, it has ended or waits again, which the next event says; after any
// other nothing has changed. So there is nothing to time, and both sides are asked the same.

#include "../../../examples/linux_parity/linux_side.hpp"
#include "../../../examples/linux_parity/step.hpp"
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace oracle {

/// One such script. Among its acts may be one call, which a third actor makes; a call that says
/// EAGAIN waits. What it maps of a kind with faults is served by its acts only; whatever they
/// leave undone, closing the userfaultfd ends.
struct duet {
    std::string name{};
    parity::script before{};  ///< touches nothing that is missing
    parity::step call{};
    parity::script acts{};
};

/// Where the call is.
enum class caller_state : std::uint8_t {
    ended,
    waits,    ///< for a page; the message has been read
    unheard,  ///< there is a message that nobody has read
    lost,
};

/// How an act ended, and where it left the call.
struct act_answer {
    std::int64_t value{0};
    caller_state call{caller_state::ended};
    std::uint64_t waits_at{0};

    friend bool operator==(act_answer const&, act_answer const&) = default;
};

/// How a duet went. The first entry of `acts` is the call's beginning.
struct duet_answer {
    static constexpr std::size_t most_acts = 12;
    std::array<act_answer, most_acts + 1> acts{};
    parity::answer call{};
    parity::answer third{};  ///< of the act that is a call of its own
    bool ran{false};
};

duet_answer duet_on_linux(duet const& script, std::string const& folder);
duet_answer duet_on_model(duet const& script, parity::surroundings const& where);

/// What differs; empty: nothing.
std::string difference(duet const& script, duet_answer const& linux_says,
                       duet_answer const& model_says);
/// The script with both answers beside each line.
std::string side_by_side(duet const& script, duet_answer const& linux_says,
                         duet_answer const& model_says);

/// gup-semantics §8.4, for each caller of `calls` that can be stopped half-way.
std::vector<duet> named_duets(std::vector<parity::op> const& calls);
/// What a userfaultfd is told of beside faults.
std::vector<duet> told_duets();

/// Makes duet after duet, the same for the same seed.
class duet_generator {
public:
    duet_generator(std::uint64_t seed, std::vector<parity::op> calls);
    duet next();

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    parity::step act();
    duet next_told();
    parity::step told_act();

    std::mt19937_64 random_;
    std::vector<parity::op> calls_;
    parity::memory of_{parity::memory::faults};  ///< of the duet in the making
};

}  // namespace oracle
