import { parentPort } from 'node:worker_threads'
import { compareAnswers } from './compare-answers.ts'
import { type CompareJob, type CompareReply, received } from './comparer.ts'

// Runs in a thread of its own: a JSON answer of a mebibyte would stop the gateway for tens of milliseconds.
parentPort?.on('message', ({ id, ours, theirs, tolerance }: CompareJob) => {
  const reply: CompareReply = { id, verdict: compareAnswers(received(ours), received(theirs), tolerance) }
  parentPort?.postMessage(reply)
})
