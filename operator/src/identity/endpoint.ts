import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Counter, type Registry } from 'prom-client'
import { z } from 'zod'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { Authority } from './authority.ts'
import { localIdentity } from './local-identity.ts'
import { readBody } from './read-body.ts'
import { Refusal } from './refusal.ts'
import { authorityUri, spiffe } from './spiffe.ts'
import { followIdentity, serverOnlyTls } from './tls.ts'
import { tokenBuckets } from './token-buckets.ts'

/** The audience that a token must be made for to get a certificate. */
export const tokenAudience = 'hansa-ca'

export type Reviewed = { namespace: string; serviceAccount: string; podName?: string }

export type EndpointDeps = {
  authority: Authority
  host: string
  port: number
  /** Kubernetes TokenReview: whose token it is, undefined when it is nobody's or for another audience; throws when it cannot be asked. */
  reviewToken: (token: string, audience: string, signal: AbortSignal) => Promise<Reviewed | undefined>
  /** DNS names and IP addresses that a service account's certificate may carry besides its URI. */
  allowedDnsNames: (namespace: string, serviceAccount: string) => readonly string[]
  /** Issues certificates by which other owners know link and gateway. Throws Refusal. */
  ownerCertificate?: OwnerCertificateIssuer
  /** Signs what the ledger says to other owners. Throws Refusal. */
  signReceipts?: ReceiptSigner
  log: Logger
  registry: Registry
  certificateSeconds?: number
}

/** Whose certificate is wanted, of which Identity. */
export type OwnerCertificateRequest = { identityName: string; requester: Reviewed; csrPem: string; signal: AbortSignal }
export type OwnerCertificate = { certificate: string; notAfter: string; authorities: string[] }
export type OwnerCertificateIssuer = (request: OwnerCertificateRequest) => Promise<OwnerCertificate>

/** What the ledger wants signed, of which Identity; the body is as it came. */
export type ReceiptRequest = { identityName: string; requester: Reviewed; body: unknown; signal: AbortSignal }
export type ReceiptSigner = (request: ReceiptRequest) => Promise<{ envelope: string }>

const requestSchema = z.strictObject({
  csr: z.string().max(8 * 1024),
  dnsNames: z.array(z.string().max(253)).max(16).default([]),
})
const maxBodyBytes = 16 * 1024
// A settlement may have 64 disputes.
const maxReceiptBodyBytes = 64 * 1024
const reviewMilliseconds = 10_000
const maxInFlight = 64
const ownerPath = /^\/v1\/identities\/([a-z0-9](?:[-a-z0-9]{0,38}[a-z0-9])?)\/(certificates|receipts)$/

/**
 * Serves `POST /v1/certificates` (bearer token; body `{csr, dnsNames?}`; answer `{certificate, notAfter}`) over TLS 1.3 with a
 * certificate of the authority for `spiffe://<trust domain>/authority`. The URI issued is that of the token's service account.
 * `POST /v1/identities/{identity}/certificates` (body `{csr}`; answer `{certificate, notAfter, authorities}`) gives link and gateway theirs for other owners.
 * `POST /v1/identities/{identity}/receipts` (body `{kind, peer?, message}`; answer `{envelope}`) signs for the ledger.
 * Errors: `{"error": {"reason", "message"}}` with 400, 401, 403, 404, 405, 413, 429 or 503.
 */
export async function startCertificateEndpoint(deps: EndpointDeps): Promise<{ url: string; close(): Promise<void> }> {
  const { authority, log } = deps
  const closing = new AbortController()
  const own = await localIdentity(authority, authorityUri(authority.trustDomain), { log, signal: closing.signal })
  const answer = certificateAnswers(deps, closing.signal)
  const server = createServer(
    { ...serverOnlyTls(own), headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 1_000 },
    (request, response) => void answer(request, response),
  )
  server.maxConnections = 512
  const unfollow = followIdentity(server, own, serverOnlyTls)
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: async () => {
      closing.abort()
      unfollow()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await Promise.all([closed, own.close()])
    },
  }
}

