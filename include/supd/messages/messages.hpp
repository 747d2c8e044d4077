// Messages: send, history, edit, delete, react. Owns the tables message_edits, message_reactions and
// message_hidden, and what changes in messages after they were stored (storing is chatlog's). REST and
// WebSocket share every rule.
#pragma once

#include <supd/chatlog/writer.hpp>
#include <supd/db/database.hpp>
#include <supd/db/replicas.hpp>
#include <supd/http/router.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/hub.hpp>

#include <memory>

namespace supd::jobs {
class Queue;
}

namespace supd::messages {

namespace asio = boost::asio;

struct Context;

/// Construct, add routes and commands; destroyed after the server has stopped. Thread-safe.
class Module {
public:
    /// `replicas`: for the history of chats; may be null.
    Module(db::Database& database, chatlog::Writer& writer, ws::Hub& hub, db::Replicas* replicas = nullptr);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    void add_routes(http::Router& router);
    void add_commands(ws::Commands& commands);
    /// Deletes messages whose expires_in_s is over, every kExpireInterval.
    void add_jobs(jobs::Queue& queue);

private:
    std::unique_ptr<Context> context_;
};

}  // namespace supd::messages
