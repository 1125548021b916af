import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'

export const protoFile = join(import.meta.dirname, '../../../operator/proto/open-inference.proto')

/** What tests read and write of a ModelInferRequest or ModelInferResponse. */
export type InferMessage = {
  modelName?: string
  modelVersion?: string
  id?: string
  rawInputContents?: Buffer[]
  rawOutputContents?: Buffer[]
}
export type StreamMessage = { errorMessage?: string; inferResponse?: InferMessage }
export type UnaryHandler = (
  call: grpc.ServerUnaryCall<InferMessage, InferMessage>,
  answer: grpc.sendUnaryData<InferMessage>,
) => void

export type TestGrpcWorker = {
  port: number
  /** Messages of ModelInfer and ModelStreamInfer, in order, with the metadata of their calls. */
  requests: { message: InferMessage; metadata: grpc.Metadata }[]
  openStreams: number
  infer: UnaryHandler
  stream: (call: grpc.ServerDuplexStream<InferMessage, StreamMessage>) => void
  kill(): Promise<void>
}

/** The service of the published proto file, for clients and servers of tests. */
export function inferenceService(): grpc.ServiceClientConstructor {
  const loaded = grpc.loadPackageDefinition(loadSync(protoFile, { longs: String, defaults: false }))
  // The file declares exactly this package and service.
  const { inference } = loaded as unknown as { inference: { GRPCInferenceService: grpc.ServiceClientConstructor } }
  return inference.GRPCInferenceService
}

const big = { 'grpc.max_receive_message_length': 256 << 20, 'grpc.max_send_message_length': 256 << 20 }

/** A worker's gRPC as the gateway sees it: mutual TLS with a worker's identity on @grpc/grpc-js; answers are a test's to choose. */
export async function startTestGrpcWorker(options: {
  authority: Authority
  uri: string
  address: string
  port: number
}): Promise<TestGrpcWorker> {
  const { keyPem, certPem, caPem } = (await memoryIdentity(options.authority, options.uri)).current()
  const server = new grpc.Server(big)
  const worker: TestGrpcWorker = {
    port: 0,
    requests: [],
    openStreams: 0,
    infer: answerEcho,
    stream: (call) => {
      call.on('data', (request: InferMessage) => {
        const isOurs = request.modelName === 'digits'
        call.write(
          isOurs
            ? { inferResponse: echoOf(request) }
            : { errorMessage: `there is no model ${request.modelName}`, inferResponse: { id: request.id ?? '' } },
        )
      })
      call.on('end', () => call.end())
    },
    kill: async () => server.forceShutdown(),
  }
  const named = (call: grpc.ServerUnaryCall<InferMessage, InferMessage>, answer: grpc.sendUnaryData<object>) =>
    answer(null, { ready: true, name: (call.request as { name?: string }).name ?? '' })
  server.addService(inferenceService().service, {
    ModelReady: named,
    ModelMetadata: named,
    ModelStatistics: named,
    RepositoryIndex: (_call: unknown, answer: grpc.sendUnaryData<object>) =>
      answer(null, { models: [{ name: 'digits', state: 'READY' }] }),
    ModelInfer: (call: grpc.ServerUnaryCall<InferMessage, InferMessage>, answer: grpc.sendUnaryData<InferMessage>) => {
      worker.requests.push({ message: call.request, metadata: call.metadata })
      worker.infer(call, answer)
    },
    ModelStreamInfer: (call: grpc.ServerDuplexStream<InferMessage, StreamMessage>) => {
      worker.openStreams += 1
      call.on('close', () => {
        worker.openStreams -= 1
      })
      call.on('error', () => undefined)
      call.on('data', (message: InferMessage) => worker.requests.push({ message, metadata: call.metadata }))
      worker.stream(call)
    },
  })
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(caPem),
    [{ private_key: Buffer.from(keyPem), cert_chain: Buffer.from(certPem) }],
    true,
  )
  worker.port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${options.address}:${options.port}`, credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
  return worker
}

/** Sends the raw contents back. */
export function answerEcho({ request }: { request: InferMessage }, answer: grpc.sendUnaryData<InferMessage>): void {
  answer(null, echoOf(request))
}

function echoOf(request: InferMessage): InferMessage {
  return {
    modelName: request.modelName ?? '',
    id: request.id ?? '',
    rawOutputContents: request.rawInputContents ?? [],
  }
}
