import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'

const folders = ['test/fault', 'test/bench']

/** What Hansa claims, and the least that must be measured for the claim to hold. */
export type Promised = { id: string; claim: string; aim: string }

export type Outcome = { figures: string; holds: boolean }

/** A promise with the program that checks it; `report` shows progress and measures as lines. */
export type PromiseProgram = {
  promise: Promised
  run: (report: (line: string) => void) => Promise<Outcome>
  file: string
}

const moduleSchema = z.object({
  promise: z.object({ id: z.string(), claim: z.string(), aim: z.string() }),
  run: z.custom<PromiseProgram['run']>((value) => typeof value === 'function'),
})

/** Every module under test/fault and test/bench that exports `promise` and `run`, sorted by id. */
export async function findPromises(root: string): Promise<PromiseProgram[]> {
  const programs: PromiseProgram[] = []
  for (const folder of folders) {
    const names = await readdir(resolve(root, folder)).catch(() => [])
    for (const name of names.filter((entry) => entry.endsWith('.ts') && !entry.endsWith('.test.ts'))) {
      const path = resolve(root, folder, name)
      const parsed = moduleSchema.safeParse(await import(pathToFileURL(path).href))
      if (parsed.success) programs.push({ ...parsed.data, file: join(folder, name) })
    }
  }
  return programs.sort((a, b) => a.promise.id.localeCompare(b.promise.id))
}
