#!/usr/bin/env python3
"""Runs clang-tidy-19 over what changed. Usage: scripts/tidy.py [--build build/release] [--jobs N] [FILE...]

A verdict "clean" is kept under a key made of everything it depends on: the checks, the tool, the flags, and the
content of the file and of each header of this project that it includes (known from the build; headers of packages
by name and size). The cache is outside the build folder, so a fresh clone starts warm. The build must be done.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOL = "clang-tidy-19"


def dependencies(build):
    """object file -> headers, as ninja recorded them."""
    result, current = {}, None
    for line in subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, capture_output=True, text=True).stdout.splitlines():
        if line.startswith("    "):
            result[current].append(line.strip())
        elif ": #deps" in line:
            current = line.split(": #deps")[0]
            result[current] = []
    return result


class Hasher:
    def __init__(self):
        self.known = {}

    def of(self, path):
        """Content for our files; name and size for those of packages; nothing for what the build generates."""
        if path not in self.known:
            real = Path(os.path.realpath(path))
            if real.is_relative_to(ROOT / "build"):
                self.known[path] = ""
            elif real.is_relative_to(ROOT):
                self.known[path] = str(real.relative_to(ROOT)) + hashlib.sha256(real.read_bytes()).hexdigest()
            else:
                self.known[path] = f"{real}:{real.stat().st_size if real.exists() else 0}"
        return self.known[path]


def key_of(command, headers, hasher, base):
    flags = " ".join(shlex.split(command["command"])).replace(str(ROOT), "")
    parts = [base, flags, hasher.of(command["file"])]
    parts += sorted(hasher.of(os.path.join(command["directory"], header)) for header in headers)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    build = str(Path(options.build).resolve())
    cache = Path(os.environ.get("SUPD_TIDY_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supd-tidy")
    cache.mkdir(parents=True, exist_ok=True)

    tool = subprocess.run([TOOL, "--version"], check=True, capture_output=True, text=True).stdout
    checks = (ROOT / ".clang-tidy").read_text()
    base = {"src": tool + checks, "tests": tool + checks + (ROOT / "tests/.clang-tidy").read_text()}
    recorded = dependencies(build)
    hasher = Hasher()
    wanted = {str(Path(f).resolve()) for f in options.files}
    work, total = [], 0
    for command in json.loads((Path(build) / "compile_commands.json").read_text()):
        file = command["file"]
        if not file.startswith((f"{ROOT}/src/", f"{ROOT}/tests/")) or (wanted and file not in wanted):
            continue
        total += 1
        words = shlex.split(command["command"])
        headers = recorded.get(words[words.index("-o") + 1])
        if headers is None:
            print(f"tidy: {file} is not built, build first")
            return 1
        folder = os.path.relpath(file, ROOT).split(os.sep)[0]
        stamp = cache / key_of(command, headers, hasher, base[folder])
        if stamp.exists():
            stamp.touch()
        else:
            work.append((file, stamp))
    if wanted and total < len(wanted):
        print("tidy: not every named file is part of the build")
        return 1

    def check(item):
        file, stamp = item
        run = subprocess.run([TOOL, "-p", build, "--quiet", file], capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
        return file, run

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for file, run in pool.map(check, work):
            name = os.path.relpath(file, ROOT)
            if run.returncode != 0:
                bad += 1
                errors = "\n".join(l for l in run.stderr.splitlines() if "warnings generated" not in l and "Suppressed" not in l)
                print(f"{run.stdout}{errors}".replace(f"{ROOT}/", ""))
            print(f"tidy: {name}: {'clean' if run.returncode == 0 else 'FINDINGS'}", flush=True)
    print(f"tidy: {total} files, {len(work)} checked now, {total - len(work)} unchanged, {bad} with findings")
    return 1 if bad or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
