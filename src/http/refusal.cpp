#include "answer.hpp"

#include <supd/http/refusal.hpp>

namespace supd::http {

std::string refusal(const base::Error& error, std::string_view request_id, bool secure) {
    const auto reply = problem_reply(error, request_id);
    AnswerContext context;
    context.request_id = request_id;
    context.secure = secure;
    context.close = true;
    return answer_head(reply, context) + reply.body;
}

}  // namespace supd::http
