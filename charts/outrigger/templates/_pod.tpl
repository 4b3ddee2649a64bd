{{/* The pod of the Deployment and of the DaemonSet. */}}
{{- define "outrigger.podTemplate" -}}
metadata:
  labels:
    {{- /* Not the versions: a new chart with the same pods is no reason to replace them. */}}
    {{- include "outrigger.selectorLabels" . | nindent 4 }}
    {{- with .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: outrigger
    {{- if .Values.configMap.restartOnChange }}
    checksum/config: {{ toYaml .Values.config | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "outrigger.serviceAccountName" . }}
  automountServiceAccountToken: {{ include "outrigger.usesApi" . | eq "true" }}
  enableServiceLinks: false
  # No preStop: Outrigger drains by itself, and says that it is not ready from the first moment on.
  terminationGracePeriodSeconds: {{ include "outrigger.gracePeriod" . }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "outrigger.podSecurityContext" . | nindent 4 }}
  {{- if or .Values.check.initContainer .Values.extraInitContainers }}
  initContainers:
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if .Values.check.initContainer }}
    - name: check
      {{- include "outrigger.checkContainer" . | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    - name: outrigger
      {{- include "outrigger.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "outrigger.volumes" . | nindent 4 }}
  {{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
  {{- with get $.Values $key }}
  {{ $key }}: {{ . }}
  {{- end }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "dnsConfig" "hostAliases" }}
  {{- with get $.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with ternary .Values.topologySpreadConstraints list (eq .Values.kind "Deployment") }}
  topologySpreadConstraints:
    {{- range . }}
    -
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "outrigger.selectorLabels" $ | nindent 10 }}
      {{- end }}
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end -}}
