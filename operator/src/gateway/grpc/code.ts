/** Status codes of gRPC (github.com/grpc/grpc, doc/statuscodes.md). */
export const grpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

const names = Object.keys(grpcCode)

const codes: Record<number, number> = {
  200: grpcCode.OK,
  400: grpcCode.INVALID_ARGUMENT,
  401: grpcCode.UNAUTHENTICATED,
  403: grpcCode.PERMISSION_DENIED,
  404: grpcCode.NOT_FOUND,
  408: grpcCode.DEADLINE_EXCEEDED,
  413: grpcCode.RESOURCE_EXHAUSTED,
  429: grpcCode.RESOURCE_EXHAUSTED,
  431: grpcCode.RESOURCE_EXHAUSTED,
  499: grpcCode.CANCELLED,
  500: grpcCode.INTERNAL,
  501: grpcCode.UNIMPLEMENTED,
  502: grpcCode.UNAVAILABLE,
  503: grpcCode.UNAVAILABLE,
  504: grpcCode.DEADLINE_EXCEEDED,
}

const statuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
]

/** The code that says what an HTTP status of the gateway says. */
export function codeOfStatus(status: number): number {
  return codes[status] ?? grpcCode.UNKNOWN
}

/** The HTTP status under which metrics and log count a code. */
export function statusOfCode(code: number): number {
  return statuses[code] ?? 500
}

/** `NOT_FOUND` for 5. */
export function codeName(code: number): string {
  return names[code] ?? 'UNKNOWN'
}

/** A message as it stands in `grpc-message`: percent-encoded but for printable ASCII (PROTOCOL-HTTP2.md, "Status-Message"). */
export function encodeMessage(message: string): string {
  let encoded = ''
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
