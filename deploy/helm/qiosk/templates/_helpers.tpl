{{- define "qiosk.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "qiosk.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "qiosk.labels" -}}
{{ include "qiosk.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "qiosk.checked" -}}
{{- if not .Values.secretName }}{{ fail "secretName: name a Secret with QIOSK_ADMIN_KEY; a server that others reach needs a key" }}{{ end }}
{{- if gt (int .Values.replicas) 1 }}
{{- if .Values.persistence.enabled }}{{ fail "replicas: a home belongs to one server; with more than one set persistence.enabled to false" }}{{ end }}
{{- if not .Values.storage }}{{ fail "replicas: several servers need a storage that they share; set storage to s3://BUCKET, az://ACCOUNT or file:///FOLDER" }}{{ end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}{{ fail "ingress.host: name the host of the ingress" }}{{ end }}
{{- end }}
