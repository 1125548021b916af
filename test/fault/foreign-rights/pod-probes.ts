import { randomBytes } from 'node:crypto'
import type { Cluster } from '../../cluster/cluster.ts'

type Pod = Record<string, unknown>

const hardened = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}
const labels = { 'app.kubernetes.io/managed-by': 'hansa', 'app.kubernetes.io/name': 'hansa-worker' }

/** A pod that is as harmless as one can be, so that nothing but the wish for a credential can be refused. */
function pod(more: Pod = {}, container: Pod = {}): Pod {
  return {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'probe', image: 'probe', securityContext: hardened, ...container }],
    ...more,
  }
}

const secret = (name: string) => ({ name: 'x', secret: { secretName: name } })
const token = { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }

/** Each way in which a pod gets a credential, and what it is worth. */
const wishes: readonly { worth: string; pod: Pod }[] = [
  { worth: 'makes pods without credentials', pod: pod() },
  { worth: 'gets secrets (by a volume)', pod: pod({ volumes: [secret('any')] }) },
  {
    worth: 'gets secrets (by a projected volume)',
    pod: pod({ volumes: [{ name: 'x', projected: { sources: [{ secret: { name: 'any' } }] } }] }),
  },
  {
    worth: 'gets secrets (by a variable)',
    pod: pod({}, { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'any', key: 'any' } } }] }),
  },
  { worth: 'gets secrets (by an environment)', pod: pod({}, { envFrom: [{ secretRef: { name: 'any' } }] }) },
  {
    worth: 'gets tokens of service accounts (by mounting them)',
    pod: pod({ automountServiceAccountToken: true, serviceAccountName: 'default' }),
  },
  {
    worth: 'gets tokens of service accounts (by a volume)',
    pod: pod({ serviceAccountName: 'default', volumes: [{ name: 'x', projected: { sources: [token] } }] }),
  },
  {
    worth: 'gets files of nodes (by a volume)',
    pod: pod({ volumes: [{ name: 'x', hostPath: { path: '/var/lib/kubelet' } }] }),
  },
  {
    worth: 'gets files of nodes (by privilege)',
    pod: pod({ hostPID: true, securityContext: {} }, { securityContext: { privileged: true } }),
  },
]

const templated = (spec: Pod) => ({ metadata: { labels: { ...labels, app: 'probe' } }, spec })
const selector = { matchLabels: { app: 'probe' } }

/** Each kind whose objects make pods. */
const makers: readonly { kind: string; path: string; apiVersion: string; spec: (spec: Pod) => Pod }[] = [
  { kind: 'Pod', path: 'api/v1', apiVersion: 'v1', spec: (spec) => spec },
  {
    kind: 'ReplicationController',
    path: 'api/v1',
    apiVersion: 'v1',
    spec: (spec) => ({ selector: { app: 'probe' }, template: templated(spec) }),
  },
  ...['Deployment', 'ReplicaSet', 'DaemonSet'].map((kind) => ({
    ...{ kind, path: 'apis/apps/v1', apiVersion: 'apps/v1' },
    spec: (spec: Pod) => ({ selector, template: templated(spec) }),
  })),
  {
    ...{ kind: 'StatefulSet', path: 'apis/apps/v1', apiVersion: 'apps/v1' },
    spec: (spec) => ({ serviceName: 'probe', selector, template: templated(spec) }),
  },
  {
    ...{ kind: 'Job', path: 'apis/batch/v1', apiVersion: 'batch/v1' },
    spec: (spec) => ({ template: templated({ restartPolicy: 'Never', ...spec }) }),
  },
  {
    ...{ kind: 'CronJob', path: 'apis/batch/v1', apiVersion: 'batch/v1' },
    spec: (spec) => ({
      schedule: '0 0 1 1 *',
      jobTemplate: { spec: { template: templated({ restartPolicy: 'Never', ...spec }) } },
    }),
  },
]

/** What the holder of a token gets by making pods in a namespace, tried without keeping anything (dry run). */
export async function podProbes(cluster: Cluster, token: string, namespace: string): Promise<Set<string>> {
  const worth = new Set<string>()
  for (const maker of makers) {
    for (const wish of wishes) {
      const { status } = await cluster.request({
        method: 'POST',
        path: `/${maker.path}/namespaces/${namespace}/${maker.kind.toLowerCase()}s?dryRun=All`,
        token,
        body: {
          apiVersion: maker.apiVersion,
          kind: maker.kind,
          metadata: { name: `probe-${randomBytes(4).toString('hex')}`, labels },
          spec: maker.spec(wish.pod),
        },
      })
      if (status === 201) worth.add(wish.worth)
      else if (status !== 403 && status !== 422) throw new Error(`${maker.kind}: ${status}`)
      // Who may not make that kind at all may not make it in another way.
      if (status === 403) break
    }
  }
  return worth
}
