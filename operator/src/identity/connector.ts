import { createSecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import type { Identity } from './identity.ts'
import { clientTls } from './tls.ts'

/**
 * A `connect` function for undici's Agent, Pool or Client: mutual TLS to `expectedUri`, with the certificate of the moment for
 * each new connection. HTTP/1.1 only, no session resumption (which would skip the check of the peer's name).
 */
export function identityConnector(
  identity: Identity,
  expectedUri: string,
  options: { timeoutMilliseconds?: number; highWaterMarkBytes?: number } = {},
): buildConnector.connector {
  const timeout = options.timeoutMilliseconds ?? 5_000
  // undici's own 16 KiB make a large body stop and go at every TLS record.
  const flow = { highWaterMark: options.highWaterMarkBytes ?? 16_384 }
  const build = () => {
    const tls = clientTls(identity, expectedUri)
    // Parsed once for each certificate; else every new connection would parse key, certificate and authorities again.
    const secureContext = createSecureContext(tls)
    return buildConnector({ ...tls, ...flow, secureContext, allowH2: false, maxCachedSessions: 0, timeout })
  }
  let certPem = identity.current().certPem
  let connect = build()
  return (target, callback) => {
    if (certPem !== identity.current().certPem) {
      certPem = identity.current().certPem
      connect = build()
    }
    connect(target, callback)
  }
}
