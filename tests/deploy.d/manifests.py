"""What rendered manifests, the compose file, alerts and dashboard must hold, beyond what their own tools check.

  manifests.py kubernetes ROOT FILE...   rendered manifests, each against the schemas and against itself
  manifests.py compose ROOT FILE         the compose file as `docker compose config --format json` prints it
  manifests.py observability ROOT OUT    alerts and dashboard; the dashboard's expressions go to OUT, as rules to be parsed
  manifests.py prometheusrule ROOT       writes the component's copy of the alerts
"""

import json
import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest Kubernetes that has all that is used, and the newest whose schemas are at hand.
VERSIONS = ("1.30", "1.37")
# How long a replica may take to end after its drain time, in seconds.
END_SECONDS = 5

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


def settings(root):
    """Every variable that the relay reads."""
    sources = [root / "deploy/observability/metrics.md", root / "src/config.rs", *(root / "src/config").glob("*.rs")]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r"\b(?:CHAOS|RESEND|REDIS|LOG|WS|OTEL)_[A-Z_]+\b|\bHOST\b|\bPORT\b", text))


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


class Manifests:
    """The resources of one rendered overlay."""

    def __init__(self, file):
        self.file = file
        self.all = [item for item in yaml.safe_load_all(pathlib.Path(file).read_text()) if item]

    def of(self, kind):
        return [item for item in self.all if item["kind"] == kind]

    def named(self, kind, name):
        return next((item for item in self.of(kind) if item["metadata"]["name"] == name), None)

    def fault(self, item, what):
        fault(self.file, f"{item['kind']}/{item['metadata']['name']}: {what}")

    def pods(self):
        return [(item, item["spec"]["template"]) for kind in ("Deployment", "StatefulSet") for item in self.of(kind)]

    def check(self, root, schemas):
        if not self.pods():
            fault(self.file, "there is nothing that runs")
        known = settings(root)
        for item in self.all:
            self.check_schema(item, schemas)
        for workload, template in self.pods():
            if not matches(workload["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]):
                self.fault(workload, "its selector does not match its pods")
            self.check_security(workload, template["spec"])
            self.check_settings(workload, template["spec"], known)
        self.check_replicas()
        self.check_references()

    def check_schema(self, item, schemas):
        kind = f"{item['apiVersion']}/{item['kind']}"
        try:
            if kind in schemas:
                jsonschema.validate(item["spec"], schemas[kind])
            else:
                for version in VERSIONS:
                    kubernetes_validate.validate(item, version, strict=True)
        except jsonschema.ValidationError as error:
            self.fault(item, f"{'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            self.fault(item, error.message)

    def check_security(self, workload, pod):
        """The restricted profile of Kubernetes' pod security standards, and a bit more."""
        context = pod.get("securityContext", {})
        wanted = {
            "runs as root": context.get("runAsNonRoot") is True and context.get("runAsUser", 0) > 0,
            "has no seccomp profile": context.get("seccompProfile") == {"type": "RuntimeDefault"},
            "mounts a token": pod.get("automountServiceAccountToken") is False,
            "gets the addresses of services": pod.get("enableServiceLinks") is False,
            "shares the host's namespaces": not any(pod.get(f"host{name}") for name in ("Network", "PID", "IPC")),
        }
        for container in pod["containers"]:
            own, resources = container.get("securityContext", {}), container.get("resources", {})
            wanted |= {
                "may gain privileges": own.get("allowPrivilegeEscalation") is False,
                "may write to its root": own.get("readOnlyRootFilesystem") is True,
                "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
                "takes any amount of memory": "memory" in resources.get("limits", {}),
                "asks for no CPU or memory": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
                "lacks a probe": {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(),
                "has an image without a fixed tag": re.search(r":[^/]*\d[^/]*$|@sha256:", container["image"]),
            }
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                named = container.get(probe, {}).get("httpGet", {}).get("port")
                if named and named not in ports:
                    self.fault(workload, f"{probe} asks at the port {named}, which does not exist")
        for what, is_good in wanted.items():
            if not is_good:
                self.fault(workload, what)

    def check_settings(self, workload, pod, known):
        for container in pod["containers"]:
            for source in container.get("envFrom", []):
                if "configMapRef" not in source:
                    continue
                config = self.named("ConfigMap", source["configMapRef"]["name"])
                if not config:
                    self.fault(workload, f"the ConfigMap {source['configMapRef']['name']} does not exist")
                    continue
                for name in config["data"].keys() - known:
                    self.fault(config, f"{name} is not a setting of the relay")
                self.check_grace(workload, pod, container, config["data"])

    def check_grace(self, workload, pod, container, config):
        stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain = int(config.get("CHAOS_DRAIN_SECONDS", 20))
        if pod["terminationGracePeriodSeconds"] < stop + drain + END_SECONDS:
            self.fault(workload, f"is killed before preStop ({stop} s) and drain ({drain} s) are over")
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        if ports != {"http": int(config["PORT"]), "metrics": int(config["CHAOS_METRICS_PORT"])}:
            self.fault(workload, "its ports are not those of its settings")

    def check_replicas(self):
        relay = self.named("Deployment", "chaos-relay")
        rolling = relay["spec"]["strategy"].get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0:
            self.fault(relay, "a roll-out takes replicas away before others are there")
        if "replicas" in relay["spec"]:
            self.fault(relay, "sets replicas, which is the autoscaler's")
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            if not self.named(target["kind"], target["name"]):
                self.fault(scaler, "scales nothing")
            if scaler["spec"]["minReplicas"] < 2:
                self.fault(scaler, "a replica may be alone")

    def check_references(self):
        labels = [template["metadata"]["labels"] for _, template in self.pods()]
        ports = {port["name"] for _, template in self.pods() for c in template["spec"]["containers"] for port in c["ports"]}
        for service in self.of("Service"):
            if not any(matches(service["spec"]["selector"], each) for each in labels):
                self.fault(service, "leads to no pod")
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    self.fault(service, f"the port {port['targetPort']} does not exist")
        for policy in self.of("NetworkPolicy"):
            chosen = policy["spec"]["podSelector"].get("matchLabels")
            if not chosen or not any(matches(chosen, each) for each in labels):
                self.fault(policy, "is about no pod, or about all pods of the namespace")
            for rule in policy["spec"].get("ingress", []):
                for port in rule["ports"]:
                    if isinstance(port["port"], str) and port["port"] not in ports:
                        self.fault(policy, f"the port {port['port']} does not exist")
        for budget in self.of("PodDisruptionBudget"):
            chosen = budget["spec"].get("selector", {}).get("matchLabels")
            if not chosen or not any(matches(chosen, each) for each in labels):
                self.fault(budget, "is about no pod")
        for ingress in self.of("Ingress"):
            for rule in ingress["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    if path["pathType"] not in ("Exact", "Prefix", "ImplementationSpecific"):
                        self.fault(ingress, f"there is no pathType {path['pathType']}")
                    backend = path["backend"]["service"]
                    service = self.named("Service", backend["name"])
                    names = [port["name"] for port in service["spec"]["ports"]] if service else []
                    if backend["port"].get("name") not in names:
                        self.fault(ingress, "leads to no service")
        for monitor in self.of("ServiceMonitor"):
            found = [s for s in self.of("Service") if matches(monitor["spec"]["selector"]["matchLabels"], s["metadata"]["labels"])]
            wanted = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
            if len(found) != 1 or not wanted <= {port["name"] for port in found[0]["spec"]["ports"]}:
                self.fault(monitor, "does not lead to one service with its ports")
        for service in self.of("Service"):
            named = service["metadata"].get("annotations", {}).get("cloud.google.com/backend-config")
            if named and not self.named("BackendConfig", json.loads(named)["default"]):
                self.fault(service, "names a BackendConfig that does not exist")


def check_compose(root, file):
    services = json.loads(pathlib.Path(file).read_text())["services"]
    known = settings(root)
    relays = [name for name in services if name.startswith("relay-")]
    if len(relays) < 3:
        fault(file, "there are not three replicas")
    for name, service in services.items():
        hardened = service.get("read_only") and service.get("cap_drop") == ["ALL"] and service.get("security_opt")
        if not hardened:
            fault(file, f"{name} is not hardened")
        if not service.get("restart"):
            fault(file, f"{name} stays down when it ends")
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not pathlib.Path(volume["source"]).is_file():
                fault(file, f"{name} mounts {volume['source']}, which is no file")
    for name in relays:
        service = services[name]
        for variable in service["environment"].keys() - known:
            fault(file, f"{variable} is not a setting of the relay")
        drain = int(service["environment"]["CHAOS_DRAIN_SECONDS"])
        if int(service["stop_grace_period"].removesuffix("s")) < drain + END_SECONDS:
            fault(file, f"{name} is killed before its drain time is over")
        if service.get("ports"):
            fault(file, f"{name} can be reached past the balancer")
    if services["redis"].get("ports") or services["redis"]["networks"].keys() != {"store"}:
        fault(file, "redis can be reached by others than the replicas")


def metrics(root):
    """Names and labels of the documented metrics."""
    found = {}
    for line in (root / "deploy/observability/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].startswith("`"):
            labels = set(re.findall(r"`(\w+)`", cells[3]))
            for name in re.findall(r"`(\w+)`", cells[1]):
                kind = cells[2].split(",")[0]
                for suffix in ("_bucket", "_count", "_sum") if kind == "histogram" else ("",):
                    found[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def check_observability(root, out):
    folder = root / "deploy/observability"
    alerts = yaml.safe_load((folder / "alerts.yaml").read_text())
    copy = yaml.safe_load((root / RULE).read_text())
    if (copy or {}).get("spec") != alerts:
        fault(RULE, "is not what deploy/observability/alerts.yaml says; tests/deploy --write makes it anew")
    dashboard = json.loads((folder / "dashboard.json").read_text())
    known = metrics(root)
    expressions = []
    tried = (folder / "alerts.test.yaml").read_text()
    for rule in alerts["groups"][0]["rules"]:
        expressions.append((rule["alert"], rule["expr"]))
        if {"summary", "description"} != rule["annotations"].keys() or "severity" not in rule["labels"]:
            fault(rule["alert"], "does not say how bad it is, what it means and what to do")
        if f'"{rule["alert"]}"' not in tried:
            fault(rule["alert"], "is not tried in alerts.test.yaml")
    panels = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expressions.append((panel["title"], target["expr"]))
            panels.append({"record": f"dashboard:panel_{len(panels)}", "expr": target["expr"].replace("$__rate_interval", "5m")})
    for where, expression in expressions:
        for name, selector in re.findall(r"\b((?:chaos|process)_\w+)(?:\{([^}]*)\})?", expression):
            if name not in known:
                fault(where, f"{name} is not a metric of the relay")
                continue
            for label in re.findall(r"(\w+)\s*[=!]", selector):
                if label not in known[name] | {"job", "instance"}:
                    fault(where, f"{name} has no label {label}")
    pathlib.Path(out).write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": panels}]}))


RULE = "k8s/components/servicemonitor/prometheusrule.yaml"


def write_rule(root):
    text = (root / "deploy/observability/alerts.yaml").read_text()
    groups = text[text.index("groups:") :]
    head = (
        "# deploy/observability/alerts.yaml for the Prometheus operator, made by tests/deploy --write.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: chaos-relay\n"
        "  labels:\n    app.kubernetes.io/name: chaos-relay\nspec:\n"
    )
    (root / RULE).write_text(head + "".join(f"  {line}".rstrip() + "\n" for line in groups.splitlines()))


def main():
    command, root, *rest = sys.argv[1:]
    root = pathlib.Path(root)
    if command == "kubernetes":
        schemas = yaml.safe_load((pathlib.Path(__file__).parent / "crds.yaml").read_text())
        for file in rest:
            Manifests(file).check(root, schemas)
    elif command == "compose":
        check_compose(root, rest[0])
    elif command == "observability":
        check_observability(root, rest[0])
    elif command == "prometheusrule":
        write_rule(root)
    else:
        sys.exit(__doc__)
    for each in faults:
        print(each, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
