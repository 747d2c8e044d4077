"""The Helm chart, as it was rendered for two sets of values: what a pod may do, that the objects find each other, and that supd
takes its environment. With helm (--long builds it where there is Go) the chart is linted and rendered anew; with --long
Kubernetes' own types decode every object strictly."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonschema_rs import Draft7Validator

from monitored import REPOSITORY
from rig.daemon import shared_secret

CHART = REPOSITORY / "docker/helm/supd"
HERE = Path(__file__).parent / "chart"
NAMES = ["minimal", "full"]
LONG = os.environ.get("SUPD_LONG") == "1"


def helm() -> str:
    found = shutil.which("helm") or shutil.which(str(REPOSITORY / "build/tools/bin/helm"))
    if not found:
        assert not (LONG and shutil.which("go")), "helm is missing: scripts/test --long --suite monitoring builds it"
        pytest.skip("no helm; the rendered objects are looked at instead")
    return found


def rendered(name: str) -> list[dict]:
    return [one for one in yaml.safe_load_all((HERE / f"{name}.rendered.yaml").read_text()) if one]


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    return [one for one in objects if one["kind"] == kind]


def only(objects: list[dict], kind: str) -> dict:
    found, = of_kind(objects, kind)
    return found


def pods(objects: list[dict]) -> list[dict]:
    return [one["spec"]["template"] for one in objects if one["kind"] in ("Deployment", "Job")]


def values(name: str | None = None) -> dict:
    """The defaults with a file over them, as helm merges them."""
    def merge(under: dict, over: dict) -> dict:
        return {key: merge(under[key], over[key]) if isinstance(under.get(key), dict) and isinstance(over.get(key), dict)
                else over.get(key, under.get(key)) for key in under.keys() | over.keys()}

    given = yaml.safe_load((HERE / f"{name}.values.yaml").read_text()) if name else {}
    return merge(yaml.safe_load((CHART / "values.yaml").read_text()), given)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_looked_at_was_rendered_from_this_chart(name: str) -> None:
    files = sorted(str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file())
    content = b"".join((CHART / file).read_bytes() for file in files) + (HERE / f"{name}.values.yaml").read_bytes()
    first = (HERE / f"{name}.rendered.yaml").read_text().splitlines()[0]
    assert first == f"# digest: {hashlib.sha256(content).hexdigest()}", "the chart has changed: run tests/monitoring/chart/render"


def test_helm_accepts_and_renders_the_same(tmp_path: Path) -> None:
    program = helm()
    environment = os.environ | {"PATH": f"{Path(program).parent}:{os.environ['PATH']}"}
    for name in NAMES:
        subprocess.run([program, "lint", "--strict", CHART, "-f", HERE / f"{name}.values.yaml", "--kube-version", "1.31.0"], check=True,
                       capture_output=True, timeout=60)
    subprocess.run([HERE / "render", tmp_path], check=True, env=environment, timeout=60)
    for name in NAMES:
        assert (tmp_path / f"{name}.rendered.yaml").read_text() == (HERE / f"{name}.rendered.yaml").read_text()
    bare = subprocess.run([program, "template", "x", CHART, "--kube-version", "1.31.0"], capture_output=True, text=True, timeout=60)
    assert bare.returncode != 0 and "databaseUrl" in bare.stderr, "without secrets nothing is rendered"


def test_kubernetes_types_take_every_object() -> None:
    program = REPOSITORY / "build/tools/bin/kubernetes-strict"
    if not LONG or not shutil.which("go"):
        pytest.skip("with --long and Go: builds Kubernetes' own decoder")
    for name in NAMES:
        text = (HERE / f"{name}.rendered.yaml").read_text()
        done = subprocess.run([program], input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
        kinds = sorted(one["kind"] for one in rendered(name))
        assert done.stdout.count("ok:") + done.stdout.count("foreign:") == len(kinds), done.stdout
        wrong = subprocess.run([program], input=text.replace("maxUnavailable:", "maxUnavailabel:"), capture_output=True, text=True, timeout=60)
        assert wrong.returncode != 0, "a decoder that takes everything proves nothing"


@pytest.mark.parametrize("name", NAMES)
def test_objects_have_what_every_object_needs(name: str) -> None:
    objects = rendered(name)
    seen = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(seen)) == len(seen)
    for one in objects:
        assert one["apiVersion"] and len(one["metadata"]["name"]) <= 63
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"} <= set(one["metadata"]["labels"])
    assert not of_kind(objects, "Secret"), "the chart makes no secret"


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_can_do_nothing_but_serve(name: str) -> None:
    for pod in pods(rendered(name)):
        spec = pod["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0 and context["runAsGroup"] > 0
        assert context["seccompProfile"]["type"] == "RuntimeDefault"
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not any("hostPath" in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True and own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"]["cpu"] and container["resources"]["limits"]["memory"]
            assert not container["image"].endswith(":latest") and (":" in container["image"])
            assert all("value" in variable for variable in container["env"]), "secrets are files, not environment variables"
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable == {"/var/lib/supd", "/tmp"}
            assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_process_is_probed_and_leaves_in_peace(name: str) -> None:
    deployment = only(rendered(name), "Deployment")
    container, = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 3000, "admin": 3900}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}, "never the database"
    assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    grace = int(next(variable["value"] for variable in container["env"] if variable["name"] == "SUPD__SERVER__GRACE_S"))
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace + pause
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize("name", NAMES)
def test_the_objects_find_each_other(name: str) -> None:
    objects = rendered(name)
    deployment = only(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    other = only(objects, "Job")["spec"]["template"]["metadata"]["labels"]

    def selects(selector: dict, target: dict) -> bool:
        return bool(selector) and selector.items() <= target.items()

    selectors = [deployment["spec"]["selector"]["matchLabels"], only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in of_kind(objects, "Service")]
    for selector in selectors:
        assert selects(selector, labels) and not selects(selector, other), "the migration's pod is no server"
    names = {port["name"] for container in deployment["spec"]["template"]["spec"]["containers"] for port in container["ports"]}
    services = {service["metadata"]["name"]: service for service in of_kind(objects, "Service")}
    assert all(port["targetPort"] in names for service in services.values() for port in service["spec"]["ports"])
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert account == only(objects, "ServiceAccount")["metadata"]["name"]
    for ingress in of_kind(objects, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            backend = rule["http"]["paths"][0]["backend"]["service"]
            assert backend["port"]["name"] == "http", "the admin port never leaves the cluster"
            assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
    for monitor in of_kind(objects, "ServiceMonitor"):
        found = [service for service in services.values() if selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])]
        assert len(found) == 1 and monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"], "two would set the same number"
        assert scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]


def test_who_may_reach_what() -> None:
    policy = only(rendered("minimal"), "NetworkPolicy")["spec"]
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["http"], "nobody reaches the metrics unless named"
    policy = only(rendered("full"), "NetworkPolicy")["spec"]
    admin, = (rule for rule in policy["ingress"] if rule["ports"][0]["port"] == "admin")
    assert admin["from"] and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert {"port": 53, "protocol": "UDP"} in policy["egress"][0]["ports"]
    assert not of_kind(rendered("minimal"), "Ingress") and not of_kind(rendered("minimal"), "ServiceMonitor")


def test_the_schema_refuses_what_would_not_run() -> None:
    validator = Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
    for name in NAMES:
        validator.validate(values(name))
    assert not validator.is_valid(values()), "the secrets and the proxies must be given"

    def refused(change: dict) -> bool:
        return not validator.is_valid(values("minimal") | change)

    assert not refused({})
    for change in ({"replicaCont": 3}, {"replicaCount": 0}, {"extraEnv": {"JWT_SECRET": "x"}}, {"extraEnv": {"SUPD__DATABASE__URL": "x"}},
                   {"extraEnv": {"SUPD__AUTH__JWT_PREVIOUS_SECRETS": "x"}},
                   {"securityContext": {"readOnlyRootFilesystem": False, "allowPrivilegeEscalation": False}},
                   {"podSecurityContext": {"runAsNonRoot": False}}, {"podSecurityContext": {"runAsNonRoot": True, "runAsUser": 0}},
                   {"ingress": {"enabled": True, "hosts": []}}, {"config": {"name": "supd", "trustedProxies": []}}):
        assert refused(change), change


def test_every_secret_that_serving_needs_has_a_value() -> None:
    """extraEnv takes none, so a secret key without a value of its own could not be set at all."""
    given = {variable["name"] for pod in pods(rendered("full")) for variable in pod["spec"]["containers"][0]["env"]}
    refused = json.loads((CHART / "values.schema.json").read_text())["properties"]["extraEnv"]["propertyNames"]["not"]["pattern"]
    keys = re.findall(r"^# Environment: (\w+)(?: or (\w+))?; with _FILE", (REPOSITORY / "config/supd.example.toml").read_text(), re.M)
    unsettable = {names[0] for names in keys if re.search(refused, names[0]) and not {f"{name}_FILE" for name in names} & given}
    assert len(keys) > 4 and unsettable == {"SUPD__S3__SECRET_KEY"}, "which only backups need"


@pytest.mark.parametrize("name", NAMES)
def test_supd_takes_the_environment(name: str, tmp_path: Path, binary: str) -> None:
    """The rendered variables, in production mode, with the secrets' files where they are mounted."""
    contents = {"database-url": "postgresql://supd:f3kq9vT2mZx8@db.example/supd", "jwt-secret": shared_secret(),
                "jwt-previous-secrets": shared_secret()[::-1] + "\n", "redis-url": "rediss://redis.example:6379",
                "redis-ca.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                "replica-urls": "postgresql://supd:f3kq9vT2mZx8@standby.example/supd"}
    for file, text in contents.items():
        (tmp_path / file).write_text(text)
    for pod in pods(rendered(name)):
        container, = pod["spec"]["containers"]
        mounted = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets")
        items = {item["path"] for volume in pod["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", ()) for item in source["secret"]["items"]}
        environment = {}
        for variable in container["env"]:
            value = variable["value"]
            if value.startswith(mounted + "/"):
                assert Path(value).name in items
                value = str(tmp_path / Path(value).name)
            environment[variable["name"]] = value
        settings = {"PATH": os.environ["PATH"]} | environment
        done = subprocess.run([binary, "config", "check"], env=settings, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == 0 and "production" in done.stdout, done.stderr
        shown = subprocess.run([binary, "config", "print"], env=settings, capture_output=True, text=True, timeout=60, cwd=tmp_path).stdout
        for variable in environment:
            assert variable in shown, f"{variable} sets no key"
        assert container["command"][0] == "supd"
        helped = subprocess.run([binary, *container["command"][1:], "--help"], capture_output=True, text=True, timeout=60)
        assert helped.returncode == 0, "the command exists"
