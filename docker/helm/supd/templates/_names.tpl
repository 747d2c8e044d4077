{{- define "supd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "supd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains (include "supd.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "supd.name" .) | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "supd.selector" -}}
app.kubernetes.io/name: {{ include "supd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "supd.labels" -}}
{{ include "supd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "supd.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "supd.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "supd.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if hasPrefix "sha256:" $tag -}}
{{ .Values.image.repository }}@{{ $tag }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{/* The same for the daemon and for the migration. */}}
{{- define "supd.env" -}}
- {name: SUPD__MODE, value: production}
- {name: SUPD__NAME, value: {{ .Values.config.name | quote }}}
- {name: SUPD__SERVER__HOST, value: "0.0.0.0"}
- {name: SUPD__SERVER__PORT, value: "3000"}
- {name: SUPD__SERVER__ADMIN_HOST, value: "0.0.0.0"}
- {name: SUPD__SERVER__ADMIN_PORT, value: "3900"}
- {name: SUPD__SERVER__DATA_DIR, value: /var/lib/supd}
- {name: SUPD__SERVER__GRACE_S, value: {{ .Values.config.graceSeconds | quote }}}
- {name: SUPD__SERVER__TRUSTED_PROXIES, value: {{ join "," .Values.config.trustedProxies | quote }}}
{{- with .Values.config.corsOrigins }}
- {name: SUPD__SERVER__CORS_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
- {name: SUPD__AUTH__REGISTRATION, value: {{ .Values.config.registration | quote }}}
- {name: SUPD__LOG__LEVEL, value: {{ .Values.config.logLevel | quote }}}
- {name: DATABASE_URL_FILE, value: /run/secrets/supd/database-url}
- {name: JWT_SECRET_FILE, value: /run/secrets/supd/jwt-secret}
{{- if (.Values.secrets.jwtPrevious).name }}
- {name: SUPD__AUTH__JWT_PREVIOUS_SECRETS_FILE, value: /run/secrets/supd/jwt-previous-secrets}
{{- end }}
{{- if .Values.secrets.redisUrl.name }}
- {name: REDIS_URL_FILE, value: /run/secrets/supd/redis-url}
{{- end }}
{{- if (.Values.secrets.redisCa).name }}
- {name: SUPD__REDIS__CA_FILE, value: /run/secrets/supd/redis-ca.crt}
{{- end }}
{{- if .Values.secrets.replicaUrls.name }}
- {name: DATABASE_REPLICA_URLS_FILE, value: /run/secrets/supd/replica-urls}
{{- end }}
{{- range $name, $value := .Values.extraEnv }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "supd.mounts" -}}
- {name: secrets, mountPath: /run/secrets/supd, readOnly: true}
- {name: data, mountPath: /var/lib/supd}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* 0440 and fsGroup: read by supd and nobody else. The data folder holds nothing that is needed after a restart. */}}
{{- define "supd.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.secrets.databaseUrl.name }}
          items: [{key: {{ .Values.secrets.databaseUrl.key }}, path: database-url}]
      - secret:
          name: {{ .Values.secrets.jwtSecret.name }}
          items: [{key: {{ .Values.secrets.jwtSecret.key }}, path: jwt-secret}]
      {{- if (.Values.secrets.jwtPrevious).name }}
      - secret:
          name: {{ .Values.secrets.jwtPrevious.name }}
          items: [{key: {{ .Values.secrets.jwtPrevious.key }}, path: jwt-previous-secrets}]
      {{- end }}
      {{- if .Values.secrets.redisUrl.name }}
      - secret:
          name: {{ .Values.secrets.redisUrl.name }}
          items: [{key: {{ .Values.secrets.redisUrl.key }}, path: redis-url}]
      {{- end }}
      {{- if (.Values.secrets.redisCa).name }}
      - secret:
          name: {{ .Values.secrets.redisCa.name }}
          items: [{key: {{ .Values.secrets.redisCa.key }}, path: redis-ca.crt}]
      {{- end }}
      {{- if .Values.secrets.replicaUrls.name }}
      - secret:
          name: {{ .Values.secrets.replicaUrls.name }}
          items: [{key: {{ .Values.secrets.replicaUrls.key }}, path: replica-urls}]
      {{- end }}
- name: data
  emptyDir: {sizeLimit: 1Gi}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}
