// Read and delivered marks: one pair of numbers per member and chat, which only move forward and never past
// what is there. A mark that comes by the socket is coalesced (the last one wins) and written within
// kFlushInterval; POST /chats/:id/read answers after COMMIT. What a process holds when it is killed is lost:
// the next mark heals it.
#pragma once

#include <supd/async/io_threads.hpp>
#include <supd/db/database.hpp>
#include <supd/http/router.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/hub.hpp>

#include <memory>

namespace supd::receipts {

struct Context;

/// Construct, add routes and commands; stop() after the sockets are closed and before the threads end.
/// Thread-safe.
class Module {
public:
    Module(db::Database& database, ws::Hub& hub, async::IoThreads& threads);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    void add_routes(http::Router& router);
    void add_commands(ws::Commands& commands);
    /// Ends the gathering; not from an io thread.
    void stop();
    /// Marks that wait to be written.
    std::size_t pending() const;

private:
    std::unique_ptr<Context> context_;
};

}  // namespace supd::receipts
