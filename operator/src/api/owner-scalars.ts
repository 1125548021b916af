import { z } from 'zod'
import { hostAndPortLength, hostAndPortPattern } from './address-patterns.ts'
import { labelPattern, objectName } from './scalar.ts'

/** Data classes from the least to the most sensitive; a namespace without the label counts as Restricted. */
export const dataClasses = ['Public', 'Internal', 'Confidential', 'Restricted'] as const
export const dataClass = z.enum(dataClasses)
export type DataClass = z.infer<typeof dataClass>

/** Label of a namespace that says its data class; only cluster admins may set it. */
export const dataClassLabel = 'hansa.dev/data-class'

/** What one owner may ask another to run. */
export const workloads = ['Serve', 'Train'] as const
export const workload = z.enum(workloads)
export type Workload = z.infer<typeof workload>

/** Purpose of a request, such as `Triage`: one CamelCase word of at most 63 characters. */
export const purpose = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[A-Za-z][A-Za-z0-9]*$/)

/** ISO 4217 code of a currency, or another of three capital letters that both sides agreed on. */
export const currency = z
  .string()
  .max(3)
  .regex(/^[A-Z]{3}$/)

/** Millionths of a unit of a currency. */
export const micros = z.int().min(0).max(1_000_000_000_000_000)

/** What a GPU costs for an hour, as a lease says it. */
export const leasePrice = z.object({
  currency: currency.meta({ description: 'Currency.' }),
  microsPerGPUHour: micros.meta({ format: 'int64', description: 'For a GPU hour, in millionths of the currency.' }),
})
export type LeasePrice = z.infer<typeof leasePrice>

/** Name by which an owner wants to be called; not proof of anything. */
export const ownerId = z.string().min(1).max(63).regex(labelPattern)

/** Trust domain of an owner: 52 characters of base32 (RFC 4648, lower case), the SHA-256 of the owner's first root key. */
export const trustDomain = z
  .string()
  .max(52)
  .regex(/^[a-z2-7]{52}$/)

/** An Ed25519 or P-256 public key: SubjectPublicKeyInfo in DER, base64. */
export const publicKey = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/)

/** 32 random bytes, base64url without padding. */
export const nonce = z
  .string()
  .max(43)
  .regex(/^[A-Za-z0-9_-]{43}$/)

/** SHA-256 in 64 lower-case hex digits. */
export const sha256 = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/)

/** `host:port`; IPv6 addresses in brackets. */
export const hostAndPort = z.string().max(hostAndPortLength).regex(hostAndPortPattern)

/** Peers by name, as policies list them. */
export const peerName = objectName

/** Unique id of a request: the uid of the RemoteWork that it comes from. */
export const requestId = z
  .string()
  .max(36)
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)

/** A signed message, verbatim: a DSSE envelope as JSON text of at most 256 KiB. */
export const envelopeText = z.string().min(2).max(262_144)

/** Counts messages of one request in one direction; only ever grows. */
export const sequence = z.int().min(0).max(9_007_199_254_740_991)
