{{- define "hansa.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: hansa-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "hansa.labels" .root | nindent 4 }}
{{- end -}}
{{- define "hansa.egressBasics" -}}
# DNS; its server may be a pod, a node's address or outside.
- ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
# The API server is no pod: only addresses can name it.
- to:
    {{- range .Values.networkPolicy.apiServer.cidrs }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}
{{- define "hansa.probesIngress" -}}
# Probes come from the node, metrics from Prometheus wherever it runs in this cluster; neither holds a secret.
- from: [{ namespaceSelector: {} }]
  ports: [{ protocol: TCP, port: 8081 }]
{{- end -}}
{{- define "hansa.peersEgress" -}}
- to:
    {{- range .cidrs }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}
