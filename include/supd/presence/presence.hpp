// Who is online, and who types. Kept in this process only, never stored, never replayed: what is lost is said
// again by the next change. Seen only by people who share a chat, asked when they subscribe.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/base/clock.hpp>
#include <supd/db/database.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/endpoint.hpp>
#include <supd/ws/hub.hpp>

#include <memory>

namespace supd::presence {

struct Context;

/// Construct, add commands, watch the endpoint; stop() after the sockets are closed and before the threads
/// end. Thread-safe.
class Module {
public:
    Module(db::Database& database, ws::Hub& hub, async::IoThreads& threads, base::Clock& clock);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    void add_commands(ws::Commands& commands);
    /// Learns of sessions that come and go. Before serving.
    void watch(ws::Endpoint& endpoint);
    /// Not from an io thread.
    void stop();

private:
    std::unique_ptr<Context> context_;
};

}  // namespace supd::presence
