// What strangers send as a message and as a new chat, through the readers that REST and WebSocket use: taken
// within the documented limits, or refused with a 4xx that can be told. Who sends is the caller, whatever the
// JSON says.
#include "expect.hpp"

#include <supd/base/error.hpp>
#include <supd/base/json.hpp>
#include <supd/chats/limits.hpp>
#include <supd/messages/limits.hpp>

#include <chats/requests.hpp>
#include <messages/draft.hpp>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace base = supd::base;
namespace chats = supd::chats;
namespace messages = supd::messages;

namespace {

supd::http::Caller caller() {
    supd::http::Caller out;
    out.user.bytes.fill(1);
    out.device.bytes.fill(2);
    out.session.bytes.fill(3);
    return out;
}

void check_refusal(const base::Error& error) {
    FUZZ_EXPECT(error.status() == 400 || error.status() == 422);
    FUZZ_EXPECT(base::Json::accept(base::problem_json(error, "fuzz")));
}

void read_message(const base::Json& value) {
    const auto me = caller();
    const auto draft = messages::read_draft(value, me);
    FUZZ_EXPECT(!draft.id.is_nil() && !draft.chat.is_nil());
    FUZZ_EXPECT(draft.sender == me.user && draft.sender_device == me.device && draft.socket == 0);
    FUZZ_EXPECT(draft.type == "text");
    FUZZ_EXPECT(draft.text && !draft.text->empty() && draft.text->size() <= messages::kMaxTextBytes);
    FUZZ_EXPECT(!draft.reply_to || !draft.reply_to->is_nil());
    FUZZ_EXPECT(!draft.expires_in_s || (*draft.expires_in_s >= messages::kMinExpiresInS &&
                                        *draft.expires_in_s <= messages::kMaxExpiresInS));
    if (!draft.extra.empty()) {
        const auto extra = base::Json::parse(draft.extra);
        FUZZ_EXPECT(extra.is_object() && !extra.empty());
        FUZZ_EXPECT(extra.value("mentions", base::Json::array()).size() <= messages::kMaxMentions);
        FUZZ_EXPECT(extra.value("attachments", base::Json::array()).size() <= messages::kMaxAttachments);
        FUZZ_EXPECT(extra.value("metadata", base::Json::object()).dump().size() <=
                    messages::kMaxMetadataBytes);
    }
    // The same content is the same message, whoever reads it again.
    FUZZ_EXPECT(messages::read_draft(base::parse_json(value.dump()), me).digest == draft.digest);
}

void read_chat(const base::Json& value) {
    const auto chat = chats::read_new_chat(value);
    FUZZ_EXPECT(!chat.id.is_nil());
    FUZZ_EXPECT(chat.members.size() <= chats::kMaxMembers);
    FUZZ_EXPECT(!chat.title || (!chat.title->empty() && chat.title->size() <= chats::kMaxTitleBytes));
    FUZZ_EXPECT(chat.type != chats::Type::direct || !chat.title);
    FUZZ_EXPECT(!chat.context_type || chat.context_type->size() <= chats::kMaxContextTypeBytes);
    FUZZ_EXPECT(!chat.context_id || chat.context_id->size() <= chats::kMaxContextIdBytes);
}

template <class Reader>
void judge(Reader read, const base::Json& value) {
    try {
        read(value);
    } catch (const base::Error& error) {
        check_refusal(error);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    base::Json value;
    try {
        value = base::parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
    } catch (const base::Error& error) {
        check_refusal(error);
        return 0;
    }
    judge(read_message, value);
    judge(read_chat, value);
    return 0;
}
