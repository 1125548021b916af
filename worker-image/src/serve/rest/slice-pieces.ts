/** The `byteLength` bytes from `offset` on, as views of the same memory. */
export function slicePieces(pieces: readonly Uint8Array[], offset: number, byteLength: number): Uint8Array[] {
  const slice: Uint8Array[] = []
  let skip = offset
  let left = byteLength
  for (const piece of pieces) {
    if (left === 0) break
    if (skip >= piece.byteLength) {
      skip -= piece.byteLength
      continue
    }
    const part = piece.subarray(skip, Math.min(piece.byteLength, skip + left))
    slice.push(part)
    left -= part.byteLength
    skip = 0
  }
  return slice
}
