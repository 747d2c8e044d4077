// Every limit of presence and typing on one screen.
#pragma once

#include <chrono>
#include <cstddef>

namespace supd::presence {

/// People that one session may watch.
inline constexpr std::size_t kMaxWatched = 500;
inline constexpr std::size_t kMaxStatusTextBytes = 128;
/// Who comes back sooner was never away: reconnecting phones do not flicker.
inline constexpr std::chrono::seconds kOfflineDelay{5};
/// Typing frames of one session (token bucket); what is above is dropped without a word.
inline constexpr double kTypingPerSecond = 2;
inline constexpr double kTypingBurst = 6;
/// Presence frames of one session (token bucket); what is above is refused with 429.
inline constexpr double kPresencePerSecond = 1;
inline constexpr double kPresenceBurst = 20;
/// subscribe_presence frames of one session (token bucket); what is above is refused with 429. Each may ask
/// Redis of kMaxWatched people.
inline constexpr double kSubscribesPerSecond = 1;
inline constexpr double kSubscribesBurst = 10;

/// How often a process asks whether those who are connected elsewhere still are; and how soon after an
/// interruption.
inline constexpr std::chrono::seconds kReadAgain{10};
inline constexpr std::chrono::seconds kLookAgain{1};
/// How often it asks of all who are watched: whose coming it has not heard of is found by that.
inline constexpr std::chrono::seconds kReadAllAgain{60};
/// A word that is missing may only have been wiped: it is looked for again after so long, longer than a lease
/// is renewed (nodes). With the length of a lease and kReadAgain that is how long who has gone with a killed
/// process counts as there.
inline constexpr std::chrono::seconds kReadMissing{8};
/// A word that nobody has confirmed for so long counts no more: Redis has been away. Longer than who goes
/// with a killed process counts as there, as a restart of Redis must not show.
inline constexpr std::chrono::seconds kForgetAfter{45};

}  // namespace supd::presence
