#include <supd/http/api_documents.hpp>

namespace supd::http {

void add_api_documents(Router& router) {
    const auto serve = [](std::string_view text) -> Handler {
        return [text](Request request) -> asio::awaitable<Reply> {
            request.allow_query({});
            Reply reply = Reply::json(std::string(text));
            reply.headers.emplace_back("Cache-Control", "no-cache");
            co_return reply;
        };
    };
    router.add(
        {"GET", "/api/v1/openapi.json", Policy::open, Limit::api, "get_openapi", serve(openapi_json())});
    router.add(
        {"GET", "/api/v1/asyncapi.json", Policy::open, Limit::api, "get_asyncapi", serve(asyncapi_json())});
}

}  // namespace supd::http
