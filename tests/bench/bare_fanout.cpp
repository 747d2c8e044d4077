#include "bare_fanout.hpp"

#include <stdexcept>

namespace bench {
namespace {

std::string_view field(std::string_view request, std::string_view name) {
    const std::size_t at = request.find(name);
    if (at == std::string_view::npos) throw std::runtime_error("no message frame");
    const std::size_t start = at + name.size();
    return request.substr(start, request.find('"', start) - start);
}

}  // namespace

std::string bare_delivery(std::string_view request, std::uint64_t seq) {
    const std::string number = std::to_string(seq);
    std::string out;
    out.reserve(768);
    out.append(R"({"type":"message","chat_id":")").append(kBareChat).append(R"(","seq":)").append(number);
    out.append(R"(,"data":{"id":")").append(field(request, R"("id":")"));
    out.append(R"(","chat_id":")").append(kBareChat).append(R"(","seq":)").append(number);
    out.append(R"(,"sender_id":")").append(kBareUser).append(R"(","sender_device_id":")").append(kBareUser);
    out.append(R"(","type":"text","text":")").append(field(request, R"("text":")"));
    out.append(R"(","attachments":[],"reply_to":null,"forwarded_from":null,"mentions":[],"reactions":[],)");
    out.append(R"("metadata":{},"edited_at":null,"deleted_at":null,"expires_at":null,)");
    out.append(R"("created_at":"2026-01-28T14:30:22.123Z"}})");
    return out;
}

std::string bare_ack(std::string_view request, std::uint64_t seq) {
    std::string out;
    out.append(R"({"type":"ack","ref":")").append(field(request, R"("ref":")"));
    out.append(R"(","data":{"id":")").append(field(request, R"("id":")"));
    out.append(R"(","chat_id":")").append(kBareChat).append(R"(","seq":)").append(std::to_string(seq));
    out.append(R"(,"created_at":"2026-01-28T14:30:22.123Z"}})");
    return out;
}

}  // namespace bench
