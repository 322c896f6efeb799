{{/* Cut to leave room for endings such as -dashboard; contradictions.yaml refuses a fullnameOverride that is cut. */}}
{{- define "sdr.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "sdr.labels" -}}
{{ include "sdr.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* These must never change: the selector of a Deployment is immutable. */}}
{{- define "sdr.selector" -}}
app.kubernetes.io/name: sdr-image-rewriter
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "sdr.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sdr.name" .) -}}
{{- end -}}

{{- define "sdr.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the API server calls the Service; the certificate is for this name. */}}
{{- define "sdr.host" -}}
{{ include "sdr.name" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* One for each mode: Helm would not take over the Secret that cert-manager made when the mode changes. */}}
{{- define "sdr.tlsSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{ .Values.tls.existingSecret }}
{{- else if eq .Values.tls.mode "certManager" -}}
{{ include "sdr.name" . }}-cert-manager
{{- else -}}
{{ include "sdr.name" . }}-tls
{{- end -}}
{{- end -}}

{{/* The annotations, such as cert-manager's or OpenShift's, that let somebody else write caBundle; empty without any. */}}
{{- define "sdr.injectors" -}}
{{- $found := list -}}
{{- range $key, $value := .Values.webhook.annotations -}}
{{- if contains "/inject-" $key -}}
{{- $found = append $found (printf "%s: %s" $key (toString $value)) -}}
{{- end -}}
{{- end -}}
{{- join ", " $found -}}
{{- end -}}

{{- define "sdr.cacheFolder" -}}/var/cache/sdr-image-rewriter{{- end -}}

{{/* Seconds of a duration, also of one in several units: 1h30m. */}}
{{- define "sdr.seconds" -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $amount := trimSuffix $unit . | float64 -}}
{{- $seconds = addf $seconds (mulf $amount (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit)) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* A number of replicas, or the number before the percent sign. */}}
{{- define "sdr.amount" -}}
{{- toString . | trimSuffix "%" | int -}}
{{- end -}}

{{/* The configuration file as YAML: config, and what only the chart knows. */}}
{{- define "sdr.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $tls := dict -}}
{{- if eq .Values.tls.mode "selfManaged" -}}
{{- $names := dict "namespace" .Release.Namespace "secret" (include "sdr.tlsSecret" .) "webhookConfiguration" (include "sdr.name" .) -}}
{{- $tls = dict "selfManaged" (merge $names (dict "dnsNames" (list (include "sdr.host" .))) .Values.tls.selfManaged) -}}
{{- else -}}
{{- $tls = dict "certFile" "/etc/sdr-image-rewriter-tls/tls.crt" "keyFile" "/etc/sdr-image-rewriter-tls/tls.key" -}}
{{- end -}}
{{- $config = mergeOverwrite $config (dict "server" (dict "tls" $tls "port" (include "sdr.port" . | int)) "ops" (dict "port" (include "sdr.opsPort" . | int))) -}}
{{- /* An empty cacheFile is kept: it says that there shall be none. */ -}}
{{- if and (eq $config.procurement "map") (not (hasKey ($config.imageMap | default dict) "cacheFile")) -}}
{{- $cacheFile := printf "%s/image-map.json" (include "sdr.cacheFolder" .) -}}
{{- $config = mergeOverwrite $config (dict "imageMap" (dict "cacheFile" $cacheFile)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "sdr.port" -}}
{{ dig "server" "port" 8443 .Values.config }}
{{- end -}}

{{- define "sdr.opsPort" -}}
{{ dig "ops" "port" 8080 .Values.config }}
{{- end -}}

{{/* Not empty where the last good map is kept in a volume of the chart. */}}
{{- define "sdr.hasCache" -}}
{{- $config := include "sdr.config" . | fromYaml -}}
{{- if hasPrefix (printf "%s/" (include "sdr.cacheFolder" .)) (dig "imageMap" "cacheFile" "" $config) -}}true{{- end -}}
{{- end -}}

{{/* Namespaces that are never asked about: a webhook that guards its own pods cannot heal by itself. */}}
{{- define "sdr.excludedNamespaces" -}}
{{- list .Release.Namespace "kube-system" "kube-node-lease" | uniq | toJson -}}
{{- end -}}

{{/* The namespaces of one mode; called with (dict "root" $ "mode" "enforce"|"audit"). */}}
{{- define "sdr.namespaceSelector" -}}
{{- $webhook := .root.Values.webhook -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{ include "sdr.excludedNamespaces" .root }}
  {{- with $webhook.namespaces }}
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ toJson . }}
  {{- end }}
  - key: sdr-image-rewriter.io/mode
  {{- if and (eq .mode "enforce") (or $webhook.namespaces $webhook.allNamespaces) }}
    # Selected without a label, so the label can only take away.
    operator: NotIn
    values: [audit, none]
  {{- else }}
    operator: In
    values: [{{ .mode }}]
  {{- end }}
{{- end -}}

{{- define "sdr.skipLabelSelector" -}}
matchExpressions:
  - key: sdr-image-rewriter.io/skip
    operator: NotIn
    values: ['true']
{{- end -}}

{{/* Called with a list of operations. */}}
{{- define "sdr.podRules" -}}
- apiGroups: ['']
  apiVersions: [v1]
  operations: {{ toJson . }}
  resources: [pods, pods/ephemeralcontainers]
  scope: Namespaced
{{- end -}}

{{/* CEL: the kubelet deletes a mirror pod that was changed. */}}
{{- define "sdr.celNoMirrorPod" -}}
!has(object.metadata.annotations) ||
!('kubernetes.io/config.mirror' in object.metadata.annotations)
{{- end -}}

{{/* CEL: the object selector alone also lets pass what only oldObject or only object is labelled with. */}}
{{- define "sdr.celNoSkipLabel" -}}
!has(object.metadata.labels) ||
!('sdr-image-rewriter.io/skip' in object.metadata.labels) ||
object.metadata.labels['sdr-image-rewriter.io/skip'] != 'true'
{{- end -}}

{{/* CEL: the images in one list of a pod; called with (dict "pod" "object" "field" "containers"). */}}
{{- define "sdr.celImages" -}}
(has({{ .pod }}.spec.{{ .field }}) ? {{ .pod }}.spec.{{ .field }} : []).map(c, has(c.image) ? c.image : '')
{{- end -}}

{{/* One webhook; called with (dict "root" $ "mode" "enforce"|"audit" "operation" "CREATE"|"UPDATE"). */}}
{{- define "sdr.webhook" -}}
{{- $values := .root.Values -}}
- name: {{ .mode }}{{ ternary "-update" "" (eq .operation "UPDATE") }}.sdr-image-rewriter.io
  admissionReviewVersions: [v1]
  sideEffects: None
  # An audit must never stand in the way.
  failurePolicy: {{ ternary $values.webhook.failurePolicy "Ignore" (eq .mode "enforce") }}
  matchPolicy: Equivalent
  reinvocationPolicy: IfNeeded
  timeoutSeconds: {{ $values.webhook.timeoutSeconds }}
  clientConfig:
    # In the other modes somebody else writes caBundle; what Helm does not set, it does not take away.
    {{- if and (eq $values.tls.mode "existingSecret") $values.tls.caBundle }}
    caBundle: {{ $values.tls.caBundle | b64enc }}
    {{- end }}
    service:
      name: {{ include "sdr.name" .root | quote }}
      namespace: {{ .root.Release.Namespace | quote }}
      path: /{{ ternary "mutate" "audit" (eq .mode "enforce") }}
      port: {{ $values.service.port }}
  rules:
    {{- include "sdr.podRules" (list .operation) | nindent 4 }}
  namespaceSelector:
    {{- include "sdr.namespaceSelector" . | nindent 4 }}
  objectSelector:
    {{- include "sdr.skipLabelSelector" . | nindent 4 }}
  {{- if and (eq .operation "UPDATE") (semverCompare ">=1.28-0" .root.Capabilities.KubeVersion.Version) }}
  # They spare a call where nothing can change. Each key is guarded by has(): an expression that fails would
  # forbid the request under failurePolicy Fail.
  matchConditions:
    - name: images-change
      # An UPDATE that changes no image may rewrite nothing: it would restart containers.
      expression: |-
        (has(request.subResource) && request.subResource == 'ephemeralcontainers') ||
        {{- range $index, $field := list "containers" "initContainers" }}
        {{- if $index }} ||{{ end }}
        {{ include "sdr.celImages" (dict "pod" "object" "field" $field) }} !=
        {{ include "sdr.celImages" (dict "pod" "oldObject" "field" $field) }}
        {{- end }}
    - name: no-mirror-pod
      expression: |-
        {{- include "sdr.celNoMirrorPod" . | nindent 8 }}
    - name: no-skip-label
      expression: |-
        {{- include "sdr.celNoSkipLabel" . | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* A prefix of image names with its registry: atlanhq is docker.io/atlanhq. As src/core/prefix-rules.ts reads it. */}}
{{- define "sdr.prefix" -}}
{{- $text := trimSuffix "/" . -}}
{{- $first := regexFind "^[^/]*" $text -}}
{{- if not (or (contains "." $first) (contains ":" $first) (eq $first "localhost") (ne (lower $first) $first)) -}}
docker.io/{{ $text }}
{{- else if has $first (list "index.docker.io" "registry-1.docker.io" "registry.hub.docker.com") -}}
docker.io{{ trimPrefix $first $text }}
{{- else -}}
{{ $text }}
{{- end -}}
{{- end -}}

{{/* Not empty for what may be such a prefix. */}}
{{- define "sdr.isPrefix" -}}
{{- $label := include "sdr.hostLabel" . -}}
{{- $host := printf "(%s([.]%s)*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?" $label $label -}}
{{- if regexMatch (printf "^%s(/%s)*$" $host (include "sdr.pathComponent" .)) (include "sdr.prefix" .) -}}true{{- end -}}
{{- end -}}

{{/* Regular expressions of the OCI grammar, as src/core/reference.ts has them. */}}
{{- define "sdr.hostLabel" -}}[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?{{- end -}}
{{- define "sdr.pathComponent" -}}[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*{{- end -}}

{{/*
Not empty for a repository without tag and digest. Upper case passes only in a host with a dot or a port: the
grammar would take Atlanhq/x for a host as well, and nobody means that.
*/}}
{{- define "sdr.isRepository" -}}
{{- $label := include "sdr.hostLabel" . -}}
{{- $component := include "sdr.pathComponent" . -}}
{{- $host := printf "(%s([.]%s)+(:[0-9]+)?|%s:[0-9]+|\\[[a-fA-F0-9:]+\\](:[0-9]+)?)" $label $label $label -}}
{{- if regexMatch (printf "^(%s/)?%s(/%s)*$" $host $component $component) . -}}true{{- end -}}
{{- end -}}

{{/* Not empty for a URL with a host, and a port if any, that the URL parser of the program takes. */}}
{{- define "sdr.isUrl" -}}
{{- $form := `^([a-z0-9]+)://(?:[^/?#\\]*@)?(\[[0-9a-fA-F:.]+\]|[^\x00-\x20\x7f#%/:<>?@\[\\\]^|]+)(?::0*([0-9]{0,5}))?(?:[/?#\\].*)?$` -}}
{{- if regexMatch $form . -}}
{{- $scheme := regexReplaceAll $form . "${1}" -}}
{{- $host := regexReplaceAll $form . "${2}" -}}
{{- $port := regexReplaceAll $form . "${3}" | int -}}
{{- /* A bucket may end in a number; a host that does is an IPv4 address. */ -}}
{{- $isAddress := and (ne $scheme "s3") (regexMatch `(^|[.])[0-9]+[.]?$` $host) -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $isGood := or (not $isAddress) (regexMatch (printf "^%s([.]%s){3}[.]?$" $octet $octet) $host) -}}
{{- if and $isGood (le $port 65535) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if a normalised prefix covers a normalised name, on a path boundary; called with a list of both. */}}
{{- define "sdr.covers" -}}
{{- $prefix := index . 0 -}}
{{- $name := index . 1 -}}
{{- if or (eq $name $prefix) (hasPrefix (printf "%s/" $prefix) $name) -}}true{{- end -}}
{{- end -}}

{{/* The prefixes of what may be rewritten, normalised, as JSON. */}}
{{- define "sdr.sources" -}}
{{- $sources := list -}}
{{- range .Values.config.sources | default (list "docker.io/atlanhq" "ghcr.io/atlanhq" "registry.atlan.com") -}}
{{- $sources = append $sources (include "sdr.prefix" .) -}}
{{- end -}}
{{- toJson $sources -}}
{{- end -}}

{{/* The prefixes of what counts as mirrored, normalised, as JSON. */}}
{{- define "sdr.targets" -}}
{{- $targets := list -}}
{{- with .Values.config.containerRegistryBase -}}
{{- $targets = append $targets (include "sdr.prefix" .) -}}
{{- end -}}
{{- range .Values.config.prefixes -}}
{{- $targets = append $targets (include "sdr.prefix" .target) -}}
{{- end -}}
{{- range .Values.config.allowedTargets -}}
{{- $targets = append $targets (include "sdr.prefix" .) -}}
{{- end -}}
{{- toJson $targets -}}
{{- end -}}

{{/*
CEL: whether one of the prefixes covers the normalised image n, on a path boundary. Called with a JSON list.
Behind a registry alone comes a path: registry.example:5000 is another registry than registry.example.
*/}}
{{- define "sdr.celCovered" -}}
{{- $starts := list -}}
{{- $whole := list -}}
{{- range fromJsonArray . -}}
{{- $starts = append $starts (printf "%s/" .) -}}
{{- if contains "/" . -}}
{{- $starts = concat $starts (list (printf "%s:" .) (printf "%s@" .)) -}}
{{- $whole = append $whole . -}}
{{- end -}}
{{- end -}}
(n in {{ toJson $whole }} || {{ toJson $starts }}.exists(p, n.startsWith(p)))
{{- end -}}

{{/* PromQL: how much a counter grew. Alone, increase() would miss the first count of a series that is new. */}}
{{- define "sdr.grown" -}}
sum(({{ . }} unless {{ . }} offset 15m) or increase({{ . }}[15m])) > 0
{{- end -}}

{{/* Where helm test makes a pod by dry run; empty: nowhere. */}}
{{- define "sdr.testNamespace" -}}
{{- $chosen := .Values.test.namespace -}}
{{- if not $chosen -}}
{{- range .Values.webhook.namespaces -}}
{{- $found := lookup "v1" "Namespace" "" . -}}
{{- $mode := dig "metadata" "labels" "sdr-image-rewriter.io/mode" "enforce" $found -}}
{{- if and (not $chosen) $found (eq $mode "enforce") -}}
{{- $chosen = . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $chosen -}}
{{- end -}}

{{/*
What helm test asks about, as JSON: an image in scope and, where the rules are known, whether it must be
rewritten. A map is data that the chart does not see.
*/}}
{{- define "sdr.probe" -}}
{{- $sources := include "sdr.sources" . | fromJsonArray -}}
{{- $prefix := first $sources -}}
{{- $isRewritten := false -}}
{{- if eq .Values.config.procurement "prefix" -}}
{{- $isRewritten = .Values.config.containerRegistryBase | empty | not -}}
{{- range .Values.config.prefixes -}}
{{- $source := include "sdr.prefix" .source -}}
{{- range $sources -}}
{{- if and (not $isRewritten) (include "sdr.covers" (list . $source)) -}}
{{- $prefix = $source -}}
{{- $isRewritten = true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "image" (printf "%s/helm-test:1" $prefix) "isRewritten" $isRewritten | toJson -}}
{{- end -}}
