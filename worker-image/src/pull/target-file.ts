import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { ModelFile } from '@hansa/operator/api/model.ts'
import { ModelRefused } from '../model/model-refused.ts'

/** A file of the model folder while it is written: it gets its name only once size and digest are right. */
export class TargetFile {
  readonly #file: ModelFile
  readonly #path: string
  readonly #part: string
  readonly #handle: FileHandle
  #hash: Hash = createHash('sha256')
  #position = 0

  private constructor(file: ModelFile, path: string, part: string, handle: FileHandle) {
    this.#file = file
    this.#path = path
    this.#part = part
    this.#handle = handle
  }

  static async create(dir: string, file: ModelFile): Promise<TargetFile> {
    const path = join(dir, file.path)
    // No file of a model begins with a dot, so that this name is free.
    const part = join(dirname(path), `.${basename(path)}`)
    await mkdir(dirname(path), { recursive: true })
    // Left over when the container was restarted; the folder belongs to this pod alone.
    await rm(path, { force: true })
    await rm(part, { force: true })
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    return new TargetFile(file, path, part, await open(part, flags, 0o644))
  }

  get position(): number {
    return this.#position
  }

  async append(piece: Uint8Array): Promise<void> {
    if (this.#position + piece.length > this.#file.sizeBytes) {
      throw new ModelRefused('SizeMismatch', `is larger than ${this.#file.sizeBytes} bytes`, { file: this.#file.path })
    }
    this.#hash.update(piece)
    await this.#handle.write(piece, 0, piece.length, this.#position)
    this.#position += piece.length
  }

  /** Starts again from the first byte. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0)
    this.#position = 0
    this.#hash = createHash('sha256')
  }

  /** Names the file; throws ModelRefused `SizeMismatch` or `DigestMismatch`. */
  async finish(): Promise<void> {
    const { path, sizeBytes, sha256 } = this.#file
    if (this.#position !== sizeBytes) {
      throw new ModelRefused('SizeMismatch', `has ${this.#position} bytes, not ${sizeBytes}`, { file: path })
    }
    const digest = this.#hash.digest('hex')
    if (digest !== sha256) {
      throw new ModelRefused('DigestMismatch', `has the SHA-256 ${digest}, not ${sha256}`, { file: path })
    }
    await this.#handle.sync()
    await this.#handle.close()
    await rename(this.#part, this.#path)
  }

  /** Removes what was written. Harmless after `finish`. */
  async abandon(): Promise<void> {
    // Closed already when finish failed after its own close.
    await this.#handle.close().catch(() => undefined)
    await rm(this.#part, { force: true })
  }
}
