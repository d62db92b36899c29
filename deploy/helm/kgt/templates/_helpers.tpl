{{- define "kgt.name" -}}
{{- if contains "kgt" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-kgt" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels of a part: a list of the root and the part's name. */}}
{{- define "kgt.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: kgt
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "kgt.labels" -}}
{{- $root := index . 0 -}}
{{ include "kgt.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "kgt.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "kgt.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kgt.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "kgt.rayEnv" -}}
- {name: HOME, value: /tmp}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: RAY_AUTH_MODE, value: token}
- name: RAY_AUTH_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.ray.existingSecret }}, key: token}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}

{{- define "kgt.rayHead" -}}
{{ include "kgt.name" . }}-ray-head:6379
{{- end }}

{{/* How a process of a pod joins the cluster; more options may follow. */}}
{{- define "kgt.rayJoin" -}}
ray start --address={{ include "kgt.rayHead" . }} --node-ip-address=$POD_IP --temp-dir=/tmp/ray --object-store-memory={{ int64 .Values.ray.objectBytes }} --disable-usage-stats
{{- end }}

{{- define "kgt.settings" -}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $from := .Values.secretSettings }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $from.name }}, key: {{ $from.key }}}}
{{- end }}
{{- end }}

{{- define "kgt.probe" -}}
{{- if eq .Values.server.probeBy "exec" -}}
exec: {command: [python, -m, server.health, "127.0.0.1:{{ .Values.server.port }}"]}
timeoutSeconds: 5
{{- else -}}
grpc: {port: {{ .Values.server.port }}}
timeoutSeconds: 3
{{- end }}
{{- end }}

{{/* A deployment scaled by its use of processors: a list of the root, the deployment, the part, and the part's values. */}}
{{- define "kgt.scaler" -}}
{{- $values := index . 3 -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ index . 1 }}
  labels: {{- include "kgt.labels" (list (index . 0) (index . 2)) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ index . 1 }}}
  minReplicas: {{ $values.replicas }}
  maxReplicas: {{ $values.autoscaling.most }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $values.autoscaling.cpuPercent }}}}
{{- end }}

{{/* Pods of the Ray cluster: its head, its workers, and the servers, which are nodes without processors. */}}
{{- define "kgt.rayPeers" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: kgt
      app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
