#include "draft.hpp"

#include <supd/base/json_text.hpp>
#include <supd/crypto/content_hash.hpp>
#include <supd/messages/limits.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace supd::messages {
namespace {

using base::Json;

class Reader {
public:
    Reader(const Json& data, chatlog::Draft& draft) : draft_(draft) {
        if (!data.is_object())
            throw base::Error(400, "invalid_request", "A JSON object is expected.",
                              {base::FieldError{"body", "wrong_type", "An object is expected."}});
        for (auto field = data.begin(); field != data.end(); ++field)
            if (!known(field.key(), field.value()))
                fail(base::cut_utf8(field.key(), base::kMaxFaultName), "unknown_field",
                     "This field is not known here.");
        if (draft.id.is_nil()) required("id");
        if (draft.chat.is_nil()) required("chat_id");
        if (draft.type.empty()) required("type");
        if (!draft.text) required("text");
        if (!faults_.empty()) refuse();
        if (draft.type != "text")
            throw base::invalid("type", "unsupported", "Only text messages can be sent.");
        if (payloads_)
            throw base::invalid("payloads", "unsupported", "This server does not keep encrypted chats yet.");
    }

private:
    bool known(const std::string& name, const Json& value) {
        switch (name.size()) {
            case 2:
                return name == "id" && id(name, value, draft_.id);
            case 4:
                return (name == "text" && text(value)) || (name == "type" && type(value));
            case 7:
                return name == "chat_id" && id(name, value, draft_.chat);
            case 8:
                if (name == "reply_to") return value.is_null() || id(name, value, draft_.reply_to.emplace());
                if (name == "mentions") return mentions(value);
                if (name == "metadata") return metadata(value);
                payloads_ |= name == "payloads" && !value.is_null();
                return name == "payloads";
            case 11:
                return name == "attachments" && attachments(value);
            case 12:
                return name == "expires_in_s" && expires(value);
            default:
                return false;
        }
    }

