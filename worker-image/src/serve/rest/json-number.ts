const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/**
 * Reads JSON numbers (RFC 8259 section 6) from bytes without making strings of the common ones. One instance is one cursor;
 * `read` leaves the number's parts in the fields.
 */
export class NumberReader {
  readonly #bytes: Buffer
  start = 0
  end = 0
  negative = false
  /** No fraction and no exponent. */
  plain = false
  /** Significant digits; the mantissa is exact up to 15 of them. */
  digits = 0
  mantissa = 0
  /** value = mantissa * 10 ** exponent */
  exponent = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Reads the number at `at`; false when there is none. On true `end` is the offset behind it. */
  read(at: number): boolean {
    const bytes = this.#bytes
    this.start = at
    let position = at
    let byte = bytes[position] ?? 0
    const negative = byte === 0x2d
    if (negative) byte = bytes[++position] ?? 0
    if (byte < 0x30 || byte > 0x39) return false
    let mantissa = 0
    let digits = 0
    let exponent = 0
    if (byte === 0x30) {
      byte = bytes[++position] ?? 0
      if (byte >= 0x30 && byte <= 0x39) return false
    } else {
      while (byte >= 0x30 && byte <= 0x39) {
        mantissa = mantissa * 10 + (byte - 0x30)
        digits++
        byte = bytes[++position] ?? 0
      }
    }
    let plain = true
    if (byte === 0x2e) {
      plain = false
      byte = bytes[++position] ?? 0
      if (byte < 0x30 || byte > 0x39) return false
      while (byte >= 0x30 && byte <= 0x39) {
        mantissa = mantissa * 10 + (byte - 0x30)
        if (digits > 0 || byte !== 0x30) digits++
        exponent--
        byte = bytes[++position] ?? 0
      }
    }
    if (byte === 0x65 || byte === 0x45) {
      plain = false
      byte = bytes[++position] ?? 0
      const negativeExponent = byte === 0x2d
      if (negativeExponent || byte === 0x2b) byte = bytes[++position] ?? 0
      if (byte < 0x30 || byte > 0x39) return false
      let written = 0
      while (byte >= 0x30 && byte <= 0x39) {
        if (written < 100_000) written = written * 10 + (byte - 0x30)
        byte = bytes[++position] ?? 0
      }
      exponent += negativeExponent ? -written : written
    }
    this.end = position
    this.negative = negative
    this.plain = plain
    this.digits = digits
    this.mantissa = mantissa
    this.exponent = exponent
    return true
  }

  /** The number as the nearest double. */
  double(): number {
    const { exponent } = this
    // Clinger's fast path: both operands are exact doubles, so one operation rounds once.
    if (this.digits <= 15 && exponent >= -22 && exponent <= 22) {
      const scaled = this.#scaled()
      return this.negative ? -scaled : scaled
    }
    return Number(this.#bytes.toString('latin1', this.start, this.end))
  }

  /** The number as the single-precision float that `Math.fround` gives for its nearest double. */
  single(): number {
    const { digits, exponent } = this
    if (digits > 15 && digits <= 19 && exponent >= -22 && exponent <= 22) {
      // The mantissa and one operation are off by less than 2^-48; mostly both ends round to the same single.
      const scaled = this.#scaled()
      const low = Math.fround(scaled * (1 - 2 ** -48))
      if (low === Math.fround(scaled * (1 + 2 ** -48))) return this.negative ? -low : low
    }
    return Math.fround(this.double())
  }

  /** The number as an integer up to 2^53 - 1 in size; undefined when it is not one or is written with too many digits. */
  integer(): number | undefined {
    if (this.digits > 15 || this.exponent < -22 || this.exponent > 22) {
      if (!this.plain) return undefined
      const value = Number(this.#bytes.toString('latin1', this.start, this.end))
      return Number.isSafeInteger(value) ? value : undefined
    }
    const value = this.double()
    return Number.isSafeInteger(value) ? value : undefined
  }

  /** The number as a whole number of any size; undefined when it is not one. Only plain digits may exceed 2^53 - 1. */
  bigInteger(): bigint | undefined {
    if (this.plain && this.digits > 15) {
      return this.digits <= 20 ? BigInt(this.#bytes.toString('latin1', this.start, this.end)) : undefined
    }
    const value = this.integer()
    return value === undefined ? undefined : BigInt(value)
  }

  #scaled(): number {
    const power = powersOfTen[Math.abs(this.exponent)] ?? Number.NaN
    return this.exponent < 0 ? this.mantissa / power : this.mantissa * power
  }
}
