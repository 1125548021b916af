import type { ModelFile, ModelSource } from '../../api/model.ts'
import type { ReadDeps } from './source-file.ts'

/** What `model add` makes of its argument: a name, and the source with its files once that has been read. */
export type Plan = {
  readonly name: string
  read(deps: ReadDeps): Promise<{ readonly source: ModelSource; readonly files: ModelFile[] }>
}

/** How to reach a remote source. */
export type Access = {
  /** PEM; instead of the public authorities. */
  readonly ca: string | undefined
  /** Value of the header `authorization` for the source itself. */
  readonly authorization: string | undefined
}

export type Selection = { readonly include: readonly string[]; readonly exclude: readonly string[] }
