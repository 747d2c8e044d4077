#include "doctor_host.hpp"

#include "doctor_files.hpp"

#include <supd/http/fetch.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace supd::app {
namespace asio = boost::asio;
namespace {

constexpr double kDiskFailsShare = 0.05;
constexpr double kDiskWarnsShare = 0.15;
constexpr double kDiskFailsBytes = 1.0 * (1 << 30);    // below this a share says nothing
constexpr double kDiskEnoughBytes = 50.0 * (1 << 30);  // of a large disk, a small share is much
constexpr std::int64_t kOtherDescriptors = 128;        // database, listeners, files
constexpr std::int64_t kFewDescriptors = 1024;
constexpr std::chrono::milliseconds kLocalTimeout{2000};

std::optional<DiskFacts> disk_facts(const std::string& folder) {
    std::error_code error;
    auto path = std::filesystem::absolute(folder, error);
    while (!std::filesystem::exists(path, error) && path != path.parent_path())
        path = path.parent_path();
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
    const auto size = static_cast<double>(info.f_frsize);
    DiskFacts out;
    out.total = size * static_cast<double>(info.f_blocks);
    out.free = size * static_cast<double>(info.f_bavail);
    out.nodes = static_cast<double>(info.f_files);
    out.free_nodes = static_cast<double>(info.f_favail);
    return out;
}

std::string local(const std::string& host) {
    if (host == "0.0.0.0") return "127.0.0.1";
    return host == "::" ? "::1" : host;
}

// What a listener of ours answers; nullopt: nobody does.
std::optional<http::FetchAnswer> ask(const std::string& host, std::int64_t port, bool tls,
                                     const std::string& path) {
    http::FetchRequest request;
    request.url.tls = tls;
    request.url.host = local(host);
    request.url.port = static_cast<std::uint16_t>(port);
    request.target = path;
    request.timeout = kLocalTimeout;
    request.verify = false;  // whether it is ours is all that is asked
    try {
        return http::fetch(request);
    } catch (const net::OutboundError&) {
        return std::nullopt;
    }
}

PortState port_state(const std::string& host, std::int64_t port, bool tls) {
    const auto answer = ask(host, port, tls, "/livez");
    if (answer && answer->body.find("\"alive\"") != std::string::npos) return PortState::supd;
    asio::io_context context;
    boost::system::error_code error;
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(host), static_cast<std::uint16_t>(port));
    asio::ip::tcp::acceptor probe(context);
    probe.open(endpoint.protocol(), error);
    probe.set_option(asio::socket_base::reuse_address(true), error);
    probe.bind(endpoint, error);
    if (error == asio::error::access_denied) return PortState::forbidden;
    return error ? PortState::taken : PortState::free;
}

Judgement examine_port(const std::string& host, std::int64_t port, bool tls) {
    if (port == 0) return not_looked_at("the port is 0: any free one");
    return judge_port(port_state(host, port, tls), port);
}

// Of the running daemon, by its own metrics; else what one started from here would be allowed.
Judgement examine_descriptors(const Config& config) {
    if (config.server.admin_port != 0) {
        const auto answer = ask(config.server.admin_host, config.server.admin_port, false, "/metrics");
        const auto value = answer ? metric_value(answer->body, "process_max_fds") : std::nullopt;
        if (value) return judge_descriptors(static_cast<std::int64_t>(*value), true, config);
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return not_looked_at("the limit cannot be read");
    const auto hard = std::min<rlim_t>(limit.rlim_max, 1U << 30);
    return judge_descriptors(static_cast<std::int64_t>(hard), false, config);
}

Judgement examine_data_folder(const Config& config) {
    const auto facts = file_facts(config.server.data_dir);
    if (!facts) return not_looked_at(config.server.data_dir + " is not there yet: the daemon makes it");
    return judge_data_folder(*facts, ::geteuid());
}

}  // namespace

Judgement judge_disk(const DiskFacts& facts) {
    const double share = facts.total > 0 ? facts.free / facts.total : 0;
    const std::string found = human_bytes(facts.free) + " free of " + human_bytes(facts.total) + " (" +
                              std::to_string(static_cast<int>(share * 100)) + " %)";
    const std::string mend =
        "make room or a larger disk: PostgreSQL stops when it cannot write. `supd doctor db` shows what is "
        "large";
    if (facts.nodes > 0 && facts.free_nodes / facts.nodes < kDiskFailsShare)
        return fails("hardly any inodes are left: no new files", "remove many small files, or a larger disk");
    if (facts.free < kDiskFailsBytes) return fails(found, mend);
    if (facts.free >= kDiskEnoughBytes) return all_well(found);
    if (share < kDiskFailsShare) return fails(found, mend);
    return share < kDiskWarnsShare ? warns(found, mend) : all_well(found);
}

Judgement judge_descriptors(std::int64_t descriptors, bool of_the_daemon, const Config& config) {
    const auto wanted = config.server.max_connections + config.database.pool_size + kOtherDescriptors;
    const std::string found =
        std::string(of_the_daemon ? "the daemon may open " : "a daemon started from here may open ") +
        std::to_string(descriptors) + " descriptors; for server.max_connections it needs " +
        std::to_string(wanted);
    if (descriptors >= wanted) return all_well(found);
    const std::string mend =
        "LimitNOFILE= in the unit (ulimits in compose, `ulimit -Hn` in a shell), or lower "
        "server.max_connections";
    return descriptors < kFewDescriptors ? fails(found, mend) : warns(found, mend);
}

Judgement judge_port(PortState state, std::int64_t port) {
    const std::string name = "port " + std::to_string(port);
    switch (state) {
        case PortState::supd:
            return all_well("supd answers on " + name);
        case PortState::free:
            return all_well(name + " is free");
        case PortState::forbidden:
            return fails("this user may not listen on " + name,
                         "a port from 1024 on behind a proxy, or AmbientCapabilities=CAP_NET_BIND_SERVICE");
        case PortState::taken:
            break;
    }
    return fails(name + " belongs to another program", "stop it (`ss -ltnp`), or choose another port");
}

std::optional<double> metric_value(std::string_view text, std::string_view name) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ')
            return std::strtod(std::string(line.substr(name.size() + 1)).c_str(), nullptr);
        at = end + 1;
    }
    return std::nullopt;
}

Findings examine_host(const Patient& patient) {
    const auto& config = patient.config();
    const auto disk = disk_facts(config.server.data_dir);
    return {
        {"host.descriptors", examine_descriptors(config)},
        {"host.disk", disk ? judge_disk(*disk) : not_looked_at("the file system does not say")},
        {"host.data_dir", examine_data_folder(config)},
        {"host.port", examine_port(config.server.host, config.server.port, !config.tls.certificate.empty())},
        {"host.admin_port", examine_port(config.server.admin_host, config.server.admin_port, false)}};
}

}  // namespace supd::app
