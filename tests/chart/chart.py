"""Lints and renders helm/adplane and checks the objects: who may talk to whom, what a container may do, where secrets
come from, how services prove who they are, and that a wrong value is refused. Each service itself, the program named in the
first argument, says whether it takes the settings that the chart gives it.

Ends with a line `N passed, N failed`.
"""

import base64
import copy
import json
import os
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
    "auth": {"ratelimit", "campaigns", "insights", "audiences", "conversions"},
    "ratelimit": {"auth"},
    "campaigns": {"auth", "ratelimit"},
    "insights": {"auth", "ratelimit"},
    "audiences": {"auth", "ratelimit"},
    "conversions": {"auth", "ratelimit"},
}
REACHES_META = {"auth", "campaigns", "insights", "audiences", "conversions"}
# Which Secret each service may mount.
MOUNTS = {
    "gateway": set(),
    "auth": {"adplane-kek", "adplane-keys", "adplane-postgres"},
    "ratelimit": {"adplane-keys", "adplane-redis", "adplane-postgres"},
    "campaigns": {"adplane-keys", "adplane-postgres"},
    "insights": {"adplane-keys", "adplane-postgres"},
    "audiences": {"adplane-keys", "adplane-postgres"},
    "conversions": {"adplane-keys", "adplane-postgres"},
}
# Who proves to auth which service it is. The gateway does so to hear which tokens ended, and passes its callers' tokens on.
PROVE = {"gateway", "ratelimit", "campaigns", "insights", "audiences", "conversions"}


