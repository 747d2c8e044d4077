#include "script.hpp"

#include <utility>

namespace supd::nodes {

std::string Script::digest() const {
    const std::lock_guard lock(mutex_);
    return digest_;
}

cache::Words Script::words(const char* verb, std::string body, const std::string& key,
                           const cache::Words& arguments) const {
    cache::Words out{verb, std::move(body), "1", key};
    out.insert(out.end(), arguments.begin(), arguments.end());
    return out;
}

void Script::learn(cache::Client& client) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(asked_, true)) return;
    }
    client.send("", {"SCRIPT", "LOAD", text_}, [self = shared_from_this()](const cache::Answer& answer) {
        const std::lock_guard lock(self->mutex_);
        self->asked_ = answer.ok();
        if (answer.ok()) self->digest_ = answer.reply.text;
    });
}

void Script::run(cache::Client& client, std::string key, cache::Words arguments, cache::Client::Done done) {
    const auto known = digest();
    if (known.empty()) {
        learn(client);
        auto whole = words("EVAL", text_, key, arguments);
        client.send(std::move(key), std::move(whole), std::move(done));
        return;
    }
    auto by_digest = words("EVALSHA", known, key, arguments);
    auto again = [self = shared_from_this(), &client, key, arguments = std::move(arguments),
                  done = std::move(done)](cache::Answer answer) mutable {
        if (answer.failure != cache::Failure::refused || !answer.reply.text.starts_with("NOSCRIPT"))
            return done(std::move(answer));
        auto whole = self->words("EVAL", self->text_, key, arguments);
        client.send(std::move(key), std::move(whole), std::move(done));
    };
    client.send(std::move(key), std::move(by_digest), std::move(again));
}

}  // namespace supd::nodes
