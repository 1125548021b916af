import { callCases } from './call-cases.ts'
import type { ContractCase } from './case.ts'
import { datatypeCases } from './datatype-cases.ts'
import { requestCases } from './request-cases.ts'
import { streamCases } from './stream-cases.ts'

/** The contract of the Open Inference Protocol, a row a case; every id is there once. */
export const contractCases: readonly ContractCase[] = [...datatypeCases, ...callCases, ...requestCases, ...streamCases]
