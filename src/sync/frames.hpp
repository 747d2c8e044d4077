// The frames that sync itself speaks.
#pragma once

#include <supd/chatlog/cursor.hpp>

#include <string>

namespace supd::sync {

std::string caught_up_frame(const chatlog::Cursor& cursor);
std::string resync_frame();

}  // namespace supd::sync
