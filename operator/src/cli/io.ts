/** Where a command writes, and what it may ask of its surroundings. */
export type Io = {
  /** Results. */
  out(text: string): void
  /** Progress and errors. */
  err(text: string): void
  /** Whether results may be coloured. */
  readonly colour: boolean
  /** Whether `err` is a terminal, on which a line can be overwritten. */
  readonly terminal: boolean
  /** Columns of the terminal. */
  readonly width: number
  /** Milliseconds since 1970. */
  now(): number
}

/** Asks a person and reads one line of at most 1,000 characters; undefined at the end of input. */
export type Ask = (question: string, signal: AbortSignal) => Promise<string | undefined>

const codes = { red: 31, green: 32, yellow: 33, grey: 90, bold: 1 }
export type Colour = keyof typeof codes

/** The text in a colour, where colours are wanted. */
export function paint(io: Io, colour: Colour, text: string): string {
  return io.colour ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}

/** The text without what could move the cursor or colour a terminal; for words that come from a cluster or a server. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?')
}
