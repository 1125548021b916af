const shades = [' ', '░', '▒', '▓', '█']

/** An 8x8 picture with values 0 (paper) to 16 (ink) as eight lines of text. */
export function picture(image: readonly number[]): string[] {
  return Array.from({ length: 8 }, (_, row) =>
    image
      .slice(row * 8, row * 8 + 8)
      .map((value) => (shades[Math.min(4, Math.round(value / 4))] ?? ' ').repeat(2))
      .join(''),
  )
}

/** A bar for a probability, 0 to 1. */
export function bar(share: number, width = 20): string {
  return '█'.repeat(Math.round(share * width)).padEnd(width, '·')
}
