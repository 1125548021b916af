const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/
const service = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?)\.([a-z0-9]([-a-z0-9]*[a-z0-9])?)\.svc(\.[a-z0-9.-]+)?$/

/**
 * Where spans are sent: the address of an OTLP/HTTP receiver; without a path `/v1/traces` is meant. Spans name services and
 * workers, so they leave the cluster by https only; plain http is for loopback and for Services of this cluster (`NAME.NAMESPACE.svc`).
 * Returns a problem as text when the address must not be used.
 */
export function readOtlpEndpoint(text: string): { url: string } | { problem: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return { problem: 'must be an http or https URL' }
  }
  if (url.username !== '' || url.password !== '') return { problem: 'must hold no credentials' }
  if (url.search !== '' || url.hash !== '') return { problem: 'must have neither query nor fragment' }
  if (url.protocol === 'http:' && !loopback.test(url.hostname) && !service.test(url.hostname)) {
    return { problem: 'must be https, except on loopback and for Services of this cluster (NAME.NAMESPACE.svc)' }
  }
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return { url: url.href }
}

/** Namespace and port of a receiver that is a Service of this cluster; undefined for any other. */
export function receiverInCluster(endpoint: string): { namespace: string; port: number } | undefined {
  const { hostname, port, protocol } = new URL(endpoint)
  const namespace = service.exec(hostname)?.[3]
  if (namespace === undefined) return undefined
  return { namespace, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) }
}

/** Whether workers may send there too: they have no way out of the cluster. */
export function reachableByWorkers(endpoint: string): boolean {
  return receiverInCluster(endpoint) !== undefined || loopback.test(new URL(endpoint).hostname)
}
