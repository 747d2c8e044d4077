// A hub with its endpoint, a log and connections that the test has in its hands: io threads are turned by the
// thread of the test, so that every interleaving is chosen.
#pragma once

#include "client_frames.hpp"
#include "fake_log.hpp"
#include "fake_stream.hpp"

#include <supd/ws/endpoint.hpp>
#include <supd/ws/session.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace supd::ws::testing_ {

constexpr std::chrono::milliseconds kNever = std::chrono::hours(1), kAtOnce{0};

inline EndpointOptions queue_of(std::size_t frames, std::size_t bytes = 1 << 20) {
    EndpointOptions out;
    out.queue_frames = frames;
    out.queue_bytes = bytes;
    return out;
}

/// What a client has read from its socket.
class Client {
public:
    struct Heard {
        std::string type;
        ChatId chat;
        std::int64_t seq = 0;
        std::uint64_t w = 0;  ///< of a cursor
    };

    std::shared_ptr<Peer> peer = std::make_shared<Peer>();
    http::Caller caller;
    std::size_t thread = 0;
    std::shared_ptr<Session> session;

    /// All text frames so far, and the code when it was closed.
    const std::vector<Heard>& heard() {
        absorb();
        return heard_;
    }
    std::vector<std::int64_t> seqs(ChatId chat) {
        std::vector<std::int64_t> out;
        for (const auto& one : heard())
            if (one.type == "message" && one.chat == chat) out.push_back(one.seq);
        return out;
    }
    std::vector<std::uint64_t> cursors() {
        std::vector<std::uint64_t> out;
        for (const auto& one : heard())
            if (one.type == "cursor") out.push_back(one.w);
        return out;
    }
    std::size_t count(std::string_view type) {
        return static_cast<std::size_t>(
            std::ranges::count(heard(), type, [](const Heard& one) { return std::string_view(one.type); }));
    }
    std::optional<unsigned> closed() {
        absorb();
        return closed_;
    }

private:
    void absorb() {
        const auto& got = peer->got;
        if (at_ == 0) {
            const auto end = got.find("\r\n\r\n");
            if (end == std::string::npos) return;
            at_ = end + 4;
        }
        for (;;) {
            if (got.size() < at_ + 2) return;
            const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(got[i]); };
            std::size_t size = byte(at_ + 1), from = at_ + 2;
            const int bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
            if (got.size() < from + static_cast<std::size_t>(bytes)) return;
            if (bytes > 0) size = 0;
            for (int i = 0; i < bytes; ++i)
                size = size << 8 | byte(from++);
            if (got.size() < from + size) return;
            EXPECT_FALSE(closed_) << "frames after the close";
            take(byte(at_) & 0x0F, std::string_view(got).substr(from, size));
            at_ = from + size;
        }
    }
    void take(int opcode, std::string_view payload) {
        if (opcode == kClose)
            closed_ = static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8 |
                      static_cast<unsigned char>(payload[1]);
        if (opcode != kText) return;
        const auto json = nlohmann::json::parse(payload);
        Heard one;
        one.type = json.at("type").get<std::string>();
        if (json.contains("seq")) {
            one.seq = json["seq"].get<std::int64_t>();
            one.chat = ChatId::parse(json["chat_id"].get<std::string>()).value();
        }
        if (one.type == "cursor" || one.type == "caught_up")
            one.w = std::stoull(json["data"]["cursor"].get<std::string>());
        heard_.push_back(std::move(one));
    }

    std::size_t at_ = 0;
    std::vector<Heard> heard_;
    std::optional<unsigned> closed_;
};

class Rig {
public:
    explicit Rig(HubOptions times = {kNever, kNever, kAtOnce, kAtOnce}, EndpointOptions options = {},
                 std::size_t threads = 1)
        : io(threads), hub(io, log, times), endpoint(io, hub, users_, commands_, quiet(std::move(options))) {
        endpoint.set_catch_up(
            [this](std::shared_ptr<Session> session, std::optional<std::string> /*cursor*/) {
                return came(std::move(session));
            });
        hub.start();
        settle();
    }
    ~Rig() {
        log.end();
        if (!running_) io.start();
        endpoint.stop();
        hub.stop();
        io.join();
    }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    /// From now on they turn by themselves.
    void let_run() {
        io.start();
        running_ = true;
    }
    /// Turns the threads until all of them are at rest.
    void settle() {
        for (int turns = 0; turns < 100'000; ++turns) {
            std::size_t ran = 0;
            for (std::size_t i = 0; i < io.size(); ++i) {
                const async::IoThreads::Acting here(i);
                ran += io.context(i).poll();
            }
            if (ran == 0) return;
        }
        ADD_FAILURE() << "never at rest";
    }
    /// Turns them until `done`, for what waits for a timer.
    template <class Done>
    bool turn_until(Done done) {
        const auto until = base::Monotonic::now() + std::chrono::seconds(10);
        while (!done()) {
            if (base::Monotonic::now() > until) return false;
            const async::IoThreads::Acting here(0);
            io.context(0).run_one_for(std::chrono::milliseconds(100));
        }
        return true;
    }

