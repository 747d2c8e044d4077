// What anybody may read: the front page, discovery, the server's limits, the API documents.
#include "app.hpp"
#include "health.hpp"

#include <supd/http/api_documents.hpp>

#include <nlohmann/json.hpp>

namespace supd::app {
namespace {

using http::Limit;
using http::Policy;
using http::Reply;
using http::Request;

std::string html_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string front_page(const std::string& name) {
    const auto shown = html_text(name);
    return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + shown +
           "</title></head><body><h1>" + shown + "</h1><p>This is a supd messenger server, version " +
           std::string(version()) +
           ".</p><ul><li><a href=\"/api/v1/openapi.json\">REST API (OpenAPI 3.1)</a></li>"
           "<li><a href=\"/api/v1/asyncapi.json\">WebSocket API (AsyncAPI 3)</a></li>"
           "<li><a href=\"/api/v1/server\">Server and limits</a></li>"
           "<li><a href=\"/health\">Health</a></li></ul></body></html>\n";
}

std::string server_json(const Config& config) {
    nlohmann::ordered_json out;
    out["name"] = config.name;
    out["version"] = version();
    out["protocol"] = 1;
    out["limits"] = nlohmann::ordered_json::parse(limits_json(config));
    out["features"] = {"direct",  "group",    "channel", "reactions", "edits",
                       "replies", "receipts", "typing",  "presence",  "sync"};
    out["min_client_versions"] = nlohmann::ordered_json::object();
    return out.dump();
}

// Whom the server takes the client for, which only the client can check: behind a wrong proxy all are one.
asio::awaitable<Reply> describe_client(Request request) {
    request.allow_query({});
    nlohmann::ordered_json out;
    out["address"] = request.remote.to_string();
    out["secure"] = request.secure;
    co_return Reply::json(out.dump());
}

// Elsewhere than in the API people and probes ask, with all kinds of queries.
asio::awaitable<Reply> answer(Request request, Reply reply) {
    if (request.path.starts_with("/api/")) request.allow_query({});
    co_return reply;
}

http::Handler constant(std::string type, std::string body) {
    Reply reply;
    reply.content_type = std::move(type);
    reply.body = std::move(body);
    return [reply](Request request) { return answer(std::move(request), reply); };
}

}  // namespace

void add_public_pages(http::Router& router, const Config& config) {
    router.add({"GET", "/", Policy::open, Limit::none, "get_front_page",
                constant("text/html; charset=utf-8", front_page(config.name))});
    router.add({"GET", "/api/v1/server", Policy::open, Limit::none, "get_server",
                constant("application/json", server_json(config))});
    router.add({"GET", "/api/v1/client", Policy::open, Limit::none, "get_client", &describe_client});
    nlohmann::ordered_json discovery;
    discovery["api"] = "/api/v1";
    discovery["websocket"] = "/ws";
    discovery["version"] = version();
    router.add({"GET", "/.well-known/supd", Policy::open, Limit::none, "get_discovery",
                constant("application/json", discovery.dump())});
    http::add_api_documents(router);
}

}  // namespace supd::app
