// How to reach Redis, and the limits of doing so.
#pragma once

#include <supd/cache/breaker.hpp>
#include <supd/cache/url.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace supd::cache {

struct Limits {
    std::chrono::milliseconds connect{1000};
    /// From sending to the answer. One that passes ends the connection: Redis answers in order, so all behind
    /// it would be late too.
    std::chrono::milliseconds command{500};
    /// How often deadlines are looked at; with `command` it bounds how long a dead Redis is asked.
    std::chrono::milliseconds tick{200};
    std::chrono::milliseconds ping{
        1000};  ///< between pings; a subscription that hears nothing for three is lost
    std::chrono::milliseconds topology{10'000};  ///< how often a cluster is asked for its slots unprompted
    std::size_t waiting_commands = 20'000;       ///< sent and not yet answered; more are refused at once
    std::size_t waiting_bytes = 32 << 20;
    BackOff back_off;
    std::chrono::milliseconds settled{5000};  ///< a connection that lived so long is made again without delay
};

struct Settings {
    Url url;
    std::string ca_file;  ///< PEM of the authorities of rediss://; empty = the system's
    Limits limits;
};

/// Counted from any thread, read by the metrics.
struct Counters {
    std::atomic<std::uint64_t> commands{0};   ///< sent
    std::atomic<std::uint64_t> failures{0};   ///< commands that were not answered, or with an error
    std::atomic<std::uint64_t> dropped{0};    ///< commands that were not sent
    std::atomic<std::uint64_t> published{0};  ///< messages handed to Redis
    std::atomic<std::uint64_t> untold{0};     ///< messages that were not
    std::atomic<std::uint64_t> received{0};   ///< messages of subscriptions
    std::atomic<std::uint64_t> reconnects{0};
};

}  // namespace supd::cache
