import { Agent, request } from 'undici'
import { z } from 'zod'
import type { KubeClient } from '../../kube/client-types.ts'
import { HansaError } from '../../process/errors.ts'

/** Where the keys of one issuer come from. */
export type KeySource = {
  readonly name: string
  readonly audience: string
  /** Known beforehand for outside issuers; the cluster's own is discovered. */
  readonly issuer: string | undefined
  load(signal: AbortSignal): Promise<{ issuer: string; jwks: unknown }>
}

export const clusterIssuerName = 'cluster'

const loadSeconds = 10
const maxAnswerBytes = 1024 * 1024
const discoverySchema = z.object({ issuer: z.string().min(1).max(2048), jwks_uri: z.string().min(1).max(2048) })

/** The cluster's own issuer, from the API server's discovery documents (KEP-1393), read with the gateway's service account. */
export function clusterKeySource(client: KubeClient, audience: string): KeySource {
  return {
    name: clusterIssuerName,
    audience,
    issuer: undefined,
    load: async (signal) => {
      const options = { signal, timeoutSeconds: loadSeconds }
      const discovery = discoverySchema.safeParse(await client.raw('GET', '/.well-known/openid-configuration', options))
      if (!discovery.success) throw new HansaError('DiscoveryInvalid', 'the API server sent no OpenID configuration')
      // jwks_uri may name an address that only outsiders can reach; the API server itself always has the keys here.
      return { issuer: discovery.data.issuer, jwks: await client.raw('GET', '/openid/v1/jwks', options) }
    },
  }
}

export type OidcIssuer = {
  name: string
  issuer: string
  audience: string
  jwksUrl?: string | undefined
  caPem?: string | undefined
}

/** An outside issuer that the cluster admin named; https only, no redirects, answers up to 1 MiB. */
export function oidcKeySource({ name, issuer, audience, jwksUrl, caPem }: OidcIssuer): KeySource {
  return {
    name,
    audience,
    issuer,
    load: async (signal) => {
      const agent = new Agent({
        connect: { timeout: 5000, minVersion: 'TLSv1.2', ...(caPem === undefined ? {} : { ca: caPem }) },
      })
      const within = AbortSignal.any([signal, AbortSignal.timeout(loadSeconds * 1000)])
      try {
        return { issuer, jwks: await fetchJson(jwksUrl ?? (await discover(issuer, agent, within)), agent, within) }
      } finally {
        await agent.destroy()
      }
    },
  }
}

// OpenID Connect Discovery 1.0, section 4.3: the document must name the issuer that it was asked for.
async function discover(issuer: string, agent: Agent, signal: AbortSignal): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const discovery = discoverySchema.safeParse(await fetchJson(url, agent, signal))
  if (!discovery.success || discovery.data.issuer !== issuer) {
    throw new HansaError('DiscoveryInvalid', 'the OpenID configuration does not name this issuer')
  }
  if (!discovery.data.jwks_uri.startsWith('https://')) throw new HansaError('DiscoveryInvalid', 'jwks_uri is not https')
  return discovery.data.jwks_uri
}

async function fetchJson(url: string, agent: Agent, signal: AbortSignal): Promise<unknown> {
  const { statusCode, body } = await request(url, {
    dispatcher: agent,
    signal,
    headers: { accept: 'application/json' },
  })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes)
      throw new HansaError('IssuerAnswerTooLarge', `the answer is larger than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  if (statusCode !== 200) throw new HansaError('IssuerRefused', `the issuer answered ${statusCode}`)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