    /// A socket that is authenticated and held back: its catch-up is the test's to do.
    Client connect(UserId user, base::DeviceId device = base::DeviceId::make(),
                   SessionId session = SessionId::make(), std::size_t thread = 0) {
        Client out;
        out.caller = {user, device, session, false};
        out.thread = thread;
        open(out);
        return out;
    }
    void open(Client& client) {
        const auto token = "t" + std::to_string(users_.callers.size());
        users_.callers.emplace(token, client.caller);
        http::Request request;
        request.method = "GET";
        request.path = "/ws";
        request.request_id = token;
        request.headers = {{"connection", "Upgrade"},
                           {"upgrade", "websocket"},
                           {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                           {"sec-websocket-version", "13"}};
        auto stream = std::make_unique<FakeStream>(io.context(client.thread), client.peer);
        {
            const async::IoThreads::Acting here(client.thread);
            endpoint.upgrade(std::move(request), std::move(stream), "");
        }
        newcomer_.reset();
        settle();
        client.peer->say(
            client_frame(kText, R"({"type":"authenticate","data":{"token":")" + token + R"("}})"));
        settle();
        client.session = std::exchange(newcomer_, nullptr);
        EXPECT_TRUE(client.session);
    }

    /// What the catch-up has read.
    struct Snapshot {
        std::vector<LogSource::Head> chats;
        std::uint64_t w;
    };
    Snapshot snapshot(UserId user) { return {log.heads_of(user), log.w()}; }
    void hold(Client& client, const Snapshot& snapshot) {
        const async::IoThreads::Acting here(client.thread);
        hub.hold(*client.session, snapshot.chats, snapshot.w);
    }
    void finish(Client& client) {
        const async::IoThreads::Acting here(client.thread);
        hub.go_live(client.session);
    }
    void go_live(Client& client, const Snapshot& snapshot) {
        hold(client, snapshot);
        finish(client);
    }
    Client connect_live(UserId user, base::DeviceId device = base::DeviceId::make(),
                        SessionId session = SessionId::make(), std::size_t thread = 0) {
        auto out = connect(user, device, session, thread);
        go_live(out, snapshot(user));
        settle();
        return out;
    }

    bool subscribed(const Client& client, ChatId chat) {
        const async::IoThreads::Acting here(0);
        return hub.subscribed(*client.session, chat);
    }
    void publish(std::vector<ChatEvent> events) {
        hub.publish(std::move(events));
        settle();
    }
    /// Commits and publishes `count` entries.
    void write(ChatId chat, int count = 1) { publish(log.append_some(chat, count)); }
    /// The sweep that waits is answered, and what follows from it is done.
    void sweep() {
        ASSERT_FALSE(log.sweeps.empty());
        log.answer(log.sweeps);
        settle();
    }

    std::exception_ptr catch_up_failure;  ///< of the sockets that come from now on
    async::IoThreads io;
    FakeLog log;
    Hub hub;

private:
    struct Users final : http::Authenticator {
        http::Caller authenticate(std::string_view token) const override {
            return callers.at(std::string(token));
        }
        std::map<std::string, http::Caller> callers;
    };
    static EndpointOptions quiet(EndpointOptions options) {
        options.compression = false;
        return options;
    }
    asio::awaitable<void> came(std::shared_ptr<Session> session) {
        newcomer_ = std::move(session);
        if (catch_up_failure) std::rethrow_exception(catch_up_failure);
        co_return;
    }

    Users users_;
    Commands commands_;
    std::shared_ptr<Session> newcomer_;
    bool running_ = false;

public:
    Endpoint endpoint;
};

}  // namespace supd::ws::testing_
