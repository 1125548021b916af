/** One file of a model source while it is read: bytes so far, and how many there shall be where the source says. */
export type Progress = { readonly path: string; readonly bytes: number; readonly total: number | undefined }

export type ReadDeps = {
  readonly signal: AbortSignal
  /** Called for each piece that was read. */
  readonly onProgress: (progress: Progress) => void
}