    // Each reader returns true: the field is known, faulty or not.
    template <class IdType>
    bool id(std::string_view name, const Json& value, IdType& into) {
        if (value.is_null()) return true;
        if (!value.is_string()) return fail(name, "wrong_type", "A UUID string is expected.");
        const auto parsed = IdType::parse(value.get_ref<const std::string&>());
        if (!parsed || parsed->is_nil()) return fail(name, "bad_format", "A UUID is expected.");
        into = *parsed;
        return true;
    }
    bool text(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_string()) return fail("text", "wrong_type", "A string is expected.");
        const auto& content = value.get_ref<const std::string&>();
        if (content.empty()) return fail("text", "too_short", "The text is empty.");
        if (content.size() > kMaxTextBytes)
            return fail("text", "too_long",
                        "At most " + std::to_string(kMaxTextBytes) + " bytes are allowed.");
        draft_.text = content;
        return true;
    }
    bool type(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_string()) return fail("type", "wrong_type", "A string is expected.");
        const auto& name = value.get_ref<const std::string&>();
        if (name.empty() || name.size() > 32)
            return fail("type", "bad_format", "A message type is expected.");
        draft_.type = name;
        return true;
    }
    bool mentions(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_array()) return fail("mentions", "wrong_type", "A list of user ids is expected.");
        if (value.size() > kMaxMentions)
            return fail("mentions", "too_long",
                        "At most " + std::to_string(kMaxMentions) + " entries are allowed.");
        auto ids = Json::array();
        for (const auto& entry : value) {
            const auto user =
                entry.is_string() ? base::UserId::parse(entry.get_ref<const std::string&>()) : std::nullopt;
            if (!user) return fail("mentions", "bad_format", "A list of user ids is expected.");
            ids.push_back(user->text());
        }
        if (!ids.empty()) add_extra("mentions", ids.dump());
        return true;
    }
    bool metadata(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_object()) return fail("metadata", "wrong_type", "An object is expected.");
        auto text = value.dump();
        if (text.size() > kMaxMetadataBytes)
            return fail("metadata", "too_long",
                        "At most " + std::to_string(kMaxMetadataBytes) + " bytes are allowed.");
        if (!value.empty()) add_extra("metadata", text);
        return true;
    }
    bool attachments(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_array()) return fail("attachments", "wrong_type", "A list of objects is expected.");
        if (value.size() > kMaxAttachments)
            return fail("attachments", "too_long",
                        "At most " + std::to_string(kMaxAttachments) + " entries are allowed.");
        if (!std::ranges::all_of(value, [](const Json& entry) { return entry.is_object(); }))
            return fail("attachments", "wrong_type", "A list of objects is expected.");
        auto text = value.dump();
        if (text.size() > kMaxAttachmentsBytes)
            return fail("attachments", "too_long",
                        "At most " + std::to_string(kMaxAttachmentsBytes) + " bytes are allowed.");
        if (!value.empty()) add_extra("attachments", text);
        return true;
    }
    bool expires(const Json& value) {
        if (value.is_null()) return true;
        if (!value.is_number_integer()) return fail("expires_in_s", "wrong_type", "An integer is expected.");
        const bool huge = value.is_number_unsigned() &&
                          value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxExpiresInS);
        if (huge || value.get<std::int64_t>() < kMinExpiresInS || value.get<std::int64_t>() > kMaxExpiresInS)
            return fail("expires_in_s", "out_of_range",
                        "A number from " + std::to_string(kMinExpiresInS) + " to " +
                            std::to_string(kMaxExpiresInS) + " is expected.");
        draft_.expires_in_s = value.get<int>();
        return true;
    }

    /// Fields come in the order of their names, so the same content always gives the same text.
    void add_extra(std::string_view name, std::string_view json) {
        auto& out = draft_.extra;
        if (out.empty())
            out = "{\"";
        else
            out.replace(out.size() - 1, 1, ",\"");
        out += name;
        out += "\":";
        out += json;
        out += '}';
    }

    bool fail(std::string_view field, std::string code, std::string detail) {
        only_unknown_ &= code == "unknown_field";
        if (faults_.size() < base::kMaxFaults)
            faults_.push_back({std::string(field), std::move(code), std::move(detail)});
        return true;
    }
    void required(std::string_view field) {
        if (std::ranges::none_of(faults_,
                                 [&](const base::FieldError& fault) { return fault.field == field; }))
            fail(field, "required", "This field is required.");
    }
    [[noreturn]] void refuse() {
        if (only_unknown_)
            throw base::Error(400, "unknown_field", "The request has a field that is not known here.",
                              std::move(faults_));
        throw base::Error(400, "invalid_request", "The request has faulty fields.", std::move(faults_));
    }

    chatlog::Draft& draft_;
    bool payloads_ = false;
    bool only_unknown_ = true;
    std::vector<base::FieldError> faults_;
};

/// Lengths before contents, so that no two contents give the same bytes. The message's id is part of it, so
/// that equal texts do not show as equal digests in the database.
chatlog::Digest digest_of(const chatlog::Draft& draft) {
    thread_local std::string bytes;
    bytes.clear();
    const auto add = [](std::string_view part) {
        const auto size = static_cast<std::uint32_t>(part.size());
        bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
        bytes.append(part);
    };
    bytes.append(reinterpret_cast<const char*>(draft.id.bytes.data()), draft.id.bytes.size());
    add(draft.type);
    add(draft.text ? std::string_view(*draft.text) : std::string_view());
    add(draft.extra);
    if (draft.reply_to) bytes.append(reinterpret_cast<const char*>(draft.reply_to->bytes.data()), 16);
    if (draft.expires_in_s) add(std::to_string(*draft.expires_in_s));
    return crypto::content_hash(bytes);
}

}  // namespace

chatlog::Draft read_draft(const Json& data, const http::Caller& caller) {
    chatlog::Draft draft;
    const Reader reader(data, draft);
    draft.sender = caller.user;
    draft.sender_device = caller.device;
    draft.digest = digest_of(draft);
    return draft;
}

chatlog::Message message_of(chatlog::Draft draft, const chatlog::Receipt& receipt) {
    chatlog::Message message;
    message.id = draft.id;
    message.chat = draft.chat;
    message.seq = receipt.seq;
    message.sender = draft.sender;
    message.sender_device = draft.sender_device;
    message.type = std::move(draft.type);
    message.text = std::move(draft.text);
    message.reply_to = draft.reply_to;
    message.extra = std::move(draft.extra);
    message.created_at = receipt.created_at;
    if (draft.expires_in_s) message.expires_at = receipt.created_at + 1000LL * *draft.expires_in_s;
    return message;
}

}  // namespace supd::messages
