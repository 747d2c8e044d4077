#include <supd/http/api_documents.hpp>

namespace supd::http {
namespace {

asio::awaitable<Reply> answer(Request request, std::string_view text) {
    request.allow_query({});
    Reply reply = Reply::json(std::string(text));
    reply.headers.emplace_back("Cache-Control", "no-cache");
    co_return reply;
}

Handler serve(std::string_view text) {
    return [text](Request request) { return answer(std::move(request), text); };
}

}  // namespace

void add_api_documents(Router& router) {
    router.add(
        {"GET", "/api/v1/openapi.json", Policy::open, Limit::api, "get_openapi", serve(openapi_json())});
    router.add(
        {"GET", "/api/v1/asyncapi.json", Policy::open, Limit::api, "get_asyncapi", serve(asyncapi_json())});
}

}  // namespace supd::http
