// Who is online, and who types. Kept in memory, never stored, never replayed; to a slow client typing is
// lost, and of somebody's presence it gets the last. Seen only by people who share a chat, asked when they
// subscribe. Several processes tell each other by leases, and the word that was said last counts at each.
// While leases cannot be read, who was known to be elsewhere counts as there for kForgetAfter and then as
// offline; who was not is left out of the answer to a subscription rather than said to be offline.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/base/clock.hpp>
#include <supd/db/database.hpp>
#include <supd/nodes/leases.hpp>
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
    /// `leases`: null when this process is alone.
    Module(db::Database& database, ws::Hub& hub, async::IoThreads& threads, base::Clock& clock,
           nodes::Leases* leases = nullptr);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    void add_commands(ws::Commands& commands);
    /// Learns of sessions that come and go. Before serving.
    void watch(ws::Endpoint& endpoint);
    /// With leases: once the io threads run.
    void start();
    /// Not from an io thread.
    void stop();

private:
    std::unique_ptr<Context> context_;
};

}  // namespace supd::presence
