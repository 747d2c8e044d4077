#include "frames.hpp"

namespace supd::sync {

std::string caught_up_frame(const chatlog::Cursor& cursor) {
    return R"({"type":"caught_up","data":{"cursor":")" + cursor.encode() + R"("}})";
}

std::string resync_frame() {
    return R"({"type":"resync_required","data":{"reason":"The cursor is too old or from before a restore; call GET /api/v1/sync and resume from its cursor."}})";
}

}  // namespace supd::sync
