{{/* repository[:tag][@digest]; call with (dict "image" .Values.image.operator "root" $) */}}
{{- define "hansa.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if .image.digest -}}
{{- .image.repository }}@{{ .image.digest }}
{{- else -}}
{{- .image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "hansa.labels" -}}
app.kubernetes.io/name: hansa
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Labels by which a component's pods are selected, also by the NetworkPolicies of workers; call with the component's name. */}}
{{- define "hansa.selector" -}}
app.kubernetes.io/name: hansa
app.kubernetes.io/component: {{ . }}
{{- end -}}

{{- define "hansa.caUrl" -}}
https://hansa-operator.{{ .Release.Namespace }}.svc:9443
{{- end -}}

{{- define "hansa.gatewayUrl" -}}
{{- .Values.gateway.externalUrl | default (printf "https://hansa-gateway.%s.svc:%d" .Release.Namespace (int .Values.gateway.service.port)) -}}
{{- end -}}

{{/* Not empty where a ledger runs: it needs peers. */}}
{{- define "hansa.hasLedger" -}}
{{- if and .Values.link.enabled .Values.ledger.enabled }}true{{ end -}}
{{- end -}}

{{/* Bytes that model files may take: a quantity less five per cent, for what a file system needs itself. */}}
{{- define "hansa.blobBytes" -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[kMGTi]*$" . -}}
{{- $number := trimSuffix $unit . | float64 -}}
{{- mulf $number (get $factors $unit) 0.95 | int64 -}}
{{- end -}}

{{/* Refuses what would leave an installation that cannot work. */}}
{{- define "hansa.check" -}}
{{- if and .Values.fetch.localRoot.existingClaim .Values.fetch.localRoot.hostPath -}}
{{- fail "fetch.localRoot: set existingClaim or hostPath, not both" -}}
{{- end -}}
{{- with .Values.gateway.service -}}
{{- if and (or .nodePort .grpcNodePort .dataNodePort) (eq .type "ClusterIP") -}}
{{- fail "gateway.service.nodePort, grpcNodePort and dataNodePort need gateway.service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.link.service.nodePort (eq .Values.link.service.type "ClusterIP") -}}
{{- fail "link.service.nodePort needs link.service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- end -}}

{{/* Environment that every process gets. */}}
{{- define "hansa.commonEnv" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: HANSA_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: HANSA_TRUST_DOMAIN
  value: {{ .Values.trustDomain | quote }}
- name: HANSA_CA_URL
  value: {{ include "hansa.caUrl" . | quote }}
- name: HANSA_SERVICE_ACCOUNT_DIR
  value: /var/run/secrets/kubernetes.io/serviceaccount
- name: TMPDIR
  value: /tmp
{{- end -}}

{{/* Environment of a process that gets its certificate from the operator. */}}
{{- define "hansa.identityEnv" -}}
- name: HANSA_CA_FILE
  value: /var/run/hansa/trust/ca.pem
- name: HANSA_CA_TOKEN_FILE
  value: /var/run/hansa/token/token
- name: HANSA_STATE_DIR
  value: /var/run/hansa/state
{{- end -}}

{{- define "hansa.identityMounts" -}}
- { name: trust, mountPath: /var/run/hansa/trust, readOnly: true }
- { name: token, mountPath: /var/run/hansa/token, readOnly: true }
- { name: state, mountPath: /var/run/hansa/state }
{{- end -}}

{{- define "hansa.identityVolumes" -}}
# Not optional: the pod waits until the operator has made the authority and published its certificate.
- name: trust
  configMap: { name: hansa-trust }
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { audience: hansa-ca, expirationSeconds: 3600, path: token }
- name: state
  emptyDir: { sizeLimit: 128Mi }
{{- end -}}

{{/* Restricted Pod Security and a read-only root file system, for every container. */}}
{{- define "hansa.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Probes on port 8081; call with the seconds that a start may take. */}}
{{- define "hansa.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: probes }
  periodSeconds: 1
  failureThreshold: {{ . }}
  timeoutSeconds: 5
livenessProbe:
  httpGet: { path: /livez, port: probes }
  periodSeconds: 10
  failureThreshold: 3
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: probes }
  periodSeconds: 2
  failureThreshold: 2
  timeoutSeconds: 5
{{- end -}}

{{/* What all pods share; call with (dict "component" "gateway" "values" .Values.gateway "root" $) */}}
{{- define "hansa.podCommon" -}}
serviceAccountName: hansa-{{ .component }}
# All but the cache talk to the API server, with the rights in templates/rbac.
automountServiceAccountToken: {{ ne .component "cache" }}
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "hansa.podMetadata" -}}
metadata:
  labels:
    {{- include "hansa.selector" .component | nindent 4 }}
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/part-of: hansa
  {{- with .values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
