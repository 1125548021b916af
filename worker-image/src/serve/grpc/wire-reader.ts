import { isUtf8 } from 'node:buffer'
import { invalid } from '../problem.ts'

/**
 * Reads protobuf's wire format in memory. Every length is checked against what is there before anything is made of it, and
 * nothing recurses. Throws InferProblem (InvalidRequest).
 */
export class WireReader {
  readonly bytes: Buffer
  readonly end: number
  at: number
  /** Number and wire type of the field that `next` found. */
  field = 0
  wire = 0
  /** Halves of the last varint, unsigned. */
  low = 0
  high = 0

  constructor(bytes: Buffer, at = 0, end = bytes.byteLength) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  /** Goes on to the next field; false at the end. */
  next(): boolean {
    if (this.at >= this.end) return false
    this.varint()
    this.field = this.low >>> 3
    this.wire = this.low & 7
    if (this.high !== 0 || this.field === 0) throw malformed('has a field without a valid number')
    return true
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  varint(): void {
    let at = this.at
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[at++]
      if (byte === undefined || at > this.end) throw malformed('ends in the middle of a value')
      const part = byte & 0x7f
      if (shift < 28) low |= part << shift
      else if (shift === 28) {
        low |= part << 28
        high = part >>> 4
      } else if (shift < 63 || part <= 1) high |= part << (shift - 32)
      else throw malformed('has a varint of more than 64 bits')
      if (byte < 0x80) break
      if (shift === 63) throw malformed('has a varint of more than 64 bits')
    }
    this.at = at
    this.low = low >>> 0
    this.high = high >>> 0
  }

  /** The end of the length-delimited field that starts here. */
  delimited(): number {
    this.expect(2)
    this.varint()
    if (this.high !== 0 || this.low > this.end - this.at) throw malformed('has a field that is longer than the message')
    return this.at + this.low
  }

  /** A reader over the message that starts here; this one goes on behind it. */
  message(): WireReader {
    const end = this.delimited()
    const inner = new WireReader(this.bytes, this.at, end)
    this.at = end
    return inner
  }

  /** A view of the bytes that start here. */
  view(): Buffer {
    const end = this.delimited()
    const view = this.bytes.subarray(this.at, end)
    this.at = end
    return view
  }

  /** A string of at most `most` UTF-16 units; `what` names it in the refusal. */
  text(most: number, what: string): string {
    const view = this.view()
    // A UTF-16 unit takes three bytes at most.
    if (view.byteLength > 3 * most) throw invalid(`${what} has more than ${most} characters`)
    if (!isUtf8(view)) throw malformed('has a string that is not UTF-8')
    const text = view.toString('utf8')
    if (text.length > most) throw invalid(`${what} has more than ${most} characters`)
    return text
  }

  flag(): boolean {
    this.expect(0)
    this.varint()
    return this.low !== 0 || this.high !== 0
  }

  expect(wire: number): void {
    if (this.wire !== wire) throw malformed(`has field ${this.field} in another form than its type has`)
  }

  /** Passes over the value of a field that means nothing here. */
  skip(): void {
    if (this.wire === 0) this.varint()
    else if (this.wire === 1) this.at += 8
    else if (this.wire === 2) this.at = this.delimited()
    else if (this.wire === 5) this.at += 4
    else throw malformed('has a field of an unknown form')
    if (this.at > this.end) throw malformed('ends in the middle of a value')
  }
}

export function malformed(how: string) {
  return invalid(`the message ${how}`)
}
