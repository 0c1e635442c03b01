"""Lints and renders helm/adplane and checks the objects: who may talk to whom, what a container may do, where secrets
come from, and that a wrong value is refused.

Ends with a line `N passed, N failed`.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import traceback

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm/adplane"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

# Who calls whom, written down a second time: the rendered policies must say the same.
CALLS = {
    "gateway": {"auth", "ratelimit", "campaigns", "insights", "audiences", "conversions"},
    "auth": {"campaigns", "insights", "audiences", "conversions"},
    "ratelimit": {"auth"},
    "campaigns": {"auth", "ratelimit"},
    "insights": {"auth", "ratelimit"},
    "audiences": {"auth", "ratelimit"},
    "conversions": {"auth", "ratelimit"},
}
REACHES_META = {"auth", "campaigns", "insights", "audiences", "conversions"}
# Which Secret each service may mount, besides its own key of the shared one.
MOUNTS = {
    "gateway": set(),
    "auth": {"adplane-services", "adplane-kek", "adplane-keys", "adplane-postgres"},
    "ratelimit": {"adplane-services", "adplane-keys", "adplane-redis"},
    "campaigns": {"adplane-services", "adplane-keys", "adplane-postgres"},
    "insights": {"adplane-services", "adplane-keys", "adplane-postgres"},
    "audiences": {"adplane-services", "adplane-keys", "adplane-postgres"},
    "conversions": {"adplane-services", "adplane-keys", "adplane-postgres"},
}


class Chart:
    def __init__(self, helm):
        self.helm = helm

    def run(self, *arguments, values=None):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values or {}, file)
            file.flush()
            command = [self.helm, *arguments, str(CHART), "-f", file.name]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def render(self, values=None):
        done = self.run("template", "suite", values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def the_chart_passes_the_linter(self):
        done = self.run("lint", "--strict")
        assert done.returncode == 0, done.stdout + done.stderr

    def every_service_is_a_deployment_with_all_that_belongs_to_it(self):
        objects = self.render()
        for kind in ("Deployment", "Service", "ServiceAccount", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"):
            names = {service(thing) for thing in objects if thing["kind"] == kind} - {"migrate"}
            assert names == set(CALLS), (kind, names)

    def no_container_may_more_than_it_needs(self):
        for thing in self.render():
            if thing["kind"] not in ("Deployment", "Job"):
                continue
            pod = thing["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
            for container in pod["containers"]:
                own = container["securityContext"]
                assert own["readOnlyRootFilesystem"] and own["allowPrivilegeEscalation"] is False
                assert own["capabilities"]["drop"] == ["ALL"]
                assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
                assert not container["image"].endswith(":latest")
                assert {"name": "ADPLANE_ENV", "value": "production"} in container["env"]
                assert container["args"][0] in ("serve", "migrate"), "only the suite itself runs in a cluster"

    def a_pod_is_probed_and_has_time_to_stop(self):
        for thing in self.render():
            if thing["kind"] != "Deployment":
                continue
            pod = thing["spec"]["template"]["spec"]
            container = pod["containers"][0]
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
            sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pod["terminationGracePeriodSeconds"] > sleep + 10
            assert {constraint["topologyKey"] for constraint in pod["topologySpreadConstraints"]} == {
                "topology.kubernetes.io/zone",
                "kubernetes.io/hostname",
            }

    def policies_are_the_call_graph_and_nothing_else(self):
        ports = {name: own["port"] for name, own in VALUES["services"].items()}
        for thing in self.render():
            if thing["kind"] != "NetworkPolicy" or service(thing) == "migrate":
                continue
            name, spec = service(thing), thing["spec"]
            assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
            called, meta = set(), False
            for rule in spec["egress"]:
                for peer in rule["to"]:
                    if "podSelector" in peer and "namespaceSelector" not in peer:
                        callee = peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                        assert [port["port"] for port in rule["ports"]] == [ports[callee]]
                        called.add(callee)
                    meta |= peer.get("ipBlock", {}).get("cidr") == VALUES["network"]["meta"]["cidr"]
            assert called == CALLS[name], (name, called)
            assert meta == (name in REACHES_META), name
            if name != "gateway":
                callers = {
                    peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                    for rule in spec["ingress"]
                    for peer in rule["from"]
                }
                assert callers == {caller for caller, callees in CALLS.items() if name in callees}, name

    def secrets_come_from_outside_and_go_to_those_who_need_them(self):
        values = copy.deepcopy(VALUES)
        values["secrets"]["bootstrap"]["name"] = "adplane-bootstrap"
        for thing in self.render(values):
            assert thing["kind"] != "Secret"
            if thing["kind"] != "Deployment":
                continue
            mounted = set()
            for volume in thing["spec"]["template"]["spec"]["volumes"]:
                for source in volume.get("projected", {}).get("sources", []):
                    assert "secret" in source, "no token of the cluster's, unless it is asked for"
                    mounted.add(source["secret"]["name"])
                    if source["secret"]["name"] == "adplane-services":
                        assert [item["key"] for item in source["secret"]["items"]] == [service(thing)]
                if "secret" in volume:
                    mounted.add(volume["secret"]["secretName"])
            expected = MOUNTS[service(thing)] | ({"adplane-bootstrap"} if service(thing) == "auth" else set())
            assert mounted == expected, (service(thing), mounted)

    def the_key_encryption_key_may_have_others_beside_it(self):
        values = copy.deepcopy(VALUES)
        values["secrets"]["kek"]["others"] = ["kek_2026"]
        settings, sources, _ = auth(self.render(values))
        assert settings["kek_file"] == "/etc/adplane/secrets/kek"
        assert settings["kek_other_files"] == ["/etc/adplane/secrets/kek_other/kek_2026"]
        items = [item for source in sources for item in source["secret"]["items"]]
        assert {"key": "kek_2026", "path": "kek_other/kek_2026"} in items

    def vault_keeps_the_key_where_it_is_set_up_and_only_auth_reaches_it(self):
        values = copy.deepcopy(VALUES)
        values["vault"]["address"] = "https://vault.example.com:8200"
        values["vault"]["ca"]["name"] = "vault-ca"
        values["secrets"]["kek"]["name"] = ""
        values["network"]["vault"] = {"cidr": "10.9.0.0/16", "port": 8201}
        objects = self.render(values)
        settings, sources, mounted = auth(objects)
        transit = settings["vault_transit"]
        assert settings["key_provider"] == "vault_transit" and "kek_file" not in settings
        assert transit["address"] == "https://vault.example.com:8200" and transit["kubernetes_role"] == "adplane"
        tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        assert [token["audience"] for token in tokens] == ["vault"]
        assert transit["kubernetes_token_file"].endswith("/" + tokens[0]["path"])
        assert "vault-ca" in mounted and "adplane-kek" not in mounted
        reach = {
            service(thing)
            for thing in objects
            if thing["kind"] == "NetworkPolicy"
            for rule in thing["spec"]["egress"]
            if {"ipBlock": {"cidr": "10.9.0.0/16"}} in rule["to"] and rule["ports"] == [{"port": 8201}]
        }
        assert reach == {"auth"}, reach

    def every_settings_file_is_toml_that_names_its_service_s_port(self):
        for thing in self.render():
            if thing["kind"] == "ConfigMap":
                settings = tomllib.loads(thing["data"]["settings.toml"])
                assert settings["listen"] == f"0.0.0.0:{VALUES['services'][service(thing)]['port']}"

    def settings_arrive_as_they_were_written_however_deep(self):
        written = {
            "token_seconds": 300,
            "issuers": [{
                "name": "company",
                "jwks": {"url": "https://login.example.com/keys?a=1&b=2", "refresh_seconds": 60},
                "rules": [{"claim": "groups", "value": "ads \"team\"", "tenants": ["acme"], "scopes": ["auth.read"]}],
            }],
            "service_accounts": {"issuer": "https://cluster", "services": {"adplane/adplane-campaigns": "campaigns"}},
        }
        for thing in self.render({"services": {"auth": {"settings": written}}}):
            if thing["kind"] == "ConfigMap" and service(thing) == "auth":
                settings = tomllib.loads(thing["data"]["settings.toml"])
                assert {key: settings.get(key) for key in written} == written, settings

    def the_migration_runs_before_the_rollout_and_once(self):
        jobs = [thing for thing in self.render() if thing["kind"] == "Job"]
        assert len(jobs) == 1
        hooks = jobs[0]["metadata"]["annotations"]
        assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade" and int(hooks["helm.sh/hook-weight"]) < 0
        values = copy.deepcopy(VALUES)
        values["migration"]["hook"] = False
        assert not any("annotations" in thing["metadata"] for thing in self.render(values) if thing["kind"] == "Job")

    def a_wrong_or_misspelt_value_is_refused(self):
        wrong = []
        for path in leaves(VALUES):
            for change in (misspelt, mistyped):
                values = copy.deepcopy(VALUES)
                change(values, path)
                if self.run("template", "suite", values=values).returncode == 0:
                    wrong.append((change.__name__, ".".join(path)))
            # One service stands for all: their part of the schema is the same.
        assert not wrong, wrong

    def two_renderings_are_the_same(self):
        assert self.render() == self.render()


def auth(objects):
    """Auth's settings, the parts of its projected secrets, and the names of the Secrets among them."""
    own = {thing["kind"]: thing for thing in objects if service(thing) == "auth"}
    settings = tomllib.loads(own["ConfigMap"]["data"]["settings.toml"])
    volumes = own["Deployment"]["spec"]["template"]["spec"]["volumes"]
    sources = next(volume["projected"]["sources"] for volume in volumes if volume["name"] == "secrets")
    return settings, sources, {source["secret"]["name"] for source in sources if "secret" in source}


