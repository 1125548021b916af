import { HansaError } from '../../process/errors.ts'

const maxFields = 256
const decoder = new TextDecoder('utf-8', { fatal: true })

/** How one field of a message is written and read (protobuf wire format); `empty` is its value when it is absent. */
type Field<T> = {
  readonly id: number
  readonly empty: T
  write(out: Buffer[], value: T): void
  read(before: T, reader: Value): T
}
type Value = { readonly type: number; number(): number; bytes(): Buffer }
type MessageOf<F> = { -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

/** Writes and reads one kind of message. `decode` throws MessageMalformed for anything that is over a limit. */
export type Codec<T> = { encode(message: T): Buffer; decode(bytes: Uint8Array): T }
export type Decoded<C> = C extends Codec<infer T> ? T : never

/** An unsigned number of at most 53 bits (uint32, uint64 or an enum on the wire). */
export function number(id: number): Field<number> {
  return {
    id,
    empty: 0,
    write: (out, value) => {
      if (value !== 0) out.push(varint(id << 3), varint(value))
    },
    read: (_before, value) => value.number(),
  }
}

/** At most `max` unsigned numbers, packed or not. */
export function numbers(id: number, max: number): Field<readonly number[]> {
  return {
    id,
    empty: [],
    write: (out, values) => {
      if (values.length > 0) push(out, id, Buffer.concat(values.map(varint)))
    },
    read: (before, value) => bounded([...before, ...(value.type === 0 ? [value.number()] : unpack(value))], max),
  }
}

/** Text of at most `maxBytes` bytes. */
export function text(id: number, maxBytes: number): Field<string> {
  return {
    id,
    empty: '',
    write: (out, value) => {
      if (value !== '') push(out, id, Buffer.from(value, 'utf8'))
    },
    read: (_before, value) => {
      const bytes = value.bytes()
      if (bytes.length > maxBytes) throw malformed(`a text is longer than ${maxBytes} bytes`)
      return decoder.decode(bytes)
    },
  }
}

/** A message inside of a message; undefined when absent. */
export function inner<T>(id: number, codec: Codec<T>): Field<T | undefined> {
  return {
    id,
    empty: undefined,
    write: (out, value) => {
      if (value !== undefined) push(out, id, codec.encode(value))
    },
    read: (_before, value) => codec.decode(value.bytes()),
  }
}

/** At most `max` messages. */
export function inners<T>(id: number, codec: Codec<T>, max: number): Field<readonly T[]> {
  return {
    id,
    empty: [],
    write: (out, values) => {
      for (const value of values) push(out, id, codec.encode(value))
    },
    read: (before, value) => bounded([...before, codec.decode(value.bytes())], max),
  }
}

/** The codec of a message with these fields. Unknown fields are skipped, so that newer versions may add some. */
export function message<const F extends Readonly<Record<string, Field<unknown>>>>(fields: F): Codec<MessageOf<F>> {
  // Entries lose the tie between a name and the type of its field.
  const entries: [string, Field<unknown>][] = Object.entries(fields)
  const byId = new Map(entries.map(([name, field]) => [field.id, { name, field }]))
  return {
    encode(values) {
      const out: Buffer[] = []
      for (const [name, field] of entries) field.write(out, (values as Record<string, unknown>)[name])
      return Buffer.concat(out)
    },
    decode(bytes) {
      const result: Record<string, unknown> = Object.fromEntries(entries.map(([name, { empty }]) => [name, empty]))
      try {
        for (const [id, value] of read(bytes)) {
          const known = byId.get(id)
          if (known !== undefined) result[known.name] = known.field.read(result[known.name], value)
        }
      } catch (cause) {
        if (cause instanceof HansaError) throw cause
        throw malformed('a text is not UTF-8', cause)
      }
      return result as MessageOf<F>
    },
  }
}

function* read(bytes: Uint8Array): Generator<[number, Value]> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let count = 0
  for (let at = 0; at < buffer.length; ) {
    if (++count > maxFields) throw malformed(`there are more than ${maxFields} fields`)
    const key = readVarint(buffer, at)
    at = key.end
    const type = key.value % 8
    const id = Math.floor(key.value / 8)
    if (type === 0) {
      const { value, end } = readVarint(buffer, at)
      at = end
      yield [id, { type, number: () => value, bytes: wrongType }]
    } else if (type === 2) {
      const { value: length, end } = readVarint(buffer, at)
      if (length > buffer.length - end) throw malformed('a field ends after the message')
      at = end + length
      yield [id, { type, number: wrongType, bytes: () => buffer.subarray(end, end + length) }]
    } else if (type === 1 || type === 5) {
      at += type === 1 ? 8 : 4
      if (at > buffer.length) throw malformed('a field ends after the message')
      yield [id, { type, number: wrongType, bytes: wrongType }]
    } else throw malformed(`there is no wire type ${type}`)
  }
}

function unpack(value: Value): number[] {
  const bytes = value.bytes()
  const found: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const { value: each, end } = readVarint(bytes, at)
    at = end
    if (found.push(each) > maxFields) throw malformed(`there are more than ${maxFields} numbers`)
  }
  return found
}

function readVarint(bytes: Buffer, start: number): { value: number; end: number } {
  let value = 0
  let factor = 1
  for (let at = start; at < Math.min(bytes.length, start + 8); at++) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * factor
    if (value > Number.MAX_SAFE_INTEGER) break
    if (byte < 0x80) return { value, end: at + 1 }
    factor *= 128
  }
  throw malformed('a number is cut off or too large')
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function push(out: Buffer[], id: number, bytes: Buffer): void {
  out.push(varint(id * 8 + 2), varint(bytes.length), bytes)
}

function bounded<T>(values: readonly T[], max: number): readonly T[] {
  if (values.length > max) throw malformed(`a list is longer than ${max}`)
  return values
}

function wrongType(): never {
  throw malformed('a field has another type')
}

function malformed(why: string, cause?: unknown): HansaError {
  return new HansaError('MessageMalformed', `the message cannot be read: ${why}`, { retry: 'never', cause })
}
