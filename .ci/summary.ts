import { readFileSync } from 'node:fs'

// Prints the closing line "N passed, N failed": vitest's tests, plus one for `npm run verify` and one more for any failure outside tests.
const [path = '', failedFlag = '0'] = process.argv.slice(2)

function totals(): { passed: number; failed: number } {
  try {
    const report: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof report !== 'object' || report === null) return { passed: 0, failed: 1 }
    const passed = 'numPassedTests' in report ? Number(report.numPassedTests) : 0
    const failed = 'numFailedTests' in report ? Number(report.numFailedTests) : 1
    return { passed, failed }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

const { passed, failed } = totals()
console.log(`\n${passed} passed, ${failedFlag === '0' ? failed : Math.max(1, failed)} failed`)
