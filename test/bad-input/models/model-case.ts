import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { checkModel } from '@hansa/worker/model/check-model.ts'
import { ModelRefused } from '@hansa/worker/model/model-refused.ts'
import type { BadInputCase, Observed } from '../case.ts'
import type { Bytes } from './onnx-bytes.ts'

/** A hostile model: its files, what else lies on the disk, and the reason that the check must give. */
export type HostileModel = {
  name: string
  reason: ModelReason
  /** A piece of the message, where the reason alone could be another check's. */
  says?: string
  /** Written below the model folder; by default also what the Model lists. */
  files: Record<string, Bytes>
  /** Paths and sizes that the Model lists, when they are not those of `files`. */
  listed?: readonly { path: string; sizeBytes: number }[]
  entrypoint?: string
  /** Makes links and the like; `root` holds the folders `model` and `outside`, the latter with `secret.bin` of 8 bytes. */
  arrange?: (root: string) => Promise<void>
}

/** A model of the one file `model.onnx`, with `weights.bin` of 8 bytes beside it for external data. */
export function hostile(reason: ModelReason, name: string, onnx: Bytes, says?: string): HostileModel {
  const files = { 'model.onnx': onnx, 'weights.bin': Buffer.alloc(8) }
  return { name, reason, files, ...(says === undefined ? {} : { says }) }
}

/** Lays the model out in a folder of its own and calls `use` with that folder's root; removes everything afterwards. */
export async function laidOut<T>(model: HostileModel, use: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'hansa-hostile-'))
  try {
    await mkdir(join(root, 'model'))
    await mkdir(join(root, 'outside'))
    await writeFile(join(root, 'outside', 'secret.bin'), 'secret!!')
    for (const [path, content] of Object.entries(model.files)) {
      await mkdir(dirname(join(root, 'model', path)), { recursive: true })
      await writeFile(join(root, 'model', path), content)
    }
    await model.arrange?.(root)
    return await use(root)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

/** Gives a hostile model to the check that fetch, pull and verify use. */
export function observe(model: HostileModel, signal: AbortSignal): Promise<Observed> {
  return laidOut(model, async (root) => {
    const written = Object.entries(model.files).map(([path, content]) => ({ path, sizeBytes: content.length }))
    try {
      const checked = await checkModel({
        dir: join(root, 'model'),
        files: model.listed ?? written,
        deadlineMs: 25_000,
        heapMegabytes: 512,
        signal,
        ...(model.entrypoint === undefined ? {} : { entrypoint: model.entrypoint }),
      })
      return { outcome: 'accepted', detail: `${checked.onnxFiles.length} ONNX files passed` }
    } catch (error) {
      if (!(error instanceof ModelRefused)) return { outcome: 'crashed', detail: messageOf(error) }
      return { outcome: 'refused', reason: error.reason, message: error.message }
    }
  })
}

export function badInputCase(model: HostileModel): BadInputCase {
  const expected = { reason: model.reason, ...(model.says === undefined ? {} : { message: model.says }) }
  return { name: model.name, expected, run: (_context, signal) => observe(model, signal) }
}
