import { resolve } from 'node:path'
import {
  type ChannelCredentials,
  type Client,
  loadPackageDefinition,
  Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const proto = resolve(import.meta.dirname, '../../operator/proto/open-inference.proto')
const serviceName = 'inference.GRPCInferenceService'

export type Outcome = {
  readonly code: number
  readonly details: string
  /** Of a unary call. */
  readonly response: unknown
  /** Initial metadata. */
  readonly metadata: Readonly<Record<string, string>>
}

export type StreamOutcome = { readonly code: number; readonly details: string; readonly answers: readonly unknown[] }

/** A client made of the .proto file alone by grpc-js and proto-loader, so that nothing of our own code speaks for it. */
export type GrpcClient = {
  unary(call: string, request: object, options: CallOptions): Promise<Outcome>
  stream(requests: readonly object[], options: CallOptions): Promise<StreamOutcome>
  close(): void
}

export type CallOptions = {
  readonly metadata: Readonly<Record<string, string>>
  readonly deadlineMs: number | undefined
  /** A stream that the client does not end by itself. */
  readonly keepOpen?: boolean
}

export function grpcClient(address: string, credentials: ChannelCredentials, options: object = {}): GrpcClient {
  const definition = loadSync(proto, { keepCase: true, longs: String, defaults: true, oneofs: true })
  loadPackageDefinition(definition)
  const service = serviceOf(definition[serviceName])
  const Constructor = makeClientConstructor(service, serviceName)
  const client: Client = new Constructor(address, credentials, { 'grpc.max_receive_message_length': -1, ...options })
  const method = (name: string): MethodDefinition<object, object> => {
    const found = service[name]
    if (found === undefined) throw new Error(`the .proto file has no call ${name}`)
    return found
  }
  return {
    unary: (name, request, { metadata, deadlineMs }) =>
      new Promise((done) => {
        const { path, requestSerialize, responseDeserialize } = method(name)
        let initial = new Metadata()
        client
          .makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            request,
            metadataOf(metadata),
            deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
            (error, response) =>
              done({
                code: error?.code ?? 0,
                details: error?.details ?? '',
                response,
                metadata: Object.fromEntries(
                  Object.entries(initial.getMap()).map(([key, value]) => [key, String(value)]),
                ),
              }),
          )
          .on('metadata', (given: Metadata) => {
            initial = given
          })
      }),
    stream: (requests, { metadata, deadlineMs, keepOpen }) =>
      new Promise((done) => {
        const { path, requestSerialize, responseDeserialize } = method('ModelStreamInfer')
        const answers: unknown[] = []
        const call = client.makeBidiStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadataOf(metadata),
          deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
        )
        call.on('data', (answer: unknown) => answers.push(answer))
        call.on('error', () => undefined) // 'status' tells the same.
        call.on('status', ({ code, details }: { code: number; details: string }) => done({ code, details, answers }))
        for (const request of requests) call.write(request)
        if (keepOpen !== true) call.end()
      }),
    close: () => client.close(),
  }
}

function metadataOf(pairs: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(pairs)) metadata.set(key, value)
  return metadata
}

/** proto-loader's definitions are services, messages or enums; the name that was asked for is the service's. */
function serviceOf(definition: unknown): ServiceDefinition {
  if (typeof definition !== 'object' || definition === null) throw new Error(`the .proto file has no ${serviceName}`)
  return definition as ServiceDefinition
}