function certificateAnswers(deps: EndpointDeps, signal: AbortSignal) {
  const { authority, log } = deps
  const certificateSeconds = deps.certificateSeconds ?? 72 * 3600
  const metrics = endpointMetrics(deps.registry)
  const everybody = tokenBuckets({ burst: 500, perSecond: 50, maxKeys: 1 })
  const perPod = tokenBuckets({ burst: 10, perSecond: 0.2, maxKeys: 10_000 })
  // Certificates between owners may live for ten seconds, and a process has one for each Identity.
  const perOwnerPod = tokenBuckets({ burst: 40, perSecond: 4, maxKeys: 1_000 })
  // A claim a grant and minute, a settlement for each of a peer's, and after a cut what has gathered.
  const perLedger = tokenBuckets({ burst: 200, perSecond: 20, maxKeys: 100 })
  let inFlight = 0

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    inFlight++
    try {
      send(response, 200, await issue(request))
    } catch (error) {
      const refusal = asRefusal(error, log)
      metrics.refused.inc({ reason: refusal.reason })
      if (refusal.afterSeconds !== undefined) response.setHeader('retry-after', Math.ceil(refusal.afterSeconds))
      response.setHeader('connection', 'close') // the rest of the body, if any, is not read
      send(response, refusal.status, { error: { reason: refusal.reason, message: refusal.message } })
    } finally {
      inFlight--
    }
  }

  async function issue(
    request: IncomingMessage,
  ): Promise<{ certificate: string; notAfter: string } | { envelope: string }> {
    const [, identityName, what] = ownerPath.exec(request.url ?? '') ?? []
    if (identityName === undefined && request.url !== '/v1/certificates') {
      const paths = '/v1/certificates, /v1/identities/{identity}/certificates and /v1/identities/{identity}/receipts'
      throw new Refusal(404, 'NotFound', `there are only ${paths}`)
    }
    if (request.method !== 'POST') throw new Refusal(405, 'MethodNotAllowed', 'only POST is answered')
    const token = bearerToken(request)
    const wait = inFlight > maxInFlight ? 1 : everybody.take('')
    if (wait > 0) throw new Refusal(429, 'TooManyRequests', 'the certificate endpoint is busy', wait)
    if (identityName !== undefined && what === 'receipts') return sign(identityName, token, request)
    const wanted = await wantedOf(request)
    const peer = await review(token)
    const { namespace, serviceAccount, podName } = peer
    const buckets = identityName === undefined ? perPod : perOwnerPod
    const podWait = buckets.take(`${namespace}/${serviceAccount}/${podName ?? ''}`)
    if (podWait > 0) throw new Refusal(429, 'TooManyRequests', 'this pod asked for many certificates', podWait)
    if (identityName !== undefined) return issueForOwner(identityName, peer, wanted)
    const allowed = deps.allowedDnsNames(namespace, serviceAccount)
    const foreign = wanted.dnsNames.find((name) => !allowed.includes(name))
    if (foreign !== undefined) {
      throw new Refusal(403, 'NameNotAllowed', `${namespace}/${serviceAccount} may not have the name ${foreign}`)
    }
    const uri = spiffe(authority.trustDomain, namespace, serviceAccount)
    const { csr: csrPem, dnsNames } = wanted
    const { certPem, notAfter } = await authority.issue({ csrPem, uri, dnsNames, seconds: certificateSeconds })
    metrics.issued.inc()
    log.info({ uri, pod: podName, notAfter: notAfter.toISOString() }, 'certificate issued')
    return { certificate: certPem, notAfter: notAfter.toISOString() }
  }

  async function issueForOwner(
    identityName: string,
    requester: Reviewed,
    { csr: csrPem, dnsNames }: z.infer<typeof requestSchema>,
  ): Promise<OwnerCertificate> {
    if (deps.ownerCertificate === undefined) throw new Refusal(404, 'NotFound', 'there are no Identities here')
    if (dnsNames.length > 0) throw new Refusal(400, 'RequestInvalid', 'certificates between owners carry no DNS names')
    const stop = AbortSignal.any([signal, AbortSignal.timeout(reviewMilliseconds)])
    const issued = await deps.ownerCertificate({ identityName, requester, csrPem, signal: stop })
    metrics.issued.inc()
    const { serviceAccount, podName } = requester
    log.info({ identity: identityName, serviceAccount, pod: podName, notAfter: issued.notAfter }, 'certificate issued')
    return issued
  }

  async function sign(identityName: string, token: string, request: IncomingMessage): Promise<{ envelope: string }> {
    if (deps.signReceipts === undefined) throw new Refusal(404, 'NotFound', 'there are no Identities here')
    const body = await bodyOf(request, maxReceiptBodyBytes)
    const requester = await review(token)
    const { namespace, serviceAccount, podName } = requester
    const wait = perLedger.take(`${namespace}/${serviceAccount}/${podName ?? ''}`)
    if (wait > 0) throw new Refusal(429, 'TooManyRequests', 'this pod asked for many signatures', wait)
    const stop = AbortSignal.any([signal, AbortSignal.timeout(reviewMilliseconds)])
    return deps.signReceipts({ identityName, requester, body, signal: stop })
  }

  async function review(token: string): Promise<Reviewed> {
    const stop = AbortSignal.any([signal, AbortSignal.timeout(reviewMilliseconds)])
    const reviewed = await deps.reviewToken(token, tokenAudience, stop).catch((error: unknown) => {
      log.warn({ error: messageOf(error) }, 'token review failed')
      throw new Refusal(503, 'TokenReviewUnavailable', 'the API server could not be asked about the token', 2)
    })
    if (reviewed !== undefined) return reviewed
    throw new Refusal(401, 'TokenRefused', `the token is not valid for the audience ${tokenAudience}`)
  }
}

function bearerToken(request: IncomingMessage): string {
  const match = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')
  if (match?.[1] !== undefined) return match[1]
  throw new Refusal(401, 'TokenMissing', 'send a service account token as Authorization: Bearer')
}

async function wantedOf(request: IncomingMessage): Promise<z.infer<typeof requestSchema>> {
  const { data } = requestSchema.safeParse(await bodyOf(request, maxBodyBytes))
  if (data !== undefined) return data
  throw new Refusal(400, 'RequestInvalid', 'the body is not JSON of the form {"csr": PEM, "dnsNames": [...]}')
}

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const body = await readBody(request, maxBytes)
  if (body === undefined) throw new Refusal(413, 'RequestTooLarge', `the body is longer than ${maxBytes} bytes`)
  try {
    return JSON.parse(body)
  } catch {
    throw new Refusal(400, 'RequestInvalid', 'the body is not JSON')
  }
}

function asRefusal(error: unknown, log: Logger): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof HansaError && error.retry === 'never') return new Refusal(400, error.reason, error.message)
  log.error({ error: messageOf(error) }, 'certificate request failed')
  return new Refusal(503, 'InternalError', 'the request failed, try again', 2)
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** Registers what the certificate endpoint counts. */
export function endpointMetrics(registry: Registry) {
  return {
    issued: new Counter({
      name: 'hansa_certificates_issued_total',
      help: 'Certificates issued to processes of this cluster.',
      registers: [registry],
    }),
    refused: new Counter({
      name: 'hansa_certificate_requests_refused_total',
      help: 'Certificate requests refused, by reason.',
      labelNames: ['reason'],
      registers: [registry],
    }),
  }
}
