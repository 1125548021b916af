import { createHash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { withLock } from '../../cluster/assets/lock.ts'
import { cacheFolder } from '../../cluster/hansa/cache-folder.ts'
import { runPython } from './run-python.ts'

export type PythonEnvironment = 'export' | 'check'

const exportTool = new URL('../../../worker-image/export/', import.meta.url).pathname
const requirements = { export: 'requirements.txt', check: 'requirements-check.txt' } as const
const sizes = { export: '30 MB', check: 'several GB' } as const

/** Path of a file of the export tool. */
export function exportToolFile(name: string): string {
  return join(exportTool, name)
}

/**
 * The Python of a virtual environment with the export tool's requirements, made in the user's cache when it is not there:
 * `export` takes a few seconds and 30 MB, `check` has PyTorch in it and takes minutes and several GB. Needs python3 with venv.
 */
export async function pythonEnvironment(kind: PythonEnvironment): Promise<string> {
  const file = exportToolFile(requirements[kind])
  const text = (await readFile(file, 'utf8')) + (await readFile(exportToolFile(requirements.export), 'utf8'))
  const folder = cacheFolder(`python-${kind}-${createHash('sha256').update(text).digest('hex').slice(0, 10)}`)
  const python = join(folder, 'bin', 'python')
  if (await isReady(folder)) return python
  await withLock(`${folder}.lock`, async () => {
    if (await isReady(folder)) return
    process.stderr.write(`making a Python environment in ${folder} (${sizes[kind]})\n`)
    // Programs in a virtual environment name its path, so it is made where it stays; the marker comes last.
    await rm(folder, { recursive: true, force: true })
    await runPython('python3', ['-m', 'venv', folder])
    await runPython(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', file])
    await writeFile(`${marker(folder)}.part`, text)
    await rename(`${marker(folder)}.part`, marker(folder))
  })
  return python
}

async function isReady(folder: string): Promise<boolean> {
  return readFile(marker(folder)).then(
    () => true,
    () => false,
  )
}

function marker(folder: string): string {
  return join(folder, '.hansa-complete')
}

/** The folder of this module, for the requirements that only tests have. */
export const testRequirements = dirname(new URL(import.meta.url).pathname)
