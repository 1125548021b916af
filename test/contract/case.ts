import type { ServiceName } from './services.ts'

/** A tensor of an answer: values as numbers, bigints, booleans or strings, or bytes where it came raw. */
export type Values = readonly (number | bigint | boolean | string)[]

/** `{model}` in paths, bodies and messages is the name by which the target knows the service. */
export const model = '{model}'

type Base = { readonly id: string; readonly service: ServiceName; readonly note?: string }

/** A call over REST with what the specification says of its answer. */
export type RestCase = Base & {
  readonly protocol: 'REST'
  readonly method?: string
  /** Path below the service, beginning with `/v2`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly expect: RestExpectation
}

export type RestExpectation = {
  readonly status: number
  /** What the JSON of the answer holds at least. Failures must hold a string `error` without being told. */
  readonly json?: object
  /** What follows the JSON, by the header Inference-Header-Content-Length. */
  readonly binary?: Uint8Array
  readonly headers?: Readonly<Record<string, string | RegExp>>
  /** Cases with the same word must be told the same in every protocol. */
  readonly words?: string
}

/** A unary call over gRPC. */
export type GrpcCase = Base & {
  readonly protocol: 'gRPC'
  readonly call: GrpcCall
  readonly request: object
  readonly metadata?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
  readonly expect: {
    readonly code: number
    /** What the answer holds at least. */
    readonly response?: object
    readonly metadata?: Readonly<Record<string, string>>
    readonly words?: string
  }
}

/** ModelStreamInfer: requests written one after the other, answers matched by id. */
export type StreamCase = Base & {
  readonly protocol: 'stream'
  readonly requests: readonly object[]
  readonly metadata?: Readonly<Record<string, string>>
  readonly expect: { readonly code: number; readonly answers: readonly StreamAnswer[] }
}

/** An answer of a stream: what it holds at least, or that it tells of an error. */
export type StreamAnswer = { readonly id: string; readonly failed?: true; readonly response?: object }

export type ContractCase = RestCase | GrpcCase | StreamCase

export type GrpcCall =
  | 'ServerLive'
  | 'ServerReady'
  | 'ModelReady'
  | 'ServerMetadata'
  | 'ModelMetadata'
  | 'ModelInfer'
  | 'ModelStatistics'
  | 'RepositoryIndex'
  | 'RepositoryModelLoad'
  | 'RepositoryModelUnload'

/** Codes of gRPC's specification. */
export const code = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const
