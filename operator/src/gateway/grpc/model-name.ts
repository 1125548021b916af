/** Where field 1 of a message lies: from its tag to behind its value. */
export type NameField = { name: string; start: number; end: number }

/** `absent`: no field 1 among the fields that begin within the head. `invalid`: not Protocol Buffers, or no name of a service. */
export type NameResult = NameField | 'absent' | 'invalid'

/** As much of a message as is looked at. Encoders write fields in the order of their numbers, so the name comes first. */
export const headBytes = 4096
const maxNameBytes = 512
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/**
 * Finds the string in field 1 of a message of `messageBytes` bytes whose first bytes are `head` (the whole of it, or `headBytes`).
 * Nothing beyond the head is read, so it takes bounded time and memory whatever follows. A second field 1 would replace the
 * first when the worker decodes the message; the worker then refuses a name that is not its own.
 */
export function findModelName(head: Buffer, messageBytes: number): NameResult {
  let at = 0
  while (at < messageBytes) {
    const start = at
    const tag = varint(head, at)
    if (tag === undefined) return head.length < messageBytes ? 'absent' : 'invalid'
    at = tag.end
    const field = Math.floor(tag.value / 8)
    if (field === 0 || tag.value > 0xffff_ffff) return 'invalid'
    const kind = tag.value % 8
    if (field === 1 && kind !== wire.bytes) return 'invalid'
    if (kind === wire.varint) {
      const value = varint(head, at)
      if (value === undefined) return head.length < messageBytes ? 'absent' : 'invalid'
      at = value.end
    } else if (kind === wire.fixed64) at += 8
    else if (kind === wire.fixed32) at += 4
    else if (kind === wire.bytes) {
      const length = varint(head, at)
      if (length === undefined) return head.length < messageBytes ? 'absent' : 'invalid'
      const end = length.end + length.value
      if (end > messageBytes) return 'invalid'
      if (field === 1) {
        if (length.value > maxNameBytes) return 'invalid'
        if (end > head.length) return 'absent'
        return { name: head.toString('utf8', length.end, end), start, end }
      }
      at = end
    } else return 'absent' // groups are for the worker to refuse
    if (at > messageBytes) return 'invalid'
  }
  return 'absent'
}

/** The head with `name` in field 1 instead of what was there; the message grows or shrinks by the difference in length. */
export function withModelName(head: Buffer, field: NameField | 'absent', name: string): Buffer {
  if (field !== 'absent' && field.name === name) return head
  const value = Buffer.from(name)
  const written = Buffer.concat([Buffer.from([0x0a]), writeVarint(value.length), value])
  if (field === 'absent') return Buffer.concat([written, head])
  return Buffer.concat([head.subarray(0, field.start), written, head.subarray(field.end)])
}

function varint(bytes: Buffer, at: number): { value: number; end: number } | undefined {
  let value = 0
  for (let i = 0; i < 10; i += 1) {
    const byte = bytes[at + i]
    if (byte === undefined) return undefined
    // Beyond 53 bits the number loses digits, but it is then far above every length that is compared with it.
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, end: at + i + 1 }
  }
  return { value: Number.POSITIVE_INFINITY, end: at + 10 }
}

function writeVarint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
