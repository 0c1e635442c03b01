{{/* The labels by which a service's pods are found. */}}
{{- define "adplane.selector" -}}
app.kubernetes.io/name: adplane
app.kubernetes.io/instance: {{ .release }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "adplane.image" -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag }}{{- end -}}
{{- end -}}

{{/* What no container of ours may do. */}}
{{- define "adplane.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "adplane.pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* One file out of an existing Secret. */}}
{{- define "adplane.file" -}}
- secret:
    name: {{ .secret.name }}
    items: [{key: {{ .key }}, path: {{ .path }}}]
{{- end -}}

{{/* The key of the database's Secret that holds a service's own URL, or the common one. */}}
{{- define "adplane.postgres_key" -}}
{{- get .postgres.keys .service | default .postgres.key -}}
{{- end -}}

{{/* Where a service's proof lies: the token of its service account, or the secret that it shares with auth. */}}
{{- define "adplane.proof" -}}
{{- if .serviceAccounts.enabled -}}
service_account_token_file = "/etc/adplane/secrets/service_account"
{{- else -}}
service_secret_file = "/etc/adplane/secrets/service"
{{- end -}}
{{- end -}}

{{/* A value in TOML, on one line: a table within a table or within a list too. */}}
{{- define "adplane.toml" -}}
{{- if kindIs "map" . -}}
{{- $parts := list -}}
{{- range $key, $value := . -}}
{{- $parts = append $parts (printf "%s = %s" ($key | toJson) (include "adplane.toml" $value)) -}}
{{- end -}}
{ {{ join ", " $parts }} }
{{- else if kindIs "slice" . -}}
{{- $parts := list -}}
{{- range . -}}
{{- $parts = append $parts (include "adplane.toml" .) -}}
{{- end -}}
[{{ join ", " $parts }}]
{{- else -}}
{{ . | toJson }}
{{- end -}}
{{- end -}}

{{/* The settings file of one service; secrets stand in it as paths only. */}}
{{- define "adplane.settings" -}}
{{- $values := .root.Values -}}
{{- $service := .service -}}
{{- $own := get $values.services $service -}}
listen = "0.0.0.0:{{ $own.port }}"
admin_listen = "0.0.0.0:{{ add $own.port 9 }}"
{{- if ne $service "gateway" }}
page_key_file = "/etc/adplane/secrets/page_key"
{{- end }}
{{- if eq $service "auth" }}
{{- if $values.secrets.kek.name }}
kek_file = "/etc/adplane/secrets/kek"
{{- $others := list }}
{{- range $values.secrets.kek.others }}
{{- $others = append $others (printf "/etc/adplane/secrets/kek_other/%s" .) }}
{{- end }}
kek_other_files = {{ $others | toJson }}
{{- end }}
{{- if $values.vault.address }}
key_provider = "vault_transit"
{{- end }}
service_secrets_dir = "/etc/adplane/services"
public_base_url = {{ $values.publicUrl | quote }}
{{- if $values.secrets.bootstrap.name }}
bootstrap_code_file = "/etc/adplane/secrets/bootstrap_code"
{{- end }}
{{- end }}
{{- if eq $service "ratelimit" }}
permit_key_file = "/etc/adplane/secrets/permit_key"
{{- end }}
{{- if eq $service "audiences" }}
member_key_file = "/etc/adplane/secrets/member_key"
{{- end }}
{{- range $key, $value := $own.settings }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "adplane.toml" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := $own.settings }}
{{- if kindIs "map" $value }}

[{{ $key }}]
{{- range $inner, $setting := $value }}
{{ $inner }} = {{ include "adplane.toml" $setting }}
{{- end }}
{{- end }}
{{- end }}

{{- if and (eq $service "auth") $values.vault.address }}

[vault_transit]
address = {{ $values.vault.address | quote }}
mount = {{ $values.vault.mount | quote }}
key = {{ $values.vault.key | quote }}
kubernetes_mount = {{ $values.vault.authMount | quote }}
kubernetes_role = {{ $values.vault.role | quote }}
kubernetes_token_file = "/etc/adplane/secrets/vault_account"
{{- if $values.vault.ca.name }}
ca_file = "/etc/adplane/secrets/vault_ca"
{{- end }}
{{- end }}

{{- if and (eq $service "auth") $values.serviceAccounts.enabled (not (hasKey $own.settings "service_accounts")) }}

[service_accounts]
issuer = {{ $values.serviceAccounts.issuer | quote }}
audience = {{ $values.serviceAccounts.audience | quote }}

[service_accounts.jwks]
url = {{ $values.serviceAccounts.jwksUrl | quote }}
ca_file = "/etc/adplane/secrets/cluster_ca"
bearer_file = "/etc/adplane/secrets/cluster_account"

[service_accounts.services]
{{- range $name, $_ := $values.services }}
{{- if ne $name "auth" }}
{{ printf "%s/adplane-%s" $.root.Release.Namespace $name | quote }} = {{ $name | quote }}
{{- end }}
{{- end }}
{{- end }}

[telemetry]
log = {{ $values.telemetry.log | quote }}
otlp_endpoint = {{ $values.telemetry.otlpEndpoint | quote }}
sample_ratio = {{ $values.telemetry.sampleRatio | toJson }}
{{- if has "postgres" $own.uses }}

[postgres]
url_file = "/etc/adplane/secrets/postgres_url"
{{- end }}
{{- if has "redis" $own.uses }}

[redis]
url_file = "/etc/adplane/secrets/redis_url"
cluster = {{ $values.redis.cluster }}
{{- end }}
{{- if ne $service "auth" }}

[auth]
endpoint = "http://adplane-auth:{{ $values.services.auth.port }}"
{{ include "adplane.proof" $values }}
{{- end }}
{{- if and (has "ratelimit" $own.calls) (not (has $service (list "gateway" "auth"))) }}

[ratelimit]
endpoint = "http://adplane-ratelimit:{{ $values.services.ratelimit.port }}"
{{ include "adplane.proof" $values }}
{{- end }}
{{- if or (eq $service "gateway") (eq $service "auth") }}

[services]
{{- range $callee := $own.calls }}
{{ $callee }} = "http://adplane-{{ $callee }}:{{ (get $values.services $callee).port }}"
{{- end }}
{{- end }}
{{- end -}}
