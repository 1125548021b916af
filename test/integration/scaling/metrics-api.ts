import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Owner } from '../../cluster/owner.ts'

const group = 'external.metrics.k8s.io'
const version = 'v1beta1'
const base = `/apis/${group}/${version}`
const place = { namespace: 'default', name: 'test-metrics' }

/** An aggregated API server of `external.metrics.k8s.io`: what the horizontal pod autoscaler reads is what the test says. */
export type MetricsApi = {
  set(metric: string, value: number): void
  /** Requests that the API server passed on, by the user that it named. */
  readonly users: ReadonlySet<string>
  close(): Promise<void>
}

/**
 * Starts it on the loopback address and registers it with the owner's API server: an APIService whose Service is an ExternalName,
 * so that no endpoint has to be a loopback address. Callers are checked as kube-aggregator asks for: by the front proxy's
 * certificate.
 */
export async function startMetricsApi(owner: Owner): Promise<MetricsApi> {
  const values = new Map<string, number>()
  const users = new Set<string>()
  const { certPem, keyPem } = await owner.issueCertificate({
    commonName: 'test-metrics',
    dnsNames: [`${place.name}.${place.namespace}.svc`],
  })

  function answer(request: IncomingMessage, response: ServerResponse): void {
    // The server speaks TLS only.
    const subject = (request.socket as TLSSocket).getPeerCertificate().subject
    const path = new URL(request.url ?? '/', 'https://metrics').pathname
    if (subject?.CN !== 'front-proxy-client') send(response, 403, { kind: 'Status', apiVersion: 'v1', code: 403 })
    else if (path === base) send(response, 200, resourceList([...values.keys()]))
    else {
      const [, metric] = new RegExp(`^${base}/namespaces/[^/]+/([^/]+)$`).exec(path) ?? []
      const value = metric === undefined ? undefined : values.get(metric)
      if (metric === undefined || value === undefined) {
        send(response, 404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 })
        return
      }
      users.add(String(request.headers['x-remote-user']))
      send(response, 200, valueList(metric, value))
    }
  }

  const server = createServer(
    { key: keyPem, cert: certPem, ca: owner.frontProxyCaPem, requestCert: true, rejectUnauthorized: true },
    answer,
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: place,
      spec: { type: 'ExternalName', externalName: 'localhost', ports: [{ port }] },
    },
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `${version}.${group}` },
      spec: {
        group,
        version,
        groupPriorityMinimum: 100,
        versionPriority: 100,
        caBundle: Buffer.from(owner.caPem).toString('base64'),
        service: { ...place, port },
      },
    },
  ]
  const { code, stderr } = await owner.kubectl(['apply', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  })
  if (code !== 0) throw new Error(stderr)
  return {
    set: (metric, value) => void values.set(metric, value),
    users,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function resourceList(metrics: readonly string[]) {
  const kind = 'ExternalMetricValueList'
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/${version}`,
    resources: metrics.map((name) => ({ name, singularName: '', namespaced: true, kind, verbs: ['get'] })),
  }
}

function valueList(metricName: string, value: number) {
  return {
    kind: 'ExternalMetricValueList',
    apiVersion: `${group}/${version}`,
    metadata: {},
    items: [{ metricName, metricLabels: {}, timestamp: new Date().toISOString(), value: String(value) }],
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
