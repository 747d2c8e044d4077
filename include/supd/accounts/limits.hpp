// Every limit of accounts on one screen.
#pragma once

#include <chrono>
#include <cstddef>

namespace supd::accounts {

// Usernames, in Unicode code points after NFKC.
inline constexpr std::size_t kMinUsername = 3;
inline constexpr std::size_t kMaxUsername = 32;
/// Bytes of a username or a sign-in identifier before anything looks at it.
inline constexpr std::size_t kMaxIdentifierBytes = 320;
inline constexpr std::size_t kMaxDisplayNameBytes = 256;
inline constexpr std::size_t kMaxDisplayName = 64;  ///< code points
inline constexpr std::size_t kMaxBioBytes = 2000;
inline constexpr std::size_t kMaxBio = 500;         ///< code points
inline constexpr std::size_t kMaxEmailBytes = 254;  ///< RFC 5321 section 4.5.3.1.3
inline constexpr std::size_t kMaxEmailLocalBytes = 64;
inline constexpr std::size_t kMaxPhoneBytes = 16;  ///< '+' and 15 digits, E.164
inline constexpr std::size_t kMaxDeviceNameBytes = 128;
inline constexpr std::size_t kMaxUserAgentBytes = 256;
/// Far more than a token has: what is no token of ours, such as an access token, is wrong and not malformed.
inline constexpr std::size_t kMaxRefreshTokenBytes = 2048;
/// JSON bodies of all routes of accounts.
inline constexpr std::size_t kBodyLimit = 16 * 1024;

/// Attempts to sign in to one account from all addresses together: so many times those from one address.
inline constexpr double kAllAddressesFactor = 10;

/// A sign-in past this removes the device that was seen longest ago.
inline constexpr std::size_t kMaxDevicesPerUser = 100;

inline constexpr std::chrono::seconds kAccessTokenLifetime{15 * 60};
inline constexpr std::chrono::seconds kSessionIdle{30 * 24 * 3600};
/// How long the token that was just exchanged still answers with the same successor (a lost reply, a double
/// click).
inline constexpr std::chrono::seconds kRefreshRetryWindow{10};

/// How often a process asks which sessions others revoked; a revocation is known everywhere within twice
/// this.
inline constexpr std::chrono::milliseconds kRevocationPoll{1000};
/// How far each poll looks back before the last one: longer than a transaction may take to commit.
inline constexpr std::chrono::seconds kRevocationOverlap{15};

/// How long exchanged refresh tokens are kept to recognise a replay: as long as their session may live.
inline constexpr std::chrono::hours kUsedTokenKept =
    std::chrono::duration_cast<std::chrono::hours>(kSessionIdle);
/// How long sessions that ended are kept to answer questions.
inline constexpr std::chrono::hours kEndedSessionKept{30 * 24};
/// Rows of one clean-up transaction: short, because every cursor waits for it.
inline constexpr int kExpireBatch = 5000;

inline constexpr std::size_t kDefaultPage = 50;
inline constexpr std::size_t kMaxPage = 200;

}  // namespace supd::accounts
