{{/*
What the chart has to know of `config`: ports, times, namespaces. Whatever is wrong with it is told by `outrigger check`, so what
cannot be understood is passed over here, unless nothing good could come of it.
*/}}

{{/* The map at a key of `config`; empty where there is none: (list CONTEXT KEY). */}}
{{- define "outrigger.config" -}}
{{- $found := get (index . 0).Values.config (index . 1) -}}
{{- ternary $found dict (kindIs "map" $found) | toJson -}}
{{- end -}}

{{/* The port of an address: (list ADDRESS PLACE). 0 where it has none. */}}
{{- define "outrigger.portOf" -}}
{{- $address := index . 0 | toString -}}
{{- if contains "${" $address -}}
{{- fail (printf "%s: %q holds a variable, but the chart has to know the port" (index . 1) $address) -}}
{{- end -}}
{{- regexFind "[0-9]+$" $address | int -}}
{{- end -}}

{{/* The port for kubelet and Prometheus. */}}
{{- define "outrigger.probesPort" -}}
{{- $probes := include "outrigger.config" (list . "probes") | fromJson -}}
{{- $address := get $probes "address" | toString -}}
{{- $port := include "outrigger.portOf" (list $address "config.probes.address") | int -}}
{{- if or (not $port) (regexMatch "^(127\\.|\\[::1\\])" $address) -}}
{{- fail "config.probes.address: kubelet asks there whether the pod is alive and ready: give it a port of the pod, such as 0.0.0.0:9901" -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* The listeners that others than the pod can reach, as a JSON list of {name, address, port, portName, hasTls}. */}}
{{- define "outrigger.listeners" -}}
{{- $found := list -}}
{{- $names := dict "probes" "the probes port" -}}
{{- if kindIs "slice" .Values.config.listeners -}}
{{- range .Values.config.listeners -}}
{{- if and (kindIs "map" .) (kindIs "string" (get . "name")) (kindIs "string" (get . "address")) -}}
{{- $port := include "outrigger.portOf" (list .address (printf "config.listeners: %s: address" .name)) | int -}}
{{- if and $port (not (regexMatch "^(127\\.|\\[::1\\])" .address)) -}}
{{- $name := regexReplaceAll "[^a-z0-9]+" (lower .name) "-" | trunc 15 | trimAll "-" -}}
{{- if not (regexMatch "[a-z]" $name) -}}
{{- $name = printf "port-%d" $port -}}
{{- end -}}
{{- if hasKey $names $name -}}
{{- fail (printf "config.listeners: %s and %s would both be the port %q of the pod: give one a name that differs in its first 15 letters" (get $names $name) .name $name) -}}
{{- end -}}
{{- $_ := set $names $name .name -}}
{{- $found = append $found (dict "name" .name "address" .address "port" $port "portName" $name "hasTls" (not (empty (get . "tls")))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* The names of the above, for messages. */}}
{{- define "outrigger.listenerNames" -}}
{{- $names := list -}}
{{- range include "outrigger.listeners" . | fromJsonArray -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- join ", " $names | default "none" -}}
{{- end -}}

{{/* The ports of the Service, as a JSON list of {name, port, targetPort, …}. */}}
{{- define "outrigger.servicePorts" -}}
{{- $wanted := .Values.service.ports -}}
{{- $listeners := include "outrigger.listeners" . | fromJsonArray -}}
{{- $known := list -}}
{{- $found := list -}}
{{- $numbers := dict -}}
{{- range $listeners -}}
{{- $known = append $known .name -}}
{{- $port := dict "name" .portName "port" (get (dict "http" 80 "https" 443) .name | default .port) "targetPort" .portName "protocol" "TCP" -}}
{{- $own := get $wanted .name -}}
{{- if kindIs "map" $own -}}
{{- $port = merge (omit $own "name" "targetPort" "protocol") $port -}}
{{- else if $own -}}
{{- $_ := set $port "port" (int $own) -}}
{{- end -}}
{{- if or (not $wanted) $own -}}
{{- $number := toString $port.port -}}
{{- if hasKey $numbers $number -}}
{{- fail (printf "service.ports: %s and %s would both be port %s of the Service: give one another number, or leave it out" (get $numbers $number) .name $number) -}}
{{- end -}}
{{- $_ := set $numbers $number .name -}}
{{- $found = append $found $port -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $wanted -}}
{{- if not (has $name $known) -}}
{{- fail (printf "service.ports.%s: `config` has no such listener for others than the pod; it has: %s" $name (include "outrigger.listenerNames" $)) -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* A duration such as 1m30s or 250ms, in milliseconds; empty if it is none. */}}
{{- define "outrigger.milliseconds" -}}
{{- $text := toString . -}}
{{- if eq $text "0" -}}
0
{{- else if regexMatch "^(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$" $text -}}
{{- $units := dict "ns" 0.000001 "us" 0.001 "µs" 0.001 "μs" 0.001 "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-zµμ]+" $text -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $sum = addf $sum (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- ceil $sum | int64 -}}
{{- end -}}
{{- end -}}

{{/* A key of `config.shutdown` in milliseconds: (list CONTEXT KEY DEFAULT). */}}
{{- define "outrigger.shutdown" -}}
{{- $shutdown := include "outrigger.config" (list (index . 0) "shutdown") | fromJson -}}
{{- $value := get $shutdown (index . 1) -}}
{{- if kindIs "invalid" $value -}}{{- $value = "" -}}{{- end -}}
{{- if and (contains "${" (toString $value)) (not (index . 0).Values.terminationGracePeriodSeconds) -}}
{{- fail (printf "config.shutdown.%s: %q holds a variable: set terminationGracePeriodSeconds, which cannot be computed of it" (index . 1) $value) -}}
{{- end -}}
{{- include "outrigger.milliseconds" $value | default (index . 2) -}}
{{- end -}}

{{/* How long a pod may take to end: drainDelay + drainTimeout, and 5 s for all else. */}}
{{- define "outrigger.gracePeriod" -}}
{{- $delay := include "outrigger.shutdown" (list . "drainDelay" "5000") | int64 -}}
{{- $timeout := include "outrigger.shutdown" (list . "drainTimeout" "30000") | int64 -}}
{{- $needed := add 5 (div (add $delay $timeout 999) 1000) -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- $needed -}}
{{- else if lt (int64 $given) $needed -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short for drainDelay + drainTimeout + 5 s, which is %d: requests in flight would be cut" (int64 $given) $needed) -}}
{{- else -}}
{{- int64 $given -}}
{{- end -}}
{{- end -}}

{{/*
The namespaces whose services Outrigger may follow, as a JSON list. Services of the mode ClusterIP are not followed; a namespace in another
variable than POD_NAMESPACE is for `rbac.namespaces` to name.
*/}}
{{- define "outrigger.serviceNamespaces" -}}
{{- $namespaces := .Values.rbac.namespaces -}}
{{- if kindIs "slice" .Values.config.backends -}}
{{- range .Values.config.backends -}}
{{- if and (kindIs "map" .) (kindIs "map" (get . "service")) -}}
{{- $namespace := regexReplaceAll "^\\$\\{POD_NAMESPACE(:-.*)?\\}$" (get .service "namespace" | toString) $.Release.Namespace -}}
{{- if and $namespace (not (contains "${" $namespace)) (ne (get .service "mode" | toString) "ClusterIP") -}}
{{- $namespaces = append $namespaces $namespace -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $namespaces | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Whether its services are those of the whole cluster, or some, or none: Cluster, Namespaced or empty. */}}
{{- define "outrigger.serviceScope" -}}
{{- if eq .Values.rbac.scope "Cluster" -}}
Cluster
{{- else if include "outrigger.serviceNamespaces" . | fromJsonArray -}}
Namespaced
{{- end -}}
{{- end -}}

{{/* Whether pods talk to the API server; empty if not. */}}
{{- define "outrigger.usesApi" -}}
{{- if or .Values.rbac.events .Values.rbac.podAnnotation (eq .Values.configMap.source "Api") (include "outrigger.serviceScope" .) -}}
true
{{- end -}}
{{- end -}}
