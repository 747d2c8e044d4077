#include "link.hpp"

#include <supd/base/log.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <random>
#include <utility>

namespace supd::cache {
namespace {

constexpr int kSilentPings = 3;

bool is_error(const Reply& reply, std::string_view code) {
    return reply.kind == Reply::Kind::error && reply.text.starts_with(code);
}

}  // namespace

double random_share() {
    thread_local std::minstd_rand generator(std::random_device{}());
    return std::generate_canonical<double, 24>(generator);
}

Link::Link(Access& access, Hooks hooks)
    : access_(access),
      hooks_(std::move(hooks)),
      breaker_(access.settings.limits.back_off, random_share),
      timer_(access.home) {}

void Link::start(async::TaskGroup& tasks) {
    tasks.spawn(access_.home.get_executor(), run(shared_from_this()));
}

asio::awaitable<void> Link::run(std::shared_ptr<Link> self) {
    // One line for a loss and one for the return, however many tries lie between that fail alike.
    std::string_view told;
    while (!retired_) {
        breaker_.trying();
        const bool was_up = co_await serve();
        const auto pause = breaker_.failed();
        if (retired_) co_return;
        if (was_up || told != trouble_.stage)
            base::log::warn("redis_away", {{"kind", hooks_.push ? "subscription" : "commands"},
                                           {"operation", trouble_.stage},
                                           {"reason", trouble_.reason}});
        told = trouble_.stage;
        timer_.expires_after(pause);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));  // retire() cuts it short
    }
}

asio::awaitable<Trouble> Link::sign_in(std::shared_ptr<net::Stream> stream) const {
    const auto& url = access_.settings.url;
    std::vector<Words> commands;
    if (!url.password.empty()) {
        Words auth{"AUTH"};
        if (!url.user.empty()) auth.push_back(url.user);
        auth.push_back(url.password.reveal());
        commands.push_back(std::move(auth));
    }
    if (url.database != 0) commands.push_back({"SELECT", std::to_string(url.database)});
    // Sentinels may still name a master that has just become a replica.
    const bool check_role = url.layout == Layout::sentinel;
    commands.push_back(check_role ? Words{"ROLE"} : Words{"PING"});
    auto said = co_await converse(stream, std::move(commands), access_.settings.limits.connect);
    if (said.replies.empty()) co_return said.trouble;
    Trouble out;
    for (const auto& reply : said.replies) {
        if (reply.kind != Reply::Kind::error) continue;
        out.stage = "sign_in";
        out.reason = code_of(reply);
        co_return out;
    }
    if (!check_role) co_return out;
    const auto& role = said.replies.back();
    if (role.kind == Reply::Kind::array && !role.items.empty() && role.items.front().text == "master")
        co_return out;
    out.stage = "role";
    out.reason = "it is not a master";
    co_return out;
}

// One connection from dialling to its end. True when it was of use.
asio::awaitable<bool> Link::serve() {
    struct Closing {
        Link& link;
        ~Closing() { link.drop(); }
    } closing{*this};
    auto located = co_await hooks_.locate();
    trouble_ = std::move(located.trouble);
    if (!located.endpoint) co_return false;
    auto dialled =
        co_await dial(access_.home, *located.endpoint, access_.tls, access_.settings.limits.connect);
    trouble_ = std::move(dialled.trouble);
    if (!dialled.stream) co_return false;
    trouble_ = co_await sign_in(dialled.stream);
    if (!trouble_.reason.empty() || retired_) co_return false;

    connection_ = std::make_shared<Connection>(std::move(dialled.stream));
    const std::weak_ptr<Link> weak = weak_from_this();
    connection_->start(
        [weak](Reply reply) {
            if (const auto link = weak.lock()) link->on_reply(std::move(reply));
        },
        [weak] {
            if (const auto link = weak.lock()) link->drop();
        });
    lost("the connection was closed");  // unless another reason comes
    since_ = heard_ = base::Monotonic::now();
    next_ping_ = heard_ + access_.settings.limits.ping;
    breaker_.succeeded();
    access_.counters.reconnects.fetch_add(1, std::memory_order_relaxed);
    base::log::info("redis_connected", {{"kind", hooks_.push ? "subscription" : "commands"}});
    hooks_.up();
    while (alive()) {
        timer_.expires_after(access_.settings.limits.tick);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));  // drop() cuts it short
    }
    co_return true;
}

// False: the answer of alive() then.
bool Link::lost(std::string reason) {
    trouble_.stage = "link";
    trouble_.reason = std::move(reason);
    return false;
}

bool Link::alive() {
    if (!connection_) return false;
    const auto now = base::Monotonic::now();
    const auto& limits = access_.settings.limits;
    if (!waiting_.empty() && waiting_.front().until <= now) return lost("a command was not answered in time");
    if (hooks_.push && now - heard_ > limits.ping * kSilentPings) return lost("no pings are answered");
    if (now - since_ > limits.settled) breaker_.settled();
    if (now < next_ping_) return true;
    next_ping_ = now + limits.ping;
    if (hooks_.push) {
        std::string bytes;
        append_command(bytes, {"PING"});
        connection_->write(bytes);
    } else if (waiting_.empty()) {
        send({"PING"}, nullptr);
    }
    return true;
}

bool Link::send(const Words& words, Done done) {
    if (!connection_) return false;
    std::string bytes;
    append_command(bytes, words);
    connection_->write(bytes);
    if (!hooks_.push)
        waiting_.push_back({base::Monotonic::now() + access_.settings.limits.command, std::move(done)});
    return true;
}

void Link::on_reply(Reply reply) {
    if (hooks_.push) {
        heard_ = base::Monotonic::now();
        return hooks_.push(std::move(reply));
    }
    if (waiting_.empty()) return drop();  // an answer to nothing
    const auto done = std::move(waiting_.front().done);
    waiting_.pop_front();
    // A master that became a replica, or a server that still loads: of no use, there may be another.
    const bool useless =
        is_error(reply, "READONLY") || is_error(reply, "LOADING") || is_error(reply, "MASTERDOWN");
    if (useless) lost(code_of(reply));
    Answer answer;
    if (reply.kind == Reply::Kind::error) answer.failure = Failure::refused;
    answer.reply = std::move(reply);
    if (done) done(std::move(answer));
    if (useless) drop();
}

void Link::drop() {
    const auto connection = std::exchange(connection_, nullptr);
    if (!connection) return;
    breaker_.trying();  // not closed from here on; run() opens it
    connection->close();
    timer_.cancel();
    hooks_.down();
    fail_waiting();  // who is told finds it down
}

void Link::retire() {
    retired_ = true;
    drop();
    timer_.cancel();
}

void Link::fail_waiting() {
    auto lost = std::exchange(waiting_, {});
    for (auto& one : lost) {
        Answer answer;
        answer.failure = Failure::lost;
        if (one.done) one.done(std::move(answer));
    }
}

}  // namespace supd::cache
