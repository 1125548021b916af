import { type Decoded, inner, inners, message, number, numbers, text } from './codec.ts'

/** Largest DSSE envelope, as in the API's `envelopeText`. */
export const maxEnvelopeBytes = 262_144
/** Largest message of a call: one full envelope and what is around it. */
export const maxMessageBytes = maxEnvelopeBytes + 4096

/** Which end of a connection a caller is. */
export const roles = { Dialler: 1, Acceptor: 2 } as const
export type LinkRole = keyof typeof roles

const standings = { Bundle: 1, Confirmation: 2, Offer: 3, Goodbye: 4 } as const
export type Standing = keyof typeof standings

const kinds = { Request: 1, Renewal: 2, Cancel: 3, Answer: 4, RenewalAsk: 5, Report: 6 } as const
export type DeliveredKind = keyof typeof kinds

const statement = message({ standing: number(1), envelope: text(2, maxEnvelopeBytes) })
const refusal = message({ reason: text(1, 64), message: text(2, 1024) })

// Field numbers are those of operator/proto/link.proto; a test holds the two against each other.
export const helloRequest = message({
  versions: numbers(1, 16),
  replica: text(2, 253),
  replicas: number(3),
  role: number(4),
})
export const helloResponse = message({ version: number(1), replica: text(2, 253), replicas: number(3) })
export const presentRequest = message({ statements: inners(1, statement, 8) })
export const presentResponse = message({ statements: inners(1, statement, 8) })
export const deliverRequest = message({
  kind: number(1),
  requestId: text(2, 36),
  sequence: number(3),
  envelope: text(4, maxEnvelopeBytes),
})
export const deliverResponse = message({ taken: number(1), refusal: inner(2, refusal) })
export const bundleRequest = message({ envelope: text(1, maxEnvelopeBytes) })
export const bundleResponse = message({ envelope: text(1, maxEnvelopeBytes) })

export type HelloRequest = Decoded<typeof helloRequest>
export type HelloResponse = Decoded<typeof helloResponse>
export type PresentRequest = Decoded<typeof presentRequest>
export type PresentResponse = Decoded<typeof presentResponse>
export type DeliverRequest = Decoded<typeof deliverRequest>
export type DeliverResponse = Decoded<typeof deliverResponse>
export type BundleRequest = Decoded<typeof bundleRequest>
export type BundleResponse = Decoded<typeof bundleResponse>

export const codeOfKind = (kind: DeliveredKind): number => kinds[kind]
export const kindOfCode = (code: number): DeliveredKind | undefined => nameOf(kinds, code)
export const codeOfStanding = (standing: Standing): number => standings[standing]
export const standingOfCode = (code: number): Standing | undefined => nameOf(standings, code)

function nameOf<K extends string>(codes: Readonly<Record<K, number>>, code: number): K | undefined {
  // Object.keys gives string[]; the record is closed, so its keys are exactly K.
  return (Object.keys(codes) as K[]).find((name) => codes[name] === code)
}
