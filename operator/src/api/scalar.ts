import { z } from 'zod'

/** Longest name of a Model or an InferenceService: children are called `<name>-<8 hex digits>` and get suffixes of their own. */
export const objectNameLength = 40

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'

/** Pattern of a DNS label (RFC 1123), without its length. */
export const labelPattern = new RegExp(`^${label}$`)

/** A DNS label (RFC 1123): at most 63 characters. */
export const dnsLabel = z.string().min(1).max(63).regex(labelPattern)

/** The name of a Model or an InferenceService: a DNS label of at most 40 characters. */
export const objectName = z.string().min(1).max(objectNameLength).regex(labelPattern)

/** A DNS subdomain (RFC 1123), the name of most Kubernetes objects: at most 253 characters. */
export const dnsSubdomain = z
  .string()
  .min(1)
  .max(253)
  .regex(new RegExp(`^${label}(\\.${label})*$`))

/** A quantity without sign or exponent, such as `500m`, `2` or `16Gi`. */
export const quantity = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/)

/** A value of a Kubernetes label; may be empty. */
export const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/)

/** A relative path of plain names: none of them starts with a dot, so none is `.` or `..`. */
export const relativePathPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/

/** The same, or nothing at all. */
export const relativePathOrEmptyPattern = /^([A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$/

/** A map of at most `maxProperties` entries; zod alone has no such bound, so it is both checked here and told to the generator. */
export function boundedRecord<V extends z.ZodType>(value: V, maxProperties: number) {
  return z
    .record(z.string(), value)
    .refine((record) => Object.keys(record).length <= maxProperties, `must have at most ${maxProperties} entries`)
    .meta({ maxProperties })
}
