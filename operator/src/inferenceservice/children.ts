import type { InferenceService } from '../api/inference-service.ts'
import { apiVersion, type OwnerReference } from '../api/resource.ts'
import type { Deployment, NetworkPolicy, ServiceAccount } from '../kube/builtin.ts'
import type { Applied } from '../kube/client-types.ts'
import type { PodTemplate } from '../kube/pod-types.ts'
import { receiverInCluster } from '../process/tracing/otlp-endpoint.ts'
import { deploymentName, revisionLabels, serviceLabel, serviceLabels, workerServiceAccount } from './names.ts'
import type { WorkerSettings } from './settings.ts'

/** Makes the service the controller of a child, so that Kubernetes removes the child with it. */
export function ownedBy(service: InferenceService): OwnerReference {
  return {
    apiVersion,
    kind: 'InferenceService',
    name: service.metadata.name,
    uid: service.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}

export function workerAccount(service: InferenceService): Applied<ServiceAccount> {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(service, workerServiceAccount(service.metadata.name), serviceLabels(service.metadata.name)),
    automountServiceAccountToken: false,
  }
}

/**
 * Workers take requests from gateways only, and reach nothing but fetch, a node's cache, the certificate authority, DNS and, where it
 * is a Service of this cluster, the receiver of traces.
 */
export function workerNetworkPolicy(
  service: InferenceService,
  { systemNamespace, otlpEndpoint }: Pick<WorkerSettings, 'systemNamespace' | 'otlpEndpoint'>,
): Applied<NetworkPolicy> {
  const receiver = otlpEndpoint === undefined ? undefined : receiverInCluster(otlpEndpoint)
  const system = (component: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': systemNamespace } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'hansa', 'app.kubernetes.io/component': component } },
  })
  const namespaced = (name: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
  })
  const tcp = (port: number) => ({ protocol: 'TCP' as const, port })
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(service, workerServiceAccount(service.metadata.name), serviceLabels(service.metadata.name)),
    spec: {
      podSelector: {
        matchLabels: { 'app.kubernetes.io/component': 'worker', [serviceLabel]: service.metadata.name },
      },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { from: [system('gateway')], ports: [tcp(8443), tcp(8444)] },
        { from: [{ namespaceSelector: {} }], ports: [tcp(8081)] },
      ],
      egress: [
        { to: [system('fetch'), system('cache')], ports: [tcp(8444)] },
        { to: [system('operator')], ports: [tcp(9443)] },
        { ports: [{ protocol: 'UDP', port: 53 }, tcp(53)] },
        ...(receiver === undefined ? [] : [{ to: [namespaced(receiver.namespace)], ports: [tcp(receiver.port)] }]),
      ],
    },
  }
}

/** The Deployment of one revision. */
export function workerDeployment(
  service: InferenceService,
  revision: string,
  template: PodTemplate,
  replicas: number,
): Applied<Deployment> {
  const labels = revisionLabels(service.metadata.name, revision)
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(service, deploymentName(service.metadata.name, revision), labels),
    spec: {
      replicas,
      revisionHistoryLimit: 1,
      progressDeadlineSeconds: service.spec.timeouts.loadSeconds + 60,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...labels } },
      },
    },
  }
}

function metadata(service: InferenceService, name: string, labels: Record<string, string>) {
  return {
    name,
    namespace: service.metadata.namespace ?? '',
    labels,
    ownerReferences: [ownedBy(service)],
  }
}
