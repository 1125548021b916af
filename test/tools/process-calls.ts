import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

type Answer = { id: number; result?: unknown; error?: string }

/** A process of ours with functions that can be called from here. */
export type Remote = { call<T>(name: string, argument?: unknown): Promise<T>; stop(): Promise<void> }

/** Starts a module that calls `answerCalls`. */
export function startRemote(module: string, execArgv: string[] = []): Remote {
  const child: ChildProcess = fork(module, { serialization: 'advanced', execArgv })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let next = 0
  child.on('message', ({ id, result, error }: Answer) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error))
  })
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} ended with ${code}`))
    waiting.clear()
  })
  return {
    call: <T>(name: string, argument?: unknown) => {
      const id = next++
      const answered = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      child.send({ id, name, argument }, (error) => {
        if (error === null) return
        waiting.get(id)?.reject(error)
        waiting.delete(id)
      })
      // The module's function of that name says what it answers.
      return answered as Promise<T>
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The other side: answers calls with these functions until the parent goes. */
export function answerCalls(functions: Record<string, (argument: never) => unknown>): void {
  process.on('message', async ({ id, name, argument }: { id: number; name: string; argument: unknown }) => {
    try {
      // Both sides are parts of one test program.
      const result = await functions[name]?.(argument as never)
      process.send?.({ id, result })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.message : String(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}
