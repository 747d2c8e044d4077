// The board's view of who is connected to other processes.
#include "board.hpp"

#include <supd/presence/limits.hpp>

#include <algorithm>
#include <utility>

namespace supd::presence {

const Word* Board::newest_elsewhere(UserId user) const {
    const auto at = elsewhere_.find(user);
    if (at == elsewhere_.end()) return nullptr;
    const Word* newest = nullptr;
    for (const auto& [node, one] : at->second)
        if (!newest || newer(one.word, *newest)) newest = &one.word;
    return newest;
}

// Whether what others say of them is of use here.
bool Board::minded(UserId user) const {
    if (watchers_.contains(user)) return true;
    const auto person = people_.find(user);
    return person != people_.end() && (person->second.sockets > 0 || person->second.shown);
}

// Who is not shown yet adopts by settle().
bool Board::adopt(UserId user, const Word& word) {
    const auto person = people_.find(user);
    if (person == people_.end() || !person->second.shown || !newer(word, person->second.word)) return false;
    person->second.word = word;
    return true;
}

// Whoever said this says it no more, but the other processes have adopted it, which they tell nobody.
void Board::outlive(UserId user, const Word& word) {
    const auto at = elsewhere_.find(user);
    if (at == elsewhere_.end()) return;
    for (auto& [node, entry] : at->second)
        if (newer(word, entry.word)) entry.word = word;
}

bool Board::arrived(UserId user, SessionId session) {
    const std::lock_guard lock(mutex_);
    return !count_in(user, session).shown;
}

std::optional<Notice> Board::settle(UserId user) {
    const std::lock_guard lock(mutex_);
    const auto person = people_.find(user);
    if (person == people_.end() || person->second.sockets == 0 || person->second.shown) return std::nullopt;
    const auto before = presence_of(user);
    auto& word = person->second.word;
    if (const auto* known = newest_elsewhere(user); known && newer(*known, word)) {
        // What they said on arriving is the last, whatever another machine's clock says.
        if (person->second.said)
            word.said_at = known->said_at + 1;
        else
            word = *known;
    }
    person->second.said = false;
    person->second.shown = true;
    return notice_unless(user, before);
}

std::optional<Word> Board::word_of(UserId user) const {
    const std::lock_guard lock(mutex_);
    const auto person = people_.find(user);
    if (person == people_.end() || !person->second.shown) return std::nullopt;
    return person->second.word;
}

void Board::note(UserId user, Node node, Word word) {
    auto& entry = elsewhere_[user][node];
    entry.word = std::move(word);
    entry.seen_at = clock_.steady();
    entry.missing_since = std::nullopt;
}

std::optional<Notice> Board::said_elsewhere(UserId user, Node node, Word word) {
    const std::lock_guard lock(mutex_);
    if (!minded(user)) return std::nullopt;
    const auto before = presence_of(user);
    adopt(user, word);
    note(user, node, std::move(word));
    return notice_unless(user, before);
}

std::optional<Notice> Board::gone_elsewhere(UserId user, Node node, base::Millis last_seen) {
    const std::lock_guard lock(mutex_);
    const auto before = presence_of(user);
    const auto at = elsewhere_.find(user);
    if (at == elsewhere_.end()) return std::nullopt;
    const auto gone = at->second.extract(node);
    if (gone.empty()) return std::nullopt;
    outlive(user, gone.mapped().word);
    if (at->second.empty()) elsewhere_.erase(at);
    if (watchers_.contains(user)) last_seen_elsewhere_[user] = last_seen;
    const auto after = presence_of(user);
    // Somebody who was not to be seen does not go either.
    if (after.status == before.status) return std::nullopt;
    return notice(user);
}

std::optional<Notice> Board::read_elsewhere(UserId user, const Words& words) {
    const std::lock_guard lock(mutex_);
    if (!minded(user)) return std::nullopt;
    const auto before = presence_of(user);
    if (const auto at = elsewhere_.find(user); at != elsewhere_.end()) {
        for (auto& [node, entry] : at->second) {
            const auto same = [&](const auto& told) { return told.first == node; };
            if (std::ranges::any_of(words, same)) continue;
            const auto now = clock_.steady();
            if (!entry.missing_since) {
                entry.missing_since = now;
                missing_.emplace_back(now, user);
            }
            entry.gone = now - *entry.missing_since >= kReadMissing;
        }
        std::erase_if(at->second, [](const auto& entry) { return entry.second.gone; });
        if (at->second.empty()) elsewhere_.erase(at);
    }
    for (const auto& [node, word] : words) {
        adopt(user, word);
        note(user, node, word);
    }
    return notice_unless(user, before);
}

std::vector<UserId> Board::take_missing() {
    const std::lock_guard lock(mutex_);
    std::vector<UserId> out;
    for (; !missing_.empty() && clock_.steady() - missing_.front().first >= kReadMissing;
         missing_.pop_front())
        out.push_back(missing_.front().second);
    return out;
}

std::vector<Notice> Board::lapse() {
    const std::lock_guard lock(mutex_);
    const auto oldest = clock_.steady() - kForgetAfter;
    std::vector<Notice> out;
    for (auto at = elsewhere_.begin(); at != elsewhere_.end();) {
        const auto here = at++;  // erased below
        const auto user = here->first;
        auto& words = here->second;
        if (std::ranges::none_of(words, [&](const auto& one) { return one.second.seen_at <= oldest; }))
            continue;
        const auto before = presence_of(user);
        std::erase_if(words, [&](const auto& one) { return one.second.seen_at <= oldest; });
        if (words.empty()) elsewhere_.erase(here);
        const auto after = presence_of(user);
        if (before.status == Status::offline && after.status == Status::offline) continue;
        if (auto told = notice_unless(user, before)) out.push_back(std::move(*told));
    }
    return out;
}

std::vector<Presence> Board::look(const std::vector<UserId>& users) const {
    const std::lock_guard lock(mutex_);
    std::vector<Presence> out;
    for (const auto& user : users)
        out.push_back(presence_of(user));
    return out;
}

bool Board::known(UserId user) const {
    const std::lock_guard lock(mutex_);
    const auto person = people_.find(user);
    if (person != people_.end() && person->second.shown) return true;
    const auto oldest = clock_.steady() - kForgetAfter;
    const auto at = elsewhere_.find(user);
    return at != elsewhere_.end() &&
           std::ranges::any_of(at->second, [&](const auto& one) { return one.second.seen_at > oldest; });
}

std::vector<UserId> Board::watched_users(bool elsewhere) const {
    const std::lock_guard lock(mutex_);
    std::vector<UserId> out;
    for (const auto& [user, sessions] : watchers_)
        if (!elsewhere || elsewhere_.contains(user)) out.push_back(user);
    return out;
}

}  // namespace supd::presence
