import { open, writeFile } from 'node:fs/promises'
import { type JoinFile, type JoinFileKind, maxJoinFileBytes, readJoinFile } from '../../peer/join-file.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import type { Io } from '../io.ts'

/** Reads and checks a join file of that kind; a refusal says what to do. */
export async function readJoinInput<K extends JoinFileKind>(
  kind: K,
  path: string,
): Promise<{ file: JoinFile<K>; sha256: string }> {
  const read = readJoinFile(kind, await bytesOf(path))
  if (!('problem' in read)) return read
  const what = kind === 'HansaInvite' ? 'an invite' : 'an acceptance'
  throw new CliError(
    exitCodes.source,
    `${path} is not ${what} that can be taken: ${read.problem}`,
    'Get the file again, byte for byte, such as in an archive.',
  )
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path)
    try {
      // One byte more than is allowed tells a file that is too long.
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxJoinFileBytes + 1), 0, maxJoinFileBytes + 1, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw usageError(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

/** Writes a join file where it was asked for; never over another file. */
export async function writeJoinOutput(text: string, path: string | undefined, io: Io): Promise<void> {
  if (path === undefined) {
    io.out(text)
    return
  }
  try {
    await writeFile(path, text, { flag: 'wx' })
  } catch (cause) {
    throw usageError(
      `cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Name another file with -o.',
    )
  }
}
