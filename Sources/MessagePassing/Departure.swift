import COpenMPI
import Failures
import Glibc
import Synchronization

/// How an MPI job ends, on every rank: in order or by a fault, once, within seconds, and never hanging.
///
/// - Rank 0's failure: it prints the one line, tells the others to leave, all finalise; the others' processes end with
///   0 and rank 0's with the failure's code, which mpirun then returns.
/// - Another rank's failure: it reports to rank 0, which goes on as above.
/// - Whoever can't be reached within `patience` is ended by MPI_Abort, with the failure's code.
final class Departure: Sendable {
    private struct State {
        /// The exit code of the end that has begun; nil while the job runs.
        var exitCode: Int32?
        var hasFinished = false
        var finished: Set<Int> = []
        var gone: Set<Int> = []
    }

    private static let patience = Duration.seconds(5)

    private let endpoint: MPIEndpoint
    private let cleanUps: CleanUps
    private let state = Mutex(State())

    init(endpoint: MPIEndpoint, cleanUps: CleanUps) {
        self.endpoint = endpoint
        self.cleanUps = cleanUps
    }

    private var isFirst: Bool { endpoint.rank == 0 }
    private var others: Range<Int> { 1..<max(endpoint.size, 1) }

    /// This rank has done its part. The process ends when all have.
    func finish() {
        state.withLock { $0.hasFinished = true }
        if isFirst { dismissIfAllFinished() } else { say(.finished, to: 0) }
    }

    /// This rank can't go on, or another one has said so to rank 0.
    func fail(_ failure: Failure) {
        guard begin(failure.exitCode) else { return }
        guard isFirst else {
            say(.failed(located(failure)), to: 0)
            watch(failure.exitCode) { [self] in StandardError.report(located(failure).message) }
            return
        }
        StandardError.report(failure.message)
        cleanUps.runAll()
        dismissOthers()
        watch(failure.exitCode)
    }

    /// A signal asks this process to end.
    func interrupt(_ signal: TerminationHandler.Signal) {
        if begin(signal.exitCode), isFirst {
            StandardError.report(ParallelProgram.explanation(of: signal, underLauncher: true))
        }
        cleanUps.runAll()
        _exit(signal.exitCode)
    }

    func receive(_ message: ControlMessage, from source: Int) {
        switch message {
        case .finished:
            state.withLock { _ = $0.finished.insert(source) }
            dismissIfAllFinished()
        case .failed(let failure):
            fail(failure)
        case .gone:
            let count = state.withLock { state in
                state.gone.insert(source)
                return state.gone.count
            }
            if count == others.count { endpoint.leave() }
        case .leave:
            let hasFinished = state.withLock { $0.hasFinished }
            _ = begin(0)
            if !hasFinished { cleanUps.runAll() }
            watch(0, by: .exit)
            say(.gone, to: 0)
            endpoint.leave()
        }
    }

    /// MPI itself failed.
    func fault(_ failure: Failure) {
        if begin(failure.exitCode) { StandardError.report(failure.message) }
        cleanUps.runAll()
        pilot_mpi_abort(failure.exitCode)
        _exit(failure.exitCode)
    }

    /// MPI was finalised: the last thing that happens. Only rank 0 speaks for the job's outcome.
    func end() {
        let code = state.withLock { $0.exitCode } ?? 0
        fflush(nil)
        _exit(isFirst ? code : 0)
    }

    private func dismissIfAllFinished() {
        let isDone = state.withLock { state in
            guard state.hasFinished, state.finished.count == others.count, state.exitCode == nil else { return false }
            state.exitCode = 0
            return true
        }
        guard isDone else { return }
        dismissOthers()
        watch(Failure.Kind.internalFault.rawValue) {
            StandardError.report("the work is done, but the ranks could not end MPI together")
        }
    }

    private func dismissOthers() {
        for other in others { say(.leave, to: other) }
        if others.isEmpty { endpoint.leave() }
    }

    /// Claims the job's end; false when it has begun already, so that only the first failure speaks.
    private func begin(_ exitCode: Int32) -> Bool {
        state.withLock { state in
            guard state.exitCode == nil else { return false }
            state.exitCode = exitCode
            return true
        }
    }

    private func say(_ message: ControlMessage, to destination: Int) {
        endpoint.enqueue(SendOrder(head: message.encoded, destination: destination, tag: .control))
    }

    private func located(_ failure: Failure) -> Failure {
        Failure(failure.kind, "rank \(endpoint.rank) on \(endpoint.hostName): \(failure.message)")
    }

    private enum Force {
        /// All processes of the job.
        case abort
        /// This process alone: rank 0 sees to the job.
        case exit
    }

    /// Ends the job by force should it still be there after `patience`.
    private func watch(_ exitCode: Int32, by force: Force = .abort, after explain: @escaping @Sendable () -> Void = {})
    {
        let cleanUps = cleanUps
        let end: @Sendable () -> Void = {
            sleep(Self.patience)
            explain()
            cleanUps.runAll()
            guard force == .abort else { _exit(exitCode) }
            // MPI_Abort may itself wait for a launcher that is gone.
            (try? DedicatedThread(name: "abort", stackBytes: 1 << 20))?.enqueue { pilot_mpi_abort(exitCode) }
            sleep(.seconds(2))
            _exit(exitCode)
        }
        guard let thread = try? DedicatedThread(name: "watchdog", stackBytes: 1 << 20) else {
            if force == .abort { pilot_mpi_abort(exitCode) }
            return
        }
        thread.enqueue(end)
    }
}

private func sleep(_ duration: Duration) {
    // Nothing ever happens to this: it is a wait with a limit.
    _ = Monitor(false).wait(atMost: duration) { $0 ? true : nil }
}
