import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { FederatedOwner } from '../cluster/hansa/federation.ts'
import { runHansa } from '../cluster/hansa/hansa-cli.ts'
import { systemNamespace } from '../cluster/hansa/installation.ts'
import type { Check } from './checks.ts'
import { progress } from './progress.ts'
import { eventually } from './wait.ts'

const podSchema = z.object({ status: z.object({ podIP: z.string() }) })

/** Executor, requester, claims, those that are agreed, none disputed. */
const agreedClaims = /^\S+ +\S+ +[1-9]\d* +([1-9]\d*) +0 /m

/** What was done for one another, as the running ledger tells it, and as somebody checks it who believes nobody. */
export function ledgerChecks(owner: FederatedOwner): Check[] {
  const month = new Date().toISOString().slice(0, 7)
  const url = async () => {
    const path = `/api/v1/namespaces/${systemNamespace}/pods/hansa-ledger-0`
    return `https://${podSchema.parse(await owner.get(path)).status.podIP}:8450`
  }
  const verify = (file: string) => runHansa(owner.owner, ['ledger', 'verify', file])
  return [
    {
      name: 'states what was taken from a peer',
      run: () =>
        eventually('what the university did', async () => {
          const said = await owner.hansa('ledger', 'statement', '--month', month, '--url', await url())
          const [line] = said.split('\n').filter((each) => /^university +took +digits\/digits-spread/.test(each))
          if (line === undefined) throw new Error(`no such line in:\n${said}`)
          for (const each of said.split('\n')) progress(`  ${each}`)
          return line.replace(/ +/g, ' ')
        }),
    },
    {
      name: 'proves it offline, and not with one byte flipped',
      run: async () => {
        const folder = await mkdtemp(join(tmpdir(), 'hansa-demo-ledger-'))
        try {
          const file = join(folder, 'university.jsonl')
          const peer = ['--peer', 'university', '--month', month]
          const [good, agreed] = await eventually('claims that both sides signed', async () => {
            await owner.hansa('ledger', 'export', ...peer, '--url', await url(), '-o', file)
            const { code, stdout, stderr } = await verify(file)
            if (code !== 0) throw new Error(`not verified: ${stdout}${stderr}`)
            const [, count] = agreedClaims.exec(stdout) ?? []
            if (count !== undefined) return [stdout.trim(), count] as const
            throw new Error(stdout)
          })
          for (const line of good.split('\n')) progress(`  ${line}`)
          const bytes = await readFile(file)
          const at = Math.floor(bytes.length / 2)
          bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
          await writeFile(file, bytes)
          const bad = await verify(file)
          const sentence = `${bad.stdout}${bad.stderr}`.trim()
          if (bad.code !== 1 || sentence === '') throw new Error(`the changed file passes: ${bad.code} ${sentence}`)
          for (const line of sentence.split('\n')) progress(`  ${line}`)
          return `${agreed} claims agreed, Verified; byte ${at} flipped: ${sentence.split('\n').at(-1)}`
        } finally {
          await rm(folder, { recursive: true })
        }
      },
    },
  ]
}
