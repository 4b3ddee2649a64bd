{{/* What the pods of the chart and sidecars in other pods have in common. */}}

{{/* Where the configuration is. Its folder is the mount, so that an edit is seen. */}}
{{- define "outrigger.configPath" -}}
/etc/outrigger/config/config.yaml
{{- end -}}

{{/* What the container says of itself in traces, and what the user adds. */}}
{{- define "outrigger.env" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: CONTAINER_NAME
  value: outrigger
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A name that a volume may have: (list KIND NAME). */}}
{{- define "outrigger.volumeName" -}}
{{- printf "outrigger-%s-%s" (index . 0) (index . 1) | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "outrigger.volumeMounts" -}}
- name: outrigger-config
  mountPath: {{ include "outrigger.configPath" . | dir }}
  readOnly: true
{{- range .Values.tls.secrets }}
- name: {{ include "outrigger.volumeName" (list "secret" .) }}
  mountPath: /etc/outrigger/tls/{{ . }}
  readOnly: true
{{- end }}
{{- range .Values.tls.configMaps }}
- name: {{ include "outrigger.volumeName" (list "configmap" .) }}
  mountPath: /etc/outrigger/tls/{{ . }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volumes behind these mounts: (list CONTEXT NAME-OF-THE-CONFIGMAP). */}}
{{- define "outrigger.volumesWith" -}}
{{- $configMap := index . 1 -}}
{{- with index . 0 -}}
{{- /* Without the group of its files, as in other charts' pods, which have a context of their own, a process that is not root reads only what everybody may. */ -}}
{{- $isOurs := and (eq .Values.mode "ingress") .Values.podSecurityContext.fsGroup -}}
- name: outrigger-config
  configMap:
    name: {{ $configMap }}
{{- range .Values.tls.secrets }}
- name: {{ include "outrigger.volumeName" (list "secret" .) }}
  secret:
    secretName: {{ . }}
    {{- if $isOurs }}
    defaultMode: 0440
    {{- end }}
{{- end }}
{{- range .Values.tls.configMaps }}
- name: {{ include "outrigger.volumeName" (list "configmap" .) }}
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "outrigger.volumes" -}}
{{- include "outrigger.volumesWith" (list . (include "outrigger.configMapName" .)) -}}
{{- end -}}

{{/* Image, environment, mounts and rights, which are the same for serving and for checking. */}}
{{- define "outrigger.containerBase" -}}
image: {{ include "outrigger.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- include "outrigger.env" . | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "outrigger.volumeMounts" . | nindent 2 }}
# What it said before it ended is what `kubectl describe pod` shows.
terminationMessagePolicy: FallbackToLogsOnError
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The container that serves, without its name. */}}
{{- define "outrigger.container" -}}
{{ include "outrigger.containerBase" . }}
args:
  - run
  {{- if eq .Values.configMap.source "Api" }}
  - --config-map
  - {{ .Release.Namespace }}/{{ include "outrigger.configMapName" . }}
  {{- else }}
  - --config
  - {{ include "outrigger.configPath" . }}
  {{- end }}
  - --log-level
  - {{ .Values.log.level | quote }}
  - --log-format
  - {{ .Values.log.format }}
  {{- with .Values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- range include "outrigger.listeners" . | fromJsonArray }}
  - name: {{ .portName | quote }}
    containerPort: {{ .port }}
    protocol: TCP
    {{- with get $.Values.hostPorts .name }}
    hostPort: {{ . }}
    {{- end }}
  {{- end }}
  - name: probes
    containerPort: {{ include "outrigger.probesPort" . }}
    protocol: TCP
startupProbe:
  httpGet: { path: /livez, port: probes }
  {{- toYaml .Values.startupProbe | nindent 2 }}
livenessProbe:
  httpGet: { path: /livez, port: probes }
  {{- toYaml .Values.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: { path: /readyz, port: probes }
  {{- toYaml .Values.readinessProbe | nindent 2 }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The container that says what is wrong with the configuration, without its name. */}}
{{- define "outrigger.checkContainer" -}}
{{ include "outrigger.containerBase" . }}
args: [check, {{ include "outrigger.configPath" . }}]
{{- with .Values.check.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Rights of the pod; ports below 1024 are opened to those who are not root. */}}
{{- define "outrigger.podSecurityContext" -}}
{{- $context := deepCopy .Values.podSecurityContext -}}
{{- $lowest := 1024 -}}
{{- range include "outrigger.listeners" . | fromJsonArray -}}
{{- $lowest = min $lowest (int .port) -}}
{{- end -}}
{{- $sysctls := $context.sysctls | default list -}}
{{- if lt (int $lowest) 1024 -}}
{{- $sysctls = append $sysctls (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" (toString $lowest)) -}}
{{- end -}}
{{- if $sysctls -}}
{{- $_ := set $context "sysctls" $sysctls -}}
{{- else -}}
{{- $context = omit $context "sysctls" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}
