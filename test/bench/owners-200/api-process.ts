import { answerCalls } from '../../tools/process-calls.ts'
import { startSimulatedApi } from './simulated-api.ts'

// The simulated API server, alone in its process.
answerCalls({ start: async () => (await startSimulatedApi()).url })
