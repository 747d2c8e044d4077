#include "batch_arrays.hpp"

#include "draft.hpp"

#include <algorithm>

namespace supd::chatlog {

std::vector<db::Param> BatchArrays::params(const std::vector<Array*>& arrays) {
    std::vector<db::Param> out;
    out.reserve(arrays.size());
    for (const auto* array : arrays)
        out.push_back(array->param());
    return out;
}

std::size_t BatchArrays::group_of(ChatId chat) {
    const auto [at, is_new] = groups_.try_emplace(chat, group_rows_.size());
    if (is_new) {
        group_rows_.push_back(0);
        lock_keys_.push_back(lock_key(chat));
        group_chats_array_.add(chat.bytes);
    }
    return at->second;
}

void BatchArrays::fill(std::span<const Draft* const> drafts) {
    places_.clear();
    groups_.clear();
    group_rows_.clear();
    lock_keys_.clear();
    replies_.clear();
    for (auto* array : fresh_)
        array->clear();
    for (const auto* draft : drafts) {
        const auto& d = *draft;
        const auto group = group_of(d.chat);
        const Place place{group, ++group_rows_[group]};
        places_.push_back(place);
        groups_array_.add_int4(static_cast<std::int32_t>(group) + 1);
        places_array_.add_int4(place.place);
        chats_.add(d.chat.bytes);
        ids_.add(d.id.bytes);
        senders_.add(d.sender.bytes);
        devices_.add(d.sender_device.bytes);
        types_.add(d.type);
        if (d.text)
            texts_.add(*d.text);
        else
            texts_.add_null();
        if (d.reply_to)
            replies_.add(d.reply_to->bytes);
        else
            replies_.add_null();
        if (d.extra.empty())
            extras_.add_null();
        else
            extras_.add(d.extra);
        digests_.add(std::string_view(reinterpret_cast<const char*>(d.digest.data()), d.digest.size()));
        if (d.expires_in_s)
            expires_.add_int4(*d.expires_in_s);
        else
            expires_.add_null();
    }
    for (const auto rows : group_rows_)
        group_rows_array_.add_int4(rows);
    std::ranges::sort(lock_keys_);
    const auto dup = std::ranges::unique(lock_keys_);
    lock_keys_.erase(dup.begin(), dup.end());
    for (const auto key : lock_keys_)
        locks_array_.add_int8(key);
}

std::optional<std::vector<Receipt>> BatchArrays::read_fresh(const db::AsyncResult& result) const {
    if (result.rows != group_rows_.size()) return std::nullopt;
    std::vector<std::int64_t> bases(group_rows_.size());
    for (std::size_t row = 0; row < result.rows; ++row)
        bases.at(static_cast<std::size_t>(result.at(row, 0)) - 1) = result.at(row, 1);
    std::vector<Receipt> receipts(places_.size());
    for (std::size_t i = 0; i < places_.size(); ++i)
        receipts[i] = {Outcome::stored, bases[places_[i].group] + places_[i].place, result.at(0, 2)};
    return receipts;
}

std::optional<std::vector<Receipt>> BatchArrays::read_judged(const db::AsyncResult& result) const {
    if (result.rows != places_.size()) return std::nullopt;
    std::vector<Receipt> receipts(places_.size());
    for (std::size_t row = 0; row < result.rows; ++row) {
        auto& receipt = receipts.at(static_cast<std::size_t>(result.at(row, 0)) - 1);
        receipt.outcome = outcome_of(result.at(row, 1));
        if (result.at(row, 2) != db::AsyncResult::kNull) receipt.seq = result.at(row, 2);
        receipt.created_at = result.at(row, 3);
    }
    return receipts;
}

}  // namespace supd::chatlog
