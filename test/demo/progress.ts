const startedAt = performance.now()
const color = process.stdout.isTTY && process.env.NO_COLOR === undefined

const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
export const bold = (text: string) => paint(1, text)
export const green = (text: string) => paint(32, text)
export const red = (text: string) => paint(31, text)
export const dim = (text: string) => paint(2, text)

/** One line with the seconds since the start. */
export function progress(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)
  console.log(`${dim(`${seconds} s`)}  ${line}`)
}