class Chart:
    def __init__(self, helm, adplane):
        self.helm = helm
        self.adplane = adplane

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
        objects = self.render(values)
        assert not any(thing["kind"] == "Secret" for thing in objects)
        for name, volumes in deployed(objects):
            mounted = {source["secret"]["name"] for source in sources_of(volumes) if "secret" in source}
            mounted |= {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
            expected = MOUNTS[name] | ({"adplane-bootstrap"} if name == "auth" else set())
            assert mounted == expected, (name, mounted)

    def a_service_proves_itself_by_a_token_of_its_pod_that_is_for_auth_alone(self):
        values = copy.deepcopy(VALUES)
        values["serviceAccounts"].update({"audience": "our-auth", "tokenSeconds": 1800})
        objects = self.render(values)
        settings = settings_of(objects)
        for name, volumes in deployed(objects):
            tokens = [source["serviceAccountToken"] for source in sources_of(volumes) if "serviceAccountToken" in source]
            if name in PROVE:
                assert tokens == [{"path": "service_account", "audience": "our-auth", "expirationSeconds": 1800}], name
                for peer in {"auth", "ratelimit"} & set(settings[name]):
                    assert settings[name][peer]["service_account_token_file"] == "/etc/adplane/secrets/service_account"
                    assert "service_secret_file" not in settings[name][peer], name
                assert settings[name]["auth"]["endpoint"].startswith("http://adplane-auth:"), name

    def auth_alone_reads_the_cluster_s_keys_and_believes_this_chart_s_accounts(self):
        done = self.run("template", "suite", "--namespace", "ads", values={"network": {"cluster": {"cidr": "10.7.0.1/32"}}})
        objects = [thing for thing in yaml.safe_load_all(done.stdout) if thing]
        settings, sources, _ = auth(objects)
        accounts = settings["service_accounts"]
        assert accounts["issuer"] == VALUES["serviceAccounts"]["issuer"] and accounts["audience"] == "adplane-auth"
        assert accounts["services"] == {f"ads/adplane-{name}": name for name in PROVE}
        names = {thing["metadata"]["name"] for thing in objects if thing["kind"] == "ServiceAccount"}
        assert {account.removeprefix("ads/") for account in accounts["services"]} <= names
        # Its token for the API server has no audience of ours, so no other service's token opens anything there.
        bearer = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        assert bearer == [{"path": "cluster_account", "expirationSeconds": 3600}], bearer
        assert accounts["jwks"]["bearer_file"] == "/etc/adplane/secrets/cluster_account"
        authority = [source["configMap"] for source in sources if "configMap" in source]
        assert authority == [{"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "cluster_ca"}]}]
        assert accounts["jwks"]["ca_file"] == "/etc/adplane/secrets/cluster_ca"
        assert reaching(objects, "10.7.0.1/32", 6443) == {"auth"}

    def without_service_accounts_each_has_its_own_secret_and_auth_has_all(self):
        values = copy.deepcopy(VALUES)
        values["serviceAccounts"]["enabled"] = False
        refused = self.run("template", "suite", values=values)
        assert refused.returncode != 0 and "secrets.services.name" in refused.stderr, refused.stderr
        values["secrets"]["services"]["name"] = "adplane-services"
        objects = self.render(values)
        settings = settings_of(objects)
        assert "service_accounts" not in settings["auth"]
        for name, volumes in deployed(objects):
            assert not any("serviceAccountToken" in source for source in sources_of(volumes)), name
            secrets = [source["secret"] for source in sources_of(volumes) if "secret" in source]
            own = [item["key"] for secret in secrets if secret["name"] == "adplane-services" for item in secret["items"]]
            assert own == ([name] if name in PROVE else []), (name, own)
            # A Secret of before has no key for the gateway, which starts all the same.
            optional = [secret["name"] for secret in secrets if secret.get("optional")]
            assert optional == (["adplane-services"] if name == "gateway" else []), (name, optional)
            whole = [volume for volume in volumes if volume.get("secret", {}).get("secretName") == "adplane-services"]
            assert bool(whole) == (name == "auth"), name
            if name in PROVE:
                assert settings[name]["auth"]["service_secret_file"] == "/etc/adplane/secrets/service"

    def a_service_may_have_a_role_of_its_own_in_the_database(self):
        values = copy.deepcopy(VALUES)
        own = {"auth": "auth_url", "campaigns": "campaigns_url", "migrate": "owner_url"}
        values["secrets"]["postgres"]["keys"] = own
        objects = self.render(values)
        jobs = [("migrate", thing["spec"]["template"]["spec"]["volumes"]) for thing in objects if thing["kind"] == "Job"]
        keys = {
            name: item["key"]
            for name, volumes in [*deployed(objects), *jobs]
            for source in sources_of(volumes)
            for item in source.get("secret", {}).get("items", [])
            if item["path"] == "postgres_url"
        }
        services = ("auth", "ratelimit", "campaigns", "insights", "audiences", "conversions")
        expected = {name: own.get(name, "url") for name in (*services, "migrate")}
        assert keys == expected, keys

    def the_key_encryption_key_may_have_others_beside_it(self):
        values = copy.deepcopy(VALUES)
        values["secrets"]["kek"]["others"] = ["kek_2026"]
        settings, sources, _ = auth(self.render(values))
        assert settings["kek_file"] == "/etc/adplane/secrets/kek"
        assert settings["kek_other_files"] == ["/etc/adplane/secrets/kek_other/kek_2026"]
        items = [item for source in sources for item in source.get("secret", {}).get("items", [])]
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
        for_vault = [token for token in tokens if token.get("audience") == "vault"]
        assert len(for_vault) == 1 and transit["kubernetes_token_file"].endswith("/" + for_vault[0]["path"])
        assert "vault-ca" in mounted and "adplane-kek" not in mounted
        assert reaching(objects, "10.9.0.0/16", 8201) == {"auth"}

    def every_settings_file_is_toml_that_names_its_service_s_port(self):
        for thing in self.render():
            if thing["kind"] == "ConfigMap":
                settings = tomllib.loads(thing["data"]["settings.toml"])
                assert settings["listen"] == f"0.0.0.0:{VALUES['services'][service(thing)]['port']}"

    def each_service_takes_the_settings_that_it_is_given(self):
        """As the pod would, with files in the places of the secrets; the service refuses what it does not know."""
        vault, secrets, twice, cluster = (copy.deepcopy(VALUES) for _ in range(4))
        vault["vault"].update({"address": "https://vault.example.com:8200", "ca": {"name": "vault-ca", "key": "ca.crt"}})
        secrets["serviceAccounts"]["enabled"] = False
        secrets["secrets"]["services"]["name"] = "adplane-services"
        twice["secrets"]["kek"]["others"] = ["kek_2026"]
        twice["secrets"]["bootstrap"]["name"] = "adplane-bootstrap"
        cluster["redis"]["cluster"] = True
        for values in (VALUES, vault, secrets, twice, cluster):
            for name, text in {service(thing): thing["data"]["settings.toml"] for thing in self.render(values)
                               if thing["kind"] == "ConfigMap"}.items():
                done = self.check_settings(name, text)
                assert done.returncode == 0, (name, done.stderr)
        # The check can fail.
        done = self.check_settings("auth", text + "\nno_such_setting = 1\n")
        assert done.returncode == 2, done.stderr

    def check_settings(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            places = pathlib.Path(folder)
            for path in set(filter(None, strings(tomllib.loads(text)))):
                if path.startswith("/etc/adplane/secrets/"):
                    file = places / path.removeprefix("/etc/adplane/")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(content(file.name))
            (places / "settings.toml").write_text(text.replace("/etc/adplane/", f"{folder}/"))
            command = [self.adplane, "serve", name, "--check-config", "--config", str(places / "settings.toml")]
            environment = {"PATH": os.environ["PATH"], "ADPLANE_ENV": "production"}
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

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

    def ratelimit_alone_is_told_what_redis_is(self):
        values = copy.deepcopy(VALUES)
        for cluster in (False, True):
            values["redis"]["cluster"] = cluster
            configs = [thing for thing in self.render(values) if "settings.toml" in thing.get("data", {})]
            told = {service(thing): tomllib.loads(thing["data"]["settings.toml"]).get("redis") for thing in configs}
            redis = {"url_file": "/etc/adplane/secrets/redis_url", "cluster": cluster}
            assert told == {name: redis if name == "ratelimit" else None for name in CALLS}, told

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


def deployed(objects):
    """Each service and the volumes of its pods."""
    return [
        (service(thing), thing["spec"]["template"]["spec"]["volumes"]) for thing in objects if thing["kind"] == "Deployment"
    ]


def sources_of(volumes):
    return [source for volume in volumes for source in volume.get("projected", {}).get("sources", [])]


def settings_of(objects):
    configs = [thing for thing in objects if thing["kind"] == "ConfigMap"]
    return {service(thing): tomllib.loads(thing["data"]["settings.toml"]) for thing in configs}


def reaching(objects, cidr, port):
    """The services that may open connections to these addresses at this port."""
    return {
        service(thing)
        for thing in objects
        if thing["kind"] == "NetworkPolicy"
        for rule in thing["spec"]["egress"]
        if {"ipBlock": {"cidr": cidr}} in rule.get("to", []) and rule["ports"] == [{"port": port}]
    }


def strings(value):
    """Every text within a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def content(name):
    """Something that passes for what a secret's file holds."""
    if name.endswith("_url"):
        return f"{name.removesuffix('_url')}://somebody@store.example.com/0\n".replace("redis://somebody@", "redis://")
    return base64.b64encode(bytes(range(32))).decode()


def service(thing):
    return thing["metadata"]["labels"]["app.kubernetes.io/component"]


def leaves(values, path=()):
    """One path of every kind of value."""
    for key, value in values.items():
        if key == "settings" or (path == ("services",) and key != "campaigns") or path[-1:] in (("clients",), ("keys",)):
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


def the_notes_say_what_to_do_and_what_is_missing(helm):
    """Only Helm 4 renders them without a cluster."""
    def notes(values):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            command = [helm, "install", "suite", str(CHART), "--dry-run=client", "-f", file.name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.split("NOTES:", 1)[1]

    plain = notes({})
    assert "WARNING: all services share one role in PostgreSQL" in plain, plain
    assert VALUES["serviceAccounts"]["issuer"] in plain and "adplane bootstrap" not in plain, plain
    keys = {name: f"{name}_url" for name in ("auth", "campaigns", "insights", "audiences", "conversions", "migrate")}
    secrets = {"postgres": {"keys": keys}, "bootstrap": {"name": "once"}, "services": {"name": "shared"}}
    other = notes({"secrets": secrets, "serviceAccounts": {"enabled": False}, "services": {"campaigns": {"replicas": 1}}})
    assert "share one role" not in other and "adplane bootstrap" in other, other
    assert "WARNING: campaigns has one replica" in other and "WARNING: services prove themselves by secrets" in other, other


def main(adplane, *helms):
    passed = failed = 0
    renderings = []
    for helm in helms:
        chart = Chart(helm, adplane)
        version = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout.strip()
        for name in [name for name in vars(Chart) if name[0] != "_" and name not in ("run", "render", "check_settings")]:
            try:
                getattr(chart, name)()
                passed += 1
                print(f"ok      {version}: {name.replace('_', ' ')}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {version}: {name.replace('_', ' ')}")
                traceback.print_exc()
        renderings.append(sorted(json.dumps(thing, sort_keys=True) for thing in chart.render()))
    try:
        the_notes_say_what_to_do_and_what_is_missing(helms[-1])
        passed += 1
    except Exception:
        failed += 1
        print("FAILED  the notes say what to do and what is missing")
        traceback.print_exc()
    if renderings[0] == renderings[1]:
        passed += 1
    else:
        failed += 1
        print("FAILED  the two Helms render differently")
    print(f"chart: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
