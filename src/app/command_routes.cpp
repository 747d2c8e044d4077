#include "app.hpp"
#include "cli.hpp"
#include "commands.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <iomanip>
#include <iostream>

namespace supd::app {
namespace {

// Nothing is opened and nobody is served: the table only has to be constructed.
Config config_for_listing() {
    Config config;
    config.mode = "development";
    config.auth.jwt_secret = base::Secret("listing routes signs no token whatsoever");
    return config;
}

// What a socket answers by itself (ws/session.cpp), before any feature's command: `ping` and `authenticate`
// to anybody, `resume` to who is authenticated.
struct ConnectionCommand {
    std::string_view type;
    http::Policy policy;
};
constexpr std::array kConnectionCommands{
    ConnectionCommand{"authenticate", http::Policy::open},
    ConnectionCommand{"resume", http::Policy::user},
    ConnectionCommand{"ping", http::Policy::open},
};

nlohmann::ordered_json row(std::string_view kind, std::string_view method, std::string_view path,
                           std::string_view policy, std::string_view limit, std::string_view operation) {
    nlohmann::ordered_json out;
    out["kind"] = kind;
    out["method"] = method;
    out["path"] = path;
    out["policy"] = policy;
    out["limit"] = limit;
    out["operation"] = operation;
    out["listener"] = "public";
    return out;
}

}  // namespace

int print_routes(bool json) {
    const App app(config_for_listing(), "postgresql:///none");
    auto rows = nlohmann::ordered_json::array();
    for (const auto& route : app.routes().routes())
        rows.push_back(row("route", route.method, route.path, http::name_of(route.policy),
                           http::name_of(route.limit), route.operation));
    for (const auto& command : kConnectionCommands)
        rows.push_back(row("connection", "WS", "/ws/" + std::string(command.type),
                           http::name_of(command.policy), "none", "ws_" + std::string(command.type)));
    for (const auto& command : app.commands().rows())
        rows.push_back(
            row("command", "WS", "/ws/" + std::string(command->type), "user", "none", command->operation));
    if (json) {
        std::cout << rows.dump() << "\n";
        return kExitOk;
    }
    for (const auto& one : rows)
        std::cout << std::left << std::setw(7) << one["method"].get<std::string>() << std::setw(44)
                  << one["path"].get<std::string>() << std::setw(7) << one["policy"].get<std::string>()
                  << std::setw(9) << one["limit"].get<std::string>() << one["operation"].get<std::string>()
                  << "\n";
    return kExitOk;
}

}  // namespace supd::app
