{{/*
Outrigger as a native sidecar in a pod of another chart that has this one as a dependency in the mode sidecar-config. In its pod's spec:

  {{- include "outrigger.sidecar" .Subcharts.outrigger | nindent 6 }}

writes `initContainers` and `volumes`. A pod that has some of its own takes the items one by one:

  initContainers:
    {{- include "outrigger.sidecar.container" .Subcharts.outrigger | nindent 8 }}
  volumes:
    {{- include "outrigger.sidecar.volumes" .Subcharts.outrigger | nindent 8 }}

The container comes first: the others start as soon as it runs (its startup probe asks /livez, which waits for nothing), and it ends after them.
*/}}

{{- define "outrigger.sidecar" -}}
initContainers:
  {{- include "outrigger.sidecar.container" . | nindent 2 }}
volumes:
  {{- include "outrigger.sidecar.volumes" . | nindent 2 }}
{{- end -}}

{{- define "outrigger.sidecar.container" -}}
- name: outrigger
  # A sidecar: it runs beside the containers of the pod and is ended after them, so that a Job completes (Kubernetes 1.29).
  restartPolicy: Always
  {{- include "outrigger.container" . | nindent 2 }}
{{- end -}}

{{- define "outrigger.sidecar.volumes" -}}
{{- include "outrigger.volumes" . -}}
{{- end -}}
