// What clients may say on the socket. A feature registers its commands like routes: one row each.
#pragma once

#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>
#include <supd/http/message.hpp>

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace supd::trace {
class Span;
struct Context;
}  // namespace supd::trace

namespace supd::ws {

namespace asio = boost::asio;

class Session;

/// One client frame of an authenticated session. Alive until it is answered.
class Command {
public:
    Command(std::shared_ptr<Session> session, http::Caller caller, std::string ref,
            std::shared_ptr<const nlohmann::json> data, std::shared_ptr<trace::Span> span = nullptr);
    const http::Caller& caller() const noexcept { return caller_; }
    const std::string& ref() const noexcept { return ref_; }
    const nlohmann::json& data() const noexcept { return *data_; }
    /// `{"type":"ack","ref":..,"data":data_json}`. Session's io thread. At most one of ack and refuse.
    void ack(std::string_view data_json) const;
    void refuse(const base::Error& error) const;
    Session& session() const noexcept { return *session_; }
    /// Of what is done for it; empty when it is not traced.
    const trace::Context& trace() const noexcept;
    /// What was read is not needed for the answer: a command that waits long gives its memory back.
    void drop_data() noexcept { data_ = nullptr; }

private:
    std::shared_ptr<Session> session_;
    http::Caller caller_;
    std::string ref_;
    std::shared_ptr<const nlohmann::json> data_;
    std::shared_ptr<trace::Span> span_;  // ends with the last copy; null when not traced
};

struct CommandRow {
    std::string_view type;
    std::string_view operation;
    /// Writes: counted by user like a request of Limit::message, over all of the user's sockets.
    bool counted = false;
    /// Exactly one is set.
    /// Answers by itself, perhaps later; frames behind it are read on meanwhile. `done` must be called once,
    /// after the answer, on the session's thread. What it throws is sent as the error.
    std::function<void(Command, std::function<void()> done)> pipelined;
    /// Returns the data of the ack as JSON, or an empty string for commands that have no answer (typing). The
    /// session's next frame waits for it, and it waits for pipelined ones before it: frames take effect in
    /// order.
    std::function<asio::awaitable<std::string>(Command)> ordered;
};

class Commands {
public:
    void add(CommandRow row);
    const CommandRow* find(std::string_view type) const;
    const std::vector<std::unique_ptr<CommandRow>>& rows() const noexcept { return rows_; }

private:
    std::vector<std::unique_ptr<CommandRow>> rows_;
};

}  // namespace supd::ws
