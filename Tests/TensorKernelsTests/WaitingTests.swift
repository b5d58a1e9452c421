import CVectorKernels
import Dispatch
import Foundation
import Synchronization
import TensorKernels
import Testing

/// How a team of threads waits where it has not all cores for itself.
@Suite(.serialized) struct WaitingTests {
    /// Loops until `isDone`, as long as a slow machine may need.
    private func loop(_ context: ComputeContext, until isDone: () -> Bool) -> Bool {
        for _ in 0..<200_000 {
            context.parallel(context.threads, of: ComputeContext.grain * 2) { _ in }
            if isDone() { return true }
        }
        return false
    }

    /// Beside programs that keep all cores busy, threads that wait are told to sleep.
    @Test func threadsSleepBesideBusyPrograms() throws {
        let cores = ProcessInfo.processInfo.activeProcessorCount
        guard cores > 1 else { return }
        let context = try ComputeContext(threads: cores)
        let isOver = Atomic(false)
        let haveSlept = Atomic(false)
        let before = pilot_wait_asleep_count()
        DispatchQueue.concurrentPerform(iterations: 2 * context.threads + 1) { index in
            if index == 0 {
                haveSlept.store(loop(context) { pilot_wait_asleep_count() > before }, ordering: .relaxed)
                isOver.store(true, ordering: .relaxed)
            } else {
                while !isOver.load(ordering: .relaxed) {}
            }
        }
        let slept = haveSlept.load(ordering: .relaxed)
        #expect(slept)
    }

    /// A loop of little work stays with the thread that has it, a longer one does not.
    @Test func littleWorkIsNotShared() throws {
        let context = try ComputeContext(threads: 2)
        for (count, elements, runs) in [
            (2, 1, 1), (ComputeContext.grain, 1, 1), (2, ComputeContext.grain, 2), (1, 1 << 20, 1), (0, 1 << 20, 0),
            (2 * ComputeContext.grain, 1, 2),
        ] {
            let found = Mutex<[Range<Int>]>([])
            context.parallel(count, of: elements) { part in found.withLock { $0.append(part) } }
            let parts = found.withLock { found in found.sorted { $0.lowerBound < $1.lowerBound } }
            #expect(parts.count == runs, "\(count) of \(elements)")
            #expect(parts.flatMap { Array($0) } == Array(0..<count))
        }
    }
}
