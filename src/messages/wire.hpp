// Messages and their changes as JSON.
#pragma once

#include "rules.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supd::messages {

std::string message_json(const Item& item);
/// As much as http::kPageBytes admits.
std::string page_json(const Page& page);
/// Likewise. `edits`: one more than `limit` when there are more.
std::string edits_json(const std::vector<Edit>& edits, std::size_t limit);
std::string reactions_json(const std::vector<Reaction>& reactions, std::size_t limit);
std::string counts_json(MessageId message, const std::vector<chatlog::ReactionCount>& reactions);
/// `{"id","chat_id","seq","created_at"}`: what a client needs to place its own message or change.
std::string ack_json(const base::Uuid& id, ChatId chat, std::int64_t seq, Millis created_at);

/// nullopt when it was not made by edits_json, reactions_json.
std::optional<std::int64_t> edit_cursor(std::string_view text);
std::optional<Reaction> reaction_cursor(std::string_view text);

// Data of log entries.
/// No text: somebody gets the entry who may not see the message.
std::string edited_data(MessageId message, UserId sender, std::optional<std::string_view> text, Millis at);
/// No actor: the message's time was over.
std::string deleted_data(MessageId message, const std::optional<UserId>& actor, Millis at);
std::string reaction_data(MessageId message, UserId user, std::string_view emoji, std::int64_t count);

}  // namespace supd::messages
