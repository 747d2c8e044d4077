// 13e: a page of history (50 messages) and the chat list (50 chats with their last message), requests/s over
// keep-alive connections, one request on its way per connection. Every text of every answer is compared.
#include "histogram.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"
#include "seeder.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <system_error>

namespace {

using bench::Device;
using bench::now_ns;
using nlohmann::json;

constexpr std::size_t kUsers = 64;
constexpr std::size_t kReach = 25;  // user i talks to i+1 .. i+25 (and so from i-25): 50 chats each
constexpr std::size_t kChatsEach = 2 * kReach;
constexpr std::size_t kPage = 50;

// Makes the next request of a connection, and checks its answer.
struct Reader {
    std::function<bench::Request(std::size_t connection)> ask;
    std::function<void(std::size_t connection, std::string_view body)> check;
};

class HttpLoad {
public:
    HttpLoad(std::uint16_t port, std::size_t connections)
        : epoll_(epoll_create1(EPOLL_CLOEXEC)), lines_(connections) {
        for (std::size_t i = 0; i < connections; ++i) {
            lines_[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const int on = 1;
            setsockopt(lines_[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(port);
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (connect(lines_[i].fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
                throw std::system_error(errno, std::generic_category(), "connect");
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            epoll_ctl(epoll_, EPOLL_CTL_ADD, lines_[i].fd, &event);
        }
    }
    ~HttpLoad() {
        for (const Line& line : lines_)
            close(line.fd);
        close(epoll_);
    }
    HttpLoad(const HttpLoad&) = delete;
    HttpLoad& operator=(const HttpLoad&) = delete;

    json run(const Reader& reader, pid_t server, pid_t database, double seconds) {
        drive(reader, 1);
        latency_.clear();
        answers_ = bytes_ = 0;
        const bench::CpuMeter meter(server, database);
        drive(reader, seconds);
        const auto count = static_cast<double>(answers_);
        json out = {{"cpu", meter.read(count)}};
        out["requests_per_s"] = bench::rounded(count / out["cpu"]["wall_s"].get<double>(), 0);
        out["bytes_per_answer"] = answers_ == 0 ? 0 : bytes_ / answers_;
        out["p50_ms"] = bench::rounded(latency_.quantile_ms(0.5));
        out["p99_ms"] = bench::rounded(latency_.quantile_ms(0.99));
        return out;
    }

private:
    struct Line {
        int fd = -1;
        std::int64_t asked_ns = 0;
        std::string in;
    };

    void drive(const Reader& reader, double seconds) {
        const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
        std::size_t open = lines_.size();
        for (std::size_t i = 0; i < lines_.size(); ++i)
            ask(reader, i);
        while (open > 0) {
            std::array<epoll_event, 128> events;
            const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10'000);
            if (n == 0) throw std::runtime_error("no answer for 10 s");
            for (int k = 0; k < n; ++k) {
                const std::size_t i = events[static_cast<std::size_t>(k)].data.u64;
                if (!receive(reader, i)) continue;
                if (now_ns() < end) {
                    ask(reader, i);
                } else {
                    --open;
                }
            }
        }
    }

    void ask(const Reader& reader, std::size_t i) {
        const std::string bytes = bench::request_bytes(reader.ask(i));
        lines_[i].asked_ns = now_ns();
        if (send(lines_[i].fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(bytes.size()))
            throw std::system_error(errno, std::generic_category(), "send request");
    }

    bool receive(const Reader& reader, std::size_t i) {
        Line& line = lines_[i];
        const ssize_t n = recv(line.fd, chunk_.data(), chunk_.size(), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) return false;
        if (n <= 0) throw std::runtime_error("the daemon closed an HTTP connection");
        line.in.append(chunk_.data(), static_cast<std::size_t>(n));
        int status = 0;
        std::string_view body;
        const std::size_t used = bench::parse_response(line.in, status, body);
        if (used == 0) return false;
        if (status != 200)
            throw std::runtime_error("status " + std::to_string(status) + ": " + std::string(body));
        reader.check(i, body);
        latency_.add(now_ns() - line.asked_ns);
        bytes_ += used;
        ++answers_;
        line.in.erase(0, used);
        return true;
    }

    int epoll_;
    std::vector<Line> lines_;
    std::vector<char> chunk_ = std::vector<char>(256U * 1024);
    bench::Histogram latency_;
    std::uint64_t answers_ = 0, bytes_ = 0;
};

// Calls `check` with (sender, n) of each text of the body; throws when a text is damaged or the count is off.
template <typename Check>
void each_text(const bench::Texts& texts, std::string_view body, std::size_t count, Check check) {
    constexpr std::string_view key = "\"text\":\"";
    std::size_t found = 0;
    for (std::size_t at = body.find(key); at != std::string_view::npos; at = body.find(key, at)) {
        at += key.size();
        std::uint64_t sender = 0;
        std::uint64_t n = 0;
        if (body.size() - at <= texts.length() || body[at + texts.length()] != '"' ||
            !texts.check(body.data() + at, sender, n))
            throw std::runtime_error("damaged text: " + std::string(body.substr(at, texts.length() + 1)));
        check(found++, sender, n);
    }
    if (found != count)
        throw std::runtime_error("expected " + std::to_string(count) + " texts: " + std::string(body));
}

json measure(const bench::Flags& flags) {
    const auto per_chat = static_cast<std::uint64_t>(flags.number("messages-per-chat"));
    const auto seconds = static_cast<double>(flags.number("seconds"));
    const auto text_bytes = static_cast<std::size_t>(flags.number("text-bytes"));
    if (per_chat < kPage) throw std::invalid_argument("--messages-per-chat below one page");
    bench::allow_open_files(4096);
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    const bench::Daemon daemon(bench::daemon_program(), folder.path() + "/data", postgres.url("supd"));
    bench::Rest rest(daemon.port());
    const auto users = bench::register_users(rest, "reader", kUsers);
    std::vector<bench::SeedJob> jobs;
    for (std::size_t i = 0; i < kUsers; ++i)
        for (std::size_t d = 1; d <= kReach; ++d) {
            const json body = {{"type", "direct"},
                               {"member_ids", json::array({users[(i + d) % kUsers].user_id})}};
            bench::SeedJob job;
            job.chat_id = rest.one({"POST", "/api/v1/chats", users[i].token, body.dump()}).at("id");
            job.connection = i;
            jobs.push_back(job);
        }
    std::vector<std::string> tokens;
    for (const Device& user : users)
        tokens.push_back(user.token);
    bench::Seeder(daemon.port(), tokens, jobs, per_chat, text_bytes).run();

    const bench::Texts texts(text_bytes);
    std::uint64_t random = 11;
    struct Asked {
        std::size_t job = 0;
        std::uint64_t first_n = 0;
    };
    const auto lines = static_cast<std::size_t>(flags.number("connections"));
    std::vector<Asked> asked(lines);
    const auto reader_of = [&](std::size_t line) { return line % kUsers; };
    const Reader history{
        .ask =
            [&](std::size_t line) {
                random = bench::mix(random);
                Asked& a = asked[line];
                a.job = reader_of(line) * kReach + random % kReach;
                a.first_n = (random >> 20U) % (per_chat - kPage + 1);
                return bench::Request{"GET",
                                      "/api/v1/messages/chat/" + jobs[a.job].chat_id + "?before_seq=" +
                                          std::to_string(jobs[a.job].first_seq + a.first_n + kPage) +
                                          "&limit=50",
                                      users[reader_of(line)].token,
                                      {}};
            },
        .check =
            [&](std::size_t line, std::string_view body) {
                each_text(texts, body, kPage, [&](std::size_t k, std::uint64_t job, std::uint64_t n) {
                    if (job != asked[line].job || n != asked[line].first_n + k)
                        throw std::runtime_error("not the page that was asked for");
                });
            }};
    const Reader list{
        .ask =
            [&](std::size_t line) {
                return bench::Request{"GET", "/api/v1/chats?limit=50", users[reader_of(line)].token, {}};
            },
        .check =
            [&](std::size_t line, std::string_view body) {
                each_text(texts, body, kChatsEach, [&](std::size_t, std::uint64_t job, std::uint64_t n) {
                    const std::size_t from = job / kReach;
                    const std::size_t to = (from + 1 + job % kReach) % kUsers;
                    if (n + 1 != per_chat || (from != reader_of(line) && to != reader_of(line)))
                        throw std::runtime_error("not the last message of an own chat");
                });
            }};
    HttpLoad load(daemon.port(), lines);
    json out = {{"connections", lines}};
    out["history"] = load.run(history, daemon.pid(), postgres.pid(), seconds);
    out["chat_list"] = load.run(list, daemon.pid(), postgres.pid(), seconds);
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark(
        "read", argc, argv,
        {{"connections", "32"}, {"messages-per-chat", "100"}, {"seconds", "10"}, {"text-bytes", "200"}},
        measure);
}
