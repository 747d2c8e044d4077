#include "board.hpp"

#include <supd/presence/limits.hpp>

#include <algorithm>
#include <utility>

namespace supd::presence {

Presence Board::presence_of(UserId user) const {
    Presence out;
    out.user = user;
    const auto person = people_.find(user);
    const auto* elsewhere = newest_elsewhere(user);
    if (person != people_.end() && person->second.shown) {
        out.status = person->second.word.status;
        out.text = person->second.word.text;
    } else if (elsewhere) {
        out.status = elsewhere->status;
        out.text = elsewhere->text;
    }
    if (out.status != Status::offline) return out;
    out.text.clear();
    if (person != people_.end()) out.last_seen = person->second.last_seen;
    if (const auto seen = last_seen_elsewhere_.find(user); seen != last_seen_elsewhere_.end())
        out.last_seen = std::max(out.last_seen, seen->second);
    return out;
}

std::optional<Notice> Board::notice(UserId user) const {
    const auto watchers = watchers_.find(user);
    if (watchers == watchers_.end()) return std::nullopt;
    Notice out;
    out.presence = presence_of(user);
    out.watchers.reserve(watchers->second.size());
    for (const auto& id : watchers->second) {
        const auto session = sessions_.find(id);
        if (session != sessions_.end()) out.watchers.push_back({session->second.user, id});
    }
    return out;
}

std::optional<Notice> Board::notice_unless(UserId user, const Presence& before) const {
    if (presence_of(user) == before) return std::nullopt;
    return notice(user);
}

Board::Person& Board::count_in(UserId user, SessionId session) {
    auto& entry = sessions_[session];
    entry.user = user;
    ++entry.sockets;
    auto& person = people_[user];
    ++person.sockets;
    return person;
}

std::optional<Notice> Board::connected(UserId user, SessionId session) {
    const std::lock_guard lock(mutex_);
    auto& person = count_in(user, session);
    if (person.shown) return std::nullopt;
    person.shown = true;
    return notice(user);
}

void Board::disconnected(UserId user, SessionId session) {
    const std::lock_guard lock(mutex_);
    const auto entry = sessions_.find(session);
    if (entry != sessions_.end() && --entry->second.sockets <= 0) {
        unwatch(session, entry->second.watches);
        sessions_.erase(entry);
    }
    const auto person = people_.find(user);
    if (person == people_.end() || --person->second.sockets > 0) return;
    person->second.last_seen = clock_.now_ms();
    person->second.leaves = clock_.steady() + kOfflineDelay;
    leaving_.push_back({person->second.leaves, user});
}

std::vector<Notice> Board::expire(Left* left) {
    const std::lock_guard lock(mutex_);
    std::vector<Notice> out;
    while (!leaving_.empty() && leaving_.front().at <= clock_.steady()) {
        const auto [at, user] = leaving_.front();
        leaving_.pop_front();
        const auto person = people_.find(user);
        if (person == people_.end() || person->second.sockets > 0) continue;
        if (person->second.leaves != at) continue;  // came back and left again: the later entry counts
        const auto before = presence_of(user);
        const bool was_shown = std::exchange(person->second.shown, false);  // not: gone before settle()
        if (was_shown) outlive(user, person->second.word);
        const auto last_seen = person->second.last_seen;
        if (was_shown && left) left->emplace_back(user, last_seen);
        if (!watchers_.contains(user)) {
            people_.erase(person);
            elsewhere_.erase(user);
            continue;
        }
        person->second = Person{};
        person->second.last_seen = last_seen;
        // Somebody who was not to be seen does not go either.
        if (before.status == Status::offline && presence_of(user).status == Status::offline) continue;
        if (auto told = notice_unless(user, before)) out.push_back(std::move(*told));
    }
    return out;
}

std::optional<base::Monotonic::time_point> Board::next_expiry() const {
    const std::lock_guard lock(mutex_);
    if (leaving_.empty()) return std::nullopt;
    return leaving_.front().at;
}

std::optional<Notice> Board::say(UserId user, Status status, std::string text) {
    const std::lock_guard lock(mutex_);
    const auto person = people_.find(user);
    if (person == people_.end()) return std::nullopt;
    auto& word = person->second.word;
    // Later than whatever it answers, by whichever clock that was said.
    auto said_at = std::max(clock_.now_ms(), word.said_at + 1);
    if (const auto* known = newest_elsewhere(user)) said_at = std::max(said_at, known->said_at + 1);
    const bool same = word.status == status && word.text == text;
    const bool told = word.status != Status::offline || status != Status::offline;
    word.status = status;
    word.text = std::move(text);
    word.said_at = said_at;
    if (!person->second.shown) person->second.said = true;
    if (same) return std::nullopt;
    person->second.last_seen = clock_.now_ms();
    if (!told || !person->second.shown) return std::nullopt;
    return notice(user);
}

void Board::unwatch(SessionId id, const std::vector<UserId>& users) {
    for (const auto& user : users) {
        const auto watchers = watchers_.find(user);
        if (watchers == watchers_.end()) continue;
        watchers->second.erase(id);
        if (!watchers->second.empty()) continue;
        watchers_.erase(watchers);
        last_seen_elsewhere_.erase(user);
        // Who has gone was only kept for those who ask when.
        const auto person = people_.find(user);
        if (person != people_.end() && person->second.sockets <= 0 && !person->second.shown)
            people_.erase(person);
        if (!people_.contains(user)) elsewhere_.erase(user);
        if (watched_) watched_(user, false);
    }
}

std::vector<Presence> Board::watch(SessionId session, const std::vector<UserId>& users) {
    const std::lock_guard lock(mutex_);
    std::vector<Presence> out;
    const auto entry = sessions_.find(session);
    if (entry == sessions_.end()) return out;
    auto before = std::exchange(entry->second.watches, users);
    const std::unordered_set<UserId> still(users.begin(), users.end());
    std::erase_if(before, [&](UserId user) { return still.contains(user); });
    unwatch(session, before);
    for (const auto& user : users) {
        auto& watchers = watchers_[user];
        if (watchers.empty() && watched_) watched_(user, true);
        watchers.insert(session);
        out.push_back(presence_of(user));
    }
    return out;
}

bool Board::Bucket::take(base::Monotonic::time_point now, double per_second, double burst) {
    const double passed = at ? std::chrono::duration<double>(now - *at).count() : burst / per_second;
    tokens = static_cast<float>(std::min(burst, static_cast<double>(tokens) + passed * per_second));
    at = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
}

bool Board::may_type(SessionId session) {
    const std::lock_guard lock(mutex_);
    const auto entry = sessions_.find(session);
    return entry != sessions_.end() &&
           entry->second.typing.take(clock_.steady(), kTypingPerSecond, kTypingBurst);
}

bool Board::may_say(SessionId session) {
    const std::lock_guard lock(mutex_);
    const auto entry = sessions_.find(session);
    return entry != sessions_.end() &&
           entry->second.saying.take(clock_.steady(), kPresencePerSecond, kPresenceBurst);
}

bool Board::may_watch(SessionId session) {
    const std::lock_guard lock(mutex_);
    const auto entry = sessions_.find(session);
    return entry != sessions_.end() &&
           entry->second.watching.take(clock_.steady(), kSubscribesPerSecond, kSubscribesBurst);
}

std::size_t Board::watched() const {
    const std::lock_guard lock(mutex_);
    return watchers_.size();
}

}  // namespace supd::presence
