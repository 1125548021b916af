import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import { createSeal } from '../federation/seal-message.ts'
import { startCertificateEndpoint } from '../identity/endpoint.ts'
import { localIdentity } from '../identity/local-identity.ts'
import { spiffe } from '../identity/spiffe.ts'
import { createClient } from '../kube/client.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { identities, peers } from '../kube/hansa-resources.ts'
import { clusterFromPod } from '../kube/in-cluster.ts'
import { runElection } from '../kube/lease.ts'
import { ownerCertificates } from '../owneridentity/issue-certificate.ts'
import { secretKeyStore } from '../owneridentity/key-store.ts'
import { sealingFrom } from '../owneridentity/sealing.ts'
import { receiptSigner } from '../owneridentity/sign-receipts.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { startProbes } from '../process/probes.ts'
import { authorityFromSecret, publishTrust } from './authority-secret.ts'
import { runControllers } from './controllers.ts'
import { reviewToken } from './review-token.ts'
import type { OperatorSettings } from './settings.ts'

const leaseName = 'hansa-operator'
const electionLimits = { requestsPerSecond: 5, burst: 20 }

/**
 * Starts the operator: every replica issues certificates, the elected one runs the controllers. Resolves when all is running;
 * `close` hands leadership over and ends.
 */
export async function startOperator(
  settings: OperatorSettings,
  deps: { log: Logger; registry: Registry; signal: AbortSignal },
): Promise<{ close(): Promise<void> }> {
  const { log, registry } = deps
  const stopping = new AbortController()
  const signal = AbortSignal.any([deps.signal, stopping.signal])
  const namespace = settings.POD_NAMESPACE
  const trustDomain = settings.HANSA_TRUST_DOMAIN

  let problem: string | undefined = 'starting'
  const probes = await startProbes({
    host: settings.POD_IP,
    port: settings.HANSA_PROBES_PORT,
    ready: () => problem,
    registry,
  })
  const cluster = await clusterFromPod({
    serviceAccountDir: settings.HANSA_SERVICE_ACCOUNT_DIR,
    host: settings.KUBERNETES_SERVICE_HOST,
    port: settings.KUBERNETES_SERVICE_PORT,
  })
  // Of its own: renewals of the lease must not queue behind the calls of controllers that have much to do.
  const electionClient = createClient({ cluster, userAgent: 'hansa-operator-election', limits: electionLimits })
  const client = createClient({
    cluster,
    userAgent: 'hansa-operator',
    limits: {
      requestsPerSecond: settings.HANSA_API_REQUESTS_PER_SECOND,
      burst: 2 * settings.HANSA_API_REQUESTS_PER_SECOND,
    },
  })

  const secretDeps = { client, namespace, trustDomain, log, signal }
  const authority = await untilItWorks(log, signal, async () => {
    const loaded = await authorityFromSecret(secretDeps)
    await publishTrust(secretDeps, loaded)
    return loaded
  })
  const identity = await localIdentity(authority, spiffe(trustDomain, namespace, 'hansa-operator'), { log, signal })
  const keyStore = secretKeyStore({ client, namespace })
  const sealingOf = sealingFrom({ clock: systemClock, keyStore })
  const endpoint = await startCertificateEndpoint({
    authority,
    host: settings.POD_IP,
    port: settings.HANSA_CA_PORT,
    reviewToken: (token, audience, stop) => reviewToken(client, token, audience, stop),
    ownerCertificate: ownerCertificates({
      namespace,
      readIdentity: (name, stop) => client.get(identities, { name }, { signal: stop }),
      keyStore,
      clock: systemClock,
    }),
    signReceipts: receiptSigner({
      namespace,
      readPeer: (name, stop) => client.get(peers, { name }, { signal: stop }),
      seal: createSeal({ clock: systemClock, sealingOf }),
      sealingOf,
      now: () => systemClock.now(),
    }),
    allowedDnsNames: (ns, account) => (ns === namespace && account === 'hansa-gateway' ? gatewayNames(settings) : []),
    log,
    registry,
  })
  problem = undefined

  const elected = runElection(
    { client: electionClient, log },
    {
      namespace,
      name: leaseName,
      identity: `${settings.POD_NAME}_${randomUUID()}`,
      leaseDurationSeconds: settings.HANSA_LEASE_SECONDS,
    },
    async (leadership) => {
      log.info({ token: leadership.token }, 'leading')
      // Somebody may have deleted or changed it since this process started.
      await publishTrust({ ...secretDeps, signal: leadership.signal }, authority).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'cannot publish the trust bundle'),
      )
      await runControllers(
        {
          client,
          identity,
          instance: settings.POD_NAME,
          concurrency: settings.HANSA_RECONCILES_AT_ONCE,
          log,
          registry,
          settings: {
            workerImage: settings.HANSA_WORKER_IMAGE,
            imagePullPolicy: settings.HANSA_WORKER_IMAGE_PULL_POLICY,
            imagePullSecrets: settings.HANSA_WORKER_IMAGE_PULL_SECRETS,
            allowedDomains: settings.HANSA_ALLOWED_DOMAINS,
            systemNamespace: namespace,
            trustDomain,
            caPem: authority.caPem,
            caUrl: settings.HANSA_CA_URL,
            fetchUrl: settings.HANSA_FETCH_URL,
            ...(settings.HANSA_CACHE_URL !== undefined && { cacheUrl: settings.HANSA_CACHE_URL }),
            ...(settings.HANSA_OTLP_ENDPOINT !== undefined && { otlpEndpoint: settings.HANSA_OTLP_ENDPOINT }),
            gatewayUrl: settings.HANSA_GATEWAY_URL,
          },
        },
        leadership.signal,
      )
    },
    signal,
  )
  elected.catch((error) => log.error({ error: messageOf(error) }, 'the election ended'))

  return {
    close: async () => {
      problem = 'shutting down'
      stopping.abort()
      await elected.catch(() => undefined)
      await Promise.all([endpoint.close(), identity.close(), probes.close()])
      await Promise.all([client.close(), electionClient.close()])
    },
  }
}

function gatewayNames(settings: OperatorSettings): string[] {
  const service = `hansa-gateway.${settings.POD_NAMESPACE}`
  const external = new URL(settings.HANSA_GATEWAY_URL).hostname.replace(/^\[|\]$/g, '')
  return [service, `${service}.svc`, `${service}.svc.cluster.local`, external, ...settings.HANSA_GATEWAY_DNS_NAMES]
}

/** At first start the API server may not let us yet (RBAC still being applied); nothing else can be done than to try again. */
async function untilItWorks<T>(log: Logger, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let seconds = 1; ; seconds = Math.min(seconds * 2, 30)) {
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted || (error instanceof Error && 'retry' in error && error.retry === 'never')) throw error
      log.warn({ error: messageOf(error), retrySeconds: seconds }, 'the certificate authority is not ready')
      await sleep(systemClock, seconds * 1000, signal)
      signal.throwIfAborted()
    }
  }
}
