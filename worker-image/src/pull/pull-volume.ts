import { stat } from 'node:fs/promises'
import type { ModelFile } from '@hansa/operator/api/model.ts'
import { FetchError } from '../fetch/fetch-error.ts'
import { openContained } from '../model/contained-file.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { TargetFile } from './target-file.ts'

const pieceBytes = 1 << 20

/** Copies one file of a claim into the model folder and checks what it copied; links are refused. */
export async function pullFromVolume(
  sourceDir: string,
  dir: string,
  file: ModelFile,
  signal: AbortSignal,
): Promise<void> {
  const source = await openOnVolume(sourceDir, file.path)
  const target = await TargetFile.create(dir, file)
  try {
    const buffer = Buffer.allocUnsafe(pieceBytes)
    for (;;) {
      signal.throwIfAborted()
      const { bytesRead } = await source.handle.read(buffer, 0, pieceBytes, target.position)
      if (bytesRead === 0) break
      await target.append(buffer.subarray(0, bytesRead))
    }
    await target.finish()
  } finally {
    await source.handle.close()
    await target.abandon()
  }
}

/** Opens a file of a claim; a missing one is ModelRefused `SourceNotFound`, a missing folder FetchError `VolumeUnavailable`. */
export async function openOnVolume(sourceDir: string, path: string) {
  try {
    return await openContained(sourceDir, path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      const folder = await stat(sourceDir).catch(() => undefined)
      if (folder?.isDirectory() !== true) {
        throw new FetchError('VolumeUnavailable', 'the folder that spec.source.pvc.path names is not on the claim')
      }
      throw new ModelRefused('SourceNotFound', 'is not on the claim', { file: path })
    }
    throw error
  }
}
