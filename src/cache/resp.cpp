#include "resp.hpp"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <new>

namespace supd::cache {
namespace {

// The reader builds our own type: the reply of an array is a vector that has its size before its items come,
// so that they stay where they are.
Reply* place(const redisReadTask* task) {
    if (!task->parent) return new (std::nothrow) Reply;
    return &static_cast<Reply*>(task->parent->obj)->items[static_cast<std::size_t>(task->idx)];
}

// Null is what hiredis knows as out of memory; an exception would pass through frames of C.
template <class Fill>
Reply* filled(const redisReadTask* task, Fill fill) noexcept {
    auto* reply = place(task);
    if (!reply) return nullptr;
    try {
        fill(*reply);
        return reply;
    } catch (const std::bad_alloc&) {
        if (!task->parent) delete reply;  // of others the root is freed
        return nullptr;
    }
}

void* create_text(const redisReadTask* task, char* text, std::size_t size) {
    return filled(task, [&](Reply& reply) {
        reply.kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                     : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                        : Reply::Kind::text;
        reply.text.assign(text, size);
    });
}

void* create_array(const redisReadTask* task, int size) {
    auto& items = *static_cast<std::size_t*>(task->privdata);
    if (size < 0 || static_cast<std::size_t>(size) > kMaxItems - items) return nullptr;
    items += static_cast<std::size_t>(size);
    return filled(task, [size](Reply& reply) {
        reply.kind = Reply::Kind::array;
        reply.items.resize(static_cast<std::size_t>(size));
    });
}

void* create_integer(const redisReadTask* task, long long value) {
    auto* reply = place(task);
    if (!reply) return nullptr;
    reply->kind = Reply::Kind::integer;
    reply->integer = value;
    return reply;
}

void* create_nil(const redisReadTask* task) {
    return place(task);
}

void free_reply(void* reply) {
    delete static_cast<Reply*>(reply);
}

redisReplyObjectFunctions kBuild = {create_text, create_array, create_integer, create_nil, free_reply};

}  // namespace

void append_command(std::string& out, const Words& words) {
    std::vector<const char*> parts;
    std::vector<std::size_t> sizes;
    parts.reserve(words.size());
    sizes.reserve(words.size());
    for (const auto& word : words) {
        parts.push_back(word.data());
        sizes.push_back(word.size());
    }
    char* bytes = nullptr;
    const int size =
        redisFormatCommandArgv(&bytes, static_cast<int>(words.size()), parts.data(), sizes.data());
    if (size < 0) throw std::bad_alloc();
    const std::unique_ptr<char, decltype(&std::free)> owner(bytes, &std::free);
    out.append(bytes, static_cast<std::size_t>(size));
}

void Parser::Free::operator()(redisReader* reader) const noexcept {
    redisReaderFree(reader);
}

Parser::Parser()
    : items_(std::make_unique<std::size_t>(0)), reader_(redisReaderCreateWithFunctions(&kBuild)) {
    if (!reader_) throw std::bad_alloc();
    reader_->privdata = items_.get();
}

void Parser::feed(std::string_view bytes) {
    if (reader_->len - reader_->pos + bytes.size() > kMaxReplyBytes)
        throw ProtocolFault("a reply of Redis is too large");
    if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK)
        throw ProtocolFault(reader_->errstr);
}

std::optional<Reply> Parser::next() {
    void* made = nullptr;
    if (redisReaderGetReply(reader_.get(), &made) != REDIS_OK) throw ProtocolFault(reader_->errstr);
    if (!made) return std::nullopt;
    *items_ = 0;
    const std::unique_ptr<Reply> owner(static_cast<Reply*>(made));
    return std::move(*owner);
}

}  // namespace supd::cache
