import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { condition, read } from '../../cluster/hansa/conditions.ts'
import type { FederatedOwner } from '../../cluster/hansa/federation.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { eventually } from '../../demo/wait.ts'

/** Serves the digits model at an owner, so that there are workers, with their certificates and ports. */
export async function serveDigits(owner: FederatedOwner): Promise<void> {
  await owner.apply(await readFile(join(repository, 'examples/digits.yaml'), 'utf8'))
  await eventually(
    `digits of ${owner.name} is Ready`,
    async () => {
      const ready = condition(await read(owner.owner, 'inferenceservice', 'digits', 'digits'), 'Ready')
      if (ready?.status === 'True') return true
      throw new Error(`${ready?.reason}: ${ready?.message}`)
    },
    { seconds: 180 },
  )
}
