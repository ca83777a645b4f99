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
{{- if eq .Values.executor "ray" }}
{{- if not (regexMatch "^(s3|az)://" .Values.storage) }}{{ fail "executor: the nodes of a Ray cluster need a storage that they reach; set storage to s3://BUCKET or az://ACCOUNT" }}{{ end }}
{{- if gt (int .Values.ray.worker.minReplicas) (int .Values.ray.worker.maxReplicas) }}{{ fail "ray.worker.minReplicas: must not be larger than ray.worker.maxReplicas" }}{{ end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}{{ fail "ingress.host: name the host of the ingress" }}{{ end }}
{{- end }}

{{- define "qiosk.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "qiosk.contained" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "qiosk.raySelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-ray
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "qiosk.rayAddress" -}}
{{ include "qiosk.name" . }}-ray-head-svc:6379
{{- end }}

{{- define "qiosk.rayToken" -}}
- {name: RAY_AUTH_MODE, value: token}
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.secretName }}, key: RAY_AUTH_TOKEN}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
{{- end }}

{{- define "qiosk.rayProbes" -}}
readinessProbe:
  tcpSocket: {port: {{ . }}}
  periodSeconds: 5
livenessProbe:
  tcpSocket: {port: {{ . }}}
  initialDelaySeconds: 60
  periodSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "qiosk.rayContainer" -}}
image: {{ include "qiosk.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env: {{- include "qiosk.rayToken" . | nindent 2 }}
securityContext: {{- include "qiosk.contained" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: shared-mem, mountPath: /dev/shm}
{{- end }}

{{- define "qiosk.rayVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.scratchSize }}}
- name: shared-mem
  emptyDir: {medium: Memory, sizeLimit: 256Mi}
{{- end }}
