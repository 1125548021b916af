import type { Manifest } from './valid.ts'

/** A manifest that the API server refuses with 422 and this piece of a message. */
export type Row = readonly [name: string, manifest: Manifest, message: string]
