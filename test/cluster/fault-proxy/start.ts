import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from '../cluster.ts'
import { type CertificateRequest, createAuthority, type KeyAndCertificate } from '../owner/certificates.ts'
import { writeKubeconfig } from '../owner/kubeconfig.ts'
import { freePorts, releasePorts } from '../ports.ts'
import { removeFolderOnDeath } from '../tethered-process.ts'
import { carry } from './exchange.ts'
import type { Fault } from './fault.ts'
import { createJournal, type Journal } from './journal.ts'
import { createListMemory, type ListSnapshot } from './old-lists.ts'
import { isLastingWrite, type RequestFacts, requestFacts } from './request-facts.ts'
import { createRules, type Rule, type RuleOptions } from './rules.ts'
import { connectUpstream } from './upstream.ts'
import type { OpenWatch } from './watch.ts'

/** A proxy between clients and an API server that makes their requests go wrong as told, and keeps a journal of them. */
export interface FaultProxy extends Journal {
  readonly url: string
  readonly port: number
  /** The authority that signed its certificate: the owner's own, where there is one. */
  readonly caPem: string
  inject(fault: Fault, options?: RuleOptions): Rule
  /** The watches that are open now. */
  watches(when?: (facts: RequestFacts) => boolean): OpenWatch[]
  /** Closes all connections and refuses new ones. */
  refuseConnections(): Promise<void>
  acceptConnections(): Promise<void>
  /** Writes a kubeconfig that leads through the proxy, and returns its path. */
  kubeconfig(identity: ProxyIdentity): Promise<string>
  /** Forgets rules, journal and old lists, and drops the watches that are silent; the next write is the first again. */
  reset(): void
  stop(): Promise<void>
}

/** Client certificates end at the proxy, so only bearer tokens pass. */
export type ProxyIdentity =
  | { readonly token: string }
  | { readonly serviceAccount: string; readonly namespace: string; readonly seconds?: number }

export interface FaultProxyOptions {
  readonly owner: Pick<Cluster, 'name' | 'serverUrl' | 'caPem' | 'createToken'> & {
    issueCertificate?(request: CertificateRequest): Promise<KeyAndCertificate>
  }
  /** Default: every request that changes what is stored, except of leases and events. */
  readonly countsAsWrite?: (facts: RequestFacts) => boolean
}

// The API server's own; shorter ones would break connections that clients think they may use.
const keepAliveMilliseconds = 180_000

/** Starts a proxy on a free loopback port. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { owner, countsAsWrite = isLastingWrite } = options
  const rules = createRules()
  const journal = createJournal()
  const watches = new Set<OpenWatch>()
  const lists = createListMemory()
  const oldLists = new WeakMap<Fault, ListSnapshot>()
  let writes = 0

  const [port = 0] = await freePorts(1)
  const { caPem, certPem, keyPem } = await certificate(owner)
  const upstream = connectUpstream(owner.serverUrl, owner.caPem)
  const server = createServer(
    { cert: certPem, key: keyPem, keepAliveTimeout: keepAliveMilliseconds },
    (request, response) => {
      const asked = requestFacts(request)
      const facts = countsAsWrite(asked) ? { ...asked, writeIndex: ++writes } : asked
      const rule = rules.take(facts)
      const fault = rule?.fault
      const record = journal.open(facts)
      record.fault = fault?.type
      const oldList = fault && oldLists.get(fault)?.get(facts)
      carry({ facts, fault, request, response, record, upstream, watches, lists, oldList }).catch(() =>
        // Where the API server breaks a connection, so do we.
        request.socket.destroy(),
      )
    },
  )
  const listen = () => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen()

  const folder = await mkdtemp(join(tmpdir(), `hansa-proxy-${owner.name}-`))
  const keepFolder = removeFolderOnDeath(folder)
  const url = `https://127.0.0.1:${port}`
  let kubeconfigs = 0

  return {
    requests: journal.requests,
    writes: journal.writes,
    counts: journal.counts,
    perMinute: journal.perMinute,
    url,
    port,
    caPem,
    inject(fault, ruleOptions = {}) {
      if (fault.type !== 'StaleList') return rules.inject(fault, ruleOptions)
      const snapshot = lists.snapshot()
      const stale = { ...fault }
      oldLists.set(stale, snapshot)
      const { when = () => true } = ruleOptions
      return rules.inject(stale, {
        ...ruleOptions,
        when: (facts) => when(facts) && snapshot.get(facts) !== undefined,
      })
    },
    watches: (when = () => true) => [...watches].filter((watch) => when(watch.facts)),
    async refuseConnections() {
      if (server.listening) await close()
    },
    async acceptConnections() {
      if (!server.listening) await listen()
    },
    async kubeconfig(identity) {
      const token =
        'token' in identity
          ? identity.token
          : await owner.createToken(identity.serviceAccount, identity.namespace, {
              seconds: identity.seconds ?? 24 * 60 * 60,
            })
      const path = join(folder, `${++kubeconfigs}.kubeconfig`)
      return writeKubeconfig(path, { name: owner.name, serverUrl: url, caPem, credential: { token } })
    },
    reset() {
      rules.clear()
      journal.clear()
      lists.clear()
      writes = 0
      for (const watch of watches) if (watch.silent) watch.drop()
    },
    async stop() {
      if (server.listening) await close()
      upstream.close()
      releasePorts([port])
      await rm(folder, { recursive: true, force: true })
      keepFolder()
    },
  }
}

/** Signed by the owner's authority where possible: then pods trust it through the CA bundle that they are given anyway. */
async function certificate(owner: FaultProxyOptions['owner']): Promise<KeyAndCertificate & { caPem: string }> {
  const request: CertificateRequest = {
    commonName: 'hansa-fault-proxy',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1'],
  }
  if (owner.issueCertificate) return { ...(await owner.issueCertificate(request)), caPem: owner.caPem }
  const authority = await createAuthority(`${owner.name} fault proxy`)
  return { ...(await authority.issue(request)), caPem: authority.certPem }
}
