// The command line: `supd serve | migrate | config | user | jobs | backup | restore | routes |
// healthcheck | doctor | version`.
#pragma once

namespace supd::app {

// Exit codes, of sysexits(3).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  ///< healthcheck: not alive; doctor: a check failed
inline constexpr int kExitUsage = 64;  ///< EX_USAGE: the command line is wrong
inline constexpr int kExitData = 65;   ///< EX_DATAERR: what was given is refused
inline constexpr int kExitUnavailable =
    69;                                   ///< EX_UNAVAILABLE: a needed service is not there or does not fit
inline constexpr int kExitSoftware = 70;  ///< EX_SOFTWARE: a fault of supd
inline constexpr int kExitConfig = 78;    ///< EX_CONFIG

int run_cli(int argc, char** argv);

}  // namespace supd::app
