import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { buildConnector, Client, type Dispatcher } from 'undici'
import type { AddressPolicy } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'

export type Lookup = (hostname: string) => Promise<readonly { address: string; family: number }[]>

export type SourceDeps = {
  policy: AddressPolicy
  lookup?: Lookup
  /** Authorities of private sources in PEM; they replace the public ones. */
  caPem?: string
  connectTimeoutMs?: number
  headersTimeoutMs?: number
}

export type SourceResponse = {
  /** Where it came from, after redirects. */
  url: URL
  status: number
  headers: Dispatcher.ResponseData['headers']
  body: AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export type SourceRequest = {
  headers: Record<string, string>
  credentials?: string | undefined
  signal: AbortSignal
  /** Sees the head of each answer that comes from the origin of the URL itself, redirects too; what it throws ends the request. */
  inspect?: (headers: SourceResponse['headers']) => void
}

const mostRedirects = 5
const redirects = new Set([301, 302, 303, 307, 308])

/**
 * GETs a file of a source and follows redirects itself. Each hop must be https; its name is resolved once, every address that
 * comes back must be allowed, and the connection goes to the checked one. `credentials` go to the origin of `url` alone.
 * Throws `FetchError`; the caller closes the response.
 */
export async function openSource(url: URL, request: SourceRequest, deps: SourceDeps): Promise<SourceResponse> {
  let target = url
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const atHome = target.origin === url.origin
    const response = await open(target, request, atHome, deps)
    try {
      if (atHome) request.inspect?.(response.headers)
    } catch (error) {
      await response.close()
      throw error
    }
    if (!redirects.has(response.status)) return response
    await response.close()
    target = redirectTarget(response.headers.location, target)
  }
  throw new FetchError('SourceUnreachable', `the source redirects more than ${mostRedirects} times`)
}

function redirectTarget(location: string | string[] | undefined, from: URL): URL {
  const next =
    typeof location === 'string' && URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  if (next === undefined) throw new FetchError('SourceUnreachable', 'the source redirects to no valid location')
  if (next.protocol !== 'https:') {
    throw new FetchError('SourceAddressRefused', `the source redirects to ${next.protocol}, only https is followed`)
  }
  if (next.username !== '' || next.password !== '') {
    throw new FetchError('SourceAddressRefused', 'the source redirects to a location with user information')
  }
  next.hash = ''
  return next
}

async function open(
  url: URL,
  request: SourceRequest,
  withCredentials: boolean,
  deps: SourceDeps,
): Promise<SourceResponse> {
  const address = await checkedAddress(url, deps, request.signal)
  const client = new Client(url.origin, {
    connect: connector(address, deps),
    pipelining: 1,
    headersTimeout: deps.headersTimeoutMs ?? 30_000,
    // The caller watches the rate; this only ends a connection that nobody watches any more.
    bodyTimeout: 300_000,
  })
  const close = () => client.destroy()
  try {
    const response = await client.request({
      method: 'GET',
      path: `${url.pathname}${url.search}`,
      headers: {
        'user-agent': 'hansa-fetch',
        accept: '*/*',
        // A digest is over the file as it is, and a compressed answer could unpack to any size.
        'accept-encoding': 'identity',
        ...request.headers,
        ...(withCredentials && request.credentials !== undefined ? { authorization: request.credentials } : {}),
      },
      signal: request.signal,
    })
    // Destroying the client fails a body that nobody reads to its end; that is how a response is given up.
    response.body.on('error', () => undefined)
    return { url, status: response.statusCode, headers: response.headers, body: response.body, close }
  } catch (error) {
    await close()
    request.signal.throwIfAborted()
    if (error instanceof FetchError) throw error
    throw new FetchError('SourceUnreachable', `${url.host} does not answer: ${messageOf(error)}`, { cause: error })
  }
}

async function checkedAddress(url: URL, deps: SourceDeps, signal: AbortSignal): Promise<string> {
  // The URL parser has already turned 127.1, 0x7f.1 and the like into plain addresses.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const resolve = deps.lookup ?? ((name: string) => systemLookup(name, { all: true, verbatim: true }))
  let addresses: readonly { address: string }[]
  try {
    addresses = isIP(host) > 0 ? [{ address: host }] : await withSignal(resolve(host), signal)
  } catch (error) {
    signal.throwIfAborted()
    throw new FetchError('SourceUnreachable', `${host} cannot be resolved: ${messageOf(error)}`, { cause: error })
  }
  const [first] = addresses
  if (first === undefined) throw new FetchError('SourceUnreachable', `${host} has no address`)
  // All of them: a name that has one private address is a trick or a mistake, and the next connection might use that one.
  if (!addresses.every(({ address }) => deps.policy(address))) {
    throw new FetchError('SourceAddressRefused', `${host} has an address that the fetch worker must not reach`, {
      hint: 'the cluster admin can allow a range with the chart value fetch.allowedCidrs',
    })
  }
  return first.address
}

function connector(address: string, deps: SourceDeps): buildConnector.connector {
  const family = isIP(address)
  const connect = buildConnector({
    timeout: deps.connectTimeoutMs ?? 10_000,
    allowH2: false,
    maxCachedSessions: 0,
    autoSelectFamily: false,
    lookup: (_host, _options, callback) => callback(null, address, family),
    ...(deps.caPem === undefined ? {} : { ca: deps.caPem }),
  })
  return (options, callback) =>
    connect(options, (...result) => {
      const [error, socket] = result
      if (error !== null) return callback(error, null)
      // Belt and braces: should a layer below ever resolve again, the request is still not sent.
      if (socket.remoteAddress === undefined || !deps.policy(socket.remoteAddress)) {
        socket.destroy()
        return callback(
          new FetchError('SourceAddressRefused', 'the connection went to an address that was not checked'),
          null,
        )
      }
      return callback(null, socket)
    })
}

function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
