import { rename, writeFile } from 'node:fs/promises'

export interface HostsFile {
  readonly path: string
  /** Replaces the content: addresses by `name.namespace`. */
  write(names: ReadonlyMap<string, readonly string[]>): Promise<void>
}

const suffixes = ['', '.svc', '.svc.cluster.local']

/** A file that maps the DNS names of services to addresses; readers see an old or a new one, never a part. */
export function createHostsFile(path: string): HostsFile {
  let written = ''
  return {
    path,
    async write(names) {
      const entries = [...names].flatMap(([name, addresses]) => suffixes.map((suffix) => [name + suffix, addresses]))
      const text = JSON.stringify(Object.fromEntries(entries))
      if (text === written) return
      await writeFile(`${path}.new`, text, { mode: 0o600 })
      await rename(`${path}.new`, path)
      written = text
    },
  }
}
