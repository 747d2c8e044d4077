#include "single_row.hpp"

namespace supd::chatlog {
namespace {

using Type = db::ParamType;

std::string_view bytes_of(const auto& object) {
    return {reinterpret_cast<const char*>(&object), sizeof(object)};
}

}  // namespace

void SingleRow::fill(const Draft& draft) {
    lock_ = db::network_order(lock_key(draft.chat));
    if (draft.expires_in_s) expires_ = db::network_order(static_cast<std::int32_t>(*draft.expires_in_s));
    params_ = {
        db::Param::of(Type::int8, bytes_of(lock_)),
        db::Param::of(draft.chat.bytes),
        db::Param::of(draft.id.bytes),
        db::Param::of(draft.sender.bytes),
        db::Param::of(draft.sender_device.bytes),
        db::Param::of(Type::text, draft.type),
        draft.text ? db::Param::of(Type::text, *draft.text) : db::Param::null_of(Type::text),
        draft.extra.empty() ? db::Param::null_of(Type::text) : db::Param::of(Type::text, draft.extra),
        db::Param::of(Type::bytea, bytes_of(draft.digest)),
        draft.expires_in_s ? db::Param::of(Type::int4, bytes_of(expires_)) : db::Param::null_of(Type::int4)};
}

std::optional<std::vector<Receipt>> SingleRow::read(const db::AsyncResult& result) {
    if (result.rows != 1 || result.at(0, 0) == db::AsyncResult::kNull) return std::nullopt;
    return std::vector{Receipt{Outcome::stored, result.at(0, 0), result.at(0, 1)}};
}

}  // namespace supd::chatlog
