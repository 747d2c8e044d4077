// Log lines are JSON, one per event, whoever writes them; secrets do not print.
#include <supd/base/log.hpp>
#include <supd/base/secret.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include <sstream>
#include <type_traits>
#include <vector>

namespace supd::base {
namespace {

template <class T>
concept Prints = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Prints<Secret> && !Prints<Content>);
static_assert(!std::is_constructible_v<log::Value, Secret> && !std::is_constructible_v<log::Value, Content>);

std::vector<nlohmann::json> lines_of(const std::string& text) {
    std::vector<nlohmann::json> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        out.push_back(nlohmann::json::parse(line));
    return out;
}

TEST(Log, LinesAreJsonBeforeAndAfterStart) {
    testing::internal::CaptureStderr();
    log::info("early", {{"status", 200}});
    log::start();
    log::info("request", {{"request_id", "a\"b\n"}, {"duration_ms", 1.5}, {"reason", true}});
    spdlog::error("task of {} failed: {}", "x", "\"quoted\"\xff");
    log::debug("hidden");
    log::finish();
    log::warn("late");
    const auto lines = lines_of(testing::internal::GetCapturedStderr());
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[0]["event"], "early");
    EXPECT_EQ(lines[0]["status"], 200);
    EXPECT_EQ(lines[1]["request_id"], "a\"b\n");
    EXPECT_EQ(lines[1]["duration_ms"], 1.5);
    EXPECT_EQ(lines[1]["level"], "info");
    EXPECT_EQ(lines[1]["time"].get<std::string>().size(), 24u);
    EXPECT_EQ(lines[2]["level"], "error");
    EXPECT_EQ(lines[2]["detail"], "task of x failed: \"quoted\"?");
    EXPECT_EQ(lines[3]["event"], "late");
    EXPECT_EQ(log::dropped(), 0u);
}

TEST(Log, LevelsAndLongValues) {
    EXPECT_FALSE(log::set_level("loud"));
    ASSERT_TRUE(log::set_level("warn"));
    testing::internal::CaptureStderr();
    log::info("unseen");
    log::warn("seen", {{"detail", std::string(511, 'a') + "\xc3\xa4" + "tail"}});
    ASSERT_TRUE(log::set_level("info"));
    const auto lines = lines_of(testing::internal::GetCapturedStderr());
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0]["detail"], std::string(511, 'a'));
}

}  // namespace
}  // namespace supd::base
