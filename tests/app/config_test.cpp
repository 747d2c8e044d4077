#include "app/config.hpp"

#include "app/config_keys.hpp"
#include "app/secrets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace supd::app {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kGoodSecret = "pR0v8Qz2uLwXn5TfYk1JcH7dSgB4mEaV";

class ConfigTest : public testing::Test {
protected:
    ConfigTest() {
        std::string pattern = (fs::temp_directory_path() / "supd-config-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~ConfigTest() override { fs::remove_all(folder_); }

    fs::path write(const std::string& name, const std::string& text) {
        std::ofstream(folder_ / name) << text;
        return folder_ / name;
    }
    LoadedConfig load(const std::string& toml, std::map<std::string, std::string> environment = {}) {
        return load_config({write("supd.toml", toml), std::move(environment), {}});
    }
    std::vector<std::string> faults(const std::string& toml,
                                    std::map<std::string, std::string> environment = {}) {
        try {
            load(toml, std::move(environment));
        } catch (const ConfigError& error) {
            return error.faults();
        }
        return {};
    }
    static std::map<std::string, std::string> production() {
        return {{"SUPD__MODE", "production"},
                {"JWT_SECRET", kGoodSecret},
                {"DATABASE_URL", "postgresql://u:p9Xk@h/d"},
                {"SUPD__SERVER__TRUSTED_PROXIES", "10.0.0.0/8"}};
    }

    fs::path folder_;
};

TEST_F(ConfigTest, NothingAtAllIsADevelopmentServer) {
    const auto loaded = load_config({std::nullopt, {{"PATH", "/bin"}, {"HOME", "/"}}, {}});
    EXPECT_EQ(loaded.config.mode, "development");
    EXPECT_EQ(loaded.config.server.port, 3000);
    EXPECT_TRUE(loaded.config.embedded_database());
    EXPECT_EQ(loaded.origins.at("server.port"), "default");
}

TEST_F(ConfigTest, LaterSourcesWin) {
    const std::string toml = "[server]\nport = 1\n[log]\nlevel = \"warn\"\n";
    EXPECT_EQ(load(toml).config.server.port, 1);
    EXPECT_EQ(load(toml).origins.at("server.port"), "supd.toml line 2");
    EXPECT_EQ(load(toml, {{"PORT", "2"}}).config.server.port, 2);
    const std::map<std::string, std::string> both{{"PORT", "2"}, {"SUPD__SERVER__PORT", "3"}};
    EXPECT_EQ(load(toml, both).config.server.port, 3);
    const auto flagged = load_config({write("supd.toml", toml), both, {{"server.port", "4"}}});
    EXPECT_EQ(flagged.config.server.port, 4);
    EXPECT_EQ(flagged.origins.at("server.port"), "command line");
    EXPECT_EQ(load(toml, {{"LOG_LEVEL", "error"}}).config.log.level, "error");
    EXPECT_EQ(load(toml, {{"LOG_LEVEL", ""}}).config.log.level, "warn") << "empty counts as not set";
}

TEST_F(ConfigTest, EveryKeyTakesItsEnvironmentVariable) {
    std::set<std::string> names;
    for (const auto& key : config_keys()) {
        EXPECT_TRUE(names.insert(key.env()).second) << key.env();
        EXPECT_FALSE(key.about.empty()) << key.full();
        std::map<std::string, std::string> environment{{key.env(), "\x01 not a value"}};
        try {
            const auto loaded = load_config({std::nullopt, environment, {}});
            EXPECT_EQ(loaded.origins.at(key.full()), key.env());
        } catch (const ConfigError& error) {
            EXPECT_THAT(std::string(error.what()),
                        testing::AnyOf(HasSubstr(key.env()), HasSubstr(key.full())))
                << key.full();
        }
    }
    EXPECT_THAT(
        load("", {{"CORS_ORIGIN", "https://a.example, http://localhost:8080"}}).config.server.cors_origins,
        ElementsAre("https://a.example", "http://localhost:8080"));
    EXPECT_FALSE(load("", {{"SUPD__RATE_LIMIT__ENABLED", "false"}}).config.rate_limit.enabled);
}

TEST_F(ConfigTest, UnknownKeysNameTheNearest) {
    EXPECT_THAT(faults("[server]\nprot = 1\n"),
                ElementsAre("supd.toml line 2: server.prot: unknown key; did you mean server.port?"));
    EXPECT_THAT(faults("[http]\nport = 1\n"), Contains(HasSubstr("did you mean server.port?")));
    EXPECT_THAT(faults("", {{"SUPD__SERVER__PRT", "1"}}),
                ElementsAre("SUPD__SERVER__PRT: unknown key; did you mean SUPD__SERVER__PORT?"));
    EXPECT_THAT(faults("", {{"SUPD__SERVER__PORT_FILE", "/x"}}), Contains(HasSubstr("unknown key")));
    EXPECT_THAT(faults("", {{"SUPD__WEBSOKET__HEARTBEAT_S", "5"}}),
                Contains(HasSubstr("SUPD__WEBSOCKET__HEARTBEAT_S")));
}

TEST_F(ConfigTest, SaysAllFaultsAtOnce) {
    const auto all = faults(
        "mode = \"prod\"\nx = 1\n[server]\nport = \"80\"\nhost = \"nowhere\"\ngrace_s = 0\n"
        "cors_origins = [\"*\"]\ntrusted_proxies = [\"10.0.0.1/8\"]\n[rate_limit]\nenabled = 1\n"
        "[websocket]\nheartbeat_s = 90\n",
        {{"REDIS_URL", "http://x"}, {"JWT_SECRET", "short"}, {"PORT", "70000"}});
    EXPECT_THAT(all, Contains("supd.toml line 1: mode must be one of development production"));
    EXPECT_THAT(all, Contains(HasSubstr("x: unknown key")));
    EXPECT_THAT(all, Contains("supd.toml line 4: server.port must be a whole number from 0 to 65535"));
    EXPECT_THAT(all, Contains("PORT: server.port must be a whole number from 0 to 65535"));
    EXPECT_THAT(all, Contains(HasSubstr("server.host must be an IP address")));
    EXPECT_THAT(all, Contains(HasSubstr("server.grace_s must be a whole number from 1 to 300")));
    EXPECT_THAT(all, Contains(HasSubstr("\"*\" is not an origin")));
    EXPECT_THAT(all, Contains(HasSubstr("\"10.0.0.1/8\" is not an address or a network")));
    EXPECT_THAT(all, Contains(HasSubstr("rate_limit.enabled must be true or false")));
    EXPECT_THAT(all, Contains(HasSubstr("websocket.idle_timeout_s must be more")));
    EXPECT_THAT(all, Contains(HasSubstr("redis.url: it must begin with")));
    EXPECT_THAT(all, Contains(HasSubstr("auth.jwt_secret is shorter than 32 bytes")));
    for (const auto& fault : all)
        EXPECT_THAT(fault, Not(HasSubstr("short\""))) << "no secret is quoted";
}

TEST_F(ConfigTest, TheFileItselfMayBeWrong) {
    EXPECT_THAT(faults("[server\n"), Contains(HasSubstr("supd.toml line 1")));
    EXPECT_THAT(faults("[server]\nport = 1.5\n"), Contains(HasSubstr("must be a whole number")));
    EXPECT_THAT(faults("[server]\nport = 1979-05-27\n"), Contains(HasSubstr("neither text")));
    EXPECT_THROW(load_config({folder_ / "none.toml", {}, {}}), ConfigError);
}

TEST_F(ConfigTest, TracesAreOffUntilACollectorIsNamed) {
    EXPECT_EQ(load("").config.trace.otlp_endpoint, "");
    EXPECT_EQ(load("").config.trace.sample_ratio, 0.1);
    EXPECT_EQ(load("[trace]\nsample_ratio = 0.25\n").config.trace.sample_ratio, 0.25);
    EXPECT_EQ(load("[trace]\nsample_ratio = 1\n").config.trace.sample_ratio, 1);
    EXPECT_EQ(load("", {{"SUPD__TRACE__SAMPLE_RATIO", "0.5"}}).config.trace.sample_ratio, 0.5);
    for (const char* bad : {"1.01", "-0.1", "nan", "inf", "ten", "0.5x", "0,5"})
        EXPECT_THAT(faults("", {{"SUPD__TRACE__SAMPLE_RATIO", bad}}),
                    ElementsAre("SUPD__TRACE__SAMPLE_RATIO must be a number from 0 to 1"))
            << bad;
    EXPECT_THAT(faults("[trace]\nsample_ratio = \"0.5\"\n"),
                Contains(HasSubstr("must be a number from 0 to 1")));
    EXPECT_EQ(load("", {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://tempo:4318"}}).config.trace.otlp_endpoint,
              "http://tempo:4318");
    EXPECT_THAT(faults("", {{"OTEL_EXPORTER_OTLP_ENDPOINT", "tempo:4317"}}),
                Contains(HasSubstr("trace.otlp_endpoint must be http://host[:port][/path] or https://")));
    const auto shown =
        print_config(load("", {{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20bXlrZXk"}}));
    EXPECT_THAT(shown, HasSubstr("otlp_headers = \"***\"  # OTEL_EXPORTER_OTLP_HEADERS"));
    EXPECT_THAT(shown, Not(HasSubstr("bXlrZXk")));
    EXPECT_THAT(faults("", {{"OTEL_EXPORTER_OTLP_HEADERS", "Basic bXlrZXk"}}),
                ElementsAre("trace.otlp_headers must be name=value,name=value"));
}

TEST_F(ConfigTest, SecretsComeFromFiles) {
    const auto path = write("jwt", kGoodSecret + "\n").string();
    EXPECT_EQ(load("", {{"JWT_SECRET_FILE", path}}).config.auth.jwt_secret.reveal(), kGoodSecret);
    const auto named = load("", {{"SUPD__AUTH__JWT_SECRET_FILE", path}});
    EXPECT_EQ(named.config.auth.jwt_secret.reveal(), kGoodSecret);
    EXPECT_EQ(named.origins.at("auth.jwt_secret"), "SUPD__AUTH__JWT_SECRET_FILE");
    EXPECT_THAT(faults("", {{"JWT_SECRET_FILE", path}, {"JWT_SECRET", kGoodSecret}}),
                ElementsAre("JWT_SECRET and JWT_SECRET_FILE are both set"));
    EXPECT_THAT(faults("", {{"JWT_SECRET_FILE", "/no/such"}}), Contains(HasSubstr("cannot read /no/such")));
    EXPECT_THAT(faults("", {{"JWT_SECRET_FILE", write("empty", "\n").string()}}),
                Contains(HasSubstr("is empty")));
    const auto two = write("two", kGoodSecret + "\n" + kGoodSecret + "x\n").string();
    EXPECT_EQ(
        load("", {{"SUPD__AUTH__JWT_PREVIOUS_SECRETS_FILE", two}}).config.auth.jwt_previous_secrets.size(),
        2U);
}

TEST_F(ConfigTest, ProductionRefusesWhatIsWeak) {
    EXPECT_THAT(faults("", production()), testing::IsEmpty());
    const auto with = [&](const std::string& name, const std::string& value) {
        auto environment = production();
        environment[name] = value;
        return faults("", environment);
    };
    EXPECT_EQ(load("", {{"DATABASE_URL", "postgresql://u:p9Xk@h/d"},
                        {"JWT_SECRET", kGoodSecret},
                        {"SUPD__SERVER__TRUSTED_PROXIES", "::1"}})
                  .config.mode,
              "production");
    EXPECT_THAT(with("JWT_SECRET", ""), ElementsAre(HasSubstr("must be set in production")));
    for (const char* weak :
         {"changeme-changeme-changeme-changeme", "my-super-Secret-key-that-is-long-enough",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
          "K7f9xQ2mL0K7f9xQ2mL0K7f9xQ2mL0K7f9xQ2mL0", "0101101001011010010110100101101001"}) {
        EXPECT_THAT(with("JWT_SECRET", weak), ElementsAre(HasSubstr("production mode refuses"))) << weak;
    }
    EXPECT_THAT(with("DATABASE_URL", "postgres://postgres:postgres@db/x"),
                ElementsAre(HasSubstr("default password")));
    EXPECT_THAT(with("SUPD__RATE_LIMIT__ENABLED", "false"), ElementsAre(HasSubstr("development mode only")));
    EXPECT_THAT(with("SUPD__AUTH__PASSWORD_HASH", "interactive"),
                ElementsAre(HasSubstr("development mode only")));
    EXPECT_THAT(with("SUPD__SERVER__TRUSTED_PROXIES", ""),
                ElementsAre(HasSubstr("plain HTTP without a proxy")));
    for (const char* good :
         {"9f86d081884c7d659a2feaa0c55ad015", "b1946ac92492d2347c6235b4d2611184c3499dc1"}) {
        EXPECT_THAT(with("JWT_SECRET", good), testing::IsEmpty()) << good;
    }
}

TEST_F(ConfigTest, ProductionRefusesDefaultPasswordsHoweverTheyAreWritten) {
    const auto with = [&](const std::string& name, const std::string& value) {
        auto environment = production();
        environment[name] = value;
        return faults("", environment);
    };
    for (const char* url :
         {"postgresql://supd:postgres@db/supd", "host=db user=supd password=postgres dbname=supd",
          "host=db password = 'Postgres'", "postgresql://supd@db/supd?password=postgres",
          "postgresql://supd:changem%65@db/supd", "postgresql://supd:changeme@one,two/supd"}) {
        EXPECT_THAT(with("DATABASE_URL", url), ElementsAre("database.url has a default password, which "
                                                           "production mode refuses"))
            << url;
        EXPECT_THAT(with("DATABASE_REPLICA_URLS", std::string("host=one password=p9Xk ") + "," + url),
                    Contains(HasSubstr("default password")))
            << url;
    }
    for (const char* url :
         {"redis://:changeme@redis:6379", "redis://supd:%63hangeme@redis", "rediss://:foobared@redis",
          "redis+sentinel://:p9Xk@one/main?sentinel_password=redis"}) {
        EXPECT_THAT(with("REDIS_URL", url), ElementsAre(HasSubstr("redis.url has a default password")))
            << url;
    }
    EXPECT_THAT(with("SUPD__S3__SECRET_KEY", "minioadmin"),
                ElementsAre(HasSubstr("s3.secret_key is a default password")));
    for (const auto& [name, good] :
         {std::pair("DATABASE_URL", "host=db user=postgres password=p9Xk dbname=postgres"),
          std::pair("DATABASE_URL", "postgresql://postgres@db/postgres"),
          std::pair("DATABASE_URL", "service=supd"), std::pair("REDIS_URL", "redis://redis:6379/1"),
          std::pair("REDIS_URL", "redis://redis:p9Xk@redis"), std::pair("SUPD__S3__SECRET_KEY", "p9XkQ2"),
          std::pair("DATABASE_REPLICA_URLS", "postgresql://supd:p9Xk@two/supd")}) {
        EXPECT_THAT(with(name, good), testing::IsEmpty()) << good;
    }
    EXPECT_THAT(faults("", {{"DATABASE_URL", "host=db password"}}),
                Contains("database.url is not a valid connection string"));
    EXPECT_THAT(faults("", {{"DATABASE_URL", "postgresql://u:p9Xk@h/d"}, {"DATABASE_REPLICA_URLS", "a=b"}}),
                Contains("database.replica_urls: one is not a valid connection string"));
}

TEST_F(ConfigTest, PrintShowsOriginsAndNoSecret) {
    auto environment = production();
    environment["SUPD__AUTH__JWT_PREVIOUS_SECRETS"] = kGoodSecret;
    const auto text = print_config(load("", environment));
    EXPECT_THAT(text, HasSubstr("port = 3000  # default\n"));
    EXPECT_THAT(text, HasSubstr("jwt_secret = \"***\"  # JWT_SECRET\n"));
    EXPECT_THAT(text, HasSubstr("jwt_previous_secrets = [\"***\"]"));
    EXPECT_THAT(text, Not(HasSubstr(kGoodSecret)));
    EXPECT_THAT(text, Not(HasSubstr("p9Xk")));
    EXPECT_THAT(text, HasSubstr("trusted_proxies = [\"10.0.0.0/8\"]  # SUPD__SERVER__TRUSTED_PROXIES"));
}

TEST_F(ConfigTest, TheExampleFileIsWhatTheTableSays) {
    std::ifstream file(SUPD_EXAMPLE_CONFIG);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(text, example_config()) << "write it again: supd config example > config/supd.example.toml";
    // With every key uncommented it must load, except for what only makes sense with real values.
    std::string active;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        active += (line.starts_with("#") && !line.starts_with("# ") ? line.substr(1) : line) + "\n";
    }
    EXPECT_THAT(faults(active), testing::IsEmpty());
}

TEST_F(ConfigTest, GeneratedSecretsArePrivateAndStay) {
    Config config;
    config.server.data_dir = (folder_ / "data").string();
    fill_generated_secrets(config);
    const std::string first = config.auth.jwt_secret.reveal();
    EXPECT_EQ(secret_weakness(first), "");
    struct stat info{};
    ASSERT_EQ(::stat((folder_ / "data/secrets/jwt_secret").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
    ASSERT_EQ(::stat((folder_ / "data/secrets").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700U);

    Config again;
    again.server.data_dir = config.server.data_dir;
    fill_generated_secrets(again);
    EXPECT_EQ(again.auth.jwt_secret.reveal(), first);
    fs::permissions(folder_ / "data/secrets/jwt_secret", fs::perms::group_read, fs::perm_options::add);
    EXPECT_THROW(generated_secret(config.server.data_dir, "jwt_secret"), ConfigError);
}

}  // namespace
}  // namespace supd::app
