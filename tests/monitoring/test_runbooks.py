"""What the runbooks tell an operator to type exists: commands and options of supd, scripts, pages, headings."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from monitored import REPOSITORY, anchors_of, exists
from rig.daemon import find_binary

PAGES = sorted((REPOSITORY / "docs/runbooks").glob("*.md")) + [REPOSITORY / "docs" / name for name in ("monitoring.md", "kubernetes.md")]
NEEDED = ("README", "install", "upgrade", "rollback", "restore", "scaling", "incidents", "routine", "troubleshooting", "security-checklist")
COMMAND = re.compile(r"(?:^|[\s|;&(])(?<!role )(?:supd|supd-cli) ((?:[a-z][\w-]*)(?: [^|;&)<>`\n]*)?)")


def blocks_of(page: Path) -> list[str]:
    """The shell blocks of a page."""
    return [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.S | re.M) if language in ("", "sh")]


def typed_in(page: Path) -> list[str]:
    """Lines of shell blocks, and code spans."""
    bare = re.sub(r"^```\w*\n.*?^```$", "", page.read_text(), flags=re.S | re.M)
    return [line for block in blocks_of(page) for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", bare)


def commands_in(page: Path) -> list[str]:
    found = []
    for line in typed_in(page):
        if not line.startswith(("journalctl", "useradd", "systemctl", "helm", "git", "kubectl -n chat create")):
            found += COMMAND.findall(line)
    return found


@functools.cache
def help_of(words: tuple[str, ...]) -> str:
    return subprocess.run([str(find_binary()), *words, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout


def subcommands_of(words: tuple[str, ...]) -> list[str]:
    _, _, listed = help_of(words).partition("Subcommands:\n")
    return re.findall(r"^  (\S+)", listed, re.M)


def fault_of(command: str) -> str | None:
    """What is wrong with `jobs list --state dead`; None when nothing is."""
    words = shlex.split(command)
    path: tuple[str, ...] = ()
    while words and (known := subcommands_of(path)):
        if words[0] not in known:
            # `supd doctor` by itself is a command, too: what follows it may be an option.
            return None if words[0].startswith("-") else f"there is no supd {' '.join((*path, words[0]))}"
        path += (words.pop(0),)
    for word in words:
        if word.startswith("--") and not re.search(rf"{re.escape(word.partition('=')[0])}\b", help_of(path)):
            return f"supd {' '.join(path)} has no {word}"
    return None


def test_there_is_a_page_for_each() -> None:
    assert {page.stem for page in PAGES} >= set(NEEDED)
    index = (REPOSITORY / "docs/runbooks/README.md").read_text()
    for name in NEEDED[1:]:
        assert f"({name}.md)" in index, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist(page: Path, binary: str) -> None:
    faults = {command: fault for command in commands_in(page) if (fault := fault_of(command))}
    assert not faults


def test_wrong_commands_are_noticed(binary: str) -> None:
    assert fault_of("jobs list --state dead") is None and fault_of("jobs retry 42") is None and fault_of("user create NAME --admin") is None
    assert fault_of("jobs lst") and fault_of("jobs list --stat dead") and fault_of("frobnicate") and fault_of("user create NAME --root")
    assert sum(len(commands_in(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scripts_and_files_exist(page: Path) -> None:
    named = {path.rstrip("./") for line in typed_in(page) for path in re.findall(r"(?<![\w/.-])((?:scripts|docker|docs|tests|config)/[\w./-]*\w)", line)}
    assert not [path for path in sorted(named) if not exists(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        assert "://" not in target, "a runbook works without the web"
        other = (page.parent / path).resolve() if path else page
        assert exists(str(other.relative_to(REPOSITORY))), target
        if anchor and other.exists():
            assert anchor in anchors_of(other), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shell_blocks_parse(page: Path) -> None:
    for block in blocks_of(page):
        done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr + block


def test_keys_that_are_named_exist(binary: str) -> None:
    """`websocket.heartbeat_s` and the like, as in the example file."""
    example = (REPOSITORY / "config/supd.example.toml").read_text()
    keys, section = {"name", "mode"}, ""
    for line in example.splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            section = head[1] + "."
        elif key := re.match(r"#(\w+) = ", line):
            keys.add(section + key[1])
    sections = {key.split(".")[0] for key in keys if "." in key}
    for page in PAGES:
        for span in re.findall(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`", page.read_text()):
            if span.split(".")[0] in sections and page.stem != "kubernetes":
                assert span in keys, f"{page.name}: {span}"