def service(thing):
    return thing["metadata"]["labels"]["app.kubernetes.io/component"]


def leaves(values, path=()):
    """One path of every kind of value."""
    for key, value in values.items():
        if key == "settings" or (path == ("services",) and key != "campaigns") or path[-1:] == ("clients",):
            continue
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def parent(values, path):
    for key in path[:-1]:
        values = values[key]
    return values


def misspelt(values, path):
    parent(values, path)[path[-1] + "x"] = parent(values, path)[path[-1]]


def mistyped(values, path):
    old = parent(values, path)[path[-1]]
    parent(values, path)[path[-1]] = "yes" if not isinstance(old, str) else {"not": "a text"}


def main(helms):
    passed = failed = 0
    renderings = []
    for helm in helms:
        chart = Chart(helm)
        version = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout.strip()
        for name in [name for name in vars(Chart) if name[0] != "_" and name not in ("run", "render")]:
            try:
                getattr(chart, name)()
                passed += 1
                print(f"ok      {version}: {name.replace('_', ' ')}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {version}: {name.replace('_', ' ')}")
                traceback.print_exc()
        renderings.append(sorted(json.dumps(thing, sort_keys=True) for thing in chart.render()))
    if renderings[0] == renderings[1]:
        passed += 1
    else:
        failed += 1
        print("FAILED  the two Helms render differently")
    print(f"chart: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
