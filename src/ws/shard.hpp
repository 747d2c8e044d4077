// What one io thread keeps of the endpoint: its sockets, the frames waiting to be flushed, the tick.
#pragma once

#include <supd/async/task_group.hpp>
#include <supd/trace/context.hpp>
#include <supd/ws/endpoint.hpp>
#include <supd/ws/session.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace supd::ws {

inline constexpr std::chrono::seconds kTick{1};
inline constexpr std::size_t kReadBuffer = 64 * 1024;

inline constexpr int kRetrySpreadMs = 3000;  // when the database was away for all of them

/// The reason of a 1012: `{"retry_after_ms": n}` with n at random up to `spread_ms`.
std::string retry_hint(int spread_ms);

struct Endpoint::Shard {
    explicit Shard(asio::io_context& ctx) : context(ctx), tick(ctx) {}

    asio::io_context& context;
    asio::steady_timer tick;
    bool ticking = false;
    std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions;
    std::unordered_map<std::uint64_t, trace::Context> parents;  // of sockets whose upgrade named one
    std::vector<std::shared_ptr<Session>> dirty;
    bool flush_posted = false;
    std::array<char, kReadBuffer> buffer;  // shared by all sessions of the thread: an idle one holds none
    base::Monotonic::time_point now = base::Monotonic::now();
    std::atomic<std::size_t> count{0};
    std::atomic<std::size_t> queued_frames{0}, queued_bytes{0};  // as of the last tick
    async::TaskGroup tasks{"ws"};
};

}  // namespace supd::ws
