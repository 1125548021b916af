import { credentials } from '@grpc/grpc-js'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { clientTls } from '@hansa/operator/identity/tls.ts'
import { Agent } from 'undici'
import { type CallOptions, type GrpcClient, grpcClient, type Outcome, type StreamOutcome } from './client.ts'
import { type RestAnswer, restCall } from './rest-client.ts'
import { named } from './run-case.ts'
import type { ServiceName } from './services.ts'

/** Who is asked: a worker by itself, or a gateway in front of it. */
export type Target = {
  readonly name: 'worker' | 'gateway'
  restModel(service: ServiceName): string
  rest(
    service: ServiceName,
    call: {
      method: string
      path: string
      headers: Readonly<Record<string, string>>
      body: string | Uint8Array | undefined
    },
  ): Promise<RestAnswer>
  unary(service: ServiceName, call: string, request: object, options: CallOptions): Promise<Outcome>
  stream(service: ServiceName, requests: readonly object[], options: CallOptions): Promise<StreamOutcome>
  close(): Promise<void>
}

/** A worker called directly, with the gateway's identity: it lets nobody else in. */
export function workerTarget(worker: { url: string; grpcAddress: string }, identity: Identity, uri: string): Target {
  const { ca, key, cert, checkServerIdentity } = clientTls(identity, uri)
  const agent = new Agent({ connect: { ...clientTls(identity, uri) } })
  const client = grpcClient(
    worker.grpcAddress,
    credentials.createSsl(Buffer.from(ca), Buffer.from(key ?? ''), Buffer.from(cert ?? ''), {
      checkServerIdentity: (host, certificate) => checkServerIdentity(host, certificate),
    }),
  )
  return {
    name: 'worker',
    restModel: (service) => service,
    rest: (_service, call) => restCall(worker.url + call.path, agent, call),
    unary: (service, call, request, options) => client.unary(call, named(request, service), options),
    stream: (service, requests, options) => client.stream(named(requests, service), options),
    close: async () => {
      client.close()
      await agent.destroy()
    },
  }
}

/**
 * The gateway as users see it: TLS, a token, paths and model names with namespace and service in front. Calls that name no model
 * say in metadata which service they are for.
 */
export function gatewayTarget(
  gateway: { url: string; grpcAddress: string },
  options: { caPem: string; namespace: string; token: () => Promise<string> },
): Target {
  const { caPem, namespace, token } = options
  const agent = new Agent({ connect: { ca: caPem } })
  const client: GrpcClient = grpcClient(gateway.grpcAddress, credentials.createSsl(Buffer.from(caPem)))
  const authorised = async (
    { metadata, deadlineMs }: CallOptions,
    extra: Record<string, string>,
  ): Promise<CallOptions> => ({
    metadata: { authorization: `Bearer ${await token()}`, ...extra, ...metadata },
    deadlineMs,
  })
  return {
    name: 'gateway',
    restModel: (service) => service,
    rest: async (service, call) =>
      restCall(`${gateway.url}/${namespace}/${service}${call.path}`, agent, {
        ...call,
        headers: { ...call.headers, authorization: `Bearer ${await token()}` },
      }),
    unary: async (service, call, request, given) => {
      const namesModel = JSON.stringify(request).includes('{model}')
      const extra = namesModel ? {} : { 'hansa-service': `${namespace}/${service}` }
      return client.unary(call, named(request, `${namespace}/${service}`), await authorised(given, extra))
    },
    stream: async (service, requests, given) => {
      const extra = requests.length > 0 ? {} : { 'hansa-service': `${namespace}/${service}` }
      return client.stream(named(requests, `${namespace}/${service}`), await authorised(given, extra))
    },
    close: async () => {
      client.close()
      await agent.destroy()
    },
  }
}
