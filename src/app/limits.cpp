// Every limit that a client can hit, by name.
#include "health.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/base/json.hpp>
#include <supd/chats/limits.hpp>
#include <supd/crypto/password.hpp>
#include <supd/http/limits.hpp>
#include <supd/http/rate_limit.hpp>
#include <supd/http/router.hpp>
#include <supd/messages/limits.hpp>
#include <supd/presence/limits.hpp>
#include <supd/sync/sync.hpp>
#include <supd/ws/frame_decoder.hpp>
#include <supd/ws/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::app {
namespace {

using Limits = nlohmann::ordered_json;

void add_messages(Limits& out) {
    out["text_bytes"] = messages::kMaxTextBytes;
    out["attachments"] = messages::kMaxAttachments;
    out["attachments_bytes"] = messages::kMaxAttachmentsBytes;
    out["mentions"] = messages::kMaxMentions;
    out["metadata_bytes"] = messages::kMaxMetadataBytes;
    out["expires_in_s_min"] = messages::kMinExpiresInS;
    out["expires_in_s_max"] = messages::kMaxExpiresInS;
    out["edits"] = messages::kMaxEdits;
    out["emoji_bytes"] = messages::kMaxEmojiBytes;
    out["reactions_per_user"] = messages::kMaxReactionsPerUser;
    out["reactions_per_message"] = messages::kMaxReactionKinds;
}

void add_chats(Limits& out) {
    out["chat_members"] = chats::kMaxMembers;
    out["receipts_told_members"] = chatlog::kMaxMarkMembers;
    out["chats_per_user"] = chats::kMaxChatsPerUser;
    out["chats_created"] = chats::kMaxChatsCreated;
    out["people_added_at_once"] = chats::kPeopleAddedBurst;
    out["people_added_per_minute"] = chats::kPeopleAddedPerMinute;
    out["title_bytes"] = chats::kMaxTitleBytes;
    out["context_type_bytes"] = chats::kMaxContextTypeBytes;
    out["context_id_bytes"] = chats::kMaxContextIdBytes;
    out["unread_look_back"] = chats::kLookBack;
}

void add_accounts(Limits& out) {
    out["username_min"] = accounts::kMinUsername;
    out["username_max"] = accounts::kMaxUsername;
    out["password_min"] = crypto::kMinPasswordCharacters;
    out["password_max"] = crypto::kMaxPasswordCharacters;
    out["password_bytes"] = crypto::kMaxPasswordBytes;
    out["display_name_max"] = accounts::kMaxDisplayName;
    out["bio_max"] = accounts::kMaxBio;
    out["email_bytes"] = accounts::kMaxEmailBytes;
    out["phone_bytes"] = accounts::kMaxPhoneBytes;
    out["devices"] = accounts::kMaxDevicesPerUser;
    out["device_name_bytes"] = accounts::kMaxDeviceNameBytes;
    out["identifier_bytes"] = accounts::kMaxIdentifierBytes;
    out["refresh_token_bytes"] = accounts::kMaxRefreshTokenBytes;
}

void add_http(Limits& out, const Config& config) {
    out["page"] = messages::kMaxPage;
    out["sync_page"] = sync::kMaxPage;
    out["page_bytes"] = http::kPageBytes;
    out["account_body_bytes"] = accounts::kBodyLimit;
    out["chat_body_bytes"] = chats::kBodyLimit;
    out["message_body_bytes"] = messages::kBodyLimit;
    out["body_bytes"] = http::kDefaultBodyLimit;  // of the other routes
    out["target_bytes"] = http::kMaxTargetBytes;
    out["header_bytes"] = http::kMaxHeaderBytes;
    out["header_fields"] = http::kMaxHeaderFields;
    out["query_values"] = http::kMaxQueryValues;
    out["json_depth"] = base::kMaxJsonDepth;
    out["json_values"] = base::kMaxJsonValues;
    out["idempotency_key_bytes"] = http::kMaxIdempotencyKey;
    out["connections_per_address"] = config.server.max_connections_per_address;
    out["requests_per_connection"] = http::kMaxRequestsPerConnection;
    out["connection_idle_s"] = http::kIdleDeadline.count();
    out["header_deadline_s"] = http::kHeaderDeadline.count();
    out["body_deadline_s"] = http::kBodyGrace.count();  // and a second for each body_bytes_per_second
    out["body_bytes_per_second"] = http::kMinBodyRate;
    out["request_deadline_s"] = http::kRequestDeadline.count();
    out["answer_deadline_s"] = http::kWriteDeadline.count();
}

void add_rates(Limits& out, const Config::RateLimit& rates) {
    out["rates_enforced"] = rates.enabled;
    out["api_per_minute"] = rates.api_per_minute;
    out["api_burst"] = rates.api_burst;
    out["auth_per_minute"] = rates.auth_per_minute;
    out["auth_burst"] = rates.auth_burst;
    out["message_per_minute"] = rates.message_per_minute;
    out["message_burst"] = rates.message_burst;
    // Of what the users of an address share, and of one account's sign-ins from all addresses.
    out["address_factor"] = http::RateLimitOptions().shared_address_factor;
    out["sign_in_factor"] = accounts::kAllAddressesFactor;
}

void add_websocket(Limits& out, const Config& config) {
    out["frame_bytes"] = ws::kMaxMessageBytes;
    out["first_frame_bytes"] = ws::kMaxFirstMessage;
    out["frame_fragments"] = ws::kMaxFragments;
    out["send_queue_frames"] = config.websocket.send_queue_frames;
    out["send_queue_bytes"] = config.websocket.send_queue_bytes;
    out["authenticate_timeout_s"] = config.websocket.authenticate_timeout_s;
    out["idle_timeout_s"] = config.websocket.idle_timeout_s;
    out["refused_frames"] = ws::kMaxRefusals;
    out["ref_bytes"] = ws::kMaxRef;
    out["type_bytes"] = ws::kMaxType;
    out["token_bytes"] = ws::kMaxToken;
    out["cursor_bytes"] = ws::kMaxCursor;
    out["presence_watched"] = presence::kMaxWatched;
    out["presence_per_second"] = presence::kPresencePerSecond;
    out["presence_burst"] = presence::kPresenceBurst;
    out["subscribes_per_second"] = presence::kSubscribesPerSecond;
    out["subscribes_burst"] = presence::kSubscribesBurst;
    out["status_text_bytes"] = presence::kMaxStatusTextBytes;
    out["typing_per_second"] = presence::kTypingPerSecond;
    out["typing_burst"] = presence::kTypingBurst;
}

}  // namespace

std::string limits_json(const Config& config) {
    Limits out;
    add_messages(out);
    add_chats(out);
    add_accounts(out);
    add_http(out, config);
    add_rates(out, config.rate_limit);
    add_websocket(out, config);
    return out.dump();
}

}  // namespace supd::app
