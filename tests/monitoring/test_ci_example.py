"""docs/ci/github-actions.yml: the way from a push to production, and that its steps are commands of this repository."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from monitored import REPOSITORY, exists

# `on` is a word to BaseLoader and True to the others.
WORKFLOW = yaml.load((REPOSITORY / "docs/ci/github-actions.yml").read_text(), yaml.BaseLoader)
JOBS = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]


def test_one_thing_comes_after_the_other() -> None:
    assert list(JOBS) == ["test", "image", "staging", "production"]
    assert [JOBS[name].get("needs") for name in JOBS] == [None, "test", "image", "staging"]
    assert WORKFLOW["on"]["push"]["branches"] == ["main"] and "pull_request" in WORKFLOW["on"]


def test_a_pull_request_gets_tests_and_nothing_else() -> None:
    assert "if" not in JOBS["test"]
    assert JOBS["image"]["if"] == "github.event_name == 'push'"
    assert "startsWith(github.ref, 'refs/tags/v')" == JOBS["production"]["if"]


def test_rights_are_given_where_they_are_needed() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in JOBS.items() if "permissions" in job] == ["image"]
    for name in ("staging", "production"):
        assert JOBS[name]["environment"] == name and name in JOBS[name]["runs-on"]
        assert JOBS[name]["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": "false"}, "a deployment is never cut off"
    assert all(int(job["timeout-minutes"]) <= 90 for job in JOBS.values())


@pytest.mark.parametrize(("name", "step"), STEPS, ids=lambda value: value if isinstance(value, str) else value.get("name") or value.get("uses"))
def test_a_step_can_be_run(name: str, step: dict) -> None:
    assert ("run" in step) != ("uses" in step)
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        return
    done = subprocess.run(["bash", "-n", "-c", re.sub(r"\$\{\{.*?\}\}", "x", step["run"])], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "${{" not in step["run"], "what GitHub puts in is no text of ours: by the environment only"
    for script in re.findall(r"(?<![\w/.])((?:scripts|docker)/[\w./-]+)", step["run"]):
        assert exists(script), script


def test_what_is_deployed_was_tested() -> None:
    runs = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in JOBS.items()}
    assert "scripts/test" in runs["test"] and "SUPD_BINARY=prebuilt" in runs["image"] and "scripts/test" not in runs["production"]
    uploaded = next(step["with"] for step in JOBS["test"]["steps"] if step.get("with", {}).get("name") == "supd")
    assert uploaded["path"] == "build/release/src/supd"
    for name in ("staging", "production"):
        assert f"scripts/deploy.sh {name}" in runs[name] and 'git checkout --detach "$GITHUB_SHA"' in runs[name]
        steps = JOBS[name]["steps"]
        download, deploy = (next(place for place, step in enumerate(steps) if is_it(step)) for is_it in (
            lambda step: step.get("uses", "").startswith("actions/download-artifact@"), lambda step: "scripts/deploy.sh" in step.get("run", "")))
        assert download < deploy, "the binary that was tested is deployed, not a second build"
        assert steps[download]["with"] == {"name": uploaded["name"], "path": "/srv/supd/" + uploaded["path"].removesuffix("/supd")}
        assert steps[deploy]["env"]["SUPD_BINARY_FROM"] == "prebuilt" and "chmod +x build/release/src/supd" in steps[deploy]["run"]
    version = re.search(r"sed -n '(s/[^']+)'", runs["image"])[1]
    out = subprocess.run(["sed", "-n", version, "CMakeLists.txt"], cwd=REPOSITORY, capture_output=True, text=True, timeout=20).stdout
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", out)
