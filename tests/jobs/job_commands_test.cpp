#include <supd/jobs/job_commands.hpp>

#include <jobs/jobs_fixture.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

namespace supd::jobs {
namespace {

constexpr db::Statement kKill{
    "t_kill", "update jobs set state = 'dead', died_at = now(), attempts = 5, last_error = 'smtp_550'"};

class JobCommandsTest : public JobsTest {
protected:
    void kill_all() {
        connection.transact([](db::Transaction& tx) { tx.exec(kKill); });
    }
    std::ostringstream out, err;
};

TEST_F(JobCommandsTest, lists_without_payloads) {
    add("mail.verify", R"({"to":"canary@example.org"})");
    kill_all();
    add("mail.verify");
    ListOptions options;
    options.json = true;
    options.state = "dead";
    EXPECT_EQ(list_jobs(connection, options, out), 0);
    const auto items = nlohmann::json::parse(out.str());
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(items[0]["kind"], "mail.verify");
    EXPECT_EQ(items[0]["last_error"], "smtp_550");
    EXPECT_EQ(items[0]["created_at"].get<std::string>().size(), 24U);
    EXPECT_EQ(out.str().find("canary"), std::string::npos);

    out.str("");
    EXPECT_EQ(list_jobs(connection, {}, out), 0);
    EXPECT_NE(out.str().find("5/20"), std::string::npos);
    EXPECT_NE(out.str().find("ready"), std::string::npos);
}

TEST_F(JobCommandsTest, retries_one_dead_job) {
    add("mail.verify");
    kill_all();
    const auto id = only_job()->id;
    EXPECT_EQ(retry_jobs(connection, id, out, err), 0);
    EXPECT_EQ(only_job()->state, "ready");
    EXPECT_EQ(only_job()->attempts, 0);
    EXPECT_EQ(retry_jobs(connection, id, out, err), 1) << "it is not dead any more";
    EXPECT_EQ(retry_jobs(connection, id + 1, out, err), 1);
    EXPECT_NE(err.str().find("does not exist"), std::string::npos);
}

TEST_F(JobCommandsTest, retries_all_but_never_two_of_a_key) {
    EnqueueOptions options;
    options.unique_key = "k";
    add("digest", "{}", options);
    kill_all();
    add("digest", "{}", options);
    kill_all();
    add("plain");
    add("plain");
    kill_all();
    EXPECT_EQ(retry_jobs(connection, std::nullopt, out, err), 0);
    EXPECT_EQ(out.str(), "3 jobs wait again\n");
    out.str("");
    EXPECT_EQ(retry_jobs(connection, std::nullopt, out, err), 0);
    EXPECT_EQ(out.str(), "0 jobs wait again\n");
}

TEST_F(JobCommandsTest, drops_a_waiting_job_once) {
    add("plain");
    const auto id = only_job()->id;
    EXPECT_EQ(drop_job(connection, id, out, err), 0);
    EXPECT_EQ(count(), 0);
    EXPECT_EQ(drop_job(connection, id, out, err), 1);
}

}  // namespace
}  // namespace supd::jobs
