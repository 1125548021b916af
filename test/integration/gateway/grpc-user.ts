import * as grpc from '@grpc/grpc-js'
import type { Rig } from './gateway-under-test.ts'
import { type InferMessage, inferenceService, type StreamMessage } from './test-grpc-worker.ts'

export type CallOptions = {
  token?: string | null
  service?: string
  metadata?: Record<string, string>
  deadlineMs?: number
}

export type Answer = { code: number; details: string; message: InferMessage; metadata: grpc.Metadata }

export type UserStream = {
  send(message: InferMessage): boolean
  end(): void
  cancel(): void
  readonly received: StreamMessage[]
  /** Resolves when the stream has ended. */
  readonly ended: Promise<{ code: number; details: string }>
  readonly call: grpc.ClientDuplexStream<InferMessage, StreamMessage>
}

/** A user of the gateway's gRPC with the stock client. */
export type GrpcUser = {
  unary(method: string, message: object, options?: CallOptions): Promise<Answer>
  /** As `unary`, with a way to cancel it. */
  begin(method: string, message: object, options?: CallOptions): Promise<{ answer: Promise<Answer>; cancel(): void }>
  stream(options?: CallOptions): Promise<UserStream>
  close(): void
}

export function grpcUser(rig: Rig): GrpcUser {
  const address = rig.gateway.grpcUrl.replace('https://', '')
  const Service = inferenceService()
  const client = new Service(address, grpc.credentials.createSsl(Buffer.from(rig.authority.caPem)), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': 256 << 20,
    'grpc.enable_retries': 0,
  })

  async function metadataOf(options: CallOptions): Promise<grpc.Metadata> {
    const metadata = new grpc.Metadata()
    const token = options.token === undefined ? await rig.token() : options.token
    if (token !== null) metadata.set('authorization', `Bearer ${token}`)
    if (options.service !== undefined) metadata.set('hansa-service', options.service)
    for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value)
    return metadata
  }
  const callOptions = ({ deadlineMs = 20_000 }: CallOptions) => ({ deadline: Date.now() + deadlineMs })

  const begin: GrpcUser['begin'] = async (method, message, options = {}) => {
    const metadata = await metadataOf(options)
    let cancel = () => {}
    const answer = new Promise<Answer>((resolve) => {
      const call: grpc.ClientUnaryCall = client[method]?.(
        message,
        metadata,
        callOptions(options),
        (error: grpc.ServiceError | null, value: InferMessage | undefined) => {
          resolve({
            code: error?.code ?? 0,
            details: error?.details ?? '',
            message: value ?? {},
            metadata: error?.metadata ?? new grpc.Metadata(),
          })
        },
      )
      cancel = () => call.cancel()
    })
    return { answer, cancel }
  }

  return {
    begin,
    unary: async (method, message, options) => (await begin(method, message, options)).answer,
    stream: async (options = {}) => {
      const call: grpc.ClientDuplexStream<InferMessage, StreamMessage> = client.ModelStreamInfer?.(
        await metadataOf(options),
        callOptions(options),
      )
      const received: StreamMessage[] = []
      call.on('data', (message: StreamMessage) => received.push(message))
      call.on('error', () => undefined)
      const ended = new Promise<{ code: number; details: string }>((resolve) => {
        call.on('status', ({ code, details }) => resolve({ code, details }))
      })
      return {
        call,
        received,
        ended,
        send: (message) => call.write(message),
        end: () => call.end(),
        cancel: () => call.cancel(),
      }
    },
    close: () => client.close(),
  }
}
