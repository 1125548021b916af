import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureAssets } from '../cluster/assets.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { Installation } from '../cluster/hansa/installation.ts'

/**
 * Writes into `folder` what a person needs to use a running installation from a shell: `env` to source (KUBECONFIG, HANSA_CA, PATH),
 * the trust bundle, and kubectl, helm and kubectl-hansa. Returns the path of `env`.
 */
export async function writeEnvironment(installation: Installation, folder: string): Promise<string> {
  const assets = await ensureAssets({})
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  const link = (from: string, name: string) =>
    symlink(from, join(bin, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  await link(assets.kubectl, 'kubectl')
  await link(assets.helm, 'helm')
  const plugin = join(bin, 'kubectl-hansa')
  await writeFile(plugin, `#!/bin/sh\nexec "${process.execPath}" "${repository}/operator/src/cli/main.ts" "$@"\n`)
  await chmod(plugin, 0o755)
  await writeFile(join(folder, 'ca.pem'), await installation.trustPem())
  const env = join(folder, 'env')
  await writeFile(
    env,
    [
      `export KUBECONFIG='${installation.owner.kubeconfigPath}'`,
      `export HANSA_CA='${join(folder, 'ca.pem')}'`,
      `export PATH='${bin}':'${join(repository, 'node_modules/.bin')}':"$PATH"`,
      '',
    ].join('\n'),
  )
  return env
}
